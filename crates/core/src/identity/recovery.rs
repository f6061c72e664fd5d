//! The recovery code: a key that its owner wrote down. Nothing of it is stored but the public key.

use ed25519_dalek::SigningKey;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ids::{Ids, WorkspaceId};

/// Letters and digits that are not mistaken for one another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code, of 5 bits each: nobody guesses 160 bits, so no slow derivation is needed.
const LENGTH: usize = 32;

/// A code that is shown once: neither logged nor stored.
#[derive(Debug, Clone)]
pub struct RecoveryCode(SecretString);

impl RecoveryCode {
    /// Its text, for whoever writes it down.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// It is part of the result of what made it, and of nothing else.
impl Serialize for RecoveryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

/// A new code, in groups of four characters, with its key.
#[must_use]
pub fn new_code(ids: &Ids, workspace: WorkspaceId) -> (RecoveryCode, SigningKey) {
    let code = random_code(ids);
    let key = derived(code.expose_secret().replace('-', "").as_bytes(), workspace);
    (RecoveryCode(code), key)
}

fn random_code(ids: &Ids) -> SecretString {
    let bytes = Zeroizing::new(ids.bytes::<LENGTH>());
    let characters: Zeroizing<Vec<u8>> =
        Zeroizing::new(bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).copied()).collect());
    let groups: Vec<_> = characters.chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    SecretString::from(groups.join("-"))
}

/// The key of a code in a workspace; `None` for what cannot be a code. Case, spaces and hyphens do not matter, nor `O` for `0` and `I`
/// or `L` for `1`.
#[must_use]
pub fn key_of_code(code: &SecretString, workspace: WorkspaceId) -> Option<SigningKey> {
    let text = Zeroizing::new(code.expose_secret().to_ascii_uppercase());
    let plain: Zeroizing<String> = Zeroizing::new(
        text.chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| match c {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            })
            .collect(),
    );
    if plain.len() != LENGTH || !plain.bytes().all(|byte| ALPHABET.contains(&byte)) {
        return None;
    }
    Some(derived(plain.as_bytes(), workspace))
}

fn derived(plain: &[u8], workspace: WorkspaceId) -> SigningKey {
    let digest = Sha256::new()
        .chain_update(b"outcome-runtime recovery code v1\n")
        .chain_update(workspace.0.as_bytes())
        .chain_update(plain)
        .finalize();
    SigningKey::from_bytes(&Zeroizing::new(digest.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_gives_one_key_however_it_is_typed_and_another_one_elsewhere() {
        let ids = Ids::new(std::sync::Arc::new(crate::clock::SystemClock));
        let here = WorkspaceId(uuid::Uuid::from_u128(1));
        let (code, key) = new_code(&ids, here);
        assert!(!format!("{code:?}").contains(code.reveal()));
        let code = SecretString::from(code.reveal());
        let typed = code.expose_secret().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(key_of_code(&code, here).unwrap(), key);
        assert_eq!(code.expose_secret().len(), 39);
        assert_eq!(key_of_code(&SecretString::from(typed), here).unwrap(), key);
        assert_ne!(key_of_code(&code, WorkspaceId(uuid::Uuid::from_u128(2))).unwrap(), key);
        assert_ne!(new_code(&ids, here).1, key);
        for wrong in ["", "ABCD", "UUUU-UUUU-UUUU-UUUU-UUUU-UUUU-UUUU-UUUU"] {
            assert!(key_of_code(&SecretString::from(wrong), here).is_none(), "{wrong}");
        }
    }
}
