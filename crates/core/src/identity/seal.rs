//! A signing key at rest: XChaCha20-Poly1305 under a key derived from the passphrase with Argon2id.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use ed25519_dalek::SigningKey;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Code, Error};
use crate::ids::{Ids, KeyId};

/// Memory of the derivation in KiB, passes, lanes: 64 MiB and 3 passes, above OWASP's minimum for Argon2id.
const COST: (u32, u32, u32) = (64 * 1024, 3, 1);
/// Costs read from storage are bounded, so that a planted record cannot exhaust the machine.
const MAX_COST: (u32, u32, u32) = (1024 * 1024, 16, 8);

/// A sealed signing key, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    nonce: String,
    ciphertext: String,
}

/// Why a key could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The passphrase does not fit the record.
    #[error("the passphrase does not unlock this key")]
    WrongPassphrase,
    /// It could be guessed.
    #[error("the passphrase is too weak: {0}")]
    Weak(String),
    /// The stored record cannot be used.
    #[error("the sealed key is damaged: {0}")]
    Damaged(String),
}

impl SealedKey {
    /// Seals `key` under `passphrase`, which was checked, bound to its id. Takes about 0.2 s of one core: call it off the async threads.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when the derivation fails.
    pub fn seal(key: &SigningKey, id: KeyId, passphrase: &SecretString, ids: &Ids) -> Result<Self, SealError> {
        let (salt, nonce) = (ids.bytes::<16>(), ids.bytes::<24>());
        let derived = derive(passphrase, &salt, COST)?;
        let cipher = XChaCha20Poly1305::new(&Key::from(*derived));
        let secret = Zeroizing::new(key.to_bytes());
        let ciphertext = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: secret.as_slice(), aad: id.0.as_bytes() })
            .map_err(|_| SealError::Damaged("sealing failed".to_owned()))?;
        Ok(Self {
            kdf: "argon2id".to_owned(),
            memory_kib: COST.0,
            passes: COST.1,
            lanes: COST.2,
            salt: hex::encode(salt),
            nonce: hex::encode(nonce),
            ciphertext: hex::encode(ciphertext),
        })
    }

    /// Opens the key. Takes about 0.2 s of one core: call it off the async threads.
    ///
    /// # Errors
    /// [`SealError::WrongPassphrase`], or [`SealError::Damaged`] when the record cannot be read.
    pub fn open(&self, id: KeyId, passphrase: &SecretString) -> Result<SigningKey, SealError> {
        let damaged = |what: &str| SealError::Damaged(what.to_owned());
        let cost = (self.memory_kib, self.passes, self.lanes);
        if self.kdf != "argon2id" || cost.0 > MAX_COST.0 || cost.1 > MAX_COST.1 || cost.2 > MAX_COST.2 {
            return Err(damaged("its key derivation is unknown or too costly"));
        }
        let salt = hex::decode(&self.salt).map_err(|_| damaged("salt"))?;
        let nonce: [u8; 24] =
            hex::decode(&self.nonce).ok().and_then(|n| n.try_into().ok()).ok_or_else(|| damaged("nonce"))?;
        let ciphertext = hex::decode(&self.ciphertext).map_err(|_| damaged("ciphertext"))?;
        let derived = derive(passphrase, &salt, cost)?;
        let cipher = XChaCha20Poly1305::new(&Key::from(*derived));
        let secret = cipher
            .decrypt(&XNonce::from(nonce), Payload { msg: &ciphertext, aad: id.0.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| SealError::WrongPassphrase)?;
        let bytes: Zeroizing<[u8; 32]> =
            Zeroizing::new(secret.as_slice().try_into().map_err(|_| damaged("key length"))?);
        Ok(SigningKey::from_bytes(&bytes))
    }
}

fn derive(passphrase: &SecretString, salt: &[u8], cost: (u32, u32, u32)) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let failed = |e: argon2::Error| SealError::Damaged(format!("key derivation: {e}"));
    let params = Params::new(cost.0, cost.1, cost.2, Some(32)).map_err(failed)?;
    let mut out = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose_secret().as_bytes(), salt, out.as_mut_slice())
        .map_err(failed)?;
    Ok(out)
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        use SealError as E;
        let (code, hint) = match &error {
            E::WrongPassphrase => (Code::PassphraseWrong, "nothing was changed; try again"),
            E::Weak(_) => {
                (Code::PassphraseWeak, "choose a longer passphrase, for example four or five unrelated words")
            }
            E::Damaged(_) => (Code::DatabaseCorrupt, "restore the database from a backup"),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}
