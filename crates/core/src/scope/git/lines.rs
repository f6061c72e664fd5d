//! Lines that are kept in a reference of their own: one commit each, with the line as its message and nothing in it. They never touch
//! what is checked out, and can be pushed like any other reference.

use super::command::text;
use super::default_branch::REMOTE_TIMEOUT;
use super::{CommitId, GitRepo};
use crate::scope::ScopeError;

/// Who commits: nobody's configuration is asked.
const IDENTITY: [&str; 4] = ["-c", "user.name=Outcome Runtime", "-c", "user.email=outcome-runtime@localhost"];
/// Most lines that are read.
const MAX_LINES: &str = "100000";
/// The reference is not there yet, in repositories of both formats.
const NOTHING: &str = "";

impl GitRepo {
    /// Appends a line to a reference.
    ///
    /// # Errors
    /// When git fails, or somebody else appended at the same time.
    pub async fn append_line(&self, reference: &str, line: &str) -> Result<(), ScopeError> {
        const TREE: [&str; 1] = ["mktree"];
        let tree = self.git.run(TREE, Some(Vec::new())).await?;
        let tree = text(tree.success(&TREE)?).trim().to_owned();
        let parent = self.commit_of(reference).await?.map(|commit| commit.to_string());
        let mut args = IDENTITY.to_vec();
        args.extend(["commit-tree", "--no-gpg-sign", &tree, "-m", line]);
        if let Some(parent) = &parent {
            args.extend(["-p", parent]);
        }
        let commit = self.git.run_all(&args, None).await?;
        let commit = text(commit.success(&args)?).trim().to_owned();
        let update = ["update-ref", reference, &commit, parent.as_deref().unwrap_or(NOTHING)];
        self.git.run(update, None).await?.success(&update).map(|_| ())
    }

    /// The lines of a reference with their commits, the newest first; none where it is not there.
    ///
    /// # Errors
    /// When git fails.
    pub async fn lines_of(&self, reference: &str) -> Result<Vec<(CommitId, String)>, ScopeError> {
        if self.commit_of(reference).await?.is_none() {
            return Ok(Vec::new());
        }
        let args = ["log", "--no-show-signature", "--no-notes", "-z", "--format=%H %B", "-n", MAX_LINES, reference];
        let output = self.git.run(args, None).await?;
        let entries = text(output.success(&args)?);
        let lines = entries.split('\0').filter_map(|entry| entry.trim().split_once(' '));
        Ok(lines.filter_map(|(id, line)| Some((CommitId::from_hex(id)?, line.to_owned()))).collect())
    }

    /// The commit that the remote has under a reference; `None` where it has none, or does not answer.
    pub async fn on_remote(&self, reference: &str) -> Option<CommitId> {
        let remote = self.remote().await.ok()??;
        let asking = self.git.to_remote(REMOTE_TIMEOUT);
        let args = ["ls-remote", "--", &remote.url, reference];
        let output = asking.run(args, None).await.ok()?;
        let answer = text(output.success(&args).ok()?);
        let (id, _) = answer.lines().next()?.split_once('\t')?;
        CommitId::from_hex(id)
    }
}
