//! What this program does with git in its own or the user's name: a file at a commit, the notes that anchor the log, a
//! setting of the user's, and repositories that it made itself.

use std::path::{Path, PathBuf};

use super::command::{Git, GitOptions, text};
use super::{CommitId, GitRepo};
use crate::scope::error::ScopeError;

/// Most notes that are read, from the newest commit.
const MAX_NOTES: &str = "2000";

impl GitRepo {
    /// The text of a file at a commit; `None` when it is not there. The path is absolute, or begins at the repository's root. Neither
    /// filters nor text conversions run.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn file_at(&self, commit: &CommitId, path: &Path) -> Result<Option<String>, ScopeError> {
        let Some(path) = self.inside(path) else { return Ok(None) };
        let object = format!("{commit}:{}", path.display());
        let output = self.git.run(["cat-file", "blob", &object], None).await?;
        Ok((output.status == Some(0)).then(|| text(&output.stdout)))
    }

    /// A path as it begins at the repository's root; `None` for one outside.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        if path.is_relative() {
            return Some(path.to_path_buf());
        }
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        // The file itself may be gone from the work tree.
        let folder = real(path.parent()?);
        folder.strip_prefix(real(self.root())).ok().and_then(|folder| Some(folder.join(path.file_name()?)))
    }

    /// Appends a line to the note of a commit, in the user's name.
    ///
    /// # Errors
    /// When git cannot write it.
    pub async fn note_append(&self, reference: &str, commit: &CommitId, line: &str) -> Result<(), ScopeError> {
        let reference = format!("--ref={reference}");
        let args = ["notes", &reference, "append", "-m", line, commit.as_str()];
        self.git.as_user().run(args, None).await?.success(&args).map(|_| ())
    }

    /// The lines of all notes under a reference.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn note_lines(&self, reference: &str) -> Result<Vec<String>, ScopeError> {
        let notes = format!("--notes={reference}");
        let output = self.git.run(["log", &notes, "--format=%N", "-n", MAX_NOTES], None).await?;
        Ok(text(&output.stdout).lines().map(ToOwned::to_owned).collect())
    }
}

/// A setting of git as the user has it in `folder`; `None` when there is none, or no git.
pub async fn user_setting(folder: &Path, key: &str) -> Option<String> {
    let git = Git::new(GitOptions::default(), folder.to_owned()).as_user();
    let output = git.run(["config", "--get", key], None).await.ok()?;
    let value = text(&output.stdout).trim().to_owned();
    (output.status == Some(0) && !value.is_empty()).then_some(value)
}

/// A repository that this program made, where it may do everything; it commits under a name of its own.
#[derive(Debug, Clone)]
pub struct OwnRepo {
    git: Git,
}

impl OwnRepo {
    /// Makes a repository in `root`, on the branch `main`.
    ///
    /// # Errors
    /// When git fails.
    pub async fn init(root: PathBuf) -> Result<Self, ScopeError> {
        let repo = Self::at(root);
        repo.run(&["init", "-q", "-b", "main"]).await?;
        Ok(repo)
    }

    /// The one that was made in `root`.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { git: Git::new(GitOptions::default(), root) }
    }

    /// Commits everything, and gives the commit.
    ///
    /// # Errors
    /// When git fails.
    pub async fn commit_all(&self, message: &str) -> Result<String, ScopeError> {
        self.run(&["add", "-A"]).await?;
        self.run(&["commit", "-q", "-m", message]).await?;
        self.run(&["rev-parse", "HEAD"]).await
    }

    /// Runs one command, and gives what it wrote.
    ///
    /// # Errors
    /// When git fails.
    pub async fn run(&self, args: &[&str]) -> Result<String, ScopeError> {
        const IDENTITY: [&str; 6] =
            ["-c", "user.name=demo", "-c", "user.email=demo@example.com", "-c", "commit.gpgsign=false"];
        let output = self.git.run_all(&[&IDENTITY, args].concat(), None).await?;
        Ok(text(output.success(args)?).trim().to_owned())
    }
}
