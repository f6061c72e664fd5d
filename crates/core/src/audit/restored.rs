//! What a line says that goes on from a backup.

use serde::{Deserialize, Serialize};

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::SignedDecision;

/// The log goes on from a backup: lines that somebody saw are gone, and a member says that this is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// From which backup, in the member's words.
    pub backup: String,
    /// The last line that was seen before, with its hash.
    pub lost: (i64, String),
    /// By whose decision.
    pub decision: Box<SignedDecision>,
}

impl Restored {
    /// SHA-256 of what the member was shown.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn shown(&self) -> Result<String, serde_json::Error> {
        shown_restore(&self.backup, &self.lost)
    }
}

/// SHA-256 of what a member is shown who goes on from a backup.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn shown_restore(backup: &str, lost: &(i64, String)) -> Result<String, serde_json::Error> {
    canonical_json(&(backup, lost)).map(sha256_hex)
}
