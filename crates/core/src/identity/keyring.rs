//! Who may sign: enrolled keys, each vouched for by an earlier one, back to the root key of the workspace's first event.
//!
//! A row written into the key table by another program is no key: it lacks a certificate that chains to the root, and the
//! root's fingerprint stands in the audit log's first event, which anchors cover.

use std::collections::HashMap;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::Serialize;

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{Decision, Enrolment, KeyKind, SignedDecision, SignedEnrolment};
use crate::error::{Code, Error};
use crate::ids::{KeyId, MemberId, WorkspaceId};

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
        self.0.decision()
    }
    /// With its signature.
    #[must_use]
    pub fn signed(&self) -> &SignedDecision {
        &self.0
    }
}

/// A certificate with what the log says about its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// The certificate.
    pub certificate: SignedEnrolment,
    /// Number of the line that enrolled it.
    pub enrolled_line: i64,
    /// Number of the line that revoked it.
    pub revoked_line: Option<i64>,
    /// Since which line somebody else had it, as a member said.
    pub compromised_since: Option<i64>,
}

impl KnownKey {
    /// Whether the key counts in this line.
    #[must_use]
    pub fn counts_in(&self, line: i64) -> bool {
        self.enrolled_line < line && self.revoked_line.is_none_or(|revoked| line < revoked)
    }
}

#[derive(Debug, Clone)]
struct Entry {
    public: VerifyingKey,
    known: KnownKey,
}

/// The keys that count in a workspace.
#[derive(Debug, Clone)]
pub struct Keyring {
    workspace: WorkspaceId,
    root: String,
    keys: HashMap<KeyId, Entry>,
    rejected: Vec<KeyId>,
}

impl Keyring {
    /// Builds the ring. Keys whose certificates do not chain to the root are left out and listed in [`Self::rejected`].
    #[must_use]
    pub fn build(workspace: WorkspaceId, root_fingerprint: &str, known: impl IntoIterator<Item = KnownKey>) -> Self {
        let root = root_fingerprint.to_owned();
        let mut ring = Self { workspace, root, keys: HashMap::new(), rejected: Vec::new() };
        let mut waiting: Vec<_> = known.into_iter().collect();
        loop {
            let before = waiting.len();
            waiting.retain(|known| !ring.admit(known));
            if waiting.len() == before {
                break;
            }
        }
        ring.rejected = waiting.into_iter().map(|known| known.certificate.enrolment.key).collect();
        ring
    }

    fn admit(&mut self, known: &KnownKey) -> bool {
        let enrolment = &known.certificate.enrolment;
        let Some(public) = parse_public(&enrolment.public_key) else { return false };
        let is_root = enrolment.enrolled_by == enrolment.key;
        let voucher = if is_root {
            (fingerprint(&enrolment.public_key) == self.root && enrolment.kind == KeyKind::Passphrase).then_some(public)
        } else {
            self.keys.get(&enrolment.enrolled_by).filter(|entry| entry.may_vouch(known)).map(|entry| entry.public)
        };
        let admitted = enrolment.workspace == self.workspace
            && !self.keys.contains_key(&enrolment.key)
            && voucher.is_some_and(|voucher| {
                let bytes = enrolment_bytes(enrolment);
                bytes.is_some_and(|bytes| verify(&voucher, &bytes, &known.certificate.signature))
            });
        if admitted {
            self.keys.insert(enrolment.key, Entry { public, known: known.clone() });
        }
        admitted
    }

    /// Keys that are stored but count for nothing.
    #[must_use]
    pub fn rejected(&self) -> &[KeyId] {
        &self.rejected
    }

    /// Fingerprint of the root key.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The enrolments that count.
    pub fn enrolments(&self) -> impl Iterator<Item = &Enrolment> {
        self.keys.values().map(|entry| &entry.known.certificate.enrolment)
    }

    /// What is known of a key that counts or did.
    #[must_use]
    pub fn get(&self, key: KeyId) -> Option<&KnownKey> {
        self.keys.get(&key).map(|entry| &entry.known)
    }

    /// The member whose key is the root: they may act on everybody's keys.
    #[must_use]
    pub fn root_member(&self) -> Option<MemberId> {
        self.enrolments().find(|enrolment| enrolment.enrolled_by == enrolment.key).map(|root| root.member)
    }

