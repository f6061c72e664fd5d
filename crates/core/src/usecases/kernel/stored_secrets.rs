//! Secrets that references name and that are stored, looked up before anything resolves them: resolving waits for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;

use crate::config::{SecretError, StoredSecrets, stored_names};
use crate::error::{Error, Result};
use crate::ids::WorkspaceId;
use crate::ports::{KeyringError, OsKeyring};
use crate::sealing::{EncryptionKeys, Sealed, SealingError};
use crate::store::StoredSecret;
use crate::usecases::Runtime;

/// How long the keyring is waited for: a locked one may ask a person, and nothing waits for a person.
const KEYRING_LIMIT: Duration = Duration::from_secs(5);

/// What was looked up.
struct LookedUp {
    workspace: WorkspaceId,
    rows: BTreeMap<String, Sealed>,
    keys: Result<EncryptionKeys, SealingError>,
    keyring: BTreeMap<String, Result<Option<SecretString>, KeyringError>>,
}

impl StoredSecrets for LookedUp {
    fn sealed(&self, name: &str) -> Result<SecretString, SecretError> {
        let row = self.rows.get(name).ok_or_else(|| SecretError::NotSealed { name: name.to_owned() })?;
        let keys = self.keys.as_ref().map_err(Clone::clone)?;
        Ok(row.open((self.workspace, name), keys)?)
    }

    fn in_keyring(&self, name: &str) -> Result<SecretString, SecretError> {
        match self.keyring.get(name) {
            Some(Ok(Some(found))) => Ok(found.clone()),
            Some(Err(cause)) => Err(SecretError::Keyring { name: name.to_owned(), cause: cause.clone() }),
            Some(Ok(None)) | None => Err(SecretError::NotInKeyring { name: name.to_owned() }),
        }
    }
}

/// The stored secrets that a text refers to. Where it refers to none, nothing is asked.
///
/// # Errors
/// When the database fails. That a secret is missing is said when it is resolved.
pub(in crate::usecases) async fn stored_secrets(runtime: &Runtime, text: &str) -> Result<Arc<dyn StoredSecrets>> {
    let (sealed, in_keyring) = stored_names(text);
    let mut found = LookedUp {
        workspace: runtime.workspace.id,
        rows: BTreeMap::new(),
        keys: Err(SealingError::NoKey { variable: crate::sealing::VARIABLE }),
        keyring: BTreeMap::new(),
    };
    if !sealed.is_empty() {
        let rows = runtime.read().await?.secret_list().await?;
        found.rows = rows.into_iter().map(|row| (row.name.clone(), of_row(row))).collect();
        found.keys = runtime.settings.encryption_keys.read_any();
    }
    for name in in_keyring {
        let asked = name.to_owned();
        let answer = ask_keyring(runtime, move |keyring| keyring.get(&asked)).await?;
        found.keyring.insert(name.to_owned(), answer);
    }
    Ok(Arc::new(found))
}

/// What a row holds of a sealed secret.
pub(in crate::usecases) fn of_row(row: StoredSecret) -> Sealed {
    let StoredSecret { nonce, sealed, key_id, .. } = row;
    Sealed { nonce, sealed, key_id }
}

/// Asks the operating system's keyring on a thread of its own, for a limited time.
///
/// # Errors
/// When the thread fails. That the keyring does is the answer.
pub(in crate::usecases) async fn ask_keyring<T: Send + 'static>(
    runtime: &Runtime,
    question: impl FnOnce(&dyn OsKeyring) -> Result<T, KeyringError> + Send + 'static,
) -> Result<Result<T, KeyringError>> {
    let Some(keyring) = runtime.settings.vendors.keyring else { return Ok(Err(KeyringError::NotBuilt)) };
    let asking = tokio::task::spawn_blocking(move || question(keyring));
    match timeout(KEYRING_LIMIT, asking).await {
        Ok(answer) => {
            answer.map_err(|e| Error::new(crate::Code::Internal, "the keyring could not be asked").because(e))
        }
        Err(_) => Ok(Err(KeyringError::Silent(KEYRING_LIMIT.as_secs()))),
    }
}
