//! What a human is about to sign is computed anew in the process in which they decide: what stands in a gate was computed by
//! whoever reported the build.

use crate::domain::{Build, ContextPackage, DefaultBranch, Experiment, Gate, Note, NoteKind, Nullable, Stored};
use crate::error::{Code, Error, Result};
use crate::usecases::Runtime;
use crate::usecases::kernel::built::{Built, built};
use crate::usecases::kernel::changed_since::changed_since_approval;
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::lookup::outcome_of;

/// A build, compared again at the launch decision.
pub(super) struct Rebuilt {
    /// `None` for a gate that waits no more.
    found: Option<(Built, Build)>,
    /// Whether the gate shows what was changed since the build was approved.
    shows_changes: bool,
}

/// Compares the reported commit again, with what is here now.
pub(super) async fn rebuild(runtime: &Runtime, gate: &Gate, shown: &ContextPackage) -> Result<Rebuilt> {
    let Some(experiment) = experiment_of(runtime, gate).await? else { return Ok(Rebuilt::NOTHING) };
    let Some(commit) = &experiment.state.commit else { return Ok(Rebuilt::NOTHING) };
    let facts = shown.facts.read()?;
    let build = Nullable::of(facts.build.as_ref()).map(Stored::read).transpose()?.cloned();
    let build = build.ok_or_else(|| {
        Error::new(Code::ContextChanged, format!("gate `{}` shows no build", gate.slug))
            .hint("have the build reported again, then decide on the new gate")
    })?;
    let mut tx = runtime.read().await?;
    let outcome = outcome_of(&mut tx, &experiment).await?;
    let changed = Box::pin(changed_since_approval(runtime, &mut tx, &outcome, &experiment)).await?;
    let shows_changes = changed == facts.changed_since_approval;
    drop(tx);
    let now = built(runtime, &outcome, &experiment, commit, None).await?;
    Ok(Rebuilt { found: Some((now, build)), shows_changes })
}

async fn experiment_of(runtime: &Runtime, gate: &Gate) -> Result<Option<Experiment>> {
    let Some(id) = gate.experiment.filter(|_| !gate.state.status.is_decided()) else { return Ok(None) };
    let mut tx = runtime.read().await?;
    tx.experiment_get(id).await
}

impl Rebuilt {
    const NOTHING: Self = Self { found: None, shows_changes: true };

    /// The default branch with which it was compared now.
    pub(super) fn base(&self) -> Option<DefaultBranch> {
        self.found.as_ref().map(|(now, _)| now.base.default_branch.clone())
    }

    /// SHA-256 of the whole list of what the commit changes; `None` for a gate that waits no more.
    pub(super) fn diff(&self) -> Result<Option<String>> {
        self.found.as_ref().map(|(now, _)| digest(&now.scope.changes)).transpose()
    }

    /// A launch of nothing, of a change that its flag does not switch, or of one whose base only this clone vouches for, needs
    /// a human's reason.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] without a note.
    pub(super) fn needs_reason(&self, note: Option<&str>) -> Result<()> {
        let has_reason = note.is_some_and(|note| !note.trim().is_empty());
        if has_reason || self.void().is_some() {
            return Ok(());
        }
        let Some((now, build)) = &self.found else { return Ok(()) };
        let (doubt, hint) = if let Some(doubt) = now.shown().doubt() {
            (
                doubt.to_owned(),
                "send it back for rework, or say in a note why it is right all the same (--note): what is measured is the flag",
            )
        } else if let Some(found) = unconfirmed(now, build) {
            found
        } else {
            return Ok(());
        };
        Err(Error::new(Code::InvalidInput, format!("this launch needs a reason: {doubt}")).hint(hint))
    }

    /// Why the gate shows something else than what git says here.
    pub(super) fn void(&self) -> Option<String> {
        let (now, build) = self.found.as_ref()?;
        if let Some(violation) = now.scope.violations.first() {
            return Some(format!("the commit, compared here, is outside its scope: {}", violation.message));
        }
        if !self.shows_changes {
            return Some(
                "the gate does not show what was changed in the outcome file since the build was approved".to_owned(),
            );
        }
        let (here, there) = (now.shown(), &build.scope);
        if here.changes != there.changes || here.counts.n_changes != there.counts.n_changes {
            return Some(format!(
                "the commit, compared here with {}, changes {} paths, and the gate shows {} that are not the same",
                now.scope.base, here.counts.n_changes, there.counts.n_changes
            ));
        }
        if here.instrumentation != there.instrumentation {
            return Some("what the commit changes of its own measurement is not what the gate shows".to_owned());
        }
        let news = here.notes.iter().find(|note| is_news(note) && !there.notes.contains(note));
        news.map(|note| format!("the gate does not show this yet: {}", note.message))
    }
}

/// What the gate says with more certainty than there is here, and what to do. Whoever reported the build wrote the gate; with the
/// commit that a human signed at the approval nothing depends on them.
fn unconfirmed(now: &Built, build: &Build) -> Option<(String, &'static str)> {
    let is_shown = |kind| build.scope.notes.iter().any(|note| note.kind == kind);
    let is_doubt = |note: &&Note| match note.kind {
        NoteKind::DefaultBranchUnconfirmed | NoteKind::BaseUnsigned => !is_shown(note.kind),
        NoteKind::Submodule
        | NoteKind::DefaultBranchRewritten
        | NoteKind::RemoteChanged
        | NoteKind::CameWithDefaultBranch
        | NoteKind::AgentSettings
        | NoteKind::ExposureNotNamed
        | NoteKind::NotListed => false,
    };
    let doubts: Vec<&Note> = now.base.notes.iter().filter(is_doubt).filter(|_| !now.base.is_signed).collect();
    if doubts.is_empty() {
        return None;
    }
    let is_unsigned = doubts.iter().any(|note| note.kind == NoteKind::BaseUnsigned);
    // Where there is no remote, or nothing that was signed to compare with, fetching helps nobody.
    let hint = if is_unsigned || now.base.default_branch.remote.is_none() {
        "say in a note why it is right all the same (--note), or send it back for rework: the gate of a new report shows it"
    } else {
        "`git fetch` and decide again, or say in a note why it is right all the same (--note): whoever works in this clone can \
         move what it knows of the remote"
    };
    let messages: Vec<&str> = doubts.iter().map(|note| note.message.as_str()).collect();
    Some((format!("the gate does not show this: {}", messages.join("; ")), hint))
}

/// A remote that does not answer now, or answered then, changes nothing of what was built; [`unconfirmed`] asks about it.
fn is_news(note: &Note) -> bool {
    match note.kind {
        NoteKind::DefaultBranchUnconfirmed | NoteKind::BaseUnsigned | NoteKind::ExposureNotNamed => false,
        NoteKind::Submodule
        | NoteKind::DefaultBranchRewritten
        | NoteKind::RemoteChanged
        | NoteKind::CameWithDefaultBranch
        | NoteKind::AgentSettings
        | NoteKind::NotListed => true,
    }
}
