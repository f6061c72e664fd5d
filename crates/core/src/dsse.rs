//! The envelope of a signed document: DSSE, the Dead Simple Signing Envelope, version 1. **Invariant**: what is signed is bytes that
//! are stored as they are; nobody has to write a document again to check its signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of an in-toto Statement.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A document with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Envelope {
    /// What kind of document it is.
    pub payload_type: String,
    /// Its bytes in base64.
    pub payload: String,
    /// Who signed it.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeSignature {
    /// Name of the key, for whoever looks for it. It is not signed.
    pub keyid: String,
    /// The signature over [`signed_bytes`], in base64.
    pub sig: String,
}

impl Envelope {
    /// An envelope of `bytes` with one signature.
    #[must_use]
    pub fn new(payload_type: &str, bytes: &[u8], keyid: String, signature: &[u8]) -> Self {
        Self {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(bytes),
            signatures: vec![EnvelopeSignature { keyid, sig: STANDARD.encode(signature) }],
        }
    }

    /// The document's bytes; `None` where they are no base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.payload).ok()
    }

    /// The only signature; `None` where there is another number of them.
    #[must_use]
    pub fn signature(&self) -> Option<Vec<u8>> {
        let [only] = self.signatures.as_slice() else { return None };
        STANDARD.decode(&only.sig).ok()
    }
}

/// What is signed: type and bytes, each with its length before it, so that no two pairs are signed alike.
#[must_use]
pub fn signed_bytes(payload_type: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), bytes.len());
    [head.as_bytes(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn lengths_stand_before_what_is_signed() {
        assert_eq!(
            signed_bytes("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_gives_back_its_bytes_and_its_only_signature() {
        let envelope = Envelope::new(IN_TOTO, b"{}", "k".to_owned(), b"sig");
        assert_eq!((envelope.bytes(), envelope.signature()), (Some(b"{}".to_vec()), Some(b"sig".to_vec())));
        let mut two = envelope.clone();
        two.signatures.extend(envelope.signatures);
        assert_eq!(two.signature(), None);
        let unknown = serde_json::json!({ "payloadType": "x", "payload": "", "signatures": [], "more": 1 });
        assert!(serde_json::from_value::<Envelope>(unknown).is_err());
    }
}
