//! A signing key at rest: XChaCha20-Poly1305 under a key derived from the passphrase with Argon2id.
//!
//! With the key lies, under the same passphrase, where it belongs: the workspace, its root and the last line of the log that its owner
//! signed on. Whoever does not know the passphrase cannot move the key to another workspace, nor make it forget what it signed.
//!
//! A derivation takes much memory on purpose, so that whoever has a stolen record cannot guess on many cores at once. At most two run at
//! the same time in a process, so that attempts from outside do not take the machine's memory.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Code, Error};
use crate::ids::{Ids, KeyId, WorkspaceId};

/// Memory of a derivation in KiB, passes, lanes.
type Cost = (u32, u32, u32);

/// 128 MiB and 2 passes; where that memory is not to be had, 64 MiB and 3. Both are above OWASP's minimum for Argon2id (19 MiB, 2 passes);
/// of two costs of about the same time the one with more memory is the dearer one to guess against.
const COSTS: [Cost; 2] = [(128 * 1024, 2, 1), (64 * 1024, 3, 1)];
/// Costs read from storage are bounded, so that a planted record cannot exhaust the machine.
const MAX_COST: Cost = (1024 * 1024, 16, 8);

/// A sealed signing key, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// Format: 2. Absent in records of before, which hold the key alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u8>,
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
    /// The derivation's memory is not to be had.
    #[error("there is not enough memory to derive a key from the passphrase: {0} MiB are needed")]
    OutOfMemory(u32),
}

/// Where a key belongs, as it lies under the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belongs {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Fingerprint of its root key.
    pub root: String,
    /// When the key was enrolled.
    pub enrolled_at: Timestamp,
    /// Number and hash of the last line of the log when its owner last signed; absent before the first time.
    pub last: Option<(i64, String)>,
}

/// What lies under the passphrase.
#[derive(Serialize, Deserialize)]
struct Content {
    /// In hexadecimal.
    secret: Zeroizing<String>,
    belongs: Belongs,
}

/// An opened key.
pub struct Unsealed {
    /// The key.
    pub key: SigningKey,
    /// Where it belongs; absent in records of before.
    pub belongs: Option<Belongs>,
    derived: Zeroizing<[u8; 32]>,
    record: SealedKey,
}

impl SealedKey {
    /// Seals `key` under `passphrase`, which was checked, bound to its id. Takes about 0.3 s of one core: call it off the async threads.
    ///
    /// # Errors
    /// [`SealError::OutOfMemory`]; [`SealError::Damaged`] when the derivation fails.
    pub fn seal(
        key: &SigningKey,
        id: KeyId,
        belongs: &Belongs,
        passphrase: &SecretString,
        ids: &Ids,
    ) -> Result<Self, SealError> {
        let salt = ids.bytes::<16>();
        let [usual, smaller] = COSTS;
        let (derived, cost) = match derive(passphrase, &salt, usual) {
            Err(SealError::OutOfMemory(_)) => (derive(passphrase, &salt, smaller)?, smaller),
            derived => (derived?, usual),
        };
        let record = Self {
            version: None,
            kdf: "argon2id".to_owned(),
            memory_kib: cost.0,
            passes: cost.1,
            lanes: cost.2,
            salt: hex::encode(salt),
            nonce: String::new(),
            ciphertext: String::new(),
        };
        record.with(key, id, belongs, &derived, ids)
    }

