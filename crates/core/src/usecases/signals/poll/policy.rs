//! The step that a poll leads to. [`crate::lifecycle`] says which; here is read what it needs to know.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::health::SignalFindings;
use super::silence::Silent;
use crate::audit::{EventKind, LogEntry};
use crate::domain::{
    ContextPackage, Experiment, ExperimentStatus, Gate, Nullable, OnConclusion, Outcome, Plan, SignedDecision, Stored,
    ViolationPolicy,
};
use crate::error::{Code, Error, Result};
use crate::evaluation::Judged;
use crate::lifecycle::{
    AnalysisCause, ExperimentEvent, ExperimentEventKind, Failing, GateAdvice, PollFindings, Standing,
    asks_for_analysis, event_after_poll, least_time,
};
use crate::principal::Principal;
use crate::store::{AllocationPhase, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::phases::{is_on, on_since, step_began_at};
use crate::usecases::kernel::step_context::StepContext;

/// What one poll found.
pub(super) struct Found<'a> {
    /// How the flag is not where it was put.
    pub(super) drift: Option<&'a str>,
    /// What the statistics made of it.
    pub(super) judged: Option<&'a Judged>,
    /// Whether that rests on the primary signal too: the constraints alone neither kill nor change what a gate says.
    pub(super) is_whole: bool,
    /// Nobody was exposed.
    pub(super) silence: Option<&'a Silent>,
    /// How the signals do.
    pub(super) health: SignalFindings,
}

/// Takes the step that a poll leads to, if any; where it only says that the sample is reached, the next one as well.
pub(super) async fn follow(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &mut Experiment,
    plan: &Plan,
    phases: &[AllocationPhase],
    found: &Found<'_>,
) -> Result<()> {
    let by = Principal::system("poll");
    let judged = found.judged.filter(|_| found.is_whole || is_on(phases));
    let evaluated = judged.map(|judged| &judged.evaluated);
    let advice = evaluated.map(|evaluated| &evaluated.advice);
    let failing = found.health.failing.as_ref();
    let findings = PollFindings {
        flag_drift: found.drift.filter(|_| is_on(phases)),
        failing: failing.map(|(detail, n_attempts, since)| Failing { detail, n_attempts: *n_attempts, since: *since }),
        lasts_for: least_time(lag_of(plan)),
        stale_signal: found.health.stale.as_deref(),
        silence: found.silence.map(Silent::as_finding),
        evaluated,
        // What runs elsewhere is stopped, and a human decides whether it ends.
        is_kill_by_rule: plan.attached.is_none() && found.is_whole && judged.is_some_and(|judged| kills(plan, judged)),
    };
    while let Some(event) = next_event(runtime, tx, experiment, plan, phases, &findings).await? {
        let is_sample = event == ExperimentEvent::SampleReached;
        let pause = match &event {
            ExperimentEvent::AutoPaused { cause, .. } => Some(*cause),
            ExperimentEvent::Rejudged { .. } => experiment.state.pause.as_ref().map(|pause| pause.cause),
            _ => None,
        };
        let result = evaluated.map(|evaluated| (&evaluated.advice, evaluated.health.as_slice()));
        let context = StepContext {
            recommendation: Some(
                GateAdvice::of(result, pause).guarding(plan.attached.is_some()).in_words(advice, pause),
            ),
            conclusion: Some(advice.map(|advice| advice.reason.clone()).unwrap_or_default()),
            ..StepContext::default()
        };
        experiment_step(runtime, tx, outcome, experiment, event, &by, &context).await?;
        if !is_sample {
            break;
        }
    }
    Ok(())
}

/// How late rows of the deciding signal come.
fn lag_of(plan: &Plan) -> SignedDuration {
    plan.signal.contract.as_ref().map_or(SignedDuration::ZERO, |contract| contract.lag.get())
}

