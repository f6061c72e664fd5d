//! A text of the outcome file begins to count: its line in the log, and what it declares of each outcome.

use std::sync::Arc;

use jiff::Timestamp;

use super::applied::applied;
use super::digest::digest;
use super::event::new_event;
use super::experiment_step::experiment_step;
use super::outcome_step::outcome_step;
use super::phases::is_on;
use super::planned::planned;
use super::step_context::StepContext;
use crate::audit::replay::OutcomeCreated;
use crate::audit::{AppliedBecause, ConfigurationApplied, EventKind};
use crate::config::Config;
use crate::domain::{ConfigurationOrigin, ExperimentStatus, Outcome, OutcomeSpec, OutcomeState, OutcomeStatus, Place};
use crate::error::{Code, Error, Result};
use crate::ids::OutcomeId;
use crate::lifecycle::{ExperimentEvent, OutcomeEvent};
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// What begins to count.
pub(in crate::usecases) struct NewConfiguration {
    /// SHA-256 of its text, which is stored.
    pub(in crate::usecases) hash: String,
    /// SHA-256 of the one before.
    pub(in crate::usecases) previous: Option<String>,
    pub(in crate::usecases) origin: ConfigurationOrigin,
    pub(in crate::usecases) because: AppliedBecause,
    /// What it says.
    pub(in crate::usecases) config: Arc<Config>,
    /// Where its sources and its flag service led when a member last signed.
    pub(in crate::usecases) places: Vec<Place>,
}

/// Makes it count.
///
/// # Errors
/// [`crate::Code::Conflict`] for an outcome that is over.
pub(in crate::usecases) async fn apply_change(
    runtime: &Runtime,
    tx: &mut Tx,
    new: NewConfiguration,
    by: &Principal,
) -> Result<()> {
    refuse_other_flags(runtime, tx, &new).await?;
    note_configuration(runtime, tx, &new, by).await?;
    for spec in &new.config.outcomes {
        match tx.outcome_by_slug(spec.slug.as_str()).await? {
            None => create_outcome(runtime, tx, spec, by).await?,
            Some(known) if known.spec == *spec => {}
            Some(known) => change_outcome(runtime, tx, known, spec).await?,
        }
    }
    Ok(())
}

/// While a flag is on, the service that has it stays: another one would be turned off in its place, and read back.
async fn refuse_other_flags(runtime: &Runtime, tx: &mut Tx, new: &NewConfiguration) -> Result<()> {
    let Some(now) = applied(runtime, tx).await? else { return Ok(()) };
    if identity(&now.config) == identity(&new.config) {
        return Ok(());
    }
    let mut on = Vec::new();
    for experiment in tx.experiment_list_under_way(None).await? {
        if is_on(&tx.phase_list(experiment.id).await?) {
            on.push(format!("`{}`", experiment.slug));
        }
    }
    if on.is_empty() {
        return Ok(());
    }
    let message = format!(
        "`feature_flags` cannot be changed while the flags of {} are on: they would stay on where they are",
        on.join(", ")
    );
    Err(Error::new(Code::Conflict, message).hint("pause these experiments, or end them, and then apply it"))
}

/// Which flag service it is, without who asks.
fn identity(config: &Config) -> Option<(&'static str, serde_json::Value)> {
    let spec = config.flags.as_ref()?;
    let settings = match spec.settings.to_json() {
        serde_json::Value::Object(all) => all.into_iter().filter(|(key, _)| key != "token").collect(),
        other => other,
    };
    Some((spec.kind, settings))
}

/// Writes down that it counts, without what follows for the outcomes.
pub(in crate::usecases) async fn note_configuration(
    runtime: &Runtime,
    tx: &mut Tx,
    new: &NewConfiguration,
    by: &Principal,
) -> Result<()> {
    let said = ConfigurationApplied {
        hash: new.hash.clone(),
        previous: new.previous.clone(),
        origin: new.origin.clone(),
        because: new.because.clone(),
        places: new.places.clone(),
    };
    let subject = runtime.workspace.id.into();
    tx.event_append(new_event(EventKind::ConfigurationApplied, subject, by, &said)?, runtime.now()).await?;
    Ok(())
}

async fn create_outcome(runtime: &Runtime, tx: &mut Tx, spec: &OutcomeSpec, by: &Principal) -> Result<()> {
    let now = runtime.now();
    let outcome = Outcome {
        id: runtime.ids.next::<OutcomeId>(),
        spec: spec.clone(),
        state: OutcomeState { status: OutcomeStatus::Draft, baseline: None, deadline: None },
        created_at: now,
        updated_at: now,
    };
    let spec_hash = digest(&outcome.spec)?;
    tx.outcome_insert(&outcome, &spec_hash).await?;
    let created = OutcomeCreated { state: outcome.state.clone(), spec_hash };
    tx.event_append(new_event(EventKind::OutcomeCreated, outcome.id.into(), by, &created)?, now).await?;
    Ok(())
}

async fn change_outcome(runtime: &Runtime, tx: &mut Tx, known: Outcome, spec: &OutcomeSpec) -> Result<()> {
    let system = Principal::system("apply");
    let mut outcome = known;
    for mut experiment in tx.experiment_list_open(Some(outcome.id)).await? {
        if voids(&outcome, spec, &experiment)? {
            let reason = "the outcome file changed its plan".to_owned();
            let event = ExperimentEvent::LaunchVoided { reason };
            experiment_step(runtime, tx, &outcome, &mut experiment, event, &system, &StepContext::default()).await?;
        }
    }
    let deadline = moved_deadline(&outcome, spec);
    let event = OutcomeEvent::Applied { spec_hash: digest(spec)?, consent: None, deadline };
    outcome_step(runtime, tx, &mut outcome, Some(spec), event, &system).await
}

/// The deadline that a changed horizon moves: horizons count from the activation, and experiments are planned within them.
fn moved_deadline(outcome: &Outcome, spec: &OutcomeSpec) -> Option<Timestamp> {
    let (before, after) = (outcome.spec.horizon.get(), spec.horizon.get());
    let deadline = outcome.state.deadline.filter(|_| before != after)?;
    deadline.checked_sub(before).and_then(|activated_at| activated_at.checked_add(after)).ok()
}

/// True when the new spec would change what a reported, not yet launched build was to be approved for.
pub(in crate::usecases) fn voids(
    outcome: &Outcome,
    spec: &OutcomeSpec,
    experiment: &crate::domain::Experiment,
) -> Result<bool> {
    let state = &experiment.state;
    if state.status != ExperimentStatus::AwaitingLaunchGate || experiment.outcome != outcome.id {
        return Ok(false);
    }
    Ok(state.plan_hash != Some(digest(&planned(spec, experiment))?))
}
