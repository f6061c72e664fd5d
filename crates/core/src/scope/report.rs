//! What a scope check found, as it is stored with a build report and shown at the launch gate.
//!
//! **Invariant**: only data; lists are whole, so whoever shows them cuts them and gives the counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scope::{
    git::{Change, CommitId},
    instrumentation::InstrumentationFlag,
};

/// The difference between two commits, held against the rules, the claim and the instrumentation.
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

/// The length of each list of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeCounts {
    pub n_changes: usize,
    pub n_violations: usize,
    pub n_missing_from_claim: usize,
    pub n_claimed_but_unchanged: usize,
    pub n_instrumentation: usize,
    pub n_not_inspected: usize,
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
    /// The link leads out of the repository, or into its `.git`.
    LinkLeavesRepository,
    /// The link leads to, or above, a forbidden place.
    LinkIntoForbidden,
    /// The link leads to a place that is not allowed.
    LinkOutsideAllowed,
    /// Where the link leads could not be read.
    LinkUnreadable,
}

/// Differences between what was said to be changed and what was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimComparison {
    /// Changed, but not claimed. Both paths of a rename count.
    pub missing_from_claim: Vec<String>,
    /// Claimed, but not changed; as claimed.
    pub claimed_but_unchanged: Vec<String>,
}

/// Something that whoever approves should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    pub kind: NoteKind,
    pub path: String,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A submodule changed: its content lives in another repository and was not checked.
    Submodule,
}

impl ClaimComparison {
    /// True when the claim was right.
    pub fn is_exact(&self) -> bool {
        self.missing_from_claim.is_empty() && self.claimed_but_unchanged.is_empty()
    }
}
