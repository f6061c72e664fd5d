//! What a scope check found, as it is stored with a build report and shown at the launch gate.
//!
//! **Invariant**: only data; lists are whole, so whoever shows them cuts them and gives the counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{Change, ClaimComparison, InstrumentationFlag, Note, ScopeCounts};
use crate::scope::git::CommitId;

/// The difference between two commits, checked against the rules, the claim and the instrumentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeReport {
    pub base: CommitId,
    pub head: CommitId,
    /// True when there is no violation. Flags and a wrong claim are for the humans at the gate.
    pub is_clean: bool,
    pub counts: ScopeCounts,
    pub violations: Vec<Violation>,
    /// How the claim compares with git; `None` when nothing was claimed.
    pub claim: Option<ClaimComparison>,
    /// Changes to what will judge the experiment. They do not break a rule.
    pub instrumentation: Vec<InstrumentationFlag>,
    /// Changed paths whose lines were not compared, because they are too large, over the budget, submodules or missing.
    pub not_inspected: Vec<String>,
    pub notes: Vec<Note>,
    pub changes: Vec<Change>,
}

/// A path that the change may not touch, or a link that may not lead where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// From the repository's root, as git has it. Untrusted text.
    pub path: String,
    /// The forbidden pattern, as it was written.
    pub rule: Option<String>,
    pub reason: ViolationReason,
    /// One sentence; what comes from the repository is escaped.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViolationReason {
    /// A forbidden pattern covers the path.
    Forbidden,
    /// No allowed pattern covers the path.
    OutsideAllowed,
    /// The path is not UTF-8, so the rules, which are text, cannot vouch for it.
    NotUtf8,
    /// The name holds a character that cannot be seen or told from another.
    Deceptive,
    /// The link leads out of the repository, or into its `.git`.
    LinkLeavesRepository,
    /// The link leads to, or above, a forbidden place.
    LinkIntoForbidden,
    /// The link leads to a place that is not allowed.
    LinkOutsideAllowed,
    /// Where the link leads could not be read.
    LinkUnreadable,
}

impl ClaimComparison {
    /// True when the claim was right.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.missing_from_claim.is_empty() && self.claimed_but_unchanged.is_empty()
    }
}
