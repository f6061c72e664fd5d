//! A member who lost their passphrase and has the recovery code.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;

use super::Keys;
use super::act::write_act;
use super::rotate::make_key;
use crate::audit::KeyAct;
use crate::domain::{Enrolment, KeyKind};
use crate::error::{Code, Error, Result};
use crate::identity::{Keyring, NEW, RecoveryCode, SigningKey, check_passphrase, fingerprint, key_of_code};
use crate::ids::KeyId;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::enrol::{Owner, enrol_recovery};
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::people::{People, Pledge};
use crate::usecases::kernel::tries;

/// What was recovered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Recovered {
    /// The member's e-mail.
    pub member: String,
    /// The key that counts from now on.
    pub key: KeyId,
    /// Its fingerprint.
    pub fingerprint: String,
    /// The keys that count no longer: those of before, and that of the code.
    pub revoked: Vec<KeyId>,
    /// The next code: shown once, and stored nowhere.
    #[schemars(with = "String")]
    pub recovery_code: RecoveryCode,
}

impl Keys<'_> {
    /// Lets a new key with a new passphrase count, vouched for by the key of the recovery code. The member's other keys and the code
    /// count no longer; a new code is given.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`] for a code that nobody has; [`Code::PassphraseWeak`].
    #[tracing::instrument(level = "debug", name = "keys.recover", skip_all)]
    pub async fn recover(self, code: &SecretString, new: SecretString) -> Result<Recovered> {
        tries::wait(self.0).await;
        let runtime = self.0;
        let secret = key_of_code(code, runtime.workspace.id);
        let mut tx = runtime.read().await?;
        let of_code = match &secret {
            Some(secret) => enrolled(&keyring(runtime, &mut tx).await?, secret),
            None => None,
        };
        let (Some(secret), Some(of_code)) = (secret, of_code) else {
            tries::was_wrong(runtime);
            return Err(no_such_code());
        };
        tries::was_right(runtime);
        let ring = keyring(runtime, &mut tx).await?;
        let people = People::of(&mut tx, &ring).await?;
        // The new certificate repeats what the log holds of the member, so that another name in the row changes nothing. Without such a
        // commitment it would be made from the row.
        if ring.commitments_of(of_code.member).is_none() {
            people.must_be_untouched()?;
        }
        let member = people.named(Some(&of_code.member.to_string()))?;
        drop(tx);
        check_passphrase(&new, &member.own_words(&runtime.workspace.slug))?;
        let made = make_key(runtime, &member, (of_code.key, &secret), new).await?;
        let mut tx = runtime.write().await?;
        let ring = keyring(runtime, &mut tx).await?;
        // Somebody may have used the code meanwhile.
        enrolled(&ring, &secret).ok_or_else(no_such_code)?;
        let counts = |key: &KeyId| ring.get(*key).is_some_and(|known| known.counts_in(NEW));
        let of_member = ring.enrolments().filter(|enrolment| enrolment.member == member.id);
        let old: Vec<KeyId> = of_member.map(|enrolment| enrolment.key).filter(counts).collect();
        let next = made.store(&mut tx, member).await?;
        let pledge = Pledge::of(&next.member, &keyring(runtime, &mut tx).await?, &runtime.ids);
        let owner = Owner { workspace: runtime.workspace.id, member: next.member.id, pledge: &pledge };
        let (voucher, by) = ((next.stored.id, next.secret()?), next.principal());
        let recovery_code = enrol_recovery(&mut tx, &runtime.ids, owner, voucher, &by, runtime.now()).await?;
        for key in &old {
            let reason = "recovered with the code".to_owned();
            write_act(runtime, &mut tx, &next, KeyAct { key: *key, compromised_since: None, reason }).await?;
        }
        tx.commit().await?;
        anchor_quietly(runtime, &next).await;
        Ok(Recovered {
            member: next.member.shown(),
            key: next.stored.id,
            fingerprint: fingerprint(&next.stored.certificate.enrolment.public_key),
            revoked: old,
            recovery_code,
        })
    }
}

/// The enrolment of the key of a code, while it counts.
fn enrolled(ring: &Keyring, secret: &SigningKey) -> Option<Enrolment> {
    let public = hex::encode(secret.verifying_key().to_bytes());
    let is_meant = |enrolment: &&Enrolment| {
        enrolment.kind == KeyKind::Recovery
            && enrolment.public_key == public
            && ring.get(enrolment.key).is_some_and(|known| known.counts_in(NEW))
    };
    ring.enrolments().find(is_meant).cloned()
}

fn no_such_code() -> Error {
    Error::new(Code::PassphraseWrong, "no key of this workspace has this recovery code")
        .hint("nothing was changed; a code works once, and only in the workspace that printed it")
}
