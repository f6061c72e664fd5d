//! Who may sign: enrolled keys, each vouched for by an earlier one, back to the root key of the workspace's first event.
//!
//! A row written into the key table by another program is no key: it lacks a certificate that chains to the root, and the
//! root's fingerprint stands in the audit log's first event, which anchors cover.

use std::collections::HashMap;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::Serialize;

use super::proven::{ed25519_holds, proven};
use super::touch::{SIGNS_DECISION, SIGNS_ENROLMENT, Touch, TouchError, TouchKey};
use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{Decision, Enrolment, KeyKind, MemberCommitments, SignedDecision, SignedEnrolment};
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
    /// It is no signature of a key that somebody touched.
    #[error("the signature of a key that is touched does not count: {0}")]
    Touch(#[from] TouchError),
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
pub struct VerifiedDecision {
    signed: SignedDecision,
    #[serde(skip)]
    touch: Option<Touch>,
    #[serde(skip)]
    may_be_touched: bool,
}

impl VerifiedDecision {
    /// What was decided.
    #[must_use]
    pub fn get(&self) -> &Decision {
        self.signed.decision()
    }
    /// With its signature.
    #[must_use]
    pub fn signed(&self) -> &SignedDecision {
        &self.signed
    }
    /// What the signature says of who touched the key; `None` for one that needs no touch.
    #[must_use]
    pub fn touch(&self) -> Option<Touch> {
        self.touch
    }
    /// Whether a key that is touched counted in the workspace where the decision was used, so that some decisions need one.
    #[must_use]
    pub fn may_be_touched(&self) -> bool {
        self.may_be_touched
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
    public: Public,
    known: KnownKey,
}

/// A public key with the way in which its signatures are checked.
#[derive(Debug, Clone)]
enum Public {
    Plain(VerifyingKey),
    Touch(Box<TouchKey>),
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
        // Whether a passphrase may vouch for a key that is touched depends on those that counted before.
        waiting.sort_by_key(|known| known.enrolled_line);
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
        let Some(public) = Public::of(enrolment) else { return false };
        let is_root = enrolment.enrolled_by == enrolment.key;
        let voucher = if is_root {
            (fingerprint(&enrolment.public_key) == self.root && enrolment.kind == KeyKind::Passphrase)
                .then(|| public.clone())
        } else {
            let vouching = self
                .keys
                .get(&enrolment.enrolled_by)
                .filter(|entry| entry.may_vouch(known) && !(entry.is_passphrase() && self.must_be_touched_for(known)));
            vouching.map(|entry| entry.public.clone())
        };
        let renames = self.renames(enrolment);
        let admitted = enrolment.workspace == self.workspace
            && !renames
            && !self.keys.contains_key(&enrolment.key)
            && voucher.is_some_and(|voucher| {
                let bytes = enrolment_bytes(enrolment);
                bytes.is_some_and(|bytes| voucher.has_vouched(&bytes, &known.certificate.signature))
            });
        if admitted {
            self.keys.insert(enrolment.key, Entry { public, known: known.clone() });
        }
        admitted
    }

    /// Whether a certificate says something else of a member than the first one that says it.
    fn renames(&self, enrolment: &Enrolment) -> bool {
        let member = enrolment.member;
        let is_other = |commitments| enrolment.commitments.as_ref() != Some(&commitments);
        let of_before = |email| enrolment.email.as_ref().is_some_and(|said| *said != email);
        self.commitments_of(member).is_some_and(is_other) || self.email_of_before(member).is_some_and(of_before)
    }

    /// Whoever knows a passphrase does not let a key of their own take the place of one that is touched: while such a key counts, the
    /// next one is vouched for by a touch.
    fn must_be_touched_for(&self, known: &KnownKey) -> bool {
        known.certificate.enrolment.kind == KeyKind::Touch && self.is_touched_in(known.enrolled_line)
    }

    /// Whether a key that is touched counts in this line.
    #[must_use]
    pub fn is_touched_in(&self, line: i64) -> bool {
        self.touched_in(line).next().is_some()
    }

    /// The keys that are touched and count in this line.
    pub fn touched_in(&self, line: i64) -> impl Iterator<Item = &KnownKey> {
        let known = self.keys.values().map(|entry| &entry.known);
        known.filter(move |known| known.certificate.enrolment.kind == KeyKind::Touch && known.counts_in(line))
    }

    /// The keys that a passphrase does not take away in this line: those that are touched, and with them the recovery codes, which are
    /// the way on without a lost one.
    pub fn guarded_in(&self, line: i64) -> impl Iterator<Item = &KnownKey> {
        let is_touched = self.is_touched_in(line);
        self.keys.values().map(|entry| &entry.known).filter(move |known| {
            let kind = known.certificate.enrolment.kind;
            is_touched && matches!(kind, KeyKind::Touch | KeyKind::Recovery) && known.counts_in(line)
        })
    }

    /// Whether a decision signed with `by` may take away a guarded key. A touch may; a passphrase may not, or else whoever learns one
    /// would first take the key away. A passphrase that came with the recovery code may, for that code and for the keys that its owner
    /// had enrolled when they wrote it down already.
    #[must_use]
    pub fn may_take_away(&self, by: KeyId, guarded: &KnownKey) -> bool {
        let Some(signer) = self.get(by) else { return false };
        if signer.certificate.enrolment.kind == KeyKind::Touch {
            return true;
        }
        let of_member = guarded.certificate.enrolment.member;
        let is_own = |known: &KnownKey| known.certificate.enrolment.member == of_member;
        self.get(signer.certificate.enrolment.enrolled_by).is_some_and(|code| {
            code.certificate.enrolment.kind == KeyKind::Recovery
                && is_own(code)
                && is_own(signer)
                && code.enrolled_line <= guarded.enrolled_line
                && guarded.enrolled_line < signer.enrolled_line
        })
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

    /// What the first enrolments of a member say of who they are: nobody renames a member with a later one.
    fn first_said<T>(&self, member: MemberId, said: impl Fn(&Enrolment) -> Option<T>) -> Option<T> {
        let of_member = self.keys.values().filter(|entry| entry.known.certificate.enrolment.member == member);
        let all = of_member.filter_map(|entry| {
            said(&entry.known.certificate.enrolment)
                .map(|what| ((entry.known.enrolled_line, entry.known.certificate.enrolment.key), what))
        });
        all.min_by_key(|(at, _)| *at).map(|(_, what)| what)
    }

    /// The e-mail of a member, where a certificate of before says it.
    #[must_use]
    pub fn email_of_before(&self, member: MemberId) -> Option<String> {
        self.first_said(member, |enrolment| enrolment.email.clone())
    }

    /// What the log holds of what a member is called; none where all their certificates are of before.
    #[must_use]
    pub fn commitments_of(&self, member: MemberId) -> Option<MemberCommitments> {
        self.first_said(member, |enrolment| enrolment.commitments.clone())
    }

    /// Whether a key of this member counts or did.
    #[must_use]
    pub fn knows(&self, member: MemberId) -> bool {
        self.enrolments().any(|enrolment| enrolment.member == member)
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
        let touch = entry.public.has_decided(&bytes, signed.signature())?;
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
        Ok(VerifiedDecision { signed: signed.clone(), touch, may_be_touched: self.is_touched_in(line) })
    }
}

/// The line to come.
pub const NEW: i64 = i64::MAX;

impl Entry {
    fn is_passphrase(&self) -> bool {
        self.known.certificate.enrolment.kind == KeyKind::Passphrase
    }

    /// Whether this key can vouch for another one: it must count then, and a key that decides nothing only vouches for its own member.
    fn may_vouch(&self, other: &KnownKey) -> bool {
        let (own, new) = (&self.known.certificate.enrolment, &other.certificate.enrolment);
        let is_own_member = own.member == new.member;
        let of_kind = match own.kind {
            KeyKind::Passphrase => true,
            KeyKind::Recovery => is_own_member && new.kind == KeyKind::Passphrase,
            // The second one, to keep elsewhere.
            KeyKind::Touch => is_own_member && new.kind == KeyKind::Touch,
            // A local one lies open on the disk.
            KeyKind::Local => false,
        };
        // Nobody makes a key that decides more than their own for somebody else.
        let of_kind = of_kind && (is_own_member || new.kind != KeyKind::Touch);
        let before_theft = self.known.compromised_since.is_none_or(|since| other.enrolled_line < since);
        of_kind && before_theft && self.known.counts_in(other.enrolled_line)
    }
}

impl Public {
    /// The key of an enrolment; `None` where it is written in another way than such keys are.
    fn of(enrolment: &Enrolment) -> Option<Self> {
        if enrolment.kind != KeyKind::Touch {
            return parse_public(&enrolment.public_key).map(Self::Plain);
        }
        let key = TouchKey::parse(&enrolment.public_key).ok()?;
        (key.as_str() == enrolment.public_key).then(|| Self::Touch(Box::new(key)))
    }

    /// Checks a signature of a decision.
    fn has_decided(&self, bytes: &[u8], signature_hex: &str) -> Result<Option<Touch>, SignatureError> {
        match self {
            Self::Plain(key) if ed25519_holds(key, bytes, signature_hex) => Ok(None),
            Self::Plain(_) => Err(SignatureError::Mismatch),
            Self::Touch(key) => {
                let parts = [SIGNS_DECISION.as_bytes(), key.as_str().as_bytes(), signature_hex.as_bytes(), bytes];
                proven(parts, || {
                    let signature = hex::decode(signature_hex).map_err(|_| SignatureError::Malformed)?;
                    Ok(Some(key.verify(SIGNS_DECISION, bytes, &signature)?))
                })
            }
        }
    }

    /// Checks a signature of an enrolment.
    fn has_vouched(&self, bytes: &[u8], signature_hex: &str) -> bool {
        match self {
            Self::Plain(key) => ed25519_holds(key, bytes, signature_hex),
            Self::Touch(key) => {
                hex::decode(signature_hex).is_ok_and(|signature| key.verify(SIGNS_ENROLMENT, bytes, &signature).is_ok())
            }
        }
    }
}

/// Short name of a public key: the SHA-256 of its hexadecimal form, or of the line of a key that is touched.
#[must_use]
pub fn fingerprint(public_key: &str) -> String {
    sha256_hex(public_key)
}

/// Signs an enrolment.
///
/// # Errors
/// [`SignatureError::Malformed`] when it cannot be written as JSON.
pub fn enrol(enrolment: Enrolment, voucher: &SigningKey) -> Result<SignedEnrolment, SignatureError> {
    let bytes = enrolment_bytes(&enrolment).ok_or(SignatureError::Malformed)?;
    Ok(SignedEnrolment { enrolment, signature: hex::encode(voucher.sign(&bytes).to_bytes()) })
}

/// What the signature of an enrolment is over; `None` for a format that is not known, or that says something else of its member. The
/// prefix keeps it apart from everything else that a key signs.
#[must_use]
pub fn enrolment_bytes(enrolment: &Enrolment) -> Option<Vec<u8>> {
    let text = canonical_json(enrolment).ok()?;
    match (enrolment.version, &enrolment.email, &enrolment.commitments) {
        (None, Some(_), None) => Some(text.into_bytes()),
        (Some(2), Some(_), None) => Some([b"outcome-runtime enrolment v2\n", text.as_bytes()].concat()),
        (Some(3), None, Some(_)) => Some([b"outcome-runtime enrolment v3\n", text.as_bytes()].concat()),
        _ => None,
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

fn parse_public(hex_text: &str) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = hex::decode(hex_text).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

impl From<SignatureError> for Error {
    fn from(error: SignatureError) -> Self {
        let hint = match &error {
            SignatureError::Touch(TouchError::NotTouched) => {
                "touch the key when it blinks; a key that was made with `no-touch-required` cannot decide"
            }
            SignatureError::Touch(_) => {
                "only what the enrolled key signs for a decision counts: try again with that key"
            }
            _ => "only a member's enrolled key can decide; `outcome-runtime audit verify` shows what was tampered with",
        };
        Self::new(Code::SignatureInvalid, error.to_string()).hint(hint)
    }
}
