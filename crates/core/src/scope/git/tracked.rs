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

/// Where the repository around `parent` tracks `parent/name`, or something in it, in any case. `parent` is real. `None` where it
/// does not, or where there is no repository.
pub async fn tracked(parent: &Path, name: &str) -> Option<Tracked> {
    let checkout = Checkout::around(parent).next()?;
    let place = relative_to(&checkout.top, &parent.join(name))?;
    let git = Git::new(GitOptions { timeout: PATIENCE, ..GitOptions::default() }, parent.to_owned());
    let in_index = match std::fs::read(checkout.git_dir.join("index")) {
        Ok(bytes) => index::any_path(&bytes, |path| is_at(path, &place)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    };
    let in_index = match in_index {
        Some(in_index) => in_index,
        // Relative to the top, so that names are compared as they are in the index.
        None => lists(&git, ["ls-files", "-z", "--full-name"], &place).await,
    };
    if in_index {
        return Some(Tracked::InIndex);
    }
    lists(&git, ["ls-tree", "-z", "--full-name", "--name-only", "HEAD"], &place).await.then_some(Tracked::InHead)
}

/// Whether git lists the place. Where it gives no answer (no commit yet, no git, a repository of another user) it lists nothing.
async fn lists<const N: usize>(git: &Git, args: [&str; N], place: &str) -> bool {
    let Ok(output) = git.run(args, None).await else { return false };
    output.status == Some(0) && output.stdout.split(|byte| *byte == 0).any(|path| is_at(path, place))
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
