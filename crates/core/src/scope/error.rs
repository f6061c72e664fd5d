//! Why a scope check could not be made. A violation is not an error: it is an answer, in the report.

use std::{fmt, path::PathBuf, time::Duration};

use crate::error::{Code, Error};
use crate::scope::path::shown;

/// The list of `outcome.yaml` in which a pattern stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeList {
    Allowed,
    Forbidden,
}

impl fmt::Display for ScopeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed_paths",
            Self::Forbidden => "forbidden_paths",
        })
    }
}

/// Why the scope of a change could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// `index` counts from zero; `problem` is a clause that follows "the pattern".
    #[error("`scope.{list}[{index}]`: the pattern `{}` {problem}", shown(pattern))]
    PatternInvalid { list: ScopeList, index: usize, pattern: String, problem: String },
    #[error("the patterns of `scope.{list}` are too large to match together")]
    PatternsTooLarge { list: ScopeList },
    #[error("`{}` is not in a git repository", shown(&path.to_string_lossy()))]
    RepoNotFound { path: PathBuf },
    #[error("git does not trust the repository at `{}`: it belongs to another user", shown(&path.to_string_lossy()))]
    RepoNotTrusted { path: PathBuf },
    #[error("the repository at `{}` has no commit yet", shown(&path.to_string_lossy()))]
    RepoEmpty { path: PathBuf },
    #[error("nothing says which branch of the repository at `{}` is the default one", shown(&path.to_string_lossy()))]
    DefaultBranchUnknown { path: PathBuf },
    #[error("`{}` does not name a commit of this repository", shown(revision))]
    RevisionNotFound { revision: String, is_shallow: bool },
    /// `common` is the newest commit from which both descend, if there is one.
    #[error("the base {base} is not an ancestor of the head {head}")]
    BaseNotAncestor { base: String, head: String, common: Option<String>, is_shallow: bool },
    /// More than one commit is the newest that both have; `is_shallow`: perhaps only because history is cut off.
    #[error(
        "{base} is not the only newest commit that the head and the default branch have in common: {other} is none of its ancestors"
    )]
    BaseAmbiguous { base: String, other: String, is_shallow: bool },
    /// `passed_over`: one that is on the `PATH` in a place where others may have put it.
    #[error("no git was found in a trusted place{}", passed_over.as_ref().map(|path| format!(" (not taken: {})", shown(&path.to_string_lossy()))).unwrap_or_default())]
    GitUntrusted { passed_over: Option<PathBuf> },
    #[error("could not start git")]
    GitUnavailable {
        #[source]
        cause: std::io::Error,
    },
    #[error("`git {command}` did not finish within {timeout:?}")]
    GitTimedOut { command: String, timeout: Duration },
    /// `stderr` is cut; `status` is empty when a signal ended the program.
    #[error("`git {command}` failed{}: {stderr}", status.map(|s| format!(" with status {s}")).unwrap_or_default())]
    GitFailed { command: String, status: Option<i32>, stderr: String },
    #[error("could not communicate with `git {command}`")]
    GitPipe {
        command: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("`git {command}` wrote more than {limit_bytes} bytes")]
    GitOutputTooLarge { command: String, limit_bytes: u64 },
    #[error("`git {command}` gave an unexpected answer: {problem}")]
    GitOutputInvalid { command: String, problem: String },
    #[error("the object {id} of this repository does not have the content that its id stands for")]
    ObjectForged { id: String },
}

