//! What was built, as git says it: at the report, and again in the process in which a human decides about the launch.

use super::check::approval;
use super::keyring::keyring;
use super::workspace_file::{checkout, repo};
use crate::domain::{BuildScope, DefaultBranch, Experiment, Note, NoteKind, Outcome, OutcomeSpec, Relation, Watch};
use crate::error::{Code, Error, Result};
use crate::scope::{Base, ScopeReport, ScopeRules, check, find_base, mentions, relative_to, unnamed_exposures};
use crate::settings::OUTCOME_FILE;
use crate::usecases::Runtime;

/// Most paths of a list that is stored with a build.
pub(in crate::usecases) const MAX_LISTED: usize = 100;

/// A build, compared with the default branch and held against its scope.
#[derive(Debug)]
pub(in crate::usecases) struct Built {
    pub(in crate::usecases) scope: ScopeReport,
    pub(in crate::usecases) base: Base,
    /// Whether a changed file mentions the flag; `None` where that could not be read.
    pub(in crate::usecases) uses_flag: Option<bool>,
    /// What [`Self::ask_about_exposures`] found.
    unnamed: Option<Note>,
}

/// Compares what `head` holds with the default branch. `claimed`: the paths that the builder says it changed.
pub(in crate::usecases) async fn built(
    runtime: &Runtime,
    outcome: &Outcome,
    experiment: &Experiment,
    head: &str,
    claimed: Option<&[String]>,
) -> Result<Built> {
    let mut tx = runtime.read().await?;
    let keyring = keyring(runtime, &mut tx).await?;
    let signed = approval(&mut tx, &keyring, experiment).await?.base;
    drop(tx);
    let repo = checkout(runtime).await?;
    let spec = &outcome.spec.scope;
    let rules = ScopeRules::parse(&spec.allowed_paths, &spec.forbidden_paths)?;
    let head = repo.resolve(head).await?;
    let watched = watched(outcome, &file_in_repository(runtime).await);
    let flag = &experiment.hypothesis.flag_key;
    let of_others: Vec<Watch> = watched.iter().cloned().chain([Watch::flag(flag)]).collect();
    let base = find_base(&repo, &rules, &head, signed.as_ref(), &of_others).await?;
    let scope = check(&repo, &rules, base.commit.as_str(), head.as_str(), claimed, &watched).await?;
    let uses_flag = mentions(&repo, &scope.changes, flag).await?;
    Ok(Built { scope, base, uses_flag, unnamed: None })
}

/// The default branch that an approval to build is about; none where there is no repository, or no commit in it yet.
pub(in crate::usecases) async fn default_branch(runtime: &Runtime) -> Result<Option<DefaultBranch>> {
    let Ok(repo) = repo(runtime).await else { return Ok(None) };
    match repo.default_branch().await.map_err(Error::from) {
        Ok(branch) => Ok(Some(branch)),
        Err(error) if matches!(error.code(), Code::RepoEmpty | Code::DefaultBranchUnknown) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The table or the event that says who got which arm; none of a query, which can read from anywhere.
fn exposures_of(spec: &OutcomeSpec) -> Option<&str> {
    match spec.signal.contract.as_ref().map(|contract| &contract.exposures.rows) {
        Some(Relation::Table(table)) => Some(table),
        Some(Relation::Sql(_)) => None,
        None => spec.exposure.as_deref(),
    }
}

/// What judges the experiment: its metric, exposure event and the outcome file. Its own flag it has to mention.
fn watched(outcome: &Outcome, file: &str) -> Vec<Watch> {
    let mut watched = vec![Watch::metric(&outcome.spec.signal.metric), Watch::file(file)];
    watched.extend(outcome.spec.exposure.iter().map(Watch::event));
    watched.extend(outcome.spec.guardrails().map(|(signal, ..)| Watch::metric(&signal.metric)));
    watched
}

/// The outcome file from the repository's root: a package of a monorepo may have its own.
async fn file_in_repository(runtime: &Runtime) -> String {
    let file = &runtime.settings.file.value;
    let file = file.canonicalize().unwrap_or_else(|_| runtime.settings.real_root().join(file));
    let path = match repo(runtime).await {
        Ok(repo) => relative_to(repo.root(), &file),
        Err(_) => None,
    };
    path.unwrap_or_else(|| OUTCOME_FILE.to_owned())
}

impl Built {
    /// What is stored and shown of it.
    pub(in crate::usecases) fn shown(&self) -> BuildScope {
        let Self { scope, uses_flag, .. } = self;
        BuildScope {
            is_clean: scope.is_clean,
            counts: scope.counts,
            claim: scope.claim.clone(),
            uses_flag: *uses_flag,
            instrumentation: first(&scope.instrumentation),
            notes: self.notes(),
            changes: first(&scope.changes),
        }
    }
}

impl Built {
    /// Notes where no code names the place that exposures are read from. Only of use to a report: it reads the whole commit, and says
    /// nothing that voids a gate.
    ///
    /// # Errors
    /// When the repository cannot be opened.
    pub(in crate::usecases) async fn ask_about_exposures(
        &mut self,
        runtime: &Runtime,
        outcome: &Outcome,
    ) -> Result<()> {
        if let Some(place) = exposures_of(&outcome.spec) {
            self.unnamed = unnamed_exposures(&checkout(runtime).await?, &self.scope.head, place).await;
        }
        Ok(())
    }

    /// What a builder can do something about before a human looks.
    pub(in crate::usecases) fn advice(&self) -> Vec<String> {
        let is_advice = |note: &&Note| matches!(note.kind, NoteKind::AgentSettings | NoteKind::ExposureNotNamed);
        let notes = self.unnamed.iter().chain(&self.scope.notes).filter(is_advice);
        notes.take(MAX_LISTED).map(|note| note.message.clone()).collect()
    }

    /// What is about the default branch comes first: a long list of anything else must not push it out. What is left out is
    /// said, since the list is signed.
    fn notes(&self) -> Vec<Note> {
        let all: Vec<&Note> = self.base.notes.iter().chain(&self.unnamed).chain(&self.scope.notes).collect();
        let left_out = all.len().saturating_sub(MAX_LISTED);
        let more = (left_out > 0).then(|| Note {
            kind: NoteKind::NotListed,
            path: String::new(),
            message: format!("and {left_out} more notes that are not listed"),
        });
        all.into_iter().take(MAX_LISTED).cloned().chain(more).collect()
    }
}

/// The part of a list that is stored.
fn first<T: Clone>(list: &[T]) -> Vec<T> {
    list.iter().take(MAX_LISTED).cloned().collect()
}
