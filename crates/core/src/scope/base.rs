//! Where an experiment's change begins: at the merge base of what was reported with the default branch.
//!
//! What came in with the default branch is not the experiment's change. It is not passed over either: what of it touches
//! the experiment's rules, its flag or its metric is a note for whoever approves, counted from the commit that was signed.

use crate::domain::{BranchSource, Change, DefaultBranch, Note, NoteKind, Tampering, Watch};
use crate::scope::{
    check::path_violations,
    error::ScopeError,
    git::{CommitId, GitRepo},
    instrumentation,
    path::shown,
    rules::{PathVerdict, ScopeRules},
};

/// Where the change of an experiment begins.
#[derive(Debug, Clone)]
pub struct Base {
    /// What the head is compared with.
    pub commit: CommitId,
    /// It is the commit that was signed, or one before it: what this clone says of later ones has no part in it.
    pub is_signed: bool,
    /// The default branch now.
    pub default_branch: DefaultBranch,
    /// What whoever approves should know about it.
    pub notes: Vec<Note>,
}

/// Finds where the change begins that `head` holds.
///
/// `signed`: the default branch that a human signed at the approval, if there is one. `watched`: what judges the
/// experiment, its flag included.
///
/// # Errors
/// `default_branch_unknown`; `revision_not_found` where the signed commit is not here; `base_not_ancestor` for a head that
/// began before it, or that shares no history with the default branch; `git_object_forged`.
pub async fn find_base(
    repo: &GitRepo,
    rules: &ScopeRules,
    head: &CommitId,
    signed: Option<&DefaultBranch>,
    watched: &[Watch],
) -> Result<Base, ScopeError> {
    let mut default_branch = repo.default_branch().await?;
    let mut notes = Vec::new();
    let tip = tip_here(repo, &mut default_branch, signed, &mut notes).await?;
    let signed = match signed {
        Some(signed) => {
            if signed.remote != default_branch.remote {
                let place = |remote: &Option<String>| remote.clone().unwrap_or_else(|| "no remote".to_owned());
                notes.push(about_branch(
                    NoteKind::RemoteChanged,
                    &default_branch,
                    format!(
                        "the approval was about {}, and the default branch is now read from {}",
                        place(&signed.remote),
                        place(&default_branch.remote)
                    ),
                ));
            }
            Some(repo.exactly(&signed.commit).await?)
        }
        None => None,
    };
    if signed.is_none() {
        let message = "nobody signed where the default branch was when the build was approved: what was put on it before \
                       the report is not listed";
        notes.push(about_branch(NoteKind::BaseUnsigned, &default_branch, message.to_owned()));
    }
    let is_rewritten = match &signed {
        Some(signed) => !repo.is_ancestor(signed, &tip).await?,
        None => false,
    };
    if let (true, Some(signed)) = (is_rewritten, &signed) {
        let message = format!(
            "the default branch was rewritten: it is at {tip}, which does not descend from {signed}, where it was at the \
             approval"
        );
        notes.push(about_branch(NoteKind::DefaultBranchRewritten, &default_branch, message));
    }
    let Some(common) = repo.merge_base(head, &tip).await? else {
        return Err(repo.base_not_ancestor(&tip, head).await?);
    };
    repo.require_genuine_base(&common, head, &tip).await?;
    let mut is_signed = false;
    let commit = match signed {
        Some(signed) => {
            if !is_rewritten {
                repo.require_genuine_descent(&signed, &tip).await?;
                repo.require_ancestor(&signed, head).await?;
                repo.require_genuine_descent(&signed, head).await?;
            }
            // The whole head lies on the default branch already: what it brought since the approval is all that can be said.
            let commit = if common == *head && !is_rewritten { signed.clone() } else { common };
            is_signed = repo.is_ancestor(&commit, &signed).await?;
            if is_signed {
                repo.require_genuine_descent(&commit, &signed).await?;
            }
            came_in(repo, rules, &signed, &commit, watched, &mut notes).await?;
            commit
        }
        None => common,
    };
    Ok(Base { commit, is_signed, default_branch, notes })
}

/// The commit of the default branch that can be compared with. A remote that has moved on since the last fetch is no reason
/// to stop: then it is what this clone has of it.
async fn tip_here(
    repo: &GitRepo,
    branch: &mut DefaultBranch,
    signed: Option<&DefaultBranch>,
    notes: &mut Vec<Note>,
) -> Result<CommitId, ScopeError> {
    if let Some(tip) = repo.commit_of(&branch.commit).await? {
        if branch.said_by != BranchSource::Remote {
            notes.push(about_branch(NoteKind::DefaultBranchUnconfirmed, branch, branch.in_words()));
        }
        return Ok(tip);
    }
    let known = match repo.last_fetched(&branch.name).await? {
        Some(known) => Some(known),
        None => match signed {
            Some(signed) => repo.commit_of(&signed.commit).await?,
            None => None,
        },
    };
    let tip = match known {
        Some(known) => known,
        None => repo.resolve(&branch.commit).await?,
    };
    let problem = format!("it is at {} by now, which this clone has not fetched", branch.commit);
    branch.commit = tip.to_string();
    branch.said_by = BranchSource::LastFetched;
    branch.problem = Some(problem);
    notes.push(about_branch(NoteKind::DefaultBranchUnconfirmed, branch, branch.in_words()));
    Ok(tip)
}

/// Notes what came in with the default branch and touches what the experiment is about.
async fn came_in(
    repo: &GitRepo,
    rules: &ScopeRules,
    signed: &CommitId,
    base: &CommitId,
    watched: &[Watch],
    notes: &mut Vec<Note>,
) -> Result<(), ScopeError> {
    if signed == base {
        return Ok(());
    }
    let changes = repo.changes(signed, base).await?;
    for change in &changes {
        if let Some(violation) = path_violations(change, rules).into_iter().find(|violation| violation.rule.is_some()) {
            notes.push(came(change, violation.message));
        } else if rules.has_allowed() && change.touched().any(|path| rules.check_path(path) == PathVerdict::Allowed) {
            notes.push(came(change, format!("`{}` is within this experiment's scope", shown(&change.path))));
        }
    }
    let inspection = instrumentation::inspect(repo, &changes, watched).await?;
    let path_of = |path: &str| changes.iter().find(|change| change.path == path);
    notes.extend(inspection.flags.iter().filter_map(|flag| {
        let change = path_of(&flag.path)?;
        Some(match flag.tampering {
            Tampering::FileTouched => {
                let message =
                    format!("`{}` changed on the default branch since the build was approved", shown(&flag.path));
                Note { kind: NoteKind::CameWithDefaultBranch, path: change.path.clone(), message }
            }
            Tampering::LinesAdded | Tampering::LinesRemoved | Tampering::LinesChanged => {
                came(change, format!("`{}` mentions `{}`", shown(&flag.path), shown(&flag.watch.text)))
            }
        })
    }));
    let mut not_read = inspection.not_inspected.iter();
    if let Some(first) = not_read.next().and_then(|path| path_of(path)) {
        let others = match not_read.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        notes.push(came(first, format!("what `{}`{others} mention was not read", shown(&first.path))));
    }
    Ok(())
}

fn came(change: &Change, what: String) -> Note {
    let message = format!("came in with the default branch since the approval: {what}");
    Note { kind: NoteKind::CameWithDefaultBranch, path: change.path.clone(), message }
}

fn about_branch(kind: NoteKind, branch: &DefaultBranch, message: String) -> Note {
    Note { kind, path: branch.name.clone(), message }
}
