//! What a change touched, and whether it was allowed to.
//!
//! An agent's list of changed files is a claim. [`check`] recomputes the difference between two commits from git,
//! compares it with the claim, checks it against the rules of `outcome.yaml` ([`ScopeRules`]) and flags lines that
//! mention what will judge the experiment. The same rules answer for a path before any commit exists (an editor hook)
//! and for the paths that a hypothesis only declares.
//!
//! **Invariant**: nothing here writes to a repository (but the notes that anchor the log), runs code that a repository configures, reaches the network, or
//! takes the rules from the commit that is being checked: the caller passes the rules of the frozen plan.

mod agents;
mod base;
mod check;
mod error;
mod exposure;
mod git;
mod instrumentation;
mod path;
mod report;
mod rules;
mod symlink;
mod territory;
#[cfg(test)]
mod tests;

pub use crate::domain::{
    Change, ChangeKind, ClaimComparison, InstrumentationFlag, Note, NoteKind, ScopeCounts, Tampering, Watch, WatchKind,
};
pub use agents::steers_an_agent;
pub use base::{Base, find_base};
pub use check::check;
pub use error::{ScopeError, ScopeList};
pub use exposure::unnamed_exposures;
pub use git::{CommitId, GitOptions, GitRepo, OwnRepo, Tracked, tracked, user_setting};
pub use instrumentation::mentions;
pub use path::{fold, relative_to};
pub use report::{ScopeReport, Violation, ViolationReason};
pub use rules::{Overlap, PathVerdict, ScopeRules, paths_overlap};
