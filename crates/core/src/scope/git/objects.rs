//! The content of objects, within limits. Each is hashed: git itself gives whatever lies behind an id.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GitRepo,
    command::text,
    genuine::{invalid, is_genuine},
};
use crate::scope::error::ScopeError;

const BATCH: &str = "--batch";
/// Most objects that one command reads.
const AT_ONCE: usize = 1000;
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
        self.batch(&chosen, "blob").await
    }

    /// Reads objects of one kind; each has to be there.
    ///
    /// # Errors
    /// `git_object_forged`; `git_output_invalid` for one that is missing.
    pub(super) async fn objects(&self, ids: &[&str], kind: &str) -> Result<Blobs, ScopeError> {
        let found = self.present(ids, kind).await?;
        match ids.iter().find(|id| !found.contains_key(**id)) {
            Some(missing) => Err(invalid("cat-file", &format!("the {kind} {missing} is missing"))),
            None => Ok(found),
        }
    }

    /// Reads objects of one kind, as many of them as are there.
    ///
    /// # Errors
    /// `git_object_forged`.
    pub(super) async fn present(&self, ids: &[&str], kind: &str) -> Result<Blobs, ScopeError> {
        let mut found = Blobs::new();
        for some in ids.chunks(AT_ONCE) {
            found.append(&mut self.batch(some, kind).await?);
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn batch(&self, ids: &[&str], kind: &str) -> Result<Blobs, ScopeError> {
        let args = ["cat-file", BATCH];
        let output = self.git.run(args, Some(lines(ids))).await?;
        let objects = parse(output.success(&args)?)
            .ok_or_else(|| invalid("cat-file", "an object that is shorter than it says"))?;
        match objects.iter().find(|object| object.kind != kind || !is_genuine(&object.id, kind, object.content)) {
            Some(forged) => Err(ScopeError::ObjectForged { id: forged.id.clone() }),
            None => Ok(objects.into_iter().map(|object| (object.id, object.content.to_vec())).collect()),
        }
    }
}

fn lines(ids: &[&str]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.bytes().chain([b'\n'])).collect()
}

struct Object<'a> {
    id: String,
    kind: &'a str,
    content: &'a [u8],
}

/// Reads `<id> <type> <size>\n<content>\n`, again and again.
fn parse(mut rest: &[u8]) -> Option<Vec<Object<'_>>> {
    let mut objects = Vec::new();
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
        objects.push(Object { id: id.to_owned(), kind, content: rest.get(..size)? });
        rest = rest.get(size..)?.strip_prefix(b"\n")?;
    }
    Some(objects)
}
