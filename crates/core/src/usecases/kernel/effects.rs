//! What follows from a step of an experiment, done in the same transaction: gates, flags (through the outbox), plans,
//! results, learnings.

use jiff::Timestamp;

use super::event::new_event;
use super::flag::{position_of, queue_flag};
use super::gate_opening::open_gate;
use super::gate_step::supersede_gates;
use super::history::plan_of;
use super::learning::store_learning;
use super::new_experiment::draft_successor;
use super::phases::{is_on, n_restarts};
use super::planned::planned;
use super::step_context::StepContext;
use crate::audit::EventKind;
use crate::domain::{
    Conclusion, Experiment, MAX_RESTARTS, Message, MessageKey, Notice, Outcome, PhaseStart, Plan, Stored,
};
use crate::error::{Code, Error, Result};
use crate::lifecycle::Effect;
use crate::principal::Principal;
use crate::store::{Instant, SignalHealth, Tx};
use crate::usecases::Runtime;

#[expect(clippy::too_many_arguments, reason = "all of one step; a struct would only rename them")]
pub(super) async fn apply_effects(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &mut Experiment,
    effects: &[Effect],
    begins: PhaseStart,
    by: &Principal,
    context: &StepContext,
) -> Result<()> {
    let now = runtime.now();
    for effect in effects {
        match effect {
            Effect::OpenGate(gate_type) => {
                open_gate(runtime, tx, outcome, Some(experiment), *gate_type, by, context).await?;
            }
            Effect::SupersedeGates => {
                supersede_gates(runtime, tx, experiment.id, "the experiment has moved on").await?;
            }
            Effect::PublishBrief => {
                if experiment.base_commit.is_none() {
                    experiment.base_commit.clone_from(&context.base);
                }
                experiment.build = None;
            }
            Effect::SetFlag => {
                // Users see only what can be judged and watched.
                plan_of(experiment)?;
                let pct = experiment.hypothesis.rollout.pct(experiment.state.step).unwrap_or(0);
                queue_flag(runtime, tx, experiment, pct).await?;
                begin_phase(tx, experiment, i32::from(pct), begins, now).await?;
            }
            Effect::SetFlagFull => {
                plan_of(experiment)?;
                queue_flag(runtime, tx, experiment, 100).await?;
                tx.phase_end(experiment.id, now).await?;
            }
            Effect::FlagOff => {
                queue_flag(runtime, tx, experiment, 0).await?;
                tx.phase_end(experiment.id, now).await?;
            }
            Effect::WatchFlag => {
                let plan = plan_of(experiment)?;
                let pct = experiment.hypothesis.rollout.pct(experiment.state.step).unwrap_or(0);
                if !is_on(&tx.phase_list(experiment.id).await?) {
                    begin_phase(tx, experiment, i32::from(pct), begins, experiment.launched_at.unwrap_or(now)).await?;
                    begin_watching(runtime, tx, experiment, &plan, pct).await?;
                }
            }
            Effect::LeaveFlag => {
                if !is_on(&tx.phase_list(experiment.id).await?) && tx.outbox_is_flag_waiting(experiment.id).await? {
                    return Err(still_going_off(experiment));
                }
                tx.outbox_overtake_flag(experiment.id, now).await?;
                tx.phase_end(experiment.id, now).await?;
            }
            Effect::FreezePlan => {
                experiment.plan = Some(Stored::new(planned(&outcome.spec, experiment))?);
                // What runs elsewhere is counted from its start there.
                experiment.launched_at = Some(experiment.state.attached.as_ref().map_or(now, |at| at.started_at));
            }
            Effect::FreezeResult => {
                experiment.concluded_at = Some(now);
                let conclusion = context.conclusion.clone().unwrap_or_default();
                let result = experiment.current_result.clone();
                experiment.final_result = Some(Stored::new(Conclusion { conclusion, result })?);
            }
            Effect::StoreLearning => store_learning(runtime, tx, outcome, experiment, context).await?,
            Effect::DraftSuccessor => draft_successor(runtime, tx, outcome, experiment, by).await?,
            Effect::Notify => {
                let moved = Message::Notice(Notice::ExperimentMoved {
                    experiment: experiment.slug.to_string(),
                    status: experiment.state.status,
                });
                let key = MessageKey::ExperimentMoved(experiment.id, tx.log_head().await?.0);
                tx.outbox_insert(runtime.ids.next(), &moved, &key, now).await?;
            }
        }
    }
    Ok(())
}

/// From here on its flag is the runtime's to turn off, and its signals are late only after this.
async fn begin_watching(runtime: &Runtime, tx: &mut Tx, experiment: &Experiment, plan: &Plan, pct: u8) -> Result<()> {
    let now = runtime.now();
    for signal in plan.signals() {
        let health = SignalHealth {
            signal: signal.name.clone(),
            due_at: Instant(now),
            last_ok_at: Some(Instant(now)),
            failures: 0,
            breaches: 0,
            failing_since: None,
            last_error: None,
        };
        tx.signal_health_put(experiment.id.0, &health).await?;
    }
    let by = Principal::system("flags");
    let position = position_of(experiment, pct);
    tx.event_append(new_event(EventKind::FlagSet, runtime.workspace.id.into(), &by, &position)?, now).await?;
    Ok(())
}

fn still_going_off(experiment: &Experiment) -> Error {
    Error::new(
        Code::Conflict,
        format!("the flag of `{}` is to go off and is not off yet: detached now, it would stay on", experiment.slug),
    )
    .hint("`outcome-runtime messages` says why it is not off; wait until it is, or decide `kill`")
}

/// Begins a stretch of time with this split, unless it goes on.
async fn begin_phase(
    tx: &mut Tx,
    experiment: &Experiment,
    treatment_pct: i32,
    begins: PhaseStart,
    now: Timestamp,
) -> Result<()> {
    let phases = tx.phase_list(experiment.id).await?;
    if phases.last().is_some_and(|phase| phase.ended_at.is_none() && phase.treatment_pct == treatment_pct) {
        return Ok(());
    }
    if begins.is_restart() && n_restarts(&phases) >= MAX_RESTARTS {
        return Err(Error::new(
            Code::Conflict,
            format!(
                "`{}` was resumed {MAX_RESTARTS} times after a statistical finding, which is the limit",
                experiment.slug
            ),
        )
        .hint("decide `iterate`: the successor gets a plan and an error budget of its own"));
    }
    tx.phase_begin(experiment.id, treatment_pct, begins, now).await?;
    Ok(())
}