impl ScopeError {
    /// Stable code, documented in `docs/errors.md`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PatternInvalid { .. } | Self::PatternsTooLarge { .. } => "scope_pattern_invalid",
            Self::RepoNotFound { .. } => "repo_not_found",
            Self::RepoNotTrusted { .. } => "repo_not_trusted",
            Self::RepoEmpty { .. } => "repo_empty",
            Self::DefaultBranchUnknown { .. } => "default_branch_unknown",
            Self::RevisionNotFound { .. } => "revision_not_found",
            Self::BaseNotAncestor { .. } | Self::BaseAmbiguous { .. } => "base_not_ancestor",
            Self::GitUnavailable { .. } | Self::GitUntrusted { .. } => "git_unavailable",
            Self::GitTimedOut { .. } => "git_timed_out",
            Self::GitFailed { .. } | Self::GitPipe { .. } => "git_failed",
            Self::GitOutputTooLarge { .. } => "git_output_too_large",
            Self::GitOutputInvalid { .. } => "git_output_invalid",
            Self::ObjectForged { .. } => "git_object_forged",
        }
    }

    /// What the reader can do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        const SHALLOW: &str = "The clone is shallow: fetch the whole history first (`git fetch --unshallow`, or \
                               `fetch-depth: 0` in actions/checkout).";
        let hint = match self {
            Self::PatternInvalid { .. } => {
                "Write patterns as in .gitignore, from the repository's root: `services/payments/`, `*.sql`.".to_owned()
            }
            Self::PatternsTooLarge { .. } => "Use fewer or simpler patterns.".to_owned(),
            Self::RepoNotFound { .. } => "Run this inside a git repository, or name a repository.".to_owned(),
            Self::RepoNotTrusted { path } => format!(
                "Run this as its owner or, if you trust it: git config --global --add safe.directory '{}'",
                shown(&path.to_string_lossy())
            ),
            Self::RepoEmpty { .. } => "Create a first commit.".to_owned(),
            Self::DefaultBranchUnknown { .. } => {
                "Name it `main`, `master`, `trunk` or `develop`, or add a remote named \
                `origin`: what was built is compared with the default branch, never with what is checked out."
                    .to_owned()
            }
            Self::RevisionNotFound { is_shallow: true, .. }
            | Self::BaseNotAncestor { is_shallow: true, .. }
            | Self::BaseAmbiguous { is_shallow: true, .. } => SHALLOW.to_owned(),
            Self::BaseAmbiguous { .. } => {
                "Merge the default branch into the work, so that there is one, and report that commit.".to_owned()
            }
            Self::RevisionNotFound { .. } => {
                "Name a commit, branch or tag that exists here; `git fetch` may be needed first.".to_owned()
            }
            Self::BaseNotAncestor { common: Some(common), .. } => format!(
                "The head was rebased, or the base has changed. Both descend from {common}: rebase the head \
                 onto the base, or use that commit as the base."
            ),
            Self::BaseNotAncestor { common: None, .. } => {
                "The two commits share no history: check that both come from this repository.".to_owned()
            }
            Self::GitUnavailable { .. } => "Install git with the system's package manager.".to_owned(),
            Self::GitUntrusted { .. } => {
                "Install git with the system's package manager, or put its folder on the PATH: an \
                absolute one that only you or root can write, outside of repositories and temporary folders."
                    .to_owned()
            }
            Self::GitTimedOut { .. } => "Try again; if it stays slow, `git gc` may help.".to_owned(),
            Self::GitOutputTooLarge { .. } => "The change is too large to be checked: split it.".to_owned(),
            Self::ObjectForged { .. } => {
                "A program wrote into `.git/objects`, or the disk is damaged: `git fsck` lists what is wrong. Decide in a \
                fresh clone of the remote."
                    .to_owned()
            }
            Self::GitFailed { .. } | Self::GitPipe { .. } | Self::GitOutputInvalid { .. } => return None,
        };
        Some(hint)
    }
}

impl From<ScopeError> for Error {
    fn from(error: ScopeError) -> Self {
        let code = Code::parse(error.code()).unwrap_or(Code::GitFailed);
        let mut out = Self::new(code, error.to_string());
        if let Some(hint) = error.hint() {
            out = out.hint(hint);
        }
        match std::error::Error::source(&error) {
            Some(cause) => out.because(Cause(cause.to_string())),
            None => out,
        }
    }
}

/// What the cause of a [`ScopeError`] says: the error only lends it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(String);
