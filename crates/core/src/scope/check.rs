//! The check itself: recompute what changed, hold it against the rules and the claim.

use std::collections::BTreeSet;

use crate::characters::deceptive;
use crate::domain::{Change, ChangeKind, ClaimComparison, Note, NoteKind, ScopeCounts, Watch};
use crate::scope::{
    agents,
    error::ScopeError,
    git::{CommitId, GitRepo},
    instrumentation,
    path::{composed, from_claim, shown},
    report::{ScopeReport, Violation, ViolationReason},
    rules::{Entry, PathVerdict, ScopeRules},
    symlink::{Links, destination},
};

/// Longest text of a link that is followed; the limit of Linux.
const MAX_LINK_BYTES: u64 = 4096;
const MAX_LINKS_BYTES: u64 = 8 * 1024 * 1024;

/// Checks what lies between two commits.
///
/// `base`, `head`: revisions; `head` must descend from `base`. The trees of the two are compared, so what a merge
/// brought in counts, and what was undone on the way does not. `claimed`: the paths that the agent says it changed.
/// `watched`: what judges the experiment.
///
/// # Errors
/// `repo_empty`, `revision_not_found`, `base_not_ancestor`, or that git failed. A violation is in the report, not an
/// error.
pub async fn check(
    repo: &GitRepo,
    rules: &ScopeRules,
    base: &str,
    head: &str,
    claimed: Option<&[String]>,
    watched: &[Watch],
) -> Result<ScopeReport, ScopeError> {
    let base = repo.resolve(base).await?;
    let head = repo.resolve(head).await?;
    repo.require_ancestor(&base, &head).await?;
    let mut changes = repo.changes(&base, &head).await?;
    let links = read_links(repo, &head, &mut changes).await?;

    let violations: Vec<Violation> = changes
        .iter()
        .flat_map(|change| path_violations(change, rules).into_iter().chain(link_violation(change, rules, &links)))
        .collect();
    let claim = claimed.map(|claimed| compare_claim(repo, &changes, claimed));
    let inspection = instrumentation::inspect(repo, &changes, watched).await?;
    let submodules = changes.iter().filter(|change| change.is_submodule).map(submodule_note);
    let notes = submodules.chain(agents::notes(&changes)).collect();
    let counts = ScopeCounts {
        n_changes: changes.len(),
        n_violations: violations.len(),
        n_missing_from_claim: claim.as_ref().map_or(0, |claim| claim.missing_from_claim.len()),
        n_claimed_but_unchanged: claim.as_ref().map_or(0, |claim| claim.claimed_but_unchanged.len()),
        n_instrumentation: inspection.flags.len(),
        n_not_inspected: inspection.not_inspected.len(),
    };
    Ok(ScopeReport {
        base,
        head,
        is_clean: violations.is_empty(),
        counts,
        violations,
        claim,
        instrumentation: inspection.flags,
        not_inspected: inspection.not_inspected,
        notes,
        changes,
    })
}

/// Fills in where changed links lead, and gives all links of the head's tree when there is a changed one.
async fn read_links(repo: &GitRepo, head: &CommitId, changes: &mut [Change]) -> Result<Links, ScopeError> {
    if !changes.iter().any(Change::is_link_now) {
        return Ok(Links::new());
    }
    let links = repo.links(head).await?;
    let changed = changes.iter().filter(|change| change.is_link_now()).filter_map(|c| c.new_object.as_deref());
    // A list, not a lazy chain: closures that live across an await make the future unusable on other threads.
    let ids = changed.chain(links.iter().map(|(_, id)| id.as_str())).collect();
    let blobs = repo.blobs(ids, MAX_LINK_BYTES, MAX_LINKS_BYTES).await?;
    let target = |id: &str| blobs.get(id).and_then(|bytes| String::from_utf8(bytes.clone()).ok());
    for change in changes.iter_mut().filter(|change| change.is_link_now()) {
        change.symlink_target = change.new_object.as_deref().and_then(target);
    }
    Ok(links.into_iter().map(|(path, id)| (path, target(&id))).collect())
}

pub(super) fn path_violations(change: &Change, rules: &ScopeRules) -> Vec<Violation> {
    let mut violations: Vec<Violation> = Vec::new();
    for (path, mode, what) in sides(change) {
        let entry = match mode {
            "120000" => Entry::Link,
            "160000" => Entry::Tree,
            _ => Entry::File,
        };
        let path_shown = shown(path);
        let (reason, rule, why) = match rules.check_entry(path, entry) {
            PathVerdict::Forbidden { rule } => {
                let why = format!("`{}` is forbidden", shown(&rule));
                (ViolationReason::Forbidden, Some(rule), why)
            }
            PathVerdict::Outside => {
                (ViolationReason::OutsideAllowed, None, "it is not covered by an allowed path".to_owned())
            }
            PathVerdict::Allowed if !change.is_utf8 && !rules.is_empty() => (
                ViolationReason::NotUtf8,
                None,
                "a name that is not UTF-8 cannot be checked against the rules".to_owned(),
            ),
            PathVerdict::Allowed => {
                match deceptive(path).filter(|_| change.kind != ChangeKind::Deleted && path == change.path) {
                    Some(found) => (ViolationReason::Deceptive, None, format!("its name contains {found}")),
                    None => continue,
                }
            }
        };
        let message = format!("`{path_shown}` {what}, but {why}");
        let violation = Violation { path: path.to_owned(), rule, reason, message };
        if !violations.contains(&violation) {
            violations.push(violation);
        }
    }
    violations
}