    fn with(
        &self,
        key: &SigningKey,
        id: KeyId,
        belongs: &Belongs,
        derived: &Zeroizing<[u8; 32]>,
        ids: &Ids,
    ) -> Result<Self, SealError> {
        let failed = || SealError::Damaged("sealing failed".to_owned());
        let secret = Zeroizing::new(key.to_bytes());
        let content = Content { secret: Zeroizing::new(hex::encode(secret.as_slice())), belongs: belongs.clone() };
        let text = Zeroizing::new(serde_json::to_vec(&content).map_err(|_| failed())?);
        let nonce = ids.bytes::<24>();
        let cipher = XChaCha20Poly1305::new(&Key::from(**derived));
        let payload = Payload { msg: text.as_slice(), aad: &context_of(Some(2), id) };
        let ciphertext = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| failed())?;
        let (nonce, ciphertext) = (hex::encode(nonce), hex::encode(ciphertext));
        Ok(Self { version: Some(2), nonce, ciphertext, ..self.clone() })
    }

    /// Opens the key, whatever its cost was. Takes about 0.3 s of one core: call it off the async threads.
    ///
    /// # Errors
    /// [`SealError::WrongPassphrase`], [`SealError::OutOfMemory`], or [`SealError::Damaged`] when the record cannot be read.
    pub fn open(&self, id: KeyId, passphrase: &SecretString) -> Result<Unsealed, SealError> {
        let damaged = |what: &str| SealError::Damaged(what.to_owned());
        let cost = (self.memory_kib, self.passes, self.lanes);
        if self.kdf != "argon2id" || cost.0 > MAX_COST.0 || cost.1 > MAX_COST.1 || cost.2 > MAX_COST.2 {
            return Err(damaged("its key derivation is unknown or too costly"));
        }
        if self.version.is_some_and(|version| version != 2) {
            return Err(damaged("a newer program wrote it"));
        }
        let salt = hex::decode(&self.salt).map_err(|_| damaged("salt"))?;
        let nonce: [u8; 24] =
            hex::decode(&self.nonce).ok().and_then(|n| n.try_into().ok()).ok_or_else(|| damaged("nonce"))?;
        let ciphertext = hex::decode(&self.ciphertext).map_err(|_| damaged("ciphertext"))?;
        let derived = derive(passphrase, &salt, cost)?;
        let cipher = XChaCha20Poly1305::new(&Key::from(*derived));
        let content = cipher
            .decrypt(&XNonce::from(nonce), Payload { msg: &ciphertext, aad: &context_of(self.version, id) })
            .map(Zeroizing::new)
            .map_err(|_| SealError::WrongPassphrase)?;
        let (secret, belongs) = match self.version {
            None => (content, None),
            Some(_) => {
                let content: Content = serde_json::from_slice(&content).map_err(|_| damaged("content"))?;
                let secret = hex::decode(content.secret.as_str()).map_err(|_| damaged("key"))?;
                (Zeroizing::new(secret), Some(content.belongs))
            }
        };
        let bytes: Zeroizing<[u8; 32]> =
            Zeroizing::new(secret.as_slice().try_into().map_err(|_| damaged("key length"))?);
        Ok(Unsealed { key: SigningKey::from_bytes(&bytes), belongs, derived, record: self.clone() })
    }
}

impl Unsealed {
    /// Seals it again under the same passphrase, with what it belongs to now. Takes no time.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when it cannot be written.
    pub fn seal_again(&self, id: KeyId, belongs: &Belongs, ids: &Ids) -> Result<SealedKey, SealError> {
        self.record.with(&self.key, id, belongs, &self.derived, ids)
    }
}

/// What a record is bound to, beside the passphrase.
fn context_of(version: Option<u8>, id: KeyId) -> Vec<u8> {
    let prefix: &[u8] = if version.is_some() { b"outcome-runtime sealed key v2\n" } else { b"" };
    [prefix, id.0.as_bytes()].concat()
}

/// Most derivations at the same time.
const AT_ONCE: usize = 2;

/// How many derivations run.
static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// One of the derivations that may run; its end lets the next one begin.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let running = RUNNING.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running =
            RUNNING.1.wait_while(running, |running| *running >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = RUNNING.0.lock().unwrap_or_else(PoisonError::into_inner);
        *running = running.saturating_sub(1);
        RUNNING.1.notify_one();
    }
}

