//! Whether the repository holds what its ids stand for.
//!
//! git does not hash what it reads. Whoever can write in `.git/objects` can put another tree behind the id of a tree, so
//! that a change is not seen, or another parent into a commit, so that their commit counts as one of the default branch
//! (`ancestry.rs`).
//! What is signed is an id, so each object on which an answer rests is hashed here, and the answer is computed again from
//! exactly the bytes that were hashed: reading once for git and once for us would leave time for an exchange.

use std::collections::{BTreeMap, BTreeSet};

use super::{CommitId, GitRepo, command::text};
use crate::domain::{Change, ChangeKind};
use crate::scope::error::ScopeError;

/// Most pairs of trees that are compared. The same few trees can stand in each other so that they name more paths than
/// can ever be read.
const MAX_TREES: usize = 200_000;

/// One side of a changed path: the path, whether it is there after the change, its mode and its object.
type Side = (String, bool, String, String);

/// What a name in a tree stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    mode: String,
    id: String,
}

impl GitRepo {
    /// Checks that `changes` are what differs between the trees of two commits.
    ///
    /// # Errors
    /// `git_object_forged`; `git_output_invalid` when the trees say something else.
    pub(super) async fn require_genuine_changes(
        &self,
        base: &CommitId,
        head: &CommitId,
        changes: &[Change],
    ) -> Result<(), ScopeError> {
        let mut claimed: Vec<Side> = changes.iter().flat_map(sides).collect();
        let mut found = self.changed_sides(Some(base), head).await?;
        claimed.sort_unstable();
        found.sort_unstable();
        if claimed == found {
            Ok(())
        } else {
            Err(invalid("diff-tree", "the trees of the two commits differ in other paths"))
        }
    }

    /// Path and object of every symbolic link in the tree of `commit` whose path is UTF-8.
    ///
    /// # Errors
    /// As above.
    pub(in crate::scope) async fn links(&self, commit: &CommitId) -> Result<Vec<(String, String)>, ScopeError> {
        let entries = self.changed_sides(None, commit).await?.into_iter();
        let links = entries.filter(|(path, _, mode, _)| mode == LINK && !path.contains(char::REPLACEMENT_CHARACTER));
        Ok(links.map(|(path, _, _, id)| (path, id)).collect())
    }

    /// Every path that is not the same on both sides, level by level; without a base everything that is there.
    async fn changed_sides(&self, base: Option<&CommitId>, head: &CommitId) -> Result<Vec<Side>, ScopeError> {
        let old = match base {
            Some(base) => Some(self.tree_of(base).await?),
            None => None,
        };
        let mut level = vec![(String::new(), old, Some(self.tree_of(head).await?))];
        let (mut found, mut n_trees) = (Vec::new(), 0);
        while !level.is_empty() {
            n_trees += level.len();
            if n_trees > MAX_TREES {
                return Err(invalid("cat-file", "more trees than can be compared"));
            }
            let mut ids: Vec<&str> =
                level.iter().flat_map(|(_, old, new)| [old, new]).flatten().map(String::as_str).collect();
            ids.sort_unstable();
            ids.dedup();
            let trees = self.objects(&ids, "tree").await?;
            let mut below = Vec::new();
            for (path, old, new) in &level {
                let entries = |id: &Option<String>| match id.as_ref().and_then(|id| Some((id, trees.get(id)?))) {
                    Some((id, content)) => read_tree(content, id.len() / 2)
                        .ok_or_else(|| invalid("cat-file", &format!("the tree {id} cannot be read"))),
                    None => Ok(BTreeMap::new()),
                };
                compare(path, &entries(old)?, &entries(new)?, &mut found, &mut below);
            }
            level = below;
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn tree_of(&self, commit: &CommitId) -> Result<String, ScopeError> {
        let objects = self.objects(&[commit.as_str()], "commit").await?;
        let tree = objects.values().next().and_then(|content| headers(content, "tree").pop());
        tree.ok_or_else(|| invalid("cat-file", "a commit without a tree"))
    }
}

/// Whether `content` is what `id` stands for: SHA-1, or SHA-256 for the longer ids. Content that was made to have the same
/// SHA-1 as another is none.
pub(super) fn is_genuine(id: &str, kind: &str, content: &[u8]) -> bool {
    let header = format!("{kind} {}\0", content.len());
    match id.len() {
        40 => {
            use sha1_checked::Digest as _;
            let mut hasher = sha1_checked::Sha1::new();
            hasher.update(&header);
            hasher.update(content);
            let result = hasher.try_finalize();
            !result.has_collision() && hex::encode(result.hash()) == id
        }
        64 => {
            use sha2::Digest as _;
            hex::encode(sha2::Sha256::new().chain_update(&header).chain_update(content).finalize()) == id
        }
        _ => false,
    }
}

pub(super) fn invalid(command: &str, problem: &str) -> ScopeError {
    ScopeError::GitOutputInvalid { command: command.to_owned(), problem: problem.to_owned() }
}

/// The values of a header of a commit; they end at the first empty line.
pub(super) fn headers(commit: &[u8], name: &str) -> Vec<String> {
    let lines = commit.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b" ")).map(text).collect()
}

