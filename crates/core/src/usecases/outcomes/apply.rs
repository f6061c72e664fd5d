//! Storing what the outcome file declares.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Outcomes;
use super::plan::{OutcomePlan, PlannedAction, lowers_assurance, voids};
use crate::audit::EventKind;
use crate::audit::replay::OutcomeCreated;
use crate::config::Config;
use crate::domain::{Assurance, Outcome, OutcomeSpec, OutcomeState, OutcomeStatus, Verdict};
use crate::error::{Code, Error, Result};
use crate::ids::OutcomeId;
use crate::lifecycle::{ExperimentEvent, OutcomeEvent};
use crate::principal::Principal;
use crate::usecases::Runtime;
use crate::usecases::kernel::decision::sign_for_outcome;
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::outcome_step::outcome_step;
use crate::usecases::kernel::query_check::{QueryProblem, check_queries, judging_signals, refuse_broken};
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::unchecked::{keep_unchecked, unchecked};
use crate::usecases::kernel::unlock::Unlock;
use crate::usecases::kernel::workspace_file::config;

/// What applying did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Applied {
    /// The plan that was carried out.
    pub outcomes: Vec<OutcomePlan>,
    /// Queries that could not be tried because their source did not answer, as sentences. They are tried again by the next `apply` and
    /// before a launch.
    pub unchecked: Vec<String>,
}

impl Outcomes<'_> {
    /// Stores what the file declares. Applying the same file again changes nothing.
    ///
    /// `unlock`: needed where the file lowers a gate's assurance.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`], [`Code::PassphraseNeeded`], [`Code::Conflict`] for an outcome that is over, and the source's error
    /// for a query that cannot run: nothing is stored then.
    #[tracing::instrument(level = "debug", name = "outcomes.apply", skip_all)]
    pub async fn apply(self, by: &Principal, unlock: Option<&Unlock>) -> Result<Applied> {
        let plans = self.0.outcomes().plan().await?;
        let config = config(self.0).await?;
        let tried = try_queries(self.0, &config, &plans).await?;
        for spec in &config.outcomes {
            let Some(plan) = plans.iter().find(|plan| plan.outcome == spec.slug.as_str()) else { continue };
            match plan.action {
                PlannedAction::Create => create_outcome(self.0, spec, by, unlock).await?,
                PlannedAction::Change => change_outcome(self.0, spec, by, unlock).await?,
                PlannedAction::None | PlannedAction::MissingFromFile => {}
            }
        }
        let mut unchecked = Vec::new();
        for Tried { outcome, names, problems } in tried {
            let mut tx = self.0.write().await?;
            let id = outcome_named(&mut tx, &outcome).await?.id;
            keep_unchecked(self.0, &mut tx, id.0, &names, &problems).await?;
            tx.commit().await?;
            unchecked.extend(problems.iter().map(QueryProblem::in_words));
        }
        Ok(Applied { outcomes: plans, unchecked })
    }
}

/// The queries of an outcome that were to be tried.
struct Tried {
    outcome: String,
    /// Names of their signals.
    names: Vec<String>,
    /// Those that could not be tried.
    problems: Vec<QueryProblem>,
}

/// Tries the queries of what will be stored, and again those of what is stored and could not be tried before.
async fn try_queries(runtime: &Runtime, config: &Arc<Config>, plans: &[OutcomePlan]) -> Result<Vec<Tried>> {
    let mut tried = Vec::new();
    for spec in &config.outcomes {
        let Some(plan) = plans.iter().find(|plan| plan.outcome == spec.slug.as_str()) else { continue };
        let is_due = match plan.action {
            PlannedAction::Create | PlannedAction::Change => true,
            PlannedAction::None => is_unchecked(runtime, spec).await?,
            PlannedAction::MissingFromFile => false,
        };
        if !is_due {
            continue;
        }
        let signals = judging_signals(spec);
        let names = signals.iter().map(|signal| signal.name.clone()).collect();
        let problems = check_queries(runtime, config, signals).await?;
        let problems = refuse_broken(problems, &format!("outcome `{}` cannot be applied", spec.slug))?;
        tried.push(Tried { outcome: spec.slug.to_string(), names, problems });
    }
    Ok(tried)
}

