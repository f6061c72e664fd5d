//! A secret is put into the keyring of the operating system.

use secrecy::SecretString;

use super::logged::{Logged, line, must_not_be_an_agent, named};
use super::used_by::UsedBy;
use super::{SecretHome, Secrets, SetSecret};
use crate::audit::EventKind;
use crate::config::SecretError;
use crate::error::{Code, Error, Result};
use crate::ports::KeyringError;
use crate::principal::Principal;
use crate::sealing::{hint_of, no_secret};
use crate::usecases::kernel::stored_secrets::ask_keyring;

pub(super) fn unavailable(name: &str, cause: KeyringError) -> Error {
    SecretError::Keyring { name: name.to_owned(), cause }.into()
}

impl Secrets<'_> {
    /// Puts a secret into the keyring of the operating system, where all workspaces of this account find it. No key is needed.
    ///
    /// # Errors
    /// [`Code::InvalidInput`], [`Code::KeyringUnavailable`].
    #[tracing::instrument(level = "debug", name = "secrets.set_in_keyring", skip_all, fields(name))]
    pub async fn set_in_keyring(self, name: &str, value: &SecretString, by: &Principal) -> Result<SetSecret> {
        must_not_be_an_agent(by)?;
        let name = named(name)?;
        if let Some(problem) = no_secret(value) {
            let message = format!("the value of the secret `{name}` cannot be kept: {problem}");
            return Err(Error::new(Code::InvalidInput, message).hint("give text of 1 byte to 64 KiB without NUL"));
        }
        let used_by = UsedBy::of(self.0).await?.named(SecretHome::Keyring, name);
        let (asked, given) = (name.to_owned(), value.clone());
        let put = ask_keyring(self.0, move |keyring| {
            let is_new = keyring.get(&asked)?.is_none();
            keyring.set(&asked, &given).map(|()| is_new)
        });
        let is_new = put.await?.map_err(|cause| unavailable(name, cause))?;
        let (home, hint) = (SecretHome::Keyring, hint_of(value));
        let mut tx = self.0.write().await?;
        let logged = Logged { name, home, hint: hint.as_deref(), key_id: None };
        tx.event_append(line(self.0, EventKind::SecretSet, by, &logged)?, self.0.now()).await?;
        tx.commit().await?;
        Ok(SetSecret { name: name.to_owned(), home, hint, key_id: None, is_new, used_by })
    }
}
