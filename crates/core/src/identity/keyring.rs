//! Who may sign: enrolled keys, each vouched for by an earlier one, back to the root key of the workspace's first event.
//!
//! A row written into the key table by another program is no key: it lacks a certificate that chains to the root, and the
//! root's fingerprint stands in the audit log's first event, which anchors cover.

use std::collections::HashMap;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{Assurance, Decision, SignedDecision, text_enum};
use crate::error::{Code, Error};
use crate::ids::{KeyId, MemberId, WorkspaceId};

text_enum! {
    /// How a key is kept, hence how surely its use shows a human.
    pub enum KeyKind {
        /// Sealed by a passphrase: A3.
        Passphrase,
        /// Unsealed, in the folder of workspaces of before: A2. Nothing is signed with it any more.
        Local,
    }
}

impl KeyKind {
    /// The level of decisions signed with such a key.
    #[must_use]
    pub fn assurance(self) -> Assurance {
        match self {
            Self::Passphrase => Assurance::A3,
            Self::Local => Assurance::A2,
        }
    }
}

/// The statement that a key belongs to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The member.
    pub member: MemberId,
    /// The member's e-mail.
    pub email: String,
    /// The key's id.
    pub key: KeyId,
    /// How it is kept.
    pub kind: KeyKind,
    /// Ed25519 public key in hexadecimal.
    pub public_key: String,
    /// The key that vouches for it; itself for the root.
    pub enrolled_by: KeyId,
    /// When.
    pub enrolled_at: Timestamp,
}

/// An enrolment with the voucher's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedEnrolment {
    /// What was signed.
    pub enrolment: Enrolment,
    /// Ed25519 over its canonical JSON, in hexadecimal.
    pub signature: String,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No enrolled key has this id.
    #[error("the decision names key {0}, which is not enrolled in this workspace")]
    UnknownKey(KeyId),
    /// The key was withdrawn before.
    #[error("key {0} was revoked before this decision")]
    Revoked(KeyId),
    /// The bytes do not fit.
    #[error("the signature does not match the decision")]
    Mismatch,
    /// It fits, but says something that the key cannot say.
    #[error("the decision claims assurance {0}, which its key cannot give")]
    Overclaim(String),
    /// The record cannot be read.
    #[error("the signature record is malformed")]
    Malformed,
}

/// A decision whose signature was verified against an enrolled key. There is no other way to make one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct VerifiedDecision(SignedDecision);

impl VerifiedDecision {
    /// What was decided.
    #[must_use]
    pub fn get(&self) -> &Decision {
        &self.0.decision
    }
    /// With its signature.
    #[must_use]
    pub fn signed(&self) -> &SignedDecision {
        &self.0
    }
}

#[derive(Debug, Clone)]
struct Entry {
    public: VerifyingKey,
    enrolment: Enrolment,
    revoked_at: Option<Timestamp>,
}

/// The keys that count in a workspace.
#[derive(Debug, Clone)]
pub struct Keyring {
    workspace: WorkspaceId,
    keys: HashMap<KeyId, Entry>,
    rejected: Vec<KeyId>,
}

impl Keyring {
    /// Builds the ring from stored certificates. Certificates that do not chain to the root are left out and listed in
    /// [`Self::rejected`].
    #[must_use]
    pub fn build(
        workspace: WorkspaceId,
        root_fingerprint: &str,
        certificates: impl IntoIterator<Item = (SignedEnrolment, Option<Timestamp>)>,
    ) -> Self {
        let mut ring = Self { workspace, keys: HashMap::new(), rejected: Vec::new() };
        let mut waiting: Vec<_> = certificates.into_iter().collect();
        loop {
            let before = waiting.len();
            waiting.retain(|(certificate, revoked_at)| !ring.admit(certificate, *revoked_at, root_fingerprint));
            if waiting.len() == before {
                break;
            }
        }
        ring.rejected = waiting.into_iter().map(|(certificate, _)| certificate.enrolment.key).collect();
        ring
    }

