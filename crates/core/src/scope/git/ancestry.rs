//! Who descends from whom, by commits that are what their ids stand for.
//!
//! git's answers about history rest on more than commits: `.git/shallow` cuts parents off, and nothing is hashed. A history
//! that is cut in the right place moves the merge base back to a commit that already had what the work brings in again, so
//! that it is no difference. What git answers is therefore held against the parents that stand in the commits.

use std::collections::{BTreeMap, BTreeSet};

use super::genuine::{headers, invalid};
use super::{CommitId, GitRepo, command::text};
use crate::scope::error::ScopeError;

/// Commits with their parents.
type Parents = BTreeMap<String, Vec<String>>;

impl GitRepo {
    /// Checks that `descendant` descends from `ancestor`.
    ///
    /// # Errors
    /// `git_object_forged`; `git_output_invalid` when no such path exists although git found one.
    pub(in crate::scope) async fn require_genuine_descent(
        &self,
        ancestor: &CommitId,
        descendant: &CommitId,
    ) -> Result<(), ScopeError> {
        if ancestor == descendant {
            return Ok(());
        }
        let exclude = format!("^{ancestor}");
        let between = self.parents(&["rev-list", "--ancestry-path", &exclude, descendant.as_str()]).await?;
        require_path(ancestor, descendant, &between)
    }

    /// Checks that `base` is the newest commit from which both `head` and `tip` descend, and the only one.
    ///
    /// # Errors
    /// `git_object_forged`; `base_not_ancestor` when there is another; `revision_not_found` when a parent is not here.
    pub(in crate::scope) async fn require_genuine_base(
        &self,
        base: &CommitId,
        head: &CommitId,
        tip: &CommitId,
    ) -> Result<(), ScopeError> {
        let exclude = format!("^{base}");
        let mut sides = Vec::new();
        for end in [head, tip] {
            let side = self.parents(&["rev-list", end.as_str(), &exclude]).await?;
            require_path(base, end, &side)?;
            sides.push(side);
        }
        // Whatever else the sides lead to, or have in common, has to lie before the base.
        let mut before: BTreeSet<&str> = BTreeSet::new();
        for side in &sides {
            let outside = side.values().flatten().filter(|parent| !side.contains_key(*parent));
            before.extend(outside.map(String::as_str));
        }
        if let [head_side, tip_side] = sides.as_slice() {
            before.extend(head_side.keys().filter(|id| tip_side.contains_key(*id)).map(String::as_str));
        }
        before.remove(base.as_str());
        self.require_before(base, before.into_iter().collect()).await
    }

    /// Checks that `base` descends from each of `ids`.
    async fn require_before(&self, base: &CommitId, ids: Vec<&str>) -> Result<(), ScopeError> {
        if ids.is_empty() {
            return Ok(());
        }
        let here = self.present(&ids, "commit").await?;
        if let Some(missing) = ids.iter().find(|id| !here.contains_key(**id)) {
            let is_shallow = self.is_shallow().await?;
            return Err(ScopeError::RevisionNotFound { revision: (*missing).to_owned(), is_shallow });
        }
        // No further back than needed: a repository may have a million commits.
        let octopus: Vec<&str> = ["merge-base", "--octopus"].into_iter().chain(ids.iter().copied()).collect();
        let common = CommitId::read(&self.git.run_all(&octopus, None).await?);
        let exclude = common.map(|common| format!("^{common}^@"));
        let args: Vec<&str> = ["rev-list", base.as_str()].into_iter().chain(exclude.as_deref()).collect();
        let known = self.parents(&args).await?;
        let reached = reached(base.as_str(), &known);
        match ids.into_iter().find(|id| !reached.contains(id)) {
            Some(other) => Err(ScopeError::BaseAmbiguous {
                base: base.to_string(),
                other: other.to_owned(),
                is_shallow: self.is_shallow().await?,
            }),
            None => Ok(()),
        }
    }

    /// The commits that a command lists, read and hashed.
    async fn parents(&self, args: &[&str]) -> Result<Parents, ScopeError> {
        let output = self.git.run_all(args, None).await?;
        let listed = text(output.success(args)?);
        let ids: Vec<&str> = listed.lines().collect();
        let commits = self.objects(&ids, "commit").await?;
        Ok(commits.into_iter().map(|(id, content)| (id, headers(&content, "parent"))).collect())
    }
}

fn require_path(ancestor: &CommitId, descendant: &CommitId, known: &Parents) -> Result<(), ScopeError> {
    if reached(descendant.as_str(), known).contains(ancestor.as_str()) {
        return Ok(());
    }
    Err(invalid("rev-list", "no path of parents leads from one commit to the other"))
}

/// Where the parents lead from `start`; what is not among `known` was not read, and leads nowhere.
fn reached<'a>(start: &'a str, known: &'a Parents) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next = vec![start];
    while let Some(id) = next.pop() {
        if seen.insert(id) {
            next.extend(known.get(id).into_iter().flatten().map(String::as_str));
        }
    }
    seen
}
