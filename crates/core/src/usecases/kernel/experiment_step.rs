//! Taking a step of an experiment: the stored state is compared with the log, the transition function decides, and state,
//! log line and effects are written together.

use super::check::{check_experiment, check_outcome_of};
use super::effects::apply_effects;
use super::event::new_event;
use super::flag_owner::{require_attachable_flag, require_free_flag};
use super::gate_step::close_questions;
use super::keyring::keyring;
use super::queue::queue_experiment;
use super::step_context::StepContext;
use crate::audit::EventKind;
use crate::domain::{Experiment, Outcome, PhaseStart};
use crate::error::{Code, Error, Result};
use crate::lifecycle::{Effect, ExperimentEvent, ExperimentEventKind, transition_experiment};
use crate::principal::Principal;
use crate::stats::HealthCode;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Takes a step of an experiment and does what follows from it.
pub(in crate::usecases) async fn experiment_step(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &mut Experiment,
    event: ExperimentEvent,
    by: &Principal,
    context: &StepContext,
) -> Result<Vec<Effect>> {
    let keyring = keyring(runtime, tx).await?;
    check_outcome_of(tx, &keyring, outcome).await?;
    check_experiment(tx, &keyring, experiment).await?;
    let (next, effects) = transition_experiment(&experiment.state, &event, by)?;
    let kind = event.kind(&experiment.state).ok_or_else(|| Error::new(Code::Internal, "a step without a name"))?;
    if next.status.occupies_slot() && !experiment.state.status.occupies_slot() {
        check_slots(tx, outcome).await?;
    }
    match kind {
        ExperimentEventKind::PortfolioApproved => require_free_flag(tx, experiment).await?,
        ExperimentEventKind::Attached => require_attachable_flag(tx, experiment).await?,
        _ => {}
    }
    let now = runtime.now();
    tx.event_append(new_event(EventKind::Experiment(kind), experiment.id.into(), by, &event)?, now).await?;
    let begins = phase_start(experiment, kind);
    experiment.state = next;
    experiment.updated_at = now;
    // On the heap: a step is deep within a decision, and opens gates that read much.
    Box::pin(apply_effects(runtime, tx, outcome, experiment, &effects, begins, by, context)).await?;
    if experiment.state.status.is_terminal() {
        close_questions(runtime, tx, experiment.id, None, "the experiment has ended").await?;
    }
    tx.experiment_update(experiment).await?;
    queue_experiment(tx, experiment, now).await?;
    Ok(effects)
}

/// How a phase begins that follows from this step, if one does.
fn phase_start(before: &Experiment, kind: ExperimentEventKind) -> PhaseStart {
    // Several findings can hold at once, and a pause names one of them.
    let is_mismatch = before.current_result.as_ref().and_then(|result| result.read().ok()).is_some_and(|result| {
        let codes = [HealthCode::SrmProven, HealthCode::ArmWithoutExposure];
        result.health.iter().any(|finding| codes.contains(&finding.code))
    });
    match (before.state.pause.as_ref().map(|pause| pause.cause), kind) {
        (Some(cause), _) if cause.is_mismatch() || (cause.is_statistical() && is_mismatch) => {
            PhaseStart::ResumedAfterMismatch
        }
        (Some(cause), _) if cause.is_statistical() => PhaseStart::ResumedAfterFinding,
        (_, ExperimentEventKind::LaunchApproved | ExperimentEventKind::AttachApproved) => PhaseStart::Launch,
        (_, ExperimentEventKind::Scaled | ExperimentEventKind::ScaleApproved) => PhaseStart::Step,
        _ => PhaseStart::Resumed,
    }
}

async fn check_slots(tx: &mut Tx, outcome: &Outcome) -> Result<()> {
    let counts = tx.experiment_counts_of(outcome.id).await?;
    let taken: i64 = counts.into_iter().filter(|(status, _)| status.occupies_slot()).map(|(_, count)| count).sum();
    let limit = outcome.spec.portfolio.max_concurrent;
    if taken >= i64::from(limit) {
        return Err(Error::new(
            Code::SlotsFull,
            format!("{taken} experiments of `{}` are open, and the limit is {limit}", outcome.spec.slug),
        )
        .hint("finish or kill one first, or increase portfolio.max_concurrent"));
    }
    Ok(())
}
