//! Hashes of what is compared and signed.

use serde::Serialize;
use serde_json::{Value, json};

use crate::digest::{canonical_json, sha256_hex};
use crate::error::{Code, Error, Result};
use crate::store::StoredReading;

/// SHA-256 of the canonical JSON of a value.
pub(in crate::usecases) fn digest<T: Serialize>(value: &T) -> Result<String> {
    canonical_json(value)
        .map(sha256_hex)
        .map_err(|e| Error::new(Code::Internal, "a value cannot be written as canonical JSON").because(e))
}

/// SHA-256 over what a poll stored, in a fixed order.
pub(in crate::usecases) fn readings_digest(readings: &[StoredReading]) -> Result<String> {
    let line = |StoredReading { measurement: m, origin }: &StoredReading| match origin.reread_of() {
        None => json!([m.signal, m.phase, m.variant, m.window, m.read_sums(), m.query_hash, m.raw_hash]),
        Some(of) => json!([m.signal, m.phase, m.variant, m.window, m.read_sums(), m.query_hash, m.raw_hash, of]),
    };
    digest(&readings.iter().map(line).collect::<Vec<Value>>())
}
