//! A member's name is removed: the line holds the member's id and the decision, and nothing of what they were called.

use serde::{Deserialize, Serialize};

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::SignedDecision;
use crate::ids::MemberId;

/// What a line says about a member whose name was removed. Its canonical JSON is what the decision shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetMember {
    /// Who.
    pub forget_member: MemberId,
}

impl ForgetMember {
    /// SHA-256 of what the member who decides was shown.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn shown(&self) -> Result<String, serde_json::Error> {
        canonical_json(self).map(sha256_hex)
    }
}

/// A line about a member whose name was removed, with the decision behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberForgotten {
    /// What was done.
    pub act: ForgetMember,
    /// By whose decision.
    pub decision: Box<SignedDecision>,
}
