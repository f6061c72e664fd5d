//! A member enrols a key that they touch.

use schemars::JsonSchema;
use serde::Serialize;

use super::Keys;
use crate::domain::{Enrolment, KeyKind, SignedEnrolment};
use crate::error::{Code, Error, Result};
use crate::identity::{Keyring, NEW, SIGNS_ENROLMENT, enrol, enrolment_bytes, fingerprint};
use crate::ids::KeyId;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::enrol::{Owner, enrolment, store_key};
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::people::Pledge;
use crate::usecases::kernel::touch::Touching;
use crate::usecases::kernel::unlock::{Pen, Signer, Unlock, signer};

/// A key to enrol.
pub struct KeyAddRequest {
    /// It is touched once, so that nobody relies on a key that cannot sign.
    pub new: Touching,
    /// E-mail of the member whose it is; the first one when absent.
    pub member: Option<String>,
    /// What vouches for it: the passphrase for the first one, and a key that is touched while one counts.
    pub unlock: Unlock,
}

/// What was enrolled.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Added {
    /// The member's e-mail.
    pub member: String,
    /// The key.
    pub key: KeyId,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whether it is the first key of the workspace that is touched: from now on whoever ships needs one.
    pub is_first: bool,
}

impl Keys<'_> {
    /// Lets a key that its member touches count, vouched for by their passphrase, or by a touch while such a key counts.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`]; [`Code::AssuranceTooLow`] for a passphrase where a touch is needed, and for a key that does not know
    /// who touches it; [`Code::Conflict`] for a key that is enrolled.
    #[tracing::instrument(level = "debug", name = "keys.add", skip_all)]
    pub async fn add(self, request: KeyAddRequest) -> Result<Added> {
        let runtime = self.0;
        let signer = signer(runtime, request.member.as_deref(), &request.unlock).await?;
        let mut tx = runtime.read().await?;
        let ring = keyring(runtime, &mut tx).await?;
        let is_first = must_be_new(&ring, &request.new, &signer)?;
        drop(tx);
        let pledge = Pledge::of(&signer.member, &ring, &runtime.ids);
        let owner = Owner { workspace: runtime.workspace.id, member: signer.member.id, pledge: &pledge };
        let id: KeyId = runtime.ids.next();
        let public_key = request.new.public_key().to_owned();
        let enrolment = enrolment(owner, (id, KeyKind::Touch, public_key), signer.stored.id, runtime.now());
        let bytes =
            enrolment_bytes(&enrolment).ok_or_else(|| Error::new(Code::Internal, "an enrolment cannot be written"))?;
        must_know_who(request.new.sign(SIGNS_ENROLMENT, bytes.clone()).await?.is_verified)?;
        let certificate = vouched_for(&signer, enrolment, bytes).await?;
        let by = signer.principal();
        let mut tx = runtime.write().await?;
        must_be_new(&keyring(runtime, &mut tx).await?, &request.new, &signer)?;
        pledge.store(&mut tx).await?;
        let stored = store_key(&mut tx, certificate, None, &by, runtime.now()).await?;
        must_count(runtime, &mut tx, id).await?;
        tx.commit().await?;
        anchor_quietly(runtime, &signer).await;
        let fingerprint = fingerprint(&stored.certificate.enrolment.public_key);
        Ok(Added { member: signer.member.shown(), key: id, fingerprint, is_first })
    }
}

/// Whether it is the first key that is touched.
fn must_be_new(ring: &Keyring, new: &Touching, signer: &Signer) -> Result<bool> {
    let is_known = |enrolment: &Enrolment| {
        enrolment.public_key == new.public_key() && ring.get(enrolment.key).is_some_and(|known| known.counts_in(NEW))
    };
    if ring.enrolments().any(is_known) {
        return Err(Error::new(Code::Conflict, "this key is enrolled already")
            .hint("`outcome-runtime key list` shows the keys that count"));
    }
    let is_first = !ring.is_touched_in(NEW);
    if !is_first && matches!(signer.pen, Pen::Secret(_)) {
        let message =
            "another key that is touched counts already, and whoever learnt the passphrase could add one of their own";
        return Err(Error::new(Code::AssuranceTooLow, message).hint(
            "touch that one as well: `--key FILE`; if you have it no longer: `outcome-runtime key recover` with your recovery code",
        ));
    }
    Ok(is_first)
}

/// Once it counts, ships need such a key: one that cannot ship would only be in the way.
fn must_know_who(is_verified: bool) -> Result<()> {
    if is_verified {
        return Ok(());
    }
    Err(Error::new(Code::AssuranceTooLow, "the key does not know who touches it, so nobody could ship with it")
        .hint("make one that asks for its PIN each time: `ssh-keygen -t ed25519-sk -O verify-required`"))
}

async fn vouched_for(signer: &Signer, enrolment: Enrolment, bytes: Vec<u8>) -> Result<SignedEnrolment> {
    match &signer.pen {
        Pen::Secret(key) => Ok(enrol(enrolment, key)?),
        Pen::Touch(old) => {
            let signature = hex::encode(old.sign(SIGNS_ENROLMENT, bytes).await?.bytes);
            Ok(SignedEnrolment { enrolment, signature })
        }
    }
}

/// The log says whether it counts, not who wrote it there.
async fn must_count(runtime: &Runtime, tx: &mut Tx, key: KeyId) -> Result<()> {
    if keyring(runtime, tx).await?.get(key).is_some() {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, "the keys changed meanwhile, and this one is not vouched for any more")
        .hint("nothing was enrolled; try again"))
}