/// The sides of a change that are checked: path, mode there, and what happened to it.
fn sides(change: &Change) -> Vec<(&str, &str, String)> {
    let path = change.path.as_str();
    let what = match change.kind {
        ChangeKind::Added => "was added".to_owned(),
        ChangeKind::Modified => "was changed".to_owned(),
        ChangeKind::Deleted => "was deleted".to_owned(),
        ChangeKind::TypeChanged => "changed its type".to_owned(),
        ChangeKind::ModeChanged => "changed its mode".to_owned(),
        ChangeKind::Renamed | ChangeKind::Copied => {
            let verb = if change.kind == ChangeKind::Renamed { "moved" } else { "copied" };
            let from = change.old_path.as_deref().unwrap_or_default();
            let mut sides = Vec::new();
            if change.kind == ChangeKind::Renamed {
                sides.push((from, mode(&change.old_mode), format!("was moved to `{}`", shown(path))));
            }
            sides.push((path, mode(&change.new_mode), format!("was {verb} from `{}`", shown(from))));
            return sides;
        }
    };
    // A change of type is asked about as both kinds of entry.
    let modes = [&change.old_mode, &change.new_mode].into_iter().flatten();
    modes.map(|mode| (path, mode.as_str(), what.clone())).collect()
}

fn mode(mode: &Option<String>) -> &str {
    mode.as_deref().unwrap_or_default()
}

fn link_violation(change: &Change, rules: &ScopeRules, links: &Links) -> Option<Violation> {
    if !change.is_link_now() {
        return None;
    }
    let link = shown(&change.path);
    let violation = |reason, rule, message| Some(Violation { path: change.path.clone(), rule, reason, message });
    let Some(target) = change.symlink_target.as_deref() else {
        let message = format!("the target of the link `{link}` could not be read");
        return violation(ViolationReason::LinkUnreadable, None, message);
    };
    let Some(place) = destination(&change.path, target, links) else {
        let message = format!(
            "the link `{link}` leads out of the repository, or through a link that cannot be read, to `{}`",
            shown(target)
        );
        return violation(ViolationReason::LinkLeavesRepository, None, message);
    };
    let place_shown =
        if place.is_empty() { "the repository's root".to_owned() } else { format!("`{}`", shown(&place)) };
    match rules.check_entry(&place, Entry::Tree) {
        PathVerdict::Allowed => None,
        PathVerdict::Forbidden { rule } => {
            let message = format!("the link `{link}` leads to {place_shown}, and `{}` is forbidden", shown(&rule));
            violation(ViolationReason::LinkIntoForbidden, Some(rule), message)
        }
        PathVerdict::Outside => {
            let message = format!("the link `{link}` leads to {place_shown}, which is not covered by an allowed path");
            violation(ViolationReason::LinkOutsideAllowed, None, message)
        }
    }
}

fn compare_claim(repo: &GitRepo, changes: &[Change], claimed: &[String]) -> ClaimComparison {
    let touched: BTreeSet<&str> = changes.iter().flat_map(Change::touched).collect();
    let read = |text: &String| from_claim(text, repo.root()).map(|path| composed(&path));
    let touched_composed: BTreeSet<String> = touched.iter().map(|path| composed(path)).collect();
    let known: BTreeSet<String> = claimed.iter().filter_map(read).collect();
    ClaimComparison {
        missing_from_claim: touched
            .iter()
            .filter(|path| !known.contains(&composed(path)))
            .map(|p| (*p).to_owned())
            .collect(),
        claimed_but_unchanged: claimed
            .iter()
            .filter(|text| !read(text).is_some_and(|path| touched_composed.contains(&path)))
            .cloned()
            .collect(),
    }
}

fn submodule_note(change: &Change) -> Note {
    let end = |object: &Option<String>| object.clone().unwrap_or_else(|| "nothing".to_owned());
    Note {
        kind: NoteKind::Submodule,
        path: change.path.clone(),
        message: format!(
            "the submodule `{}` changed from {} to {}; its content was not checked",
            shown(&change.path),
            end(&change.old_object),
            end(&change.new_object)
        ),
    }
}
