//! The checkouts of a git repository: its main one, and those that `git worktree` made beside it. Read from the file system
//! without starting git: this is asked before each edit, and before it is known which repository may be trusted.

use std::path::{Component, Path, PathBuf};

/// What a `HEAD` file says where the references are kept in a reftable: only git knows the branch then.
const UNTOLD: &str = ".invalid";

/// A work tree of a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Its top, with links followed.
    pub top: PathBuf,
    /// What git keeps for this work tree alone, such as its index.
    pub git_dir: PathBuf,
    /// The repository that all its work trees share.
    pub common: PathBuf,
    /// What is checked out.
    pub head: CheckedOut,
}

/// What a checkout is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedOut {
    /// A branch.
    Branch(String),
    /// A commit, and no branch.
    Detached,
    /// It does not stand in a file: git has to be asked.
    Untold,
}

impl Checkout {
    /// The work trees that contain `path`, the innermost first. `path` is real.
    pub fn around(path: &Path) -> impl Iterator<Item = Self> + '_ {
        path.ancestors().filter_map(Self::at)
    }

    fn at(top: &Path) -> Option<Self> {
        let entry = top.join(".git");
        let kind = std::fs::metadata(&entry).ok()?;
        let git_dir = if kind.is_dir() {
            entry.clone()
        } else {
            let text = std::fs::read_to_string(&entry).ok()?;
            top.join(text.strip_prefix("gitdir:")?.trim())
        };
        let common = match std::fs::read_to_string(git_dir.join("commondir")) {
            Ok(text) => {
                // The repository has to know of this work tree: otherwise a file in any folder could claim to be one.
                let back = std::fs::read_to_string(git_dir.join("gitdir")).ok()?;
                let back = git_dir.join(back.trim()).canonicalize().ok()?;
                if back != entry.canonicalize().ok()? {
                    return None;
                }
                git_dir.join(text.trim())
            }
            Err(_) => git_dir.clone(),
        };
        let head = std::fs::read_to_string(git_dir.join("HEAD")).ok()?;
        let head = match head.trim().strip_prefix("ref: refs/heads/") {
            Some(UNTOLD) => CheckedOut::Untold,
            Some(branch) => CheckedOut::Branch(branch.to_owned()),
            None => CheckedOut::Detached,
        };
        Some(Self { top: top.to_path_buf(), git_dir, common: std::fs::canonicalize(common).ok()?, head })
    }

    /// The main work tree, seen from one that was made beside it with `git worktree`. Where the repository is bare and all
    /// its work trees lie beside it, the folder that holds them.
    #[must_use]
    pub fn main_top(&self) -> Option<&Path> {
        let top = self.common.parent()?;
        let is_named = || self.common.file_name().is_some_and(|name| name == ".git");
        // `.git` may be a file that names the repository, such as `.bare`.
        let is_pointed_at = || {
            let text = std::fs::read_to_string(top.join(".git")).ok()?;
            top.join(text.strip_prefix("gitdir:")?.trim()).canonicalize().ok()
        };
        let is_main = is_named() || is_pointed_at().is_some_and(|common| common == self.common);
        (is_main && top != self.top).then_some(top)
    }

    /// The full id of the commit that is checked out, where it stands in a file; else git has to be asked.
    #[must_use]
    pub fn commit(&self) -> Option<String> {
        let id = match &self.head {
            CheckedOut::Detached => std::fs::read_to_string(self.git_dir.join("HEAD")).ok()?,
            CheckedOut::Branch(branch) => self.commit_of(branch)?,
            CheckedOut::Untold => return None,
        };
        let id = id.trim();
        let is_id = [40, 64].contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| id.to_owned())
    }

    fn commit_of(&self, branch: &str) -> Option<String> {
        let is_plain = Path::new(branch).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain {
            return None;
        }
        if let Ok(id) = std::fs::read_to_string(self.common.join("refs/heads").join(branch)) {
            return Some(id);
        }
        let packed = std::fs::read_to_string(self.common.join("packed-refs")).ok()?;
        let name = format!(" refs/heads/{branch}");
        packed.lines().find_map(|line| line.strip_suffix(&name)).map(ToOwned::to_owned)
    }

    /// The name of its folder.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        self.top.file_name().and_then(|name| name.to_str())
    }
}

/// Whether `folder` lies in a linked work tree of the repository in which `root` lies.
#[must_use]
pub fn is_work_tree_of(folder: &Path, root: &Path) -> bool {
    let around = |path: &Path| Checkout::around(&path.canonicalize().ok()?).next();
    match (around(folder), around(root)) {
        (Some(here), Some(there)) => here.main_top().is_some() && here.common == there.common,
        _ => false,
    }
}

/// The same folder in the main checkout, for a folder in a linked work tree.
#[must_use]
pub fn in_main_checkout(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let checkout = Checkout::around(&folder).next()?;
    let below = folder.strip_prefix(&checkout.top).ok()?;
    Some(checkout.main_top()?.join(below))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn git(folder: &Path, args: &[&str]) {
        let identity = ["-c", "user.name=Kim", "-c", "user.email=kim@example.com", "-c", "commit.gpgSign=false"];
        let ran = std::process::Command::new("git").current_dir(folder).args(identity).args(args).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    #[test]
    fn work_trees_of_a_bare_repository_share_the_folder_that_holds_them() {
        for name in [".git", ".bare"] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap();
            git(&root, &["init", "-q", "-b", "main", "source"]);
            git(&root.join("source"), &["commit", "-q", "--allow-empty", "-m", "First"]);
            let project = root.join("project");
            std::fs::create_dir(&project).unwrap();
            git(&project, &["clone", "-q", "--bare", "../source", name]);
            if name != ".git" {
                std::fs::write(project.join(".git"), format!("gitdir: ./{name}\n")).unwrap();
            }
            for tree in ["one", "two"] {
                git(&project, &["worktree", "add", "-q", "-b", tree, tree]);
                assert_eq!(in_main_checkout(&project.join(tree)), Some(project.clone()), "{name} {tree}");
            }
        }
    }

    #[test]
    fn the_commit_is_read_as_git_says_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let here = || Checkout::around(&root).next().unwrap();
        git(&root, &["init", "-q", "-b", "feature/one"]);
        assert_eq!(here().commit(), None, "there is none yet");
        git(&root, &["commit", "-q", "--allow-empty", "-m", "First"]);
        let asked = || {
            let ran =
                std::process::Command::new("git").current_dir(&root).args(["rev-parse", "HEAD"]).output().unwrap();
            Some(String::from_utf8(ran.stdout).unwrap().trim().to_owned())
        };
        assert_eq!(here().commit(), asked());
        git(&root, &["pack-refs", "--all"]);
        assert!(!root.join(".git/refs/heads/feature/one").exists());
        assert_eq!(here().commit(), asked(), "packed");
        git(&root, &["checkout", "-q", "--detach"]);
        assert_eq!(here().commit(), asked(), "detached");
        std::fs::write(root.join(".git/HEAD"), "ref: refs/heads/../../HEAD\n").unwrap();
        assert_eq!(here().commit(), None, "no path out of the references");
    }

    #[test]
    fn a_submodule_belongs_to_no_other_checkout() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["shop", "library"] {
            git(&root, &["init", "-q", "-b", "main", name]);
            git(&root.join(name), &["commit", "-q", "--allow-empty", "-m", "First"]);
        }
        let add = ["-c", "protocol.file.allow=always", "submodule", "add", "-q", "../library", "library"];
        git(&root.join("shop"), &add);
        assert_eq!(in_main_checkout(&root.join("shop/library")), None);
    }
}
