//! A secret is removed, from the store or from the keyring.

use schemars::JsonSchema;
use serde::Serialize;

use super::logged::{Logged, line, must_not_be_an_agent, named};
use super::used_by::UsedBy;
use super::{SecretHome, Secrets};
use crate::audit::EventKind;
use crate::error::{Code, Error, Result};
use crate::principal::Principal;
use crate::usecases::kernel::stored_secrets::ask_keyring;

/// Which secret is to be removed.
#[derive(Debug, Clone)]
pub struct RemoveSecret {
    /// Its name.
    pub name: String,
    /// Where it is kept.
    pub home: SecretHome,
    /// Also where somebody refers to it.
    pub even_if_used: bool,
}

/// A secret that was removed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RemovedSecret {
    /// Its name.
    pub name: String,
    /// Where it was kept.
    pub home: SecretHome,
    /// Who refers to it, in what is applied: they work no longer.
    pub used_by: Vec<String>,
}

impl Secrets<'_> {
    /// Removes a secret.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] where somebody refers to it; [`Code::KeyringUnavailable`].
    #[tracing::instrument(level = "debug", name = "secrets.remove", skip_all, fields(name = request.name))]
    pub async fn remove(self, request: &RemoveSecret, by: &Principal) -> Result<RemovedSecret> {
        must_not_be_an_agent(by)?;
        let (name, home) = (named(&request.name)?, request.home);
        let used_by = UsedBy::of(self.0).await?.named(home, name);
        if !used_by.is_empty() && !request.even_if_used {
            let message = format!("the secret `{name}` is used by {}", used_by.join(", "));
            return Err(Error::new(Code::Conflict, message).hint(
                "they would stop working. Say that you mean it: `--even-if-used`; `secrets set` replaces it instead",
            ));
        }
        if home == SecretHome::Keyring {
            let asked = name.to_owned();
            let removed = ask_keyring(self.0, move |keyring| keyring.remove(&asked)).await?;
            if !removed.map_err(|cause| super::keyring::unavailable(name, cause))? {
                return Err(Error::not_found("secret", name));
            }
        }
        let mut tx = self.0.write().await?;
        if home == SecretHome::Store && !tx.secret_delete(name).await? {
            return Err(Error::not_found("secret", name).hint("`outcome-runtime secrets list` shows what is stored"));
        }
        let logged = Logged { name, home, hint: None, key_id: None };
        tx.event_append(line(self.0, EventKind::SecretRemoved, by, &logged)?, self.0.now()).await?;
        tx.commit().await?;
        self.forget_what_was_there().await;
        Ok(RemovedSecret { name: name.to_owned(), home, used_by })
    }

    /// What was removed or sealed anew is taken out of SQLite's write-ahead log, too.
    pub(super) async fn forget_what_was_there(self) {
        if let Err(error) = self.0.db.empty_write_ahead_log().await {
            tracing::warn!("what was removed may stand in the database's write-ahead log for a while: {error}");
        }
    }
}
