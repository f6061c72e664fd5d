//! A secret is sealed in the store.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;

use super::logged::{Logged, line, must_not_be_an_agent, named};
use super::used_by::UsedBy;
use super::{SecretHome, Secrets};
use crate::audit::EventKind;
use crate::error::Result;
use crate::principal::Principal;
use crate::sealing::{EncryptionKey, EncryptionKeys, Sealed, SealingError, hint_of};
use crate::store::{Instant, StoredSecret};
use crate::usecases::Runtime;
use crate::usecases::kernel::stored_secrets::of_row;

/// A secret that was set.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SetSecret {
    /// Its name.
    pub name: String,
    /// Where it is kept.
    pub home: SecretHome,
    /// Its last four characters, where it is long.
    pub hint: Option<String>,
    /// Id of the key that opens it; absent in the keyring.
    pub key_id: Option<String>,
    /// False where it took the place of one of the same name.
    pub is_new: bool,
    /// Who refers to it, in what is applied.
    pub used_by: Vec<String>,
}

impl Secrets<'_> {
    /// Seals a secret in the store, in place of the one of its name. Sources that are open are opened again with it when they are asked
    /// next.
    ///
    /// # Errors
    /// [`Code::InvalidInput`](crate::Code::InvalidInput); [`Code::EncryptionKeyMissing`](crate::Code::EncryptionKeyMissing) and the other
    /// codes of the key; [`Code::EncryptionKeyWrong`](crate::Code::EncryptionKeyWrong) where the others are sealed with another key.
    #[tracing::instrument(level = "debug", name = "secrets.set", skip_all, fields(name))]
    pub async fn set(self, name: &str, value: &SecretString, by: &Principal) -> Result<SetSecret> {
        must_not_be_an_agent(by)?;
        let name = named(name)?;
        let used_by = UsedBy::of(self.0).await?.named(SecretHome::Store, name);
        let keys = self.0.settings.encryption_keys.read_any()?;
        let workspace = self.0.workspace.id;
        let mut tx = self.0.write().await?;
        let rows = tx.secret_list().await?;
        let key = key_of_all(&rows, &keys, name, self.0)?;
        let Sealed { nonce, sealed, key_id } = Sealed::seal(value, (workspace, name), key, &self.0.ids)?;
        let now = self.0.now();
        let row = StoredSecret {
            name: name.to_owned(),
            nonce,
            sealed,
            key_id,
            hint: hint_of(value),
            set_at: Instant(now),
            set_by: by.to_string(),
        };
        tx.secret_put(&row).await?;
        let (home, hint, key_id) = (SecretHome::Store, row.hint.as_deref(), Some(row.key_id.as_str()));
        tx.event_append(line(self.0, EventKind::SecretSet, by, &Logged { name, home, hint, key_id })?, now).await?;
        tx.commit().await?;
        let is_new = rows.iter().all(|known| known.name != name);
        Ok(SetSecret { name: row.name, home, hint: row.hint, key_id: Some(row.key_id), is_new, used_by })
    }
}

/// The key of all the other secrets, so that one key opens them all; the key in use where there are none.
///
/// A wrong key is found here, and not when a source is read.
fn key_of_all<'k>(
    rows: &[StoredSecret],
    keys: &'k EncryptionKeys,
    name: &str,
    runtime: &Runtime,
) -> Result<&'k EncryptionKey, SealingError> {
    let current = || keys.current().or_else(|error| keys.new_key().map_err(|_| error));
    // Also its own: after a rotation the key in use is the new one, wherever this program has it.
    if let Some(key) = rows.iter().find_map(|row| keys.with_id(&row.key_id)) {
        return Ok(key);
    }
    match rows.iter().find(|row| row.name != name) {
        // As a reader would be told.
        Some(other) => of_row(other.clone()).open((runtime.workspace.id, &other.name), keys).and_then(|_| current()),
        None => current(),
    }
}
