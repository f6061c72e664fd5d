//! Whether git tracks a folder: what it tracks may have come with a clone, and is whatever its sender wanted.

use std::path::Path;
use std::time::Duration;

use super::command::{Git, GitOptions};
use super::index;
use crate::checkout::Checkout;
use crate::scope::path::{fold, relative_to};

/// A person or an agent waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where git has a folder, or a file in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    /// In the index: it is part of the next commit.
    InIndex,
    /// Only in the commit that is checked out.
    InHead,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Looked {
    /// Where it is tracked; `None` where it is not.
    pub found: Option<Tracked>,
    /// The commit that is checked out, where it is known and does not have it.
    pub free: Option<String>,
}

/// Where the repository around `parent` tracks `parent/name`, or something in it, in any case. `parent` is real. `None` where it
/// does not, or where there is no repository. `free`: a commit of which it is known that it does not, so that git need not be asked.
pub async fn tracked(parent: &Path, name: &str, free: Option<&str>) -> Looked {
    let Some(checkout) = Checkout::around(parent).next() else { return Looked::default() };
    let Some(place) = relative_to(&checkout.top, &parent.join(name)) else { return Looked::default() };
    let commit = checkout.commit();
    let git = Git::new(GitOptions { timeout: PATIENCE, ..GitOptions::default() }, parent.to_owned());
    let in_index = match std::fs::read(checkout.git_dir.join("index")) {
        Ok(bytes) => index::any_path(&bytes, |path| is_at(path, &place)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    };
    let in_index = match in_index {
        Some(in_index) => in_index,
        // Relative to the top, so that names are compared as they are in the index.
        None => lists(&git, ["ls-files", "-z", "--full-name"], &place).await.unwrap_or(false),
    };
    if in_index {
        return Looked { found: Some(Tracked::InIndex), free: None };
    }
    if commit.is_some() && commit.as_deref() == free {
        return Looked { found: None, free: commit };
    }
    let tree = commit.as_deref().unwrap_or("HEAD");
    match lists(&git, ["ls-tree", "-z", "--full-name", "--name-only", tree], &place).await {
        Some(true) => Looked { found: Some(Tracked::InHead), free: None },
        Some(false) => Looked { found: None, free: commit },
        None => Looked::default(),
    }
}

/// Whether git lists the place. `None` where it gives no answer: no commit yet, no git, a repository of another user.
async fn lists<const N: usize>(git: &Git, args: [&str; N], place: &str) -> Option<bool> {
    let output = git.run(args, None).await.ok().filter(|output| output.status == Some(0))?;
    let is_listed = output.stdout.split(|byte| *byte == 0).any(|path| is_at(path, place));
    Some(is_listed)
}

/// Whether `path` is `place`, or lies in it, for a file system that folds case.
fn is_at(path: &[u8], place: &str) -> bool {
    let is_in = |path: &[u8], place: &[u8]| {
        path.split_at_checked(place.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(place) && (rest.is_empty() || rest.starts_with(b"/"))
        })
    };
    if path.is_ascii() && place.is_ascii() {
        return is_in(path, place.as_bytes());
    }
    is_in(fold(&String::from_utf8_lossy(path)).as_bytes(), fold(place).as_bytes())
}