async fn is_unchecked(runtime: &Runtime, spec: &OutcomeSpec) -> Result<bool> {
    let mut tx = runtime.read().await?;
    let id = outcome_named(&mut tx, spec.slug.as_str()).await?.id;
    Ok(!unchecked(&mut tx, id.0).await?.is_empty())
}

async fn create_outcome(runtime: &Runtime, spec: &OutcomeSpec, by: &Principal, unlock: Option<&Unlock>) -> Result<()> {
    let now = runtime.now();
    let outcome = Outcome {
        id: runtime.ids.next::<OutcomeId>(),
        spec: spec.clone(),
        state: OutcomeState { status: OutcomeStatus::Draft, baseline: None, deadline: None },
        created_at: now,
        updated_at: now,
    };
    let spec_hash = digest(&outcome.spec)?;
    let consent = if lowers_assurance(None, spec) { Some(consent(runtime, &outcome, unlock).await?) } else { None };
    let mut tx = runtime.write().await?;
    tx.outcome_insert(&outcome, &spec_hash).await?;
    let created = OutcomeCreated { state: outcome.state.clone(), spec_hash: spec_hash.clone() };
    tx.event_append(new_event(EventKind::OutcomeCreated, outcome.id.into(), by, &created)?, now).await?;
    if let Some((decision, human)) = consent {
        let mut outcome = outcome;
        let event = OutcomeEvent::Applied { spec_hash, consent: Some(decision) };
        outcome_step(runtime, &mut tx, &mut outcome, None, event, &human).await?;
    }
    tx.commit().await
}

async fn change_outcome(runtime: &Runtime, spec: &OutcomeSpec, by: &Principal, unlock: Option<&Unlock>) -> Result<()> {
    let mut tx = runtime.read().await?;
    let stored = outcome_named(&mut tx, spec.slug.as_str()).await?;
    drop(tx);
    let mut wanted = stored.clone();
    wanted.spec = spec.clone();
    let consent =
        if lowers_assurance(Some(&stored.spec), spec) { Some(consent(runtime, &wanted, unlock).await?) } else { None };
    let mut tx = runtime.write().await?;
    let mut outcome = outcome_named(&mut tx, spec.slug.as_str()).await?;
    for mut experiment in tx.experiment_list_open(Some(outcome.id)).await? {
        if voids(&outcome, spec, &experiment)? {
            let reason = "the outcome file changed its plan".to_owned();
            let event = ExperimentEvent::LaunchVoided { reason };
            let system = Principal::system("apply");
            experiment_step(runtime, &mut tx, &outcome, &mut experiment, event, &system, &StepContext::default())
                .await?;
        }
    }
    let spec_hash = digest(spec)?;
    let (consent, by) = match consent {
        Some((decision, human)) => (Some(decision), human),
        None => (None, by.clone()),
    };
    let event = OutcomeEvent::Applied { spec_hash, consent };
    outcome_step(runtime, &mut tx, &mut outcome, Some(spec), event, &by).await?;
    tx.commit().await
}

async fn consent(
    runtime: &Runtime,
    outcome: &Outcome,
    unlock: Option<&Unlock>,
) -> Result<(crate::identity::VerifiedDecision, Principal)> {
    let unlock = unlock.ok_or_else(|| {
        Error::new(
            Code::PassphraseNeeded,
            format!("`{}` lowers the assurance of a gate, which needs your passphrase", outcome.spec.slug),
        )
        .hint("run `outcome-runtime apply` in a terminal, or remove `assurance: A2` from the file")
    })?;
    sign_for_outcome(runtime, outcome, Verdict::AcceptPolicy, None, unlock, Assurance::A3).await
}
