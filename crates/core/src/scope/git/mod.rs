//! Reading a repository with the user's own `git`, plumbing only.
//!
//! **Invariant**: nothing here writes to a repository under check but a note of ours (`own.rs`) and lines in references of ours
//! (`lines.rs`), and nothing that a repository configures is run or believed: no hook, filter, external diff, replaced object, graft, ignored submodule or lazy download (`command.rs` has the
//! list). git hashes nothing that it reads, so we do (`genuine.rs`, `ancestry.rs`). A revision is never taken for an option; past [`GitRepo::resolve`] only full commit ids reach git.

mod ancestry;
mod command;
mod default_branch;
mod diff;
mod genuine;
mod index;
mod lines;
mod names;
mod objects;
mod own;
mod tracked;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::command::GitOptions;
use self::command::{Git, Output, os_string, text};
pub(super) use self::objects::Blobs;
pub use self::own::{OwnRepo, user_setting};
pub use self::tracked::{Tracked, tracked};
use crate::scope::error::ScopeError;

/// The full id of a commit, as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CommitId(String);

/// A repository, found and readable.
#[derive(Debug, Clone)]
pub struct GitRepo {
    git: Git,
    root: PathBuf,
    is_bare: bool,
}

impl GitRepo {
    /// Finds the repository that contains `path`, with the default options.
    ///
    /// # Errors
    /// See [`Self::open_with`].
    pub async fn open(path: &Path) -> Result<Self, ScopeError> {
        Self::open_with(path, GitOptions::default()).await
    }

    /// Finds the repository that contains `path`. A repository of another user is opened only when the user or the
    /// machine has named it in git's `safe.directory`.
    ///
    /// # Errors
    /// `repo_not_found`, `repo_not_trusted`, `git_unavailable`, `git_timed_out`.
    pub async fn open_with(path: &Path, options: GitOptions) -> Result<Self, ScopeError> {
        let mut git = Git::new(options, path.to_owned());
        const ASK: [&str; 3] = ["rev-parse", "--is-bare-repository", "--absolute-git-dir"];
        let mut found = git.run(ASK, None).await?;
        if found.is_refused_for_its_owner() {
            git.trust_what_the_user_trusts().await?;
            found = git.run(ASK, None).await?;
        }
        if found.is_refused_for_its_owner() {
            return Err(ScopeError::RepoNotTrusted { path: path.to_owned() });
        }
        if found.is_not_a_repository() {
            return Err(ScopeError::RepoNotFound { path: path.to_owned() });
        }
        let answer = found.success(&ASK)?;
        let (is_bare, root) = match answer.strip_prefix(b"true\n") {
            Some(git_dir) => (true, os_string(line(git_dir))),
            None => {
                const TOP: [&str; 2] = ["rev-parse", "--show-toplevel"];
                let top = git.run(TOP, None).await?;
                // Inside `.git` there is no work tree to speak of.
                if top.status != Some(0) {
                    return Err(ScopeError::RepoNotFound { path: path.to_owned() });
                }
                (false, os_string(line(&top.stdout)))
            }
        };
        let root = PathBuf::from(root);
        Ok(Self { git: git.at(root.clone()), root, is_bare })
    }

    /// The top of the work tree; of a bare repository, its own directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commit that is checked out.
    ///
    /// # Errors
    /// `repo_empty` when there is no commit at all; `revision_not_found` on a branch without one.
    pub async fn head(&self) -> Result<CommitId, ScopeError> {
        self.resolve("HEAD").await
    }

