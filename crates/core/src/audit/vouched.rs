//! What a line says by which a member vouches for the log as it stands.

use serde::{Deserialize, Serialize};

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::SignedDecision;

/// A member vouches for all lines up to one: for those that an older program wrote without a signature, and for the rows that were taken
/// into the log as they lay there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vouched {
    /// The last of the lines, with its hash.
    pub upto: (i64, String),
    /// By whose decision.
    pub decision: Box<SignedDecision>,
}

impl Vouched {
    /// SHA-256 of what the member was shown.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn shown(&self) -> Result<String, serde_json::Error> {
        shown_vouch(&self.upto)
    }
}

/// SHA-256 of what a member is shown who vouches for the log up to a line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn shown_vouch(upto: &(i64, String)) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        vouch_for_lines_up_to: &'a (i64, String),
    }
    canonical_json(&Shown { vouch_for_lines_up_to: upto }).map(sha256_hex)
}