/// Reads `<mode> <name>\0<id>`, again and again. A name that stands there twice is no tree that git makes.
fn read_tree(mut rest: &[u8], id_bytes: usize) -> Option<BTreeMap<Vec<u8>, Entry>> {
    let mut entries = BTreeMap::new();
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ')?;
        let mode = u32::from_str_radix(std::str::from_utf8(rest.get(..blank)?).ok()?, 8).ok()?;
        rest = rest.get(blank + 1..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = rest.get(..end)?.to_vec();
        let id = hex::encode(rest.get(end + 1..end + 1 + id_bytes)?);
        rest = rest.get(end + 1 + id_bytes..)?;
        if entries.insert(name, Entry { mode: canonical(mode).to_owned(), id }).is_some() {
            return None;
        }
    }
    Some(entries)
}

/// The mode as git shows it: old programs wrote others into trees.
fn canonical(mode: u32) -> &'static str {
    match mode & 0o170_000 {
        0o100_000 if mode & 0o100 != 0 => "100755",
        0o100_000 => "100644",
        0o120_000 => LINK,
        0o040_000 => TREE,
        _ => "160000",
    }
}

const TREE: &str = "040000";
const LINK: &str = "120000";

impl Entry {
    fn is_tree(&self) -> bool {
        self.mode == TREE
    }
}

type Pair = (String, Option<String>, Option<String>);

/// What two trees at `path` differ in: what is no tree is found, pairs of trees are left for the next level.
fn compare(
    path: &str,
    old: &BTreeMap<Vec<u8>, Entry>,
    new: &BTreeMap<Vec<u8>, Entry>,
    found: &mut Vec<Side>,
    below: &mut Vec<Pair>,
) {
    let names: BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let place = if path.is_empty() { text(name) } else { format!("{path}/{}", text(name)) };
        for (entry, is_after) in [(before, false), (after, true)] {
            if let Some(entry) = entry.filter(|entry| !entry.is_tree()) {
                found.push((place.clone(), is_after, entry.mode.clone(), entry.id.clone()));
            }
        }
        let tree = |entry: Option<&Entry>| entry.filter(|entry| entry.is_tree()).map(|entry| entry.id.clone());
        let (before, after) = (tree(before), tree(after));
        // A tree of which only the mode was written in another way is the same.
        if before != after {
            below.push((place, before, after));
        }
    }
}

/// The sides of a change, without what git makes of it: a rename is one path that is gone and one that is new.
fn sides(change: &Change) -> Vec<Side> {
    let side = |path: &String, is_after: bool, mode: &Option<String>, id: &Option<String>| {
        Some((path.clone(), is_after, mode.clone()?, id.clone()?))
    };
    let is_copy = change.kind == ChangeKind::Copied;
    let from = change.old_path.as_ref().unwrap_or(&change.path);
    let old = side(from, false, &change.old_mode, &change.old_object).filter(|_| !is_copy);
    old.into_iter().chain(side(&change.path, true, &change.new_mode, &change.new_object)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_what_its_id_stands_for_in_both_formats() {
        // What `git hash-object --stdin` says of "hello\n", and of the same in a repository with `--object-format=sha256`.
        let sha1 = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha256 = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
        for id in [sha1, sha256] {
            assert!(is_genuine(id, "blob", b"hello\n"), "{id}");
            assert!(!is_genuine(id, "blob", b"hello!\n"), "{id}");
            assert!(!is_genuine(id, "tree", b"hello\n"), "{id}");
        }
        assert!(!is_genuine("ce01", "blob", b"hello\n"));
    }

    #[test]
    fn a_tree_that_names_something_twice_or_ends_early_is_none() {
        let entry = |mode: &str, name: &str| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &[7; 20]].concat();
        let tree = [entry("100664", "a"), entry("40000", "b")].concat();
        let read = read_tree(&tree, 20).unwrap();
        let modes: Vec<&str> = read.values().map(|entry| entry.mode.as_str()).collect();
        assert_eq!(modes, ["100644", TREE]);
        assert_eq!(read_tree(&[entry("100644", "a"), entry("40000", "a")].concat(), 20), None);
        assert_eq!(read_tree(tree.get(..tree.len() - 1).unwrap(), 20), None);
    }

    #[test]
    fn what_a_message_says_is_no_header() {
        let commit = b"tree aa\nparent bb\nparent cc\nauthor x\n\nparent dd\n";
        assert_eq!(headers(commit, "parent"), ["bb", "cc"]);
        assert_eq!(headers(commit, "tree"), ["aa"]);
    }
}