    /// The commit that `revision` names (a branch, a tag, an id, `HEAD~2`).
    ///
    /// # Errors
    /// `repo_empty` when there is no commit at all; `revision_not_found`.
    pub async fn resolve(&self, revision: &str) -> Result<CommitId, ScopeError> {
        let plausible = !revision.is_empty() && !revision.starts_with('-') && !revision.contains(['\0', '\n']);
        if plausible {
            let commit = format!("{revision}^{{commit}}");
            let output = self.git.run(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], None).await?;
            if let Some(id) = CommitId::read(&output) {
                return Ok(id);
            }
        }
        if self.is_empty().await? {
            return Err(ScopeError::RepoEmpty { path: self.root.clone() });
        }
        Err(ScopeError::RevisionNotFound { revision: revision.to_owned(), is_shallow: self.is_shallow().await? })
    }

    /// The commit with this full id.
    ///
    /// # Errors
    /// As [`Self::resolve`]; `git_object_forged` where git finds something else behind the id, such as a tag.
    pub(super) async fn exactly(&self, id: &str) -> Result<CommitId, ScopeError> {
        let commit = self.resolve(id).await?;
        if commit.as_str() == id { Ok(commit) } else { Err(ScopeError::ObjectForged { id: id.to_owned() }) }
    }

    /// The branch that is checked out; `None` when the head is detached.
    ///
    /// # Errors
    /// When git fails.
    pub async fn current_branch(&self) -> Result<Option<String>, ScopeError> {
        const ASK: [&str; 4] = ["symbolic-ref", "--quiet", "--short", "HEAD"];
        let output = self.git.run(ASK, None).await?;
        if output.status == Some(1) {
            return Ok(None);
        }
        Ok(Some(text(line(output.success(&ASK)?))))
    }

    /// The newest commit from which both descend, if there is one: a base for a branch that has fallen behind.
    ///
    /// # Errors
    /// When git fails.
    pub async fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, ScopeError> {
        let args = ["merge-base", a.as_str(), b.as_str()];
        let output = self.git.run(args, None).await?;
        if output.status == Some(1) {
            return Ok(None);
        }
        output.success(&args)?;
        Ok(CommitId::read(&output))
    }

    /// # Errors
    /// `base_not_ancestor` when `head` does not descend from `base`.
    pub(super) async fn require_ancestor(&self, base: &CommitId, head: &CommitId) -> Result<(), ScopeError> {
        if self.is_ancestor(base, head).await? { Ok(()) } else { Err(self.base_not_ancestor(base, head).await?) }
    }

    /// Whether `head` is `base`, or descends from it.
    pub(super) async fn is_ancestor(&self, base: &CommitId, head: &CommitId) -> Result<bool, ScopeError> {
        let args = ["merge-base", "--is-ancestor", base.as_str(), head.as_str()];
        let output = self.git.run(args, None).await?;
        if output.status == Some(1) {
            return Ok(false);
        }
        output.success(&args).map(|_| true)
    }

    /// The error that says what the two have in common.
    pub(super) async fn base_not_ancestor(&self, base: &CommitId, head: &CommitId) -> Result<ScopeError, ScopeError> {
        Ok(ScopeError::BaseNotAncestor {
            base: base.to_string(),
            head: head.to_string(),
            common: self.merge_base(base, head).await?.map(|id| id.to_string()),
            is_shallow: self.is_shallow().await?,
        })
    }

    /// Paths that differ from the last commit, untracked ones included; a directory without tracked files ends in `/`.
    ///
    /// Filters such as Git LFS do not run, so a filtered file that was touched may be listed although it is the same.
    /// Submodules are listed when another commit is checked out in them, not for what was edited inside.
    ///
    /// # Errors
    /// When git fails.
    pub async fn uncommitted(&self) -> Result<Vec<String>, ScopeError> {
        const ASK: [&str; 6] =
            ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=dirty"];
        if self.is_bare {
            return Ok(Vec::new());
        }
        let output = self.git.without_filters().await?.run(ASK, None).await?;
        let entries = output.success(&ASK)?.split(|byte| *byte == 0);
        // Each entry is two letters, a blank and the path.
        Ok(entries.filter_map(|entry| entry.get(3..)).map(text).collect())
    }

    async fn is_empty(&self) -> Result<bool, ScopeError> {
        // Anchors of a log are no commits of the project.
        const ASK: [&str; 5] = ["rev-list", "--exclude=refs/outcome-runtime/*", "--all", "--max-count=1", "--"];
        let output = self.git.run(ASK, None).await?;
        Ok(output.success(&ASK)?.is_empty())
    }

    async fn is_shallow(&self) -> Result<bool, ScopeError> {
        let output = self.git.run(["rev-parse", "--is-shallow-repository"], None).await?;
        Ok(output.stdout == b"true\n")
    }
}

impl CommitId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(output: &Output) -> Option<Self> {
        let id = std::str::from_utf8(line(&output.stdout)).ok()?;
        Self::from_hex(id).filter(|_| output.status == Some(0))
    }

    fn from_hex(id: &str) -> Option<Self> {
        let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| Self(id.to_owned()))
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `output` without the newline at its end.
fn line(output: &[u8]) -> &[u8] {
    output.strip_suffix(b"\n").unwrap_or(output)
}
