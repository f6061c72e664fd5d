//! The key that secrets are sealed with: 32 bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use base64::{alphabet, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ids::Ids;

/// Bytes of a key.
const LENGTH: usize = 32;
/// Bytes of a key's id.
const ID_LENGTH: usize = 8;
/// What the id of a key is made for.
const ID_CONTEXT: &[u8] = b"outcome-runtime: id of an encryption key, version 1";

/// With or without padding.
const CONFIG: GeneralPurposeConfig = general_purpose::PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const BASE64_OF_URLS: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// A key that secrets are sealed with.
pub struct EncryptionKey {
    bytes: Zeroizing<[u8; LENGTH]>,
    id: String,
}

impl std::fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptionKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl EncryptionKey {
    /// The key that a text holds: 64 hexadecimal digits, or 32 bytes in base64. Spaces and line ends around it do not count.
    ///
    /// # Errors
    /// What is wrong with it, without the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        let is_hex = text.len() == 2 * LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let decoded = match is_hex {
            true => hex::decode(text).ok(),
            false => BASE64.decode(text).or_else(|_| BASE64_OF_URLS.decode(text)).ok(),
        };
        let decoded = Zeroizing::new(decoded.ok_or_else(|| {
            format!("it has {} characters and is neither 64 hexadecimal digits nor base64", text.chars().count())
        })?);
        let bytes: [u8; LENGTH] = decoded
            .as_slice()
            .try_into()
            .map_err(|_| format!("it holds {} bytes, and a key has {LENGTH}", decoded.len()))?;
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err("all its bytes are the same, so it is not random".to_owned());
        }
        Ok(Self::of(Zeroizing::new(bytes)))
    }

    /// A new key, and the text of it.
    #[must_use]
    pub fn fresh(ids: &Ids) -> (Self, SecretString) {
        let bytes = Zeroizing::new(ids.bytes::<LENGTH>());
        let text = SecretString::from(STANDARD.encode(bytes.as_slice()));
        (Self::of(bytes), text)
    }

    fn of(bytes: Zeroizing<[u8; LENGTH]>) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(bytes.as_slice()).map(|mac| mac.chain_update(ID_CONTEXT).finalize());
        // Keys of every length are taken.
        let digest = mac.map(|mac| mac.into_bytes()).unwrap_or_default();
        let id = hex::encode(digest.get(..ID_LENGTH).unwrap_or_default());
        Self { bytes, id }
    }

    /// What the key is called: 16 hexadecimal digits that say nothing about it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_key_is_read_as_hex_and_as_base64_and_has_the_same_id() {
        let bytes: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(7).wrapping_add(250)).collect();
        let padded = STANDARD.encode(&bytes);
        assert!(padded.ends_with('='));
        let texts = [
            hex::encode(&bytes),
            hex::encode_upper(&bytes),
            padded.clone(),
            padded.trim_end_matches('=').to_owned(),
            general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
            format!("  {padded}\n"),
        ];
        for text in &texts {
            let key = EncryptionKey::parse(text).unwrap();
            assert_eq!(key.bytes().as_slice(), bytes);
            assert_eq!((key.id().len(), key.id()), (16, EncryptionKey::parse(&padded).unwrap().id()));
            assert!(!format!("{key:?}").contains(texts[0].get(..8).unwrap()), "{key:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        for (text, said) in [
            ("", "empty"),
            ("correct horse battery staple!!!!", "neither 64 hexadecimal digits nor base64"),
            ("c2hvcnQ=", "5 bytes"),
            (&"abcd".repeat(12), "36 bytes"),
            (&"ab".repeat(31), "62 characters"),
            (&"ab".repeat(32)[1..], "63 characters"),
            (&"0".repeat(64), "the same"),
        ] {
            let error = EncryptionKey::parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_fresh_key_is_another_each_time_and_is_read_again() {
        let ids = Ids::new(Arc::new(SystemClock));
        let (one, text) = EncryptionKey::fresh(&ids);
        assert_eq!(EncryptionKey::parse(text.expose_secret()).unwrap().bytes(), one.bytes());
        assert_ne!(EncryptionKey::fresh(&ids).0.id(), one.id());
    }
}
