//! Who wrote a line: the key of an account on a machine.
//!
//! Every line is signed by its writer, so that somebody who can only write the database adds none. It tells nothing about a program in
//! the same account, which can read the key. A writer enrols itself, and until a member has signed on top of that line nobody vouches
//! for it.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::sha256_hex;
use crate::identity::ed25519_holds;

/// What a signature of a line begins with: it keeps lines apart from everything else that is signed.
const PREFIX: &str = "outcome-runtime line v1\n";

/// An account on a machine, with its key.
pub struct Writer {
    key: SigningKey,
    enrolled: WriterEnrolled,
}

/// Payload of `writer.enrolled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriterEnrolled {
    /// Ed25519 public key in hexadecimal.
    pub public_key: String,
    /// What the system calls the account.
    pub account: String,
    /// What the machine calls itself.
    pub host: String,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Writer").field(&self.enrolled).finish()
    }
}

impl Writer {
    /// The account that has this key. Names are cut to 80 printable characters.
    #[must_use]
    pub fn new(key: SigningKey, account: &str, host: &str) -> Self {
        let name = |text: &str| text.chars().filter(|c| !c.is_control()).take(80).collect::<String>();
        let public_key = hex::encode(key.verifying_key().to_bytes());
        Self { key, enrolled: WriterEnrolled { public_key, account: name(account), host: name(host) } }
    }

    /// What its enrolment says.
    #[must_use]
    pub fn enrolled(&self) -> &WriterEnrolled {
        &self.enrolled
    }

    pub(super) fn sign(&self, hash: &str) -> String {
        hex::encode(self.key.sign(format!("{PREFIX}{hash}").as_bytes()).to_bytes())
    }
}

impl WriterEnrolled {
    /// What lines about it are about: derived from the key, so that no other key can take its place.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let digest = sha256_hex(&self.public_key);
        Uuid::parse_str(digest.get(..32).unwrap_or_default()).unwrap_or_default()
    }

    /// `ACCOUNT@HOST`, as it says of itself.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}@{}", self.account, self.host)
    }
}

/// Whether a writer signed this hash.
pub(super) fn is_signed_by(public_key: &str, hash: &str, signature: &str) -> bool {
    let key = hex::decode(public_key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.is_some_and(|key| ed25519_holds(&key, format!("{PREFIX}{hash}").as_bytes(), signature))
}
