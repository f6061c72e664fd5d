//! Secrets that references of the outcome file name: sealed in the store, or in the keyring of the operating system.
//!
//! Whoever is in this account may set one: a secret says who asks, and never where. Where a source leads is in what a member signed
//! (`kernel::places`). **Invariant**: a value goes in and never comes out, and neither does a key, but a new one to whoever asks for it.

mod keyring;
mod list;
mod logged;
mod new_key;
mod remove;
mod rotate;
mod set;
mod used_by;

use std::sync::Arc;

use crate::config::ProcessEnv;
use crate::error::Result;
use crate::usecases::Runtime;
use crate::usecases::kernel::stored_secrets::stored_secrets;

pub use list::{SecretLine, SecretList, SecretState};
pub use logged::{SecretHome, check_secret_name};
pub use new_key::{NewKey, new_encryption_key};
pub use remove::{RemoveSecret, RemovedSecret};
pub use rotate::Resealed;
pub use set::SetSecret;

/// The use cases about stored secrets.
#[derive(Clone, Copy)]
pub struct Secrets<'r>(pub(super) &'r Runtime);

impl Secrets<'_> {
    /// Where the references of a text are looked up: variables, files, and what is stored for this workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn env(self, text: &str) -> Result<ProcessEnv> {
        let stored = stored_secrets(self.0, text).await?;
        Ok(ProcessEnv::new(self.0.settings.root.value.clone()).with_stored(Arc::clone(&stored)))
    }
}