fn derive(passphrase: &SecretString, salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let failed = |e: argon2::Error| SealError::Damaged(format!("key derivation: {e}"));
    let params = Params::new(cost.0, cost.1, cost.2, Some(32)).map_err(failed)?;
    let _turn = Turn::wait();
    let n_blocks = params.block_count();
    // The memory is asked for and not taken for granted: a program without it says so instead of ending.
    let mut memory: Zeroizing<Vec<Block>> = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(n_blocks).map_err(|_| SealError::OutOfMemory(cost.0 / 1024))?;
    memory.resize(n_blocks, Block::default());
    let mut out = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.expose_secret().as_bytes(),
            salt,
            out.as_mut_slice(),
            memory.as_mut_slice(),
        )
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
            E::OutOfMemory(_) => (Code::Io, "close other programs, or raise the memory limit of this one"),
            E::Damaged(_) => (Code::DatabaseCorrupt, "restore the database from a backup"),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    fn belongs() -> Belongs {
        let workspace = WorkspaceId(uuid::Uuid::from_u128(1));
        let enrolled_at = "2026-10-01T08:00:00Z".parse().unwrap();
        Belongs { workspace, root: "r".to_owned(), enrolled_at, last: None }
    }

    fn passphrase() -> SecretString {
        SecretString::from("correct horse battery staple")
    }

    #[test]
    fn a_key_is_sealed_at_128_mib_and_opens_with_its_own_passphrase_and_id_only() {
        let ids = Ids::new(std::sync::Arc::new(crate::clock::SystemClock));
        let (key, id) = (SigningKey::from_bytes(&ids.bytes()), ids.next::<KeyId>());
        let sealed = SealedKey::seal(&key, id, &belongs(), &passphrase(), &ids).unwrap();
        assert_eq!((sealed.memory_kib, sealed.passes, sealed.lanes), (131_072, 2, 1));
        let opened = sealed.open(id, &passphrase()).unwrap();
        assert_eq!((&opened.key, opened.belongs.as_ref()), (&key, Some(&belongs())));
        let refused = |id, passphrase: &str| sealed.open(id, &SecretString::from(passphrase)).err();
        assert_eq!(refused(id, "another"), Some(SealError::WrongPassphrase));
        assert_eq!(refused(ids.next::<KeyId>(), "correct horse battery staple"), Some(SealError::WrongPassphrase));

        let later = Belongs { last: Some((7, "h".to_owned())), ..belongs() };
        let again = opened.seal_again(id, &later, &ids).unwrap();
        assert_ne!(again.nonce, sealed.nonce);
        let opened = again.open(id, &passphrase()).unwrap();
        assert_eq!((opened.key, opened.belongs), (key, Some(later)));
        // A record of one format is not read as one of another.
        let stripped = SealedKey { version: None, ..sealed };
        assert_eq!(stripped.open(id, &passphrase()).err(), Some(SealError::WrongPassphrase));
    }

    /// Sealed by a version of before, at 64 MiB and 3 passes, and one at a cost that no program makes.
    #[test]
    fn keys_of_other_costs_open() {
        let ids = Ids::new(std::sync::Arc::new(crate::clock::SystemClock));
        let (key, id) = (SigningKey::from_bytes(&[7; 32]), ids.next::<KeyId>());
        for cost in [(64 * 1024, 3, 1), (64, 1, 1)] {
            let (salt, nonce) = (ids.bytes::<16>(), ids.bytes::<24>());
            let cipher = XChaCha20Poly1305::new(&Key::from(*derive(&passphrase(), &salt, cost).unwrap()));
            let payload = Payload { msg: &[7; 32], aad: id.0.as_bytes() };
            let sealed = SealedKey {
                version: None,
                kdf: "argon2id".to_owned(),
                memory_kib: cost.0,
                passes: cost.1,
                lanes: cost.2,
                salt: hex::encode(salt),
                nonce: hex::encode(nonce),
                ciphertext: hex::encode(cipher.encrypt(&XNonce::from(nonce), payload).unwrap()),
            };
            let opened = sealed.open(id, &passphrase()).unwrap();
            assert_eq!((&opened.key, &opened.belongs), (&key, &None));
            let again = opened.seal_again(id, &belongs(), &ids).unwrap();
            assert_eq!(again.open(id, &passphrase()).unwrap().belongs, Some(belongs()));
            let planted = SealedKey { memory_kib: u32::MAX, ..sealed };
            assert!(matches!(planted.open(id, &passphrase()), Err(SealError::Damaged(_))));
        }
    }

    #[test]
    fn two_derivations_run_at_once_and_never_three() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _turn = Turn::wait();
                    MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let until = Instant::now() + std::time::Duration::from_millis(20);
                    while Instant::now() < until {
                        std::thread::yield_now();
                    }
                    NOW.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(MOST.load(Ordering::SeqCst), 2);
    }
}
