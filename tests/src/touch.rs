//! Security keys made of software: what the hardware signs with, and an ssh agent that has one. What such a key says of the touch is what
//! the test wants it to say.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use anyhow::Result;
use ed25519_dalek::Signer as _;
use outcome_core::ports::TouchToSign;
use sha2::{Digest as _, Sha256};
use ssh_key::encoding::Encode as _;
use ssh_key::public::{Ed25519PublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519};
use ssh_key::{Algorithm, HashAlg, PublicKey, Signature, SshSig};

/// Somebody touched the key.
pub const PRESENT: u8 = 0x01;
/// And it knew who.
pub const VERIFIED: u8 = 0x05;

enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

/// A security key.
pub struct SoftKey {
    secret: Secret,
    application: String,
    public: KeyData,
    line: String,
    flags: AtomicU8,
    n_signed: AtomicU32,
}

impl SoftKey {
    /// `sk-ssh-ed25519@openssh.com`, the same for the same seed. It says that it knew who touched it.
    pub fn ed25519(seed: u8) -> Arc<Self> {
        Self::for_application(seed, "ssh:")
    }

    /// The same for another application.
    pub fn for_application(seed: u8, application: &str) -> Arc<Self> {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let public = SkEd25519::new(Ed25519PublicKey(secret.verifying_key().to_bytes()), application);
        Self::made(Secret::Ed25519(secret), application, KeyData::SkEd25519(public))
    }

    /// `sk-ecdsa-sha2-nistp256@openssh.com`.
    pub fn p256(seed: u8) -> Result<Arc<Self>> {
        let secret = p256::ecdsa::SigningKey::from_slice(&[seed; 32])?;
        let point = secret.verifying_key().to_sec1_point(false);
        let public = SkEcdsaSha2NistP256::new(point, "ssh:");
        Ok(Self::made(Secret::P256(secret), "ssh:", KeyData::SkEcdsaSha2NistP256(public)))
    }

    fn made(secret: Secret, application: &str, public: KeyData) -> Arc<Self> {
        let line = PublicKey::new(public.clone(), "made by a test").to_openssh().unwrap_or_default();
        let (flags, n_signed) = (AtomicU8::new(VERIFIED), AtomicU32::new(0));
        Arc::new(Self { secret, application: application.to_owned(), public, line, flags, n_signed })
    }

    /// What it says from now on of who touched it.
    pub fn says(&self, flags: u8) {
        self.flags.store(flags, Ordering::SeqCst);
    }

    /// How often it signed.
    pub fn n_signed(&self) -> u32 {
        self.n_signed.load(Ordering::SeqCst)
    }

    /// What the hardware signs, with what it says.
    pub fn signature(&self, data: &[u8]) -> Result<Signature> {
        let counter = self.n_signed.fetch_add(1, Ordering::SeqCst) + 1;
        let said = [&[self.flags.load(Ordering::SeqCst)][..], &counter.to_be_bytes()].concat();
        let application = Sha256::digest(self.application.as_bytes());
        let bytes = [&application[..], &said, &Sha256::digest(data)[..]].concat();
        let (algorithm, signed) = match &self.secret {
            Secret::Ed25519(key) => (Algorithm::SkEd25519, key.sign(&bytes).to_bytes().to_vec()),
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(&bytes);
                let plain = Signature::try_from(signature)?;
                (Algorithm::SkEcdsaSha2NistP256, plain.as_bytes().to_vec())
            }
        };
        Ok(Signature::new(algorithm, [signed, said].concat())?)
    }

    /// A whole signature of ssh.
    pub fn signed(&self, namespace: &str, hash: HashAlg, bytes: &[u8]) -> Result<SshSig> {
        let signature = self.signature(&SshSig::signed_data(namespace, hash, bytes)?)?;
        Ok(SshSig::new(self.public.clone(), namespace, hash, signature)?)
    }
}

impl TouchToSign for SoftKey {
    fn public_key(&self) -> &str {
        &self.line
    }

    fn sign(&self, namespace: &str, bytes: &[u8]) -> outcome_core::Result<Vec<u8>> {
        let failed = |e: String| outcome_core::Error::new(outcome_core::Code::Internal, e);
        let signed = self.signed(namespace, HashAlg::Sha512, bytes).map_err(|e| failed(e.to_string()))?;
        signed.encode_vec().map_err(|e| failed(e.to_string()))
    }
}

/// Answers on a socket as an ssh agent that has this key, for as long as the test lives.
pub fn agent(socket: &Path, key: Arc<SoftKey>) -> Result<()> {
    let listener = UnixListener::bind(socket)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who asks wrongly, or ends, ends the connection alone.
            while answer(&stream, &key).is_ok() {}
        }
    });
    Ok(())
}

const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;

fn answer(mut stream: &UnixStream, key: &SoftKey) -> Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request)?;
    let blob = key.public.encode_vec()?;
    let mut answer = Vec::new();
    match request.split_first() {
        Some((&REQUEST_IDENTITIES, _)) => {
            answer.push(12);
            1u32.encode(&mut answer)?;
            blob.encode(&mut answer)?;
            "test".encode(&mut answer)?;
        }
        Some((&SIGN_REQUEST, rest)) => {
            let (_, rest) = text(rest)?;
            let (data, _) = text(rest)?;
            answer.push(14);
            key.signature(data)?.encode_prefixed(&mut answer)?;
        }
        _ => answer.push(5),
    }
    stream.write_all(&u32::try_from(answer.len())?.to_be_bytes())?;
    Ok(stream.write_all(&answer)?)
}

/// A text with its length before it, and what follows.
fn text(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| anyhow::anyhow!("cut off"))?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(|| anyhow::anyhow!("cut off"))
}