/// What the policy says of the poll, with what the log, the gates and the phases say of the experiment.
async fn next_event(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    plan: &Plan,
    phases: &[AllocationPhase],
    found: &PollFindings<'_>,
) -> Result<Option<ExperimentEvent>> {
    let status = experiment.state.status;
    let asks = found.evaluated.map_or(status.is_live(), |evaluated| {
        asks_for_analysis(status, evaluated.advice.recommendation)
            || status == ExperimentStatus::Scaling
            || plan.attached.is_some()
    });
    let analyses = if asks { analyses(tx, experiment).await? } else { Vec::new() };
    let is_judged_again = status.is_waiting() || status == ExperimentStatus::Paused;
    let gate = if is_judged_again { open_gate(tx, experiment).await? } else { None };
    let measurement = &plan.hypothesis.measurement;
    let standing = Standing {
        status,
        on_since: on_since(phases),
        now: runtime.now(),
        launched_at: experiment.launched_at,
        duration_days: measurement.duration_days,
        min_sample_size: u64::from(measurement.min_sample_size),
        success_threshold: measurement.success_threshold,
        keeps_flag: plan.on_conclusion == OnConclusion::Hold,
        is_guarded: plan.attached.is_some(),
        step_began_at: step_began_at(phases),
        is_last_step: experiment.state.step + 1 >= experiment.state.n_steps,
        analyses: &analyses,
        gate: gate.as_ref().map(|gate| (gate.advice, gate.opened_at)),
        is_gate_empty: gate.as_ref().is_some_and(|gate| gate.is_empty),
    };
    Ok(event_after_poll(found, &standing))
}

/// The open gate about the result.
struct OpenGate {
    /// What it recommends, from the facts that it shows.
    advice: GateAdvice,
    opened_at: Timestamp,
    /// It shows no figures.
    is_empty: bool,
}

/// The open gate about the result, if there is one.
async fn open_gate(tx: &mut Tx, experiment: &Experiment) -> Result<Option<OpenGate>> {
    let open = tx.gate_list_open().await?;
    let about_result = |gate: &Gate| gate.experiment == Some(experiment.id) && gate.gate_type.is_about_result();
    let Some((gate, _)) = open.into_iter().find(|(gate, _)| about_result(gate)) else { return Ok(None) };
    // What cannot be read any more is opened anew as soon as there is something to say.
    let facts = serde_json::from_str::<ContextPackage>(&gate.context).ok();
    let facts = facts.as_ref().and_then(|package| package.facts.read().ok());
    let result =
        facts.and_then(|facts| Nullable::of(facts.result.as_ref())).and_then(|result| Stored::read(result).ok());
    let pause = facts.and_then(|facts| Nullable::of(facts.pause.as_ref())).map(|pause| pause.cause);
    let advice = GateAdvice::of_evaluation(result, pause);
    Ok(Some(OpenGate { advice, opened_at: gate.created_at, is_empty: result.is_none() }))
}

/// The analyses that were due since the experiment was last resumed, newest first.
async fn analyses(tx: &mut Tx, experiment: &Experiment) -> Result<Vec<(AnalysisCause, Timestamp)>> {
    let lines = tx.event_steps_of_subject(experiment.id.0, 10_000).await?;
    let resumed = EventKind::Experiment(ExperimentEventKind::Resumed);
    let mut due = Vec::new();
    for line in lines.iter().take_while(|line| !line.is(resumed)) {
        let is_due = [ExperimentEventKind::AnalysisDue, ExperimentEventKind::Concluded];
        if !is_due.into_iter().any(|kind| line.is(EventKind::Experiment(kind))) {
            continue;
        }
        match ExperimentEvent::<SignedDecision>::deserialize(&line.payload) {
            Ok(ExperimentEvent::AnalysisDue { cause, .. } | ExperimentEvent::Concluded { cause, .. }) => {
                due.push((cause, line.at));
            }
            Ok(_) => return Err(unreadable(line)),
            Err(e) => return Err(unreadable(line).because(e)),
        }
    }
    Ok(due)
}

fn unreadable(line: &LogEntry) -> Error {
    Error::new(Code::StateTampered, format!("line {} of the log cannot be read", line.seq))
}

/// True when a crossed constraint's own entry says `on_violation: kill`.
fn kills(plan: &Plan, judged: &Judged) -> bool {
    judged.crossed(plan).any(|guardrail| guardrail.on_violation == ViolationPolicy::Kill)
}
