//! Members' keys and signed decisions. A [`VerifiedDecision`] exists only when a [`Keyring`] has checked its signature.
//!
//! **Invariant**: nothing here does I/O or reads a clock. Secret keys leave a function only sealed or inside a
//! [`SigningKey`] that is wiped when dropped.

mod keyring;
mod passphrase;
mod proven;
mod recovery;
mod seal;
mod touch;

pub use ed25519_dalek::SigningKey;
pub use keyring::{
    Keyring, KnownKey, NEW, SignatureError, VerifiedDecision, enrol, enrolment_bytes, fingerprint, sign_decision,
};
pub use passphrase::{MIN_PASSPHRASE_CHARS, check_passphrase};
pub(crate) use proven::ed25519_holds;
pub use recovery::{RecoveryCode, key_of_code, new_code};
pub use seal::{Belongs, SealError, SealedKey, Unsealed};
pub use touch::{SIGNS_DECISION, SIGNS_ENROLMENT, Touch, TouchError, TouchKey, TouchKeyError, signature_of};
