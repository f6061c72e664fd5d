//! Exchanging a member's key for a new one with a new passphrase.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;

use super::Keys;
use super::act::write_act;
use crate::audit::KeyAct;
use crate::domain::{KeyKind, SignedEnrolment};
use crate::error::Result;
use crate::identity::{Belongs, SealedKey, SigningKey, check_passphrase, fingerprint};
use crate::ids::KeyId;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::enrol::{Owner, Voucher, certificate, new_secret, seal, store_key};
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::people::{Person, Pledge};
use crate::usecases::kernel::unlock::{Pen, Signer, Unlock, signer};

/// What was exchanged.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Rotated {
    /// The member's e-mail.
    pub member: String,
    /// The key that counts from now on.
    pub key: KeyId,
    /// Its fingerprint.
    pub fingerprint: String,
    /// The key that counts no longer. What it signed before still does.
    pub revoked: KeyId,
}

impl Keys<'_> {
    /// Lets a new key with a new passphrase count, vouched for by the old one, and revokes the old one.
    ///
    /// # Errors
    /// [`crate::Code::PassphraseWrong`] for the old one; [`crate::Code::PassphraseWeak`] for the new one.
    #[tracing::instrument(level = "debug", name = "keys.rotate", skip_all)]
    pub async fn rotate(self, member: Option<&str>, old: &Unlock, new: SecretString) -> Result<Rotated> {
        let signer = signer(self.0, member, old).await?;
        check_passphrase(&new, &signer.member.own_words(&self.0.workspace.slug))?;
        let made = make_key(self.0, &signer.member, (signer.stored.id, signer.secret()?), new).await?;
        let mut tx = self.0.write().await?;
        let next = made.store(&mut tx, signer.member).await?;
        let act =
            KeyAct { key: signer.stored.id, compromised_since: None, reason: "exchanged for a new key".to_owned() };
        write_act(self.0, &mut tx, &next, act).await?;
        tx.commit().await?;
        anchor_quietly(self.0, &next).await;
        Ok(Rotated {
            member: next.member.shown(),
            key: next.stored.id,
            fingerprint: fingerprint(&next.stored.certificate.enrolment.public_key),
            revoked: signer.stored.id,
        })
    }
}

/// A key that is made and not stored yet.
pub(super) struct NextKey {
    key: SigningKey,
    pledge: Pledge,
    certificate: SignedEnrolment,
    sealed: SealedKey,
}

/// Makes another key of a member, with a passphrase that was checked. Deriving from the passphrase takes its time: nothing is held for it.
pub(super) async fn make_key(
    runtime: &Runtime,
    member: &Person,
    voucher: Voucher<'_>,
    passphrase: SecretString,
) -> Result<NextKey> {
    let now = runtime.now();
    let (id, key): (KeyId, SigningKey) = (runtime.ids.next(), new_secret(&runtime.ids));
    let mut tx = runtime.read().await?;
    let ring = keyring(runtime, &mut tx).await?;
    let pledge = Pledge::of(member, &ring, &runtime.ids);
    let owner = Owner { workspace: runtime.workspace.id, member: member.id, pledge: &pledge };
    let certificate = certificate(owner, (id, &key), KeyKind::Passphrase, Some(voucher), now)?;
    let root = ring.root().to_owned();
    let last = Some(tx.log_head().await?);
    drop(tx);
    let belongs = Belongs { workspace: runtime.workspace.id, root, enrolled_at: now, last };
    let sealed = seal(&runtime.ids, id, &key, belongs, passphrase).await?;
    Ok(NextKey { key, pledge, certificate, sealed })
}

impl NextKey {
    /// Lets it count.
    pub(super) async fn store(self, tx: &mut Tx, member: Person) -> Result<Signer> {
        let enrolled_at = self.certificate.enrolment.enrolled_at;
        self.pledge.store(tx).await?;
        let by = member.principal();
        let stored = store_key(tx, self.certificate, Some(self.sealed), &by, enrolled_at).await?;
        Ok(Signer { member, pen: Pen::Secret(Box::new(self.key)), stored, enrolled_at })
    }
}
