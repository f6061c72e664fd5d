//! Keys in hardware that a person touches for each signature: `sk-ssh` keys of OpenSSH.
//!
//! What such a key signs says itself whether somebody touched it and whether it knew who that was, so nothing that the machine claims
//! counts. A plain ssh key, in a file or in an agent, is none: it shows the account, not the person.

use ssh_key::encoding::{Decode as _, Encode as _};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

/// What a signature of a decision is for: it fits nothing else that such a key signs.
pub const SIGNS_DECISION: &str = "decision@outcome-runtime";
/// What a signature of an enrolment is for.
pub const SIGNS_ENROLMENT: &str = "enrolment@outcome-runtime";

/// Somebody touched the key.
const PRESENT: u8 = 0x01;
/// The key knew who: by a PIN or a finger.
const VERIFIED: u8 = 0x04;
/// What OpenSSH signs with; a web site's login with the same hardware has another prefix.
const APPLICATION: &str = "ssh:";
/// Longest line that is read as a public key, in bytes.
const MAX_LINE: usize = 2_000;

/// Why a line is no public key that can be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TouchKeyError {
    /// It is no public key.
    #[error("it holds no public key of ssh: {0}")]
    Unreadable(String),
    /// It is one of another kind.
    #[error(
        "a key of type `{0}` shows the account, not the person: it signs for every program that can read it or reach its agent"
    )]
    NoTouch(String),
    /// It has options before it.
    #[error("it has options before the key (`{0}`): with `no-touch-required` nobody would have to be there")]
    Options(String),
    /// It was made for something else.
    #[error("the key was made for `{0}`, not for ssh")]
    Application(String),
    /// Anybody's signature would fit it.
    #[error("the key is a weak one: signatures of others fit it")]
    Weak,
}

/// Why a signature of such a key does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TouchError {
    /// It is not in the form of ssh's signatures, or has more in it than that.
    #[error("it is no signature of ssh")]
    Malformed,
    /// It was made with another key, or says so.
    #[error("it was made with another key")]
    OtherKey,
    /// It was made for something else.
    #[error("it was made for `{0}`")]
    Namespace(String),
    /// The bytes were hashed in another way.
    #[error("it is over a hash other than SHA-512")]
    Hash,
    /// The bytes do not fit.
    #[error("it does not match what is signed")]
    Mismatch,
    /// Nobody was there.
    #[error("nobody touched the key: the signature says so itself")]
    NotTouched,
}

/// What a signature says of the person, and of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Whether the key knew who touched it: by a PIN or a finger.
    pub is_verified: bool,
    /// How many signatures the key had made; many keys count for all sites at once, or not at all.
    pub counter: u32,
}

/// The public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchKey {
    key: PublicKey,
    text: String,
}

impl TouchKey {
    /// Reads the line of a `.pub` file. Its comment is left out.
    ///
    /// # Errors
    /// [`TouchKeyError`].
    pub fn parse(line: &str) -> Result<Self, TouchKeyError> {
        let line = line.trim();
        let unreadable = |why: &str| TouchKeyError::Unreadable(why.to_owned());
        if line.len() > MAX_LINE || line.lines().count() > 1 {
            return Err(unreadable("it is not one line"));
        }
        let first = line.split_whitespace().next().ok_or_else(|| unreadable("it is empty"))?;
        if ["no-touch-required", "verify-required", "cert-authority", "namespaces="]
            .iter()
            .any(|option| first.starts_with(option))
        {
            return Err(TouchKeyError::Options(first.to_owned()));
        }
        let mut key = PublicKey::from_openssh(line).map_err(|e| TouchKeyError::Unreadable(e.to_string()))?;
        let application = match key.key_data() {
            KeyData::SkEd25519(sk) => {
                let public = ed25519_dalek::VerifyingKey::from_bytes(&sk.public_key().0);
                if public.map_err(|e| TouchKeyError::Unreadable(e.to_string()))?.is_weak() {
                    return Err(TouchKeyError::Weak);
                }
                sk.application()
            }
            KeyData::SkEcdsaSha2NistP256(sk) => sk.application(),
            _ => return Err(TouchKeyError::NoTouch(key.algorithm().to_string())),
        };
        if !application.starts_with(APPLICATION) {
            return Err(TouchKeyError::Application(application.to_owned()));
        }
        key.set_comment("");
        let text = key.to_openssh().map_err(|e| TouchKeyError::Unreadable(e.to_string()))?.trim_end().to_owned();
        Ok(Self { key, text })
    }

    /// The line without a comment: the form in which it is enrolled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Checks a signature over `bytes`, made for `namespace`: that the key made it, and that somebody touched it.
    ///
    /// # Errors
    /// [`TouchError`].
    pub fn verify(&self, namespace: &str, bytes: &[u8], signature: &[u8]) -> Result<Touch, TouchError> {
        let found = SshSig::decode(&mut &*signature).map_err(|_| TouchError::Malformed)?;
        // One signature has one form: nothing stands after it, and nothing in it can be written in another way.
        if found.encode_vec().ok().as_deref() != Some(signature) || !found.reserved().is_empty() {
            return Err(TouchError::Malformed);
        }
        let algorithm = self.key.algorithm();
        if found.public_key() != self.key.key_data() || found.signature().algorithm() != algorithm {
            return Err(TouchError::OtherKey);
        }
        if found.namespace() != namespace {
            return Err(TouchError::Namespace(found.namespace().chars().take(60).collect()));
        }
        if found.hash_alg() != HashAlg::Sha512 {
            return Err(TouchError::Hash);
        }
        self.key.verify(namespace, bytes, &found).map_err(|_| TouchError::Mismatch)?;
        let (flags, counter) = said(&algorithm, found.signature_bytes()).ok_or(TouchError::Malformed)?;
        if flags & PRESENT == 0 {
            return Err(TouchError::NotTouched);
        }
        Ok(Touch { is_verified: flags & VERIFIED != 0, counter })
    }
}

/// What the hardware says, which it signs as well: its flags and its counter, after the signature itself.
fn said(algorithm: &Algorithm, signature: &[u8]) -> Option<(u8, u32)> {
    if !matches!(algorithm, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) {
        return None;
    }
    let (_, last) = signature.split_last_chunk::<5>()?;
    let [flags, counter @ ..] = *last;
    Some((flags, u32::from_be_bytes(counter)))
}

/// The signature in what `ssh-keygen -Y sign` writes.
///
/// # Errors
/// [`TouchError::Malformed`].
pub fn signature_of(pem: &str) -> Result<Vec<u8>, TouchError> {
    let signature = SshSig::from_pem(pem.trim()).map_err(|_| TouchError::Malformed)?;
    signature.encode_vec().map_err(|_| TouchError::Malformed)
}
