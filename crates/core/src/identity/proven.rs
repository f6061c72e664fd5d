//! Signatures that were verified. One over given bytes by a given key holds for ever, so a process verifies it once: a step reads back
//! decisions, certificates and lines that an earlier one has read.

use std::sync::LazyLock;

use ed25519_dalek::{Signature, VerifyingKey};
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::touch::Touch;

/// SHA-256 of what a signature is for, of its key, of itself, and of what it is over.
type Name = [u8; 32];

/// Most that are remembered; about 100 bytes each.
const MAX_PROVEN: u64 = 20_000;

/// Those that held, with what they say of a touch. One that does not hold is not remembered.
static PROVEN: LazyLock<Cache<Name, Option<Touch>>> = LazyLock::new(|| Cache::new(MAX_PROVEN));

/// What `verify` says, asked once of each signature that holds.
///
/// # Errors
/// Those of `verify`.
pub(super) fn proven<E>(
    parts: [&[u8]; 4],
    verify: impl FnOnce() -> Result<Option<Touch>, E>,
) -> Result<Option<Touch>, E> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let name = Name::from(hash.finalize());
    if let Some(touch) = PROVEN.get(&name) {
        return Ok(touch);
    }
    let touch = verify()?;
    PROVEN.insert(name, touch);
    Ok(touch)
}

/// Whether a signature, in hexadecimal, of an Ed25519 key holds.
pub(crate) fn ed25519_holds(key: &VerifyingKey, bytes: &[u8], signature_hex: &str) -> bool {
    let verify = || {
        let signature =
            hex::decode(signature_hex).ok().and_then(|bytes| Signature::from_slice(&bytes).ok()).ok_or(())?;
        key.verify_strict(bytes, &signature).map(|()| None).map_err(drop)
    };
    proven([b"ed25519", key.as_bytes(), signature_hex.as_bytes(), bytes], verify).is_ok()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    #[test]
    fn what_held_once_holds_for_nothing_else() {
        let (key, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let signature = hex::encode(key.sign(b"yes").to_bytes());
        for _ in 0..2 {
            assert!(ed25519_holds(&key.verifying_key(), b"yes", &signature));
            assert!(!ed25519_holds(&key.verifying_key(), b"no", &signature));
            assert!(!ed25519_holds(&other.verifying_key(), b"yes", &signature));
            assert!(!ed25519_holds(&key.verifying_key(), b"yes", &hex::encode(other.sign(b"yes").to_bytes())));
            assert!(!ed25519_holds(&key.verifying_key(), b"yes", "no signature"));
        }
    }
}
