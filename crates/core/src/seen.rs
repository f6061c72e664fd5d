//! What this account saw last of a workspace's log: kept beside the database and not with it, so that a store that is put back to an
//! older state, or made anew, is found.
//!
//! Whoever can write in the account's own folder can write here too. It catches what happens to the store alone.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;
use crate::ids::WorkspaceId;
use crate::stores::WorkspaceFile;

/// The last line of a log that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenHead {
    /// Number of the line.
    pub seq: i64,
    /// Its hash.
    pub head: String,
}

/// The folder where it is kept.
#[derive(Debug, Clone)]
pub struct Seen(PathBuf);

impl Seen {
    /// In this folder, which is made when something is kept.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The file about a workspace's log.
    #[must_use]
    pub fn file_of(&self, workspace: WorkspaceId) -> PathBuf {
        self.0.join("logs").join(format!("{workspace}.json"))
    }

    /// The file about a folder's workspace.
    #[must_use]
    pub fn file_of_root(&self, root: &Path) -> PathBuf {
        self.0.join("folders").join(format!("{}.json", sha256_hex(root.to_string_lossy().as_ref())))
    }

    /// The last line that was seen of this log.
    #[must_use]
    pub fn head(&self, workspace: WorkspaceId) -> Option<SeenHead> {
        read(&self.file_of(workspace))
    }

    /// The file with the anchors of a workspace's log.
    #[must_use]
    pub fn anchors_of(&self, workspace: WorkspaceId) -> PathBuf {
        self.0.join("logs").join(format!("{workspace}.anchors.jsonl"))
    }

    /// Keeps an anchor. That it cannot be kept is no reason to fail: it is only logged.
    pub fn keep_anchor(&self, workspace: WorkspaceId, line: &str) {
        let path = self.anchors_of(workspace);
        if let Err(error) = append(&path, line) {
            tracing::debug!("{} could not be written: {error}", path.display());
        }
    }

    /// The workspace that this folder held when it was last used.
    #[must_use]
    pub fn workspace_of(&self, root: &Path) -> Option<WorkspaceFile> {
        read(&self.file_of_root(root))
    }

    /// The commit of which it was found last that it does not contain the workspace's folder.
    #[must_use]
    pub fn free_commit(&self, root: &Path) -> Option<String> {
        read(&self.file_of_commit(root))
    }

    /// Remembers such a commit.
    pub fn keep_free_commit(&self, root: &Path, commit: &str) {
        keep(&self.file_of_commit(root), &commit);
    }

    fn file_of_commit(&self, root: &Path) -> PathBuf {
        self.0.join("commits").join(format!("{}.json", sha256_hex(root.to_string_lossy().as_ref())))
    }

    /// Remembers the last line of a log. That it cannot be remembered is no reason to fail: it is only logged.
    pub fn keep_head(&self, workspace: WorkspaceId, seq: i64, head: &str) {
        keep(&self.file_of(workspace), &SeenHead { seq, head: head.to_owned() });
    }

    /// Remembers which workspace a folder holds.
    pub fn keep_workspace(&self, root: &Path, seen: &WorkspaceFile) {
        if self.workspace_of(root).as_ref() != Some(seen) {
            keep(&self.file_of_root(root), seen);
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    make_folder(path.parent().unwrap_or(Path::new(".")))?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// A folder that only this account can look into.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut options = std::fs::DirBuilder::new();
    options.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut options, 0o700);
    options.create(folder)
}

/// Written beside its place and renamed, so that nobody reads half of it.
fn keep<T: Serialize>(path: &Path, value: &T) {
    let written = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        make_folder(folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&file, value)?;
        file.persist(path)?;
        Ok(())
    };
    if let Err(error) = written() {
        tracing::debug!("{} could not be written: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_and_what_is_not_there_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen::in_folder(dir.path().join("state"));
        let id = WorkspaceId(uuid::Uuid::from_u128(7));
        assert_eq!(seen.head(id), None);
        seen.keep_head(id, 3, "abc");
        seen.keep_head(id, 4, "def");
        assert_eq!(seen.head(id), Some(SeenHead { seq: 4, head: "def".to_owned() }));
        let workspace = WorkspaceFile { workspace: id, root_fingerprint: "r".to_owned() };
        seen.keep_workspace(Path::new("/shop"), &workspace);
        assert_eq!(seen.workspace_of(Path::new("/shop")), Some(workspace));
        assert_eq!(seen.workspace_of(Path::new("/other")), None);
    }
}
