//! What a `configuration.applied` line says.

use serde::{Deserialize, Serialize};

use crate::domain::{ConfigurationOrigin, Place, SignedDecision};

/// Another text of the outcome file counts from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationApplied {
    /// SHA-256 of the text.
    pub hash: String,
    /// SHA-256 of the one that counted before; none for the first.
    pub previous: Option<String>,
    /// Where the text came from.
    pub origin: ConfigurationOrigin,
    /// Why it may be applied.
    pub because: AppliedBecause,
    /// Where its sources and its flag service led when a member last signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// Why a text may be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AppliedBecause {
    /// A member approved the change at a gate.
    Signed {
        /// Their decision.
        decision: Box<SignedDecision>,
    },
    /// Nothing in it needs a signature.
    Free {
        /// Slugs of the outcomes that were drafts, or new: what they declare is signed when they are activated.
        drafts: Vec<String>,
    },
    /// It was in use when the workspace came from a program that applied no files.
    Adopted,
}
