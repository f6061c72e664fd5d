//! A new key for whoever asks: it is stored nowhere.

use std::sync::Arc;

use secrecy::SecretString;

use crate::clock::SystemClock;
use crate::ids::Ids;
use crate::sealing::EncryptionKey;

/// A new key.
#[derive(Debug)]
pub struct NewKey {
    /// What it is called.
    pub id: String,
    /// The key itself, in base64.
    pub text: SecretString,
}

/// A new key from the system's random numbers. It is stored nowhere.
#[must_use]
pub fn new_encryption_key() -> NewKey {
    let (key, text) = EncryptionKey::fresh(&Ids::new(Arc::new(SystemClock)));
    NewKey { id: key.id().to_owned(), text }
}
