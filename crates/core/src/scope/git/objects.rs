//! The content of objects, within limits.

use std::collections::{BTreeMap, BTreeSet};

use super::{CommitId, GitRepo, command::text, diff::is_link};
use crate::scope::error::ScopeError;

const BATCH: &str = "--batch";
const SIZES: &str = "--batch-check=%(objectname) %(objecttype) %(objectsize)";

/// What could be read, by object id. What is missing was too large, over the budget, no blob, or not there.
pub(in crate::scope) type Blobs = BTreeMap<String, Vec<u8>>;

impl GitRepo {
    /// Reads blobs of up to `each_bytes`, in the order given, until `total_bytes` are used up.
    ///
    /// # Errors
    /// When git fails.
    pub(in crate::scope) async fn blobs(
        &self,
        ids: Vec<&str>,
        each_bytes: u64,
        total_bytes: u64,
    ) -> Result<Blobs, ScopeError> {
        let mut seen = BTreeSet::new();
        let ids: Vec<&str> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
        if ids.is_empty() {
            return Ok(Blobs::new());
        }
        let args = ["cat-file", SIZES];
        let output = self.git.run(args, Some(lines(&ids))).await?;
        let sizes = text(output.success(&args)?);
        let mut left = total_bytes;
        let mut chosen = Vec::new();
        for line in sizes.lines() {
            let mut words = line.split(' ');
            let (Some(id), Some("blob"), Some(size)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Ok(size) = size.parse::<u64>() else {
                continue;
            };
            if let Some(rest) = left.checked_sub(size)
                && size <= each_bytes
            {
                left = rest;
                chosen.push(id);
            }
        }
        if chosen.is_empty() {
            return Ok(Blobs::new());
        }
        let args = ["cat-file", BATCH];
        let output = self.git.run(args, Some(lines(&chosen))).await?;
        parse(output.success(&args)?).ok_or_else(|| ScopeError::GitOutputInvalid {
            command: "cat-file".to_owned(),
            problem: "an object that is shorter than it says".to_owned(),
        })
    }

    /// Path and object of every symbolic link in the tree of `commit` whose path is UTF-8.
    ///
    /// # Errors
    /// When git fails.
    pub(in crate::scope) async fn links(&self, commit: &CommitId) -> Result<Vec<(String, String)>, ScopeError> {
        let args = ["ls-tree", "-r", "-z", "--full-tree", commit.as_str()];
        let output = self.git.run(args, None).await?;
        let entries = output.success(&args)?.split(|byte| *byte == 0);
        Ok(entries.filter_map(link_entry).collect())
    }
}

fn link_entry(entry: &[u8]) -> Option<(String, String)> {
    let tab = entry.iter().position(|byte| *byte == b'\t')?;
    let mut words = entry.get(..tab)?.split(|byte| *byte == b' ');
    let (mode, _kind, id) = (words.next()?, words.next()?, words.next()?);
    let path = std::str::from_utf8(entry.get(tab + 1..)?).ok()?;
    is_link(mode).then(|| (path.to_owned(), text(id)))
}

fn lines(ids: &[&str]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.bytes().chain([b'\n'])).collect()
}

/// Reads `<id> <type> <size>\n<content>\n`, again and again.
fn parse(mut rest: &[u8]) -> Option<Blobs> {
    let mut blobs = Blobs::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(rest.get(..end)?).ok()?;
        rest = rest.get(end + 1..)?;
        let mut words = header.split(' ');
        let (id, kind) = (words.next()?, words.next()?);
        if kind == "missing" {
            continue;
        }
        let size: usize = words.next()?.parse().ok()?;
        blobs.insert(id.to_owned(), rest.get(..size)?.to_owned());
        rest = rest.get(size..)?.strip_prefix(b"\n")?;
    }
    Some(blobs)
}
