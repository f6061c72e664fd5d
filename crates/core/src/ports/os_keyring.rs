//! The keyring of the operating system: secrets of this account that the system keeps, where it has such a thing.

use secrecy::SecretString;

/// The keyring of the operating system. Each call may wait for the system, which may ask a person: never on a thread that others wait for.
pub trait OsKeyring: std::fmt::Debug + Send + Sync {
    /// The secret of this name; `None` where there is none.
    ///
    /// # Errors
    /// [`KeyringError`] when the keyring cannot be used.
    fn get(&self, name: &str) -> Result<Option<SecretString>, KeyringError>;

    /// Keeps a secret in place of the one of its name.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn set(&self, name: &str, value: &SecretString) -> Result<(), KeyringError>;

    /// Removes a secret; false where there is none of this name.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn remove(&self, name: &str) -> Result<bool, KeyringError>;
}

/// Why the keyring cannot be used. **Invariant**: never with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The program was built without it.
    #[error("this program was built without the feature `keyring`")]
    NotBuilt,
    /// None runs here, or it is locked.
    #[error("no keyring answers here: {0}")]
    Unavailable(String),
    /// It did not answer: it may wait for a person.
    #[error("the keyring did not answer within {0} s; it may be locked and wait for somebody")]
    Silent(u64),
}
