//! Where a file really lies: links followed, and in which checkout of the repository. Read from the file system without
//! starting git, since a person waits for each edit.

use std::path::{Component, Path, PathBuf};

use outcome_core::scope::relative_to;

use crate::links::resolved;

/// The longest path that a system opens.
const MAX_PATH: usize = 4096;

/// A work tree of a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkout {
    /// Its top, with links followed.
    pub(super) top: PathBuf,
    /// The repository that all its work trees share.
    pub(super) common: PathBuf,
    /// The branch that is checked out.
    pub(super) branch: Option<String>,
}

impl Checkout {
    /// The work trees that contain `path`, the innermost first. `path` is real.
    pub(super) fn around(path: &Path) -> impl Iterator<Item = Self> + '_ {
        path.ancestors().filter_map(Self::at)
    }

    fn at(top: &Path) -> Option<Self> {
        let entry = top.join(".git");
        let kind = std::fs::metadata(&entry).ok()?;
        let git_dir = if kind.is_dir() {
            entry
        } else {
            let text = std::fs::read_to_string(&entry).ok()?;
            top.join(text.strip_prefix("gitdir:")?.trim())
        };
        let common = match std::fs::read_to_string(git_dir.join("commondir")) {
            Ok(text) => git_dir.join(text.trim()),
            Err(_) => git_dir.clone(),
        };
        let head = std::fs::read_to_string(git_dir.join("HEAD")).ok()?;
        Some(Self {
            top: top.to_path_buf(),
            common: std::fs::canonicalize(common).ok()?,
            branch: head.trim().strip_prefix("ref: refs/heads/").map(ToOwned::to_owned),
        })
    }

    /// The main work tree, seen from one that was made beside it with `git worktree`.
    pub(super) fn main_top(&self) -> Option<&Path> {
        let top = self.common.parent().filter(|_| self.common.file_name().is_some_and(|name| name == ".git"))?;
        (top != self.top).then_some(top)
    }

    /// The name of its folder.
    pub(super) fn folder(&self) -> Option<&str> {
        self.top.file_name().and_then(|name| name.to_str())
    }
}

/// What an edit of `path` touches: the entry in its folder and, where that is a link, the place to which it leads. A path
/// with `..` is taken both as the system would (links first) and as text, since programs do either.
pub(super) fn touched(path: &Path) -> Vec<PathBuf> {
    if path.as_os_str().len() > MAX_PATH {
        return vec![path.to_path_buf()];
    }
    let mut readings = vec![path.to_path_buf()];
    if path.components().any(|part| part == Component::ParentDir) {
        readings.extend(relative_to(Path::new("/"), path).map(|text| Path::new("/").join(text)));
    }
    let mut places = Vec::new();
    for reading in readings {
        let entry = match (reading.parent(), reading.file_name()) {
            (Some(parent), Some(name)) => resolved(parent).join(name),
            _ => resolved(&reading),
        };
        for place in [resolved(&reading), entry] {
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn links_are_followed_also_to_files_that_are_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("../secret/new.txt", root.join("real/dangling")).unwrap();
        symlink("circle", root.join("circle")).unwrap();

        assert_eq!(touched(&root.join("link/a/b.txt")), [root.join("real/a/b.txt")]);
        assert_eq!(
            touched(&root.join("link/dangling")),
            [root.join("secret/new.txt"), root.join("real/dangling")],
            "where it leads, and the link itself"
        );
        // The system goes up from where the link leads, a program that reads text from where it stands.
        symlink("real/deep", root.join("far")).unwrap();
        assert_eq!(touched(&root.join("far/../x")), [root.join("real/x"), root.join("x")]);
        assert_eq!(touched(&root.join("circle")), [root.join("circle")]);
        assert_eq!(touched(&root.join("no/such/../x")), [root.join("no/x")]);
        let long = root.join("a/".repeat(5000));
        assert_eq!(touched(&long), [long]);
    }
}
