//! All secrets of the store are sealed with the next key, in one transaction.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Secrets;
use super::logged::must_not_be_an_agent;
use crate::audit::EventKind;
use crate::error::Result;
use crate::principal::Principal;
use crate::sealing::Sealed;
use crate::store::StoredSecret;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::stored_secrets::of_row;

/// What was sealed with the next key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resealed {
    /// Id of the key that opens all of them now.
    pub key_id: String,
    /// Names of those that were sealed again.
    pub resealed: Vec<String>,
    /// How many that key had sealed before.
    pub n_already: usize,
}

impl Secrets<'_> {
    /// Seals all secrets with the next key. Afterwards the key before opens none of them. Run again, it changes nothing.
    ///
    /// # Errors
    /// The codes of the keys; [`Code::EncryptionKeyWrong`](crate::Code::EncryptionKeyWrong) and
    /// [`Code::SecretChanged`](crate::Code::SecretChanged) for one that does not open: then none was sealed again.
    #[tracing::instrument(level = "debug", name = "secrets.rotate_key", skip_all)]
    pub async fn rotate_key(self, by: &Principal) -> Result<Resealed> {
        must_not_be_an_agent(by)?;
        let keys = self.0.settings.encryption_keys.read()?;
        let new = keys.new_key()?;
        let workspace = self.0.workspace.id;
        let mut tx = self.0.write().await?;
        let mut done = Resealed { key_id: new.id().to_owned(), resealed: Vec::new(), n_already: 0 };
        for row in tx.secret_list().await? {
            // Also those of the next key: what is said to be done is known to open.
            let value = of_row(row.clone()).open((workspace, &row.name), &keys)?;
            if row.key_id == new.id() {
                done.n_already += 1;
                continue;
            }
            let Sealed { nonce, sealed, key_id } = Sealed::seal(&value, (workspace, &row.name), new, &self.0.ids)?;
            done.resealed.push(row.name.clone());
            tx.secret_put(&StoredSecret { nonce, sealed, key_id, ..row }).await?;
        }
        if done.resealed.is_empty() {
            return Ok(done);
        }
        let said = json!({ "key_id": done.key_id, "names": done.resealed });
        tx.event_append(new_event(EventKind::SecretsResealed, workspace.into(), by, &said)?, self.0.now()).await?;
        tx.commit().await?;
        self.forget_what_was_there().await;
        Ok(done)
    }
}
