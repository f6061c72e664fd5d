//! The secrets that are stored, and those that somebody refers to; never a value.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::used_by::UsedBy;
use super::{SecretHome, Secrets};
use crate::domain::text_enum;
use crate::error::Result;
use crate::sealing::{EncryptionKeys, SealingError};
use crate::usecases::kernel::stored_secrets::{ask_keyring, of_row};

text_enum! {
    /// Whether this program can use a secret.
    pub enum SecretState {
        /// It can.
        Opens,
        /// It has no key, or one that cannot be used.
        NoKey,
        /// It has another key.
        OtherKey,
        /// The row is not what was sealed.
        Changed,
        /// Somebody refers to it, and it is not set.
        NotSet,
        /// The keyring cannot be asked.
        Unavailable,
    }
}

/// A secret without its value.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SecretLine {
    /// Its name.
    pub name: String,
    /// Where it is kept.
    pub home: SecretHome,
    /// Whether this program can use it.
    pub state: SecretState,
    /// Why not.
    pub problem: Option<String>,
    /// What to do.
    pub remedy: Option<String>,
    /// Its last four characters, where it is long.
    pub hint: Option<String>,
    /// When it was set; absent for what is not in the store.
    pub set_at: Option<Timestamp>,
    /// Who set it.
    pub set_by: Option<String>,
    /// Id of the key that opens it.
    pub key_id: Option<String>,
    /// Who refers to it, in what is applied.
    pub used_by: Vec<String>,
}

/// What is stored.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretList {
    /// The keys of this program: ids and places, in words; absent where it has none, or one that cannot be used.
    pub keys: Option<String>,
    /// By name; the store's first.
    pub secrets: Vec<SecretLine>,
}

impl SecretLine {
    fn of(name: &str, home: SecretHome, used_by: &UsedBy) -> Self {
        let used_by = used_by.named(home, name);
        let (state, name) = (SecretState::Opens, name.to_owned());
        let (problem, remedy, hint, set_at, set_by, key_id) = (None, None, None, None, None, None);
        Self { name, home, state, problem, remedy, hint, set_at, set_by, key_id, used_by }
    }

    fn with(mut self, state: SecretState, error: impl Into<crate::Error>) -> Self {
        let error = error.into();
        (self.state, self.problem) = (state, Some(crate::error::error_chain(&error)));
        self.remedy = error.hint_text().map(ToOwned::to_owned);
        self
    }
}

impl Secrets<'_> {
    /// The secrets of the store, and those that what is applied refers to. Each is tried, and none is shown.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "secrets.list", skip_all)]
    pub async fn list(self) -> Result<SecretList> {
        let used_by = UsedBy::of(self.0).await?;
        let rows = self.0.read().await?.secret_list().await?;
        let keys = self.0.settings.encryption_keys.read();
        let mut secrets = Vec::new();
        for row in rows {
            let line = SecretLine {
                hint: row.hint.clone(),
                set_at: Some(row.set_at.0),
                set_by: Some(row.set_by.clone()),
                key_id: Some(row.key_id.clone()),
                ..SecretLine::of(&row.name, SecretHome::Store, &used_by)
            };
            let name = row.name.clone();
            let opened = keys
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|keys| of_row(row).open((self.0.workspace.id, &name), keys).map(|_| ()));
            secrets.push(match opened {
                Ok(()) => line,
                Err(error) => line.with(state_of(&error), error),
            });
        }
        let is_set = |name: &str| secrets.iter().any(|line: &SecretLine| line.name == name);
        let missing: Vec<&str> = used_by.names(SecretHome::Store).filter(|name| !is_set(name)).collect();
        for name in missing {
            let error = crate::config::SecretError::NotSealed { name: name.to_owned() };
            secrets.push(SecretLine::of(name, SecretHome::Store, &used_by).with(SecretState::NotSet, error));
        }
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        for name in used_by.names(SecretHome::Keyring) {
            secrets.push(self.of_keyring(name, &used_by).await?);
        }
        let keys = keys.ok().filter(|keys| !keys.is_empty()).as_ref().map(EncryptionKeys::in_words);
        Ok(SecretList { keys, secrets })
    }

    async fn of_keyring(self, name: &str, used_by: &UsedBy) -> Result<SecretLine> {
        let line = SecretLine::of(name, SecretHome::Keyring, used_by);
        let asked = name.to_owned();
        let named = || name.to_owned();
        Ok(match ask_keyring(self.0, move |keyring| keyring.get(&asked)).await? {
            Ok(Some(found)) => SecretLine { hint: crate::sealing::hint_of(&found), ..line },
            Ok(None) => line.with(SecretState::NotSet, crate::config::SecretError::NotInKeyring { name: named() }),
            Err(cause) => {
                line.with(SecretState::Unavailable, crate::config::SecretError::Keyring { name: named(), cause })
            }
        })
    }
}

fn state_of(error: &SealingError) -> SecretState {
    match error {
        SealingError::NoKey { .. } | SealingError::BadKey { .. } | SealingError::TwoKeys { .. } => SecretState::NoKey,
        SealingError::OtherKey { .. } => SecretState::OtherKey,
        SealingError::Changed { .. } | SealingError::BadValue { .. } => SecretState::Changed,
    }
}
