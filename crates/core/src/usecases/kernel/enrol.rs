//! Letting another key of a member count.

use jiff::Timestamp;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::event::new_event;
use super::people::Pledge;
use crate::audit::EventKind;
use crate::domain::{Enrolment, KeyKind, SignedEnrolment};
use crate::error::{Code, Error, Result};
use crate::identity::{Belongs, RecoveryCode, SealedKey, SigningKey, enrol, new_code};
use crate::ids::{Ids, KeyId, MemberId, WorkspaceId};
use crate::principal::Principal;
use crate::store::{MemberKey, Tx};

/// Whose key it is.
#[derive(Clone, Copy)]
pub(in crate::usecases) struct Owner<'a> {
    pub(in crate::usecases) workspace: WorkspaceId,
    pub(in crate::usecases) member: MemberId,
    pub(in crate::usecases) pledge: &'a Pledge,
}

/// A key that vouches for others: its id and its secret.
pub(in crate::usecases) type Voucher<'a> = (KeyId, &'a SigningKey);

/// A new secret key.
pub(in crate::usecases) fn new_secret(ids: &Ids) -> SigningKey {
    SigningKey::from_bytes(&Zeroizing::new(ids.bytes()))
}

/// The certificate of a key; without a voucher it vouches for itself, which only the root does.
pub(in crate::usecases) fn certificate(
    owner: Owner<'_>,
    key: Voucher<'_>,
    kind: KeyKind,
    voucher: Option<Voucher<'_>>,
    at: Timestamp,
) -> Result<SignedEnrolment> {
    let (voucher_id, voucher) = voucher.unwrap_or(key);
    let public_key = hex::encode(key.1.verifying_key().to_bytes());
    Ok(enrol(enrolment(owner, (key.0, kind, public_key), voucher_id, at), voucher)?)
}

/// What a certificate says of a key: its id, how it is kept, its public key.
pub(in crate::usecases) fn enrolment(
    owner: Owner<'_>,
    (key, kind, public_key): (KeyId, KeyKind, String),
    voucher: KeyId,
    at: Timestamp,
) -> Enrolment {
    Enrolment {
        version: Some(3),
        workspace: owner.workspace,
        member: owner.member,
        email: None,
        commitments: Some(owner.pledge.commitments.clone()),
        key,
        kind,
        public_key,
        enrolled_by: voucher,
        enrolled_at: at,
    }
}

/// Seals a key under a passphrase that was checked.
pub(in crate::usecases) async fn seal(
    ids: &Ids,
    id: KeyId,
    key: &SigningKey,
    belongs: Belongs,
    passphrase: SecretString,
) -> Result<SealedKey> {
    let (key, ids) = (key.clone(), ids.clone());
    let sealed = tokio::task::spawn_blocking(move || SealedKey::seal(&key, id, &belongs, &passphrase, &ids)).await;
    Ok(sealed.map_err(|e| Error::new(Code::Internal, "sealing the key was interrupted").because(e))??)
}

/// Stores a key, with its line in the log.
pub(in crate::usecases) async fn store_key(
    tx: &mut Tx,
    certificate: SignedEnrolment,
    sealed: Option<SealedKey>,
    by: &Principal,
    now: Timestamp,
) -> Result<MemberKey> {
    let Enrolment { key: id, member, kind, .. } = certificate.enrolment;
    tx.event_append(new_event(EventKind::MemberEnrolled, id.into(), by, &certificate)?, now).await?;
    let stored = MemberKey { id, member, kind, certificate, sealed, revoked_at: None };
    tx.key_insert(&stored, now).await?;
    Ok(stored)
}

/// Makes a recovery code and lets its key count.
pub(in crate::usecases) async fn enrol_recovery(
    tx: &mut Tx,
    ids: &Ids,
    owner: Owner<'_>,
    voucher: Voucher<'_>,
    by: &Principal,
    now: Timestamp,
) -> Result<RecoveryCode> {
    let (code, key) = new_code(ids, owner.workspace);
    let id = ids.next::<KeyId>();
    let certificate = certificate(owner, (id, &key), KeyKind::Recovery, Some(voucher), now)?;
    store_key(tx, certificate, None, by, now).await?;
    Ok(code)
}
