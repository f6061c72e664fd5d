//! What is hashed and signed: canonical JSON (RFC 8785) and SHA-256.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The canonical JSON of a value: keys sorted, numbers in their shortest form, no white space.
///
/// # Errors
/// When the value cannot be written as JSON, for example a map whose keys are no strings.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    serde_json_canonicalizer::to_string(value)
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes.as_ref()))
}
