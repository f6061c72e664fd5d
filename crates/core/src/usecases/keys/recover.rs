//! A member who lost their passphrase and has the recovery code.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;

use super::Keys;
use super::act::write_act;
use super::rotate::next_key;
use crate::audit::KeyAct;
use crate::domain::KeyKind;
use crate::error::{Code, Error, Result};
use crate::identity::{NEW, RecoveryCode, check_passphrase, fingerprint, key_of_code};
use crate::ids::KeyId;
use crate::principal::Principal;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::enrol::{Owner, enrol_recovery};
use crate::usecases::kernel::keyring::keyring;
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
        let mut tx = runtime.write().await?;
        let ring = keyring(runtime, &mut tx).await?;
        let secret = key_of_code(code, runtime.workspace.id);
        let public = secret.as_ref().map(|secret| hex::encode(secret.verifying_key().to_bytes()));
        let found = ring.enrolments().find(|enrolment| {
            enrolment.kind == KeyKind::Recovery
                && Some(&enrolment.public_key) == public.as_ref()
                && ring.get(enrolment.key).is_some_and(|known| known.counts_in(NEW))
        });
        let (Some(secret), Some(of_code)) = (secret, found) else {
            tries::was_wrong(runtime);
            return Err(Error::new(Code::PassphraseWrong, "no key of this workspace has this recovery code")
                .hint("nothing was changed; a code works once, and only in the workspace that printed it"));
        };
        tries::was_right(runtime);
        let member = tx.member_list().await?.into_iter().find(|member| member.id == of_code.member);
        let member = member.ok_or_else(|| Error::not_found("member", &of_code.member.to_string()))?;
        check_passphrase(&new, &[&member.email, &member.name, &runtime.workspace.slug])?;
        let old: Vec<KeyId> = ring
            .enrolments()
            .filter(|enrolment| enrolment.member == member.id)
            .map(|enrolment| enrolment.key)
            .filter(|key| ring.get(*key).is_some_and(|known| known.counts_in(NEW)))
            .collect();
        let next = next_key(runtime, &mut tx, &member, (of_code.key, &secret), new).await?;
        let owner = Owner { workspace: runtime.workspace.id, member: member.id, email: &member.email };
        let by = Principal::Human { member: member.id, name: member.email.clone() };
        let voucher = (next.stored.id, &next.key);
        let recovery_code = enrol_recovery(&mut tx, &runtime.ids, owner, voucher, &by, runtime.now()).await?;
        for key in &old {
            let reason = "recovered with the code".to_owned();
            write_act(runtime, &mut tx, &next, KeyAct { key: *key, compromised_since: None, reason }).await?;
        }
        tx.commit().await?;
        anchor_quietly(runtime, &next).await;
        Ok(Recovered {
            member: member.email.clone(),
            key: next.stored.id,
            fingerprint: fingerprint(&next.stored.certificate.enrolment.public_key),
            revoked: old,
            recovery_code,
        })
    }
}
