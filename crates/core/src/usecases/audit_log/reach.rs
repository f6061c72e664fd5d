//! The log compared with its anchors, and how far they reach: against this account, or only within it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::anchor::read_notes;
use crate::audit::replay::Replay;
use crate::audit::{Anchor, SignedAnchor};
use crate::error::{Code, Error, Result};
use crate::identity::Keyring;
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_ref;
use crate::usecases::kernel::workspace_file::repo;

/// Up to which line the log is anchored, by what an attacker must reach to forge it. Absent where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct AnchorReach {
    /// In this account: the reference of git, its notes, the workspace's file, the account's own folder.
    pub here: Option<i64>,
    /// The remote answered that it has the reference.
    pub pushed: Option<i64>,
    /// In a file that was named, and is kept elsewhere.
    pub witnessed: Option<i64>,
    /// Decisions after the last line that is pushed or witnessed: whoever has this account can undo them unseen.
    pub n_unprotected: usize,
    /// What was named and could not be compared, as sentences.
    pub not_checked: Vec<String>,
}

/// What the anchors said.
pub(super) struct Anchors {
    pub(super) n_checked: usize,
    pub(super) reach: AnchorReach,
}

/// Where an anchor was found.
enum Found {
    Here(String),
    /// In a file that was named.
    Named(usize),
}

pub(super) async fn compare_anchors(
    runtime: &Runtime,
    replay: &Replay,
    files: &[PathBuf],
    problems: &mut Vec<String>,
) -> Result<Anchors> {
    let (lines, in_git) = anchors_of(runtime, files).await?;
    let mut reach = AnchorReach::default();
    let mut n_checked = 0;
    let mut of_file = vec![0usize; files.len()];
    for (found, line) in lines.iter().filter(|(_, line)| !line.trim().is_empty()) {
        let place = match found {
            Found::Here(place) => place.clone(),
            Found::Named(at) => files.get(*at).map(|file| file.display().to_string()).unwrap_or_default(),
        };
        let anchor = match SignedAnchor::parse(line) {
            Ok(signed) => signed.anchor,
            Err(error) => {
                problems.push(format!("{place}: {error}"));
                continue;
            }
        };
        let is_member = replay.keyring().enrolments().any(|known| known.public_key == anchor.public_key);
        if anchor.workspace != runtime.workspace.id {
            // Of another workspace of the same repository, unless it should be of this one.
            if is_member || matches!(found, Found::Named(_)) {
                problems.push(format!(
                    "{place}: the anchor of {} is about workspace {}, not about this one: the workspace was made anew, or this is \
                     not its file",
                    anchor.at, anchor.workspace
                ));
            }
            continue;
        }
        n_checked += 1;
        if let Found::Named(at) = found
            && let Some(count) = of_file.get_mut(*at)
        {
            *count += 1;
        }
        let is_here = replay.hash_at(anchor.seq) == Some(anchor.head.as_str());
        if !is_here && is_member && replay.may_be_lost(anchor.seq) {
            continue;
        }
        if !is_here {
            problems.push(format!(
                "{place}: the anchor of {} has a different hash for line {}: the log was rewritten or truncated",
                anchor.at, anchor.seq
            ));
        } else if !is_member {
            problems.push(format!("{place}: the anchor of line {} was signed by an unknown key", anchor.seq));
        } else {
            let end = match found {
                Found::Here(_) => &mut reach.here,
                Found::Named(_) => &mut reach.witnessed,
            };
            *end = (*end).max(Some(anchor.seq));
        }
    }
    for (file, _) in files.iter().zip(&of_file).filter(|(_, count)| **count == 0) {
        reach.not_checked.push(format!("{} holds no anchor of this workspace", file.display()));
    }
    // Only an anchor that holds is worth something where it was pushed to.
    reach.pushed = pushed(runtime, &in_git).await.filter(|seq| reach.here.is_some_and(|here| *seq <= here));
    let protected = reach.pushed.max(reach.witnessed).unwrap_or(0);
    reach.n_unprotected = replay.decisions().filter(|line| *line > protected).count();
    Ok(Anchors { n_checked, reach })
}

/// The ends of the log that members' keys anchored, as they are kept here.
pub(super) async fn anchored_ends(runtime: &Runtime, ring: &Keyring) -> Result<Vec<(i64, String)>> {
    let (lines, _) = anchors_of(runtime, &[]).await?;
    let anchors = lines.iter().filter_map(|(_, line)| SignedAnchor::parse(line).ok()).map(|signed| signed.anchor);
    let is_ours = |anchor: &Anchor| {
        let is_member = ring.enrolments().any(|known| known.public_key == anchor.public_key);
        anchor.workspace == runtime.workspace.id && is_member
    };
    Ok(anchors.filter(is_ours).map(|anchor| (anchor.seq, anchor.head)).collect())
}

/// Commits of the reference with the line of the log that each is about.
type InGit = BTreeMap<String, i64>;

async fn anchors_of(runtime: &Runtime, files: &[PathBuf]) -> Result<(Vec<(Found, String)>, InGit)> {
    let mut lines: Vec<(Found, String)> = Vec::new();
    let default = runtime.audit_log().anchor_file();
    let account = runtime.settings.seen().map(|seen| seen.anchors_of(runtime.workspace.id));
    for path in std::iter::once(&default).chain(&account) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let place = path.display().to_string();
        lines.extend(text.lines().map(|line| (Found::Here(place.clone()), line.to_owned())));
    }
    for (at, path) in files.iter().enumerate() {
        let unreadable = |e| Error::new(Code::Io, format!("{} cannot be read", path.display())).because(e);
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        lines.extend(text.lines().map(|line| (Found::Named(at), line.to_owned())));
    }
    for note in read_notes(runtime).await {
        lines.push((Found::Here("git notes".to_owned()), note));
    }
    let mut in_git = InGit::new();
    if let Ok(repo) = repo(runtime).await {
        let reference = anchor_ref(runtime.workspace.id);
        for (commit, line) in repo.lines_of(&reference).await.unwrap_or_default() {
            if let Ok(signed) = SignedAnchor::parse(&line) {
                in_git.insert(commit.to_string(), signed.anchor.seq);
            }
            lines.push((Found::Here(reference.clone()), line));
        }
    }
    Ok((lines, in_git))
}

/// Up to which line the remote has what is in the reference here.
async fn pushed(runtime: &Runtime, in_git: &InGit) -> Option<i64> {
    if in_git.is_empty() {
        return None;
    }
    let repo = repo(runtime).await.ok()?;
    let commit = repo.on_remote(&anchor_ref(runtime.workspace.id)).await?;
    in_git.get(&commit.to_string()).copied()
}