    fn admit(&mut self, certificate: &SignedEnrolment, revoked_at: Option<Timestamp>, root: &str) -> bool {
        let enrolment = &certificate.enrolment;
        let Some(public) = parse_public(&enrolment.public_key) else { return false };
        let is_root = enrolment.enrolled_by == enrolment.key;
        let voucher = if is_root {
            (fingerprint(&enrolment.public_key) == root).then_some(public)
        } else {
            // Only a sealed key may vouch: a local one lies open on the disk.
            self.keys
                .get(&enrolment.enrolled_by)
                .filter(|entry| entry.enrolment.kind == KeyKind::Passphrase)
                .map(|entry| entry.public)
        };
        let admitted = enrolment.workspace == self.workspace
            && voucher.is_some_and(|voucher| verify(&voucher, enrolment, &certificate.signature));
        if admitted {
            self.keys.insert(enrolment.key, Entry { public, enrolment: enrolment.clone(), revoked_at });
        }
        admitted
    }

    /// Keys that are stored but count for nothing.
    #[must_use]
    pub fn rejected(&self) -> &[KeyId] {
        &self.rejected
    }

    /// The enrolments that count.
    pub fn enrolments(&self) -> impl Iterator<Item = &Enrolment> {
        self.keys.values().map(|entry| &entry.enrolment)
    }

    /// The e-mail of a member with at least one key.
    #[must_use]
    pub fn email_of(&self, member: MemberId) -> Option<&str> {
        self.enrolments().find(|enrolment| enrolment.member == member).map(|enrolment| enrolment.email.as_str())
    }

    /// Checks a decision's signature, its key, and that the key can vouch for what it claims.
    ///
    /// # Errors
    /// [`SignatureError`] with the reason.
    pub fn verify(&self, signed: &SignedDecision) -> Result<VerifiedDecision, SignatureError> {
        let decision = &signed.decision;
        let entry = self.keys.get(&decision.key).ok_or(SignatureError::UnknownKey(decision.key))?;
        if !verify(&entry.public, decision, &signed.signature) {
            return Err(SignatureError::Mismatch);
        }
        if entry.revoked_at.is_some_and(|at| at <= decision.decided_at) {
            return Err(SignatureError::Revoked(decision.key));
        }
        let overclaim = |what: String| Err(SignatureError::Overclaim(what));
        if decision.workspace != self.workspace {
            return overclaim(format!("workspace {}", decision.workspace));
        }
        if decision.member != entry.enrolment.member {
            return overclaim(format!("member {}", decision.member));
        }
        if decision.assurance > entry.enrolment.kind.assurance() {
            return overclaim(format!("assurance {}", decision.assurance));
        }
        Ok(VerifiedDecision(signed.clone()))
    }
}

/// Short name of a public key: the SHA-256 of its hexadecimal form.
#[must_use]
pub fn fingerprint(public_key_hex: &str) -> String {
    sha256_hex(public_key_hex)
}

/// Signs an enrolment.
///
/// # Errors
/// [`SignatureError::Malformed`] when it cannot be written as JSON.
pub fn enrol(enrolment: Enrolment, voucher: &SigningKey) -> Result<SignedEnrolment, SignatureError> {
    let signature = sign(voucher, &enrolment)?;
    Ok(SignedEnrolment { enrolment, signature })
}

/// Signs a decision.
///
/// # Errors
/// [`SignatureError::Malformed`] when it cannot be written as JSON.
pub fn sign_decision(decision: Decision, key: &SigningKey) -> Result<SignedDecision, SignatureError> {
    let signature = sign(key, &decision)?;
    Ok(SignedDecision { decision, signature })
}

fn sign<T: Serialize>(key: &SigningKey, value: &T) -> Result<String, SignatureError> {
    let text = canonical_json(value).map_err(|_| SignatureError::Malformed)?;
    Ok(hex::encode(key.sign(text.as_bytes()).to_bytes()))
}

fn verify<T: Serialize>(key: &VerifyingKey, value: &T, signature_hex: &str) -> bool {
    let signature = hex::decode(signature_hex).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
    match (canonical_json(value), signature) {
        (Ok(text), Some(signature)) => key.verify_strict(text.as_bytes(), &signature).is_ok(),
        _ => false,
    }
}

fn parse_public(hex_text: &str) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = hex::decode(hex_text).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

impl From<SignatureError> for Error {
    fn from(error: SignatureError) -> Self {
        Self::new(Code::SignatureInvalid, error.to_string()).hint(
            "only a member's enrolled key can decide; `outcome-runtime audit verify` shows what was tampered with",
        )
    }
}
