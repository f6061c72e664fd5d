//! What was built: what the builder said, and what git says about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DefaultBranch, Document};
use crate::principal::Principal;

/// A build as it was reported and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// The commit from which it was built.
    pub base: String,
    /// The default branch with which it was compared.
    #[serde(default)]
    pub default_branch: Option<DefaultBranch>,
    /// The reported commit.
    pub commit: String,
    /// The branch that pointed to it.
    #[serde(default)]
    pub branch: Option<String>,
    /// Who reported it.
    pub reported_by: Principal,
    /// What was done, in the builder's words.
    pub summary_says: String,
    /// More, in the builder's words.
    #[serde(default)]
    pub notes_say: Option<String>,
    /// The flag that was used, if the builder said so.
    #[serde(default)]
    pub claimed_flag: Option<String>,
    /// The difference as git has it.
    pub scope: BuildScope,
}

impl Document for Build {
    const NAME: &'static str = "build";
}

/// A checked difference. Lists are cut; the counts are whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildScope {
    /// True when no rule is broken.
    pub is_clean: bool,
    /// The length of each list before it was cut.
    pub counts: ScopeCounts,
    /// How the claim compares with git; absent when nothing was claimed.
    #[serde(default)]
    pub claim: Option<ClaimComparison>,
    /// Whether a changed file mentions the flag; none where that could not be read.
    #[serde(default)]
    pub uses_flag: Option<bool>,
    /// Changes to what will judge the experiment.
    #[serde(default)]
    pub instrumentation: Vec<InstrumentationFlag>,
    /// What whoever approves should know.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// What changed.
    pub changes: Vec<Change>,
}

impl BuildScope {
    /// Why there may be nothing to launch, if there is a reason to ask.
    #[must_use]
    pub fn doubt(&self) -> Option<&'static str> {
        match self.uses_flag {
            _ if self.counts.n_changes == 0 => Some("nothing differs from the default branch"),
            Some(false) => Some("no changed file mentions the flag"),
            Some(true) | None => None,
        }
    }
}

/// The length of each list of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeCounts {
    /// Entries of the difference.
    pub n_changes: usize,
    /// Entries outside of the scope.
    pub n_violations: usize,
    /// Paths that were changed and not claimed.
    pub n_missing_from_claim: usize,
    /// Paths that were claimed and not changed.
    pub n_claimed_but_unchanged: usize,
    /// Changes to what judges the experiment.
    pub n_instrumentation: usize,
    /// Entries whose content was not read.
    pub n_not_inspected: usize,
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
    /// What kind of thing.
    pub kind: NoteKind,
    /// Where, from the repository's root.
    pub path: String,
    /// The sentence to show.
    pub message: String,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A submodule changed: its content lives in another repository and was not checked.
    Submodule,
    /// The default branch is as this clone knows it, not as the remote answered just now.
    DefaultBranchUnconfirmed,
    /// The default branch does not descend from the commit that was signed at the approval.
    DefaultBranchRewritten,
    /// Another remote than at the approval.
    RemoteChanged,
    /// It came in with the default branch, and touches what the experiment is about.
    CameWithDefaultBranch,
    /// The approval to build named no commit of the default branch.
    BaseUnsigned,
    /// A file that coding agents read changed.
    AgentSettings,
    /// Nothing in the repository names the place from which exposures are read.
    ExposureNotNamed,
    /// There is more than is listed.
    NotListed,
}

/// A change to something that judges the experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstrumentationFlag {
    /// The changed file, from the repository's root.
    pub path: String,
    /// What it touches.
    pub watch: Watch,
    /// How.
    pub tampering: Tampering,
    /// How many changed lines mention it.
    pub n_lines: usize,
    /// The first of these lines, escaped and cut. Untrusted text.
    pub line: Option<String>,
}

/// Something that judges the experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watch {
    /// What kind of thing.
    pub kind: WatchKind,
    /// A name as it stands in code, or a path from the repository's root.
    pub text: String,
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatchKind {
    /// The name of an analytics event.
    Event,
    /// A table; its schema is left out, since code often does so too.
    Table,
    /// The name of a metric.
    Metric,
    /// The key of a feature flag.
    Flag,
    /// A file, such as the `outcome.yaml`: every change of it counts.
    File,
}

/// What happened to the lines that mention it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// Lines were added.
    LinesAdded,
    /// Lines were removed.
    LinesRemoved,
    /// Lines were both added and removed.
    LinesChanged,
    /// The file itself changed.
    FileTouched,
}

/// One entry of the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// From the repository's root; for a deletion the path that is gone.
    pub path: String,
    /// Where a renamed or copied file came from.
    pub old_path: Option<String>,
    /// False when a path is not UTF-8 and is shown with replacement characters.
    pub is_utf8: bool,
    /// Git's mode in octal, such as `100644`; `None` where the entry does not exist.
    pub old_mode: Option<String>,
    /// The same afterwards.
    pub new_mode: Option<String>,
    /// The object before and after: a blob, or the commit of a submodule.
    pub old_object: Option<String>,
    /// The same afterwards.
    pub new_object: Option<String>,
    /// The entry is, or was, a symbolic link.
    pub is_symlink: bool,
    /// Where the link leads now, as it is written; `None` when it is no link or could not be read.
    pub symlink_target: Option<String>,
    /// The entry is, or was, a submodule.
    pub is_submodule: bool,
}

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another path.
    Renamed,
    /// It was made from another entry.
    Copied,
    /// A file became a link or a submodule, or the other way round.
    TypeChanged,
    /// Only the mode changed: a file became executable or stopped being so.
    ModeChanged,
}
