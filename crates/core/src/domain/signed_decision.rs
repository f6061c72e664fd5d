//! A decision with its signature, in the form in which it was signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Decision, Statement};
use crate::digest::{canonical_json, sha256_hex};
use crate::dsse::{Envelope, IN_TOTO, signed_bytes};

/// A decision with its signature; a claim until a keyring has verified it.
///
/// Format 2 is a DSSE envelope of an in-toto Statement, kept as the bytes that were signed. Format 1 is the decision's canonical JSON
/// (RFC 8785) with a signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Form", into = "Form")]
#[schemars(with = "Form")]
pub struct SignedDecision {
    decision: Decision,
    /// In hexadecimal.
    signature: String,
    /// The bytes that were signed; none for format 1.
    envelope: Option<Envelope>,
}

/// As it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Form {
    Envelope(Envelope),
    First(FirstForm),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FirstForm {
    /// What was signed.
    decision: Box<Decision>,
    /// Ed25519 over the canonical JSON of `decision`, in hexadecimal.
    signature: String,
}

/// Why a signed decision cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signed decision cannot be read: {0}")]
pub struct UnreadableDecision(&'static str);

impl TryFrom<Form> for SignedDecision {
    type Error = UnreadableDecision;

    fn try_from(form: Form) -> Result<Self, UnreadableDecision> {
        let unreadable = |what| UnreadableDecision(what);
        match form {
            Form::First(FirstForm { decision, signature }) => {
                if decision.version != 1 || decision.basis.is_some() {
                    return Err(unreadable("it is not of format 1"));
                }
                Ok(Self { decision: *decision, signature, envelope: None })
            }
            Form::Envelope(envelope) => {
                if envelope.payload_type != IN_TOTO {
                    return Err(unreadable("it is no in-toto Statement"));
                }
                let bytes = envelope.bytes().ok_or(unreadable("its payload is no base64"))?;
                let signature = envelope.signature().ok_or(unreadable("it has not one signature"))?;
                let statement: Statement = serde_json::from_slice(&bytes)
                    .map_err(|_| unreadable("its statement is not one of this format"))?;
                // One document has one form: what is read is what was signed, with no key twice.
                if canonical_json(&statement).ok().is_none_or(|text| text.as_bytes() != bytes) {
                    return Err(unreadable("its statement is not written as canonical JSON"));
                }
                let decision = statement.decision().ok_or(unreadable("its statement is about something else"))?;
                Ok(Self { decision, signature: hex::encode(signature), envelope: Some(envelope) })
            }
        }
    }
}

impl From<SignedDecision> for Form {
    fn from(signed: SignedDecision) -> Self {
        let SignedDecision { decision, signature, envelope } = signed;
        match envelope {
            Some(envelope) => Self::Envelope(envelope),
            None => Self::First(FirstForm { decision: Box::new(decision), signature }),
        }
    }
}

impl SignedDecision {
    /// Signs a decision of format 2. `sign` gets the bytes and gives the signature.
    ///
    /// # Errors
    /// [`UnreadableDecision`] when it cannot be written as JSON, or is not of format 2.
    pub fn signed_by(
        decision: Decision,
        keyid: String,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, UnreadableDecision> {
        let statement = written(decision)?;
        let signature = sign(&signed_bytes(IN_TOTO, statement.as_bytes()));
        Self::try_from(Form::Envelope(Envelope::new(IN_TOTO, statement.as_bytes(), keyid, &signature)))
    }

    /// What the signature of a decision of format 2 is to be over.
    ///
    /// # Errors
    /// [`UnreadableDecision`] when it cannot be written as JSON.
    pub fn to_sign(decision: &Decision) -> Result<Vec<u8>, UnreadableDecision> {
        Ok(signed_bytes(IN_TOTO, written(decision.clone())?.as_bytes()))
    }

    /// What was decided.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The same, taken out.
    #[must_use]
    pub fn into_decision(self) -> Decision {
        self.decision
    }

    /// The signature in hexadecimal.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// The envelope; `None` for format 1.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    /// SHA-256 of what was signed: it names the decision, however it is signed. Of one decision there can be several signatures, since
    /// those of hardware are not the same each time.
    #[must_use]
    pub fn name(&self) -> String {
        self.signed_bytes().map(sha256_hex).unwrap_or_default()
    }

    /// The bytes that the signature is over; `None` where they cannot be written.
    #[must_use]
    pub fn signed_bytes(&self) -> Option<Vec<u8>> {
        match &self.envelope {
            Some(envelope) => Some(signed_bytes(IN_TOTO, &envelope.bytes()?)),
            None => canonical_json(&self.decision).ok().map(String::into_bytes),
        }
    }
}

fn written(decision: Decision) -> Result<String, UnreadableDecision> {
    canonical_json(&Statement::of(decision)).map_err(|_| UnreadableDecision("it cannot be written as JSON"))
}
