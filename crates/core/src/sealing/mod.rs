//! Secrets at rest: AES-256-GCM under the encryption key of the program that reads them, and where that key is.
//!
//! What is sealed is bound to its workspace, its name and its key, so that a row put in another row's place does not open.
//! **Invariant**: no error and no `Debug` holds a secret or a key; nothing here stores anything.

mod error;
mod key;
mod place;
mod sealed;

pub use error::SealingError;
pub use key::EncryptionKey;
pub use place::{EncryptionKeys, KEY_FILE_VARIABLES, KEY_VARIABLES, KeyPlace, KeyPlaces, NEW_VARIABLE, VARIABLE};
pub use sealed::{MAX_SECRET_BYTES, Sealed, hint_of, is_secret_name, no_secret};
