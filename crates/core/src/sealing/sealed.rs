//! A sealed secret: the nonce, the ciphertext with its tag, and which key opens it.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::error::SealingError;
use super::key::EncryptionKey;
use super::place::EncryptionKeys;
use crate::ids::{Ids, WorkspaceId};

/// The longest secret, in bytes: as of a file.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;
/// Bytes of a nonce.
const NONCE: usize = 12;
/// A secret that is shorter than this has no hint: four characters would say too much of it.
const LEAST_FOR_HINT: usize = 24;
/// Characters of a hint.
const HINT: usize = 4;
/// The longest name.
const MAX_NAME: usize = 64;

/// Whether a secret may have this name: letters, digits and `_`, and no digit first.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What is wrong with a value that cannot be a secret.
#[must_use]
pub fn no_secret(value: &SecretString) -> Option<&'static str> {
    match value.expose_secret() {
        "" => Some("it is empty"),
        text if text.len() > MAX_SECRET_BYTES => Some("it is longer than 64 KiB"),
        text if text.contains('\0') => Some("it contains NUL"),
        _ => None,
    }
}

/// The last four characters, by which a person knows a secret again; none of a short one, of an address or of several words, and none that cannot be seen.
#[must_use]
pub fn hint_of(secret: &SecretString) -> Option<String> {
    let text = secret.expose_secret();
    let n = text.chars().count();
    let last = || text.chars().skip(n - HINT);
    // The end of an address may be a whole password.
    let is_token = !text.contains("://") && !text.contains(char::is_whitespace);
    (n >= LEAST_FOR_HINT && is_token && last().all(|c| c.is_ascii_graphic())).then(|| last().collect())
}

/// A sealed secret, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// 96 random bits in base64.
    pub nonce: String,
    /// Ciphertext and tag in base64.
    pub sealed: String,
    /// Id of the key that opens it.
    pub key_id: String,
}

impl Sealed {
    /// Seals a secret.
    ///
    /// # Errors
    /// [`SealingError::BadValue`].
    pub fn seal(
        secret: &SecretString,
        (workspace, name): (WorkspaceId, &str),
        key: &EncryptionKey,
        ids: &Ids,
    ) -> Result<Self, SealingError> {
        let text = secret.expose_secret();
        let bad = |problem| SealingError::BadValue { name: name.to_owned(), problem };
        if let Some(problem) = no_secret(secret) {
            return Err(bad(problem));
        }
        let nonce = ids.bytes::<NONCE>();
        let aad = context(workspace, name, key.id());
        let payload = Payload { msg: text.as_bytes(), aad: &aad };
        let sealed = cipher(key).encrypt(&Nonce::from(nonce), payload).map_err(|_| bad("the cipher refused it"))?;
        Ok(Self { nonce: STANDARD.encode(nonce), sealed: STANDARD.encode(sealed), key_id: key.id().to_owned() })
    }

    /// Opens it with the key that it was sealed with.
    ///
    /// # Errors
    /// [`SealingError::NoKey`], [`SealingError::OtherKey`], [`SealingError::Changed`].
    pub fn open(
        &self,
        (workspace, name): (WorkspaceId, &str),
        keys: &EncryptionKeys,
    ) -> Result<SecretString, SealingError> {
        let Some(key) = keys.with_id(&self.key_id) else {
            if keys.is_empty() {
                keys.current()?;
            }
            let (name, sealed_with) = (name.to_owned(), self.key_id.clone());
            return Err(SealingError::OtherKey { name, sealed_with, has: keys.in_words() });
        };
        let changed = || SealingError::Changed { name: name.to_owned() };
        let decoded = |text: &str| STANDARD.decode(text).map_err(|_| changed());
        let nonce: [u8; NONCE] = decoded(&self.nonce)?.try_into().map_err(|_| changed())?;
        let sealed = decoded(&self.sealed)?;
        let aad = context(workspace, name, &self.key_id);
        let payload = Payload { msg: &sealed, aad: &aad };
        let opened = cipher(key).decrypt(&Nonce::from(nonce), payload).map_err(|_| changed())?;
        let opened = Zeroizing::new(opened);
        std::str::from_utf8(&opened).map(SecretString::from).map_err(|_| changed())
    }
}

fn cipher(key: &EncryptionKey) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key.bytes()))
}

/// What a sealed secret is bound to. None of the parts can hold a line end, so that no two of them make the same text.
fn context(workspace: WorkspaceId, name: &str, key_id: &str) -> Vec<u8> {
    format!("outcome-runtime secret, version 1\n{workspace}\n{name}\n{key_id}").into_bytes()
}

#[cfg(test)]
mod tests;
