//! The head of the log, signed and kept elsewhere, so that rewriting the whole chain is found too.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::canonical_json;
use crate::domain::SignedDecision;
use crate::identity::{SIGNS_DECISION, TouchKey};
use crate::ids::WorkspaceId;

/// What is anchored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Number of the last line.
    pub seq: i64,
    /// Its hash.
    pub head: String,
    /// When.
    pub at: Timestamp,
    /// Public key that signed it, in hexadecimal.
    pub public_key: String,
    /// Format. Absent in anchors of before, whose signatures have no prefix of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
}

/// An anchor with its signature, or a decision that was signed with a key that is touched: one line of an anchor file, or the text of a git note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAnchor {
    /// What was signed.
    pub anchor: Anchor,
    /// Ed25519 over its canonical JSON, in hexadecimal.
    pub signature: String,
}

/// Why an anchor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It is not an anchor.
    #[error("the line is not an anchor")]
    Malformed,
    /// Its signature does not fit.
    #[error("the anchor of line {0} has a wrong signature")]
    Signature(i64),
}

impl SignedAnchor {
    /// Signs the head of the log.
    ///
    /// # Errors
    /// [`AnchorError::Malformed`] when it cannot be written as JSON.
    pub fn sign(
        workspace: WorkspaceId,
        seq: i64,
        head: String,
        at: Timestamp,
        key: &SigningKey,
    ) -> Result<Self, AnchorError> {
        let public_key = hex::encode(key.verifying_key().to_bytes());
        let anchor = Anchor { workspace, seq, head, at, public_key, version: Some(2) };
        let bytes = signed_bytes(&anchor)?;
        Ok(Self { signature: hex::encode(key.sign(&bytes).to_bytes()), anchor })
    }

    /// Reads a line and checks its signature against the key that it names.
    ///
    /// # Errors
    /// [`AnchorError`].
    pub fn parse(line: &str) -> Result<Self, AnchorError> {
        if let Ok(decision) = serde_json::from_str::<SignedDecision>(line.trim()) {
            return Self::of_decision(&decision);
        }
        let signed: Self = serde_json::from_str(line.trim()).map_err(|_| AnchorError::Malformed)?;
        let public: [u8; 32] = hex::decode(&signed.anchor.public_key)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(AnchorError::Malformed)?;
        let key = VerifyingKey::from_bytes(&public).map_err(|_| AnchorError::Malformed)?;
        let signature = hex::decode(&signed.signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(AnchorError::Malformed)?;
        let bytes = signed_bytes(&signed.anchor)?;
        key.verify_strict(&bytes, &signature).map_err(|_| AnchorError::Signature(signed.anchor.seq))?;
        Ok(signed)
    }

    /// A decision that was signed with a key that is touched: nobody touches it again for an anchor, and the decision names the line that
    /// it was signed on.
    fn of_decision(signed: &SignedDecision) -> Result<Self, AnchorError> {
        let decision = signed.decision();
        let own = decision.basis.as_ref().and_then(|basis| basis.certificates.first()).ok_or(AnchorError::Malformed)?;
        let public_key = own.enrolment.public_key.clone();
        let key = TouchKey::parse(&public_key).map_err(|_| AnchorError::Malformed)?;
        let bytes = signed.signed_bytes().ok_or(AnchorError::Malformed)?;
        let signature = hex::decode(signed.signature()).map_err(|_| AnchorError::Malformed)?;
        key.verify(SIGNS_DECISION, &bytes, &signature).map_err(|_| AnchorError::Signature(decision.log_seq))?;
        let anchor = Anchor {
            workspace: decision.workspace,
            seq: decision.log_seq,
            head: decision.log_head.clone(),
            at: decision.decided_at,
            public_key,
            version: None,
        };
        Ok(Self { anchor, signature: signed.signature().to_owned() })
    }
}

/// What the signature is over. The prefix keeps it apart from everything else that a key signs.
fn signed_bytes(anchor: &Anchor) -> Result<Vec<u8>, AnchorError> {
    let text = canonical_json(anchor).map_err(|_| AnchorError::Malformed)?;
    match anchor.version {
        None => Ok(text.into_bytes()),
        Some(2) => Ok([b"outcome-runtime anchor v2\n", text.as_bytes()].concat()),
        Some(_) => Err(AnchorError::Malformed),
    }
}