    /// The certificates from a key to the root, each vouched for by the next; `None` where it does not count.
    #[must_use]
    pub fn chain_of(&self, key: KeyId) -> Option<Vec<SignedEnrolment>> {
        let mut chain = Vec::new();
        let mut next = key;
        // A ring holds each key once, and a key was admitted only after its voucher.
        loop {
            let certificate = &self.get(next)?.certificate;
            chain.push(certificate.clone());
            if certificate.enrolment.enrolled_by == next {
                return Some(chain);
            }
            next = certificate.enrolment.enrolled_by;
        }
    }

    /// The e-mail of a member with at least one key.
    #[must_use]
    pub fn email_of(&self, member: MemberId) -> Option<&str> {
        self.enrolments().find(|enrolment| enrolment.member == member).map(|enrolment| enrolment.email.as_str())
    }

    /// Checks a decision's signature, its key, and that the key can vouch for what it claims, for the line of the log in which the
    /// decision is used; a new decision is used in the line to come, [`NEW`].
    ///
    /// # Errors
    /// [`SignatureError`] with the reason.
    pub fn verify(&self, signed: &SignedDecision, line: i64) -> Result<VerifiedDecision, SignatureError> {
        let decision = signed.decision();
        let entry = self.keys.get(&decision.key).ok_or(SignatureError::UnknownKey(decision.key))?;
        let bytes = signed.signed_bytes().ok_or(SignatureError::Malformed)?;
        if !verify(&entry.public, &bytes, signed.signature()) {
            return Err(SignatureError::Mismatch);
        }
        if !entry.known.counts_in(line) {
            return Err(SignatureError::Revoked(decision.key));
        }
        let overclaim = |what: String| Err(SignatureError::Overclaim(what));
        let enrolment = &entry.known.certificate.enrolment;
        if decision.workspace != self.workspace {
            return overclaim(format!("workspace {}", decision.workspace));
        }
        if decision.member != enrolment.member {
            return overclaim(format!("member {}", decision.member));
        }
        if enrolment.kind.assurance().is_none_or(|highest| decision.assurance > highest) {
            return overclaim(format!("assurance {}", decision.assurance));
        }
        if let Some(basis) = &decision.basis
            && (basis.root != self.root || Some(&basis.certificates) != self.chain_of(decision.key).as_ref())
        {
            return overclaim("another root, or other certificates".to_owned());
        }
        Ok(VerifiedDecision(signed.clone()))
    }
}

/// The line to come.
pub const NEW: i64 = i64::MAX;

impl Entry {
    /// Whether this key can vouch for another one: it must count then, and a key that decides nothing only vouches for its own member.
    fn may_vouch(&self, other: &KnownKey) -> bool {
        let (own, new) = (&self.known.certificate.enrolment, &other.certificate.enrolment);
        let is_own_member = own.member == new.member;
        let of_kind = match own.kind {
            KeyKind::Passphrase => true,
            KeyKind::Recovery => is_own_member && new.kind == KeyKind::Passphrase,
            // A local one lies open on the disk.
            KeyKind::Local => false,
        };
        let before_theft = self.known.compromised_since.is_none_or(|since| other.enrolled_line < since);
        of_kind && before_theft && self.known.counts_in(other.enrolled_line)
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
    let bytes = enrolment_bytes(&enrolment).ok_or(SignatureError::Malformed)?;
    Ok(SignedEnrolment { enrolment, signature: hex::encode(voucher.sign(&bytes).to_bytes()) })
}

/// What the signature of an enrolment is over. The prefix keeps it apart from everything else that a key signs.
fn enrolment_bytes(enrolment: &Enrolment) -> Option<Vec<u8>> {
    let text = canonical_json(enrolment).ok()?;
    match enrolment.version {
        None => Some(text.into_bytes()),
        Some(2) => Some([b"outcome-runtime enrolment v2\n", text.as_bytes()].concat()),
        Some(_) => None,
    }
}

/// Signs a decision.
///
/// # Errors
/// [`SignatureError::Malformed`] when it cannot be written as JSON.
pub fn sign_decision(decision: Decision, key: &SigningKey) -> Result<SignedDecision, SignatureError> {
    let keyid = fingerprint(&hex::encode(key.verifying_key().to_bytes()));
    SignedDecision::signed_by(decision, keyid, |bytes| key.sign(bytes).to_bytes().to_vec())
        .map_err(|_| SignatureError::Malformed)
}

fn verify(key: &VerifyingKey, bytes: &[u8], signature_hex: &str) -> bool {
    let signature = hex::decode(signature_hex).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
    signature.is_some_and(|signature| key.verify_strict(bytes, &signature).is_ok())
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
