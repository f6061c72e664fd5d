//! The step that a poll leads to.

use serde::Deserialize;
use serde_json::json;

use super::gathered::Gathered;
use crate::audit::EventKind;
use crate::domain::{Experiment, ExperimentStatus, Outcome, PauseCause, Plan, ViolationPolicy};
use crate::error::{Code, Error, Result};
use crate::evaluation::Judged;
use crate::lifecycle::{ExperimentEvent, ExperimentEventKind};
use crate::principal::Principal;
use crate::stats::{Evaluated, Recommendation};
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::step_context::StepContext;

/// How long a rollout step is watched before the next one can be asked for: a full week.
const STEP_DAYS: i64 = 7;

/// The step that a poll leads to, if any. The first that applies ends the round.
#[expect(clippy::too_many_arguments, reason = "all of one poll; a struct would only rename them")]
pub(super) async fn follow(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &mut Experiment,
    plan: &Plan,
    gathered: &Gathered,
    judged: Option<&Judged>,
    stale: Option<String>,
) -> Result<()> {
    let by = Principal::system("poll");
    let evaluated = judged.map(|judged| &judged.evaluated);
    let pause = |cause: PauseCause, detail: String| Some(ExperimentEvent::AutoPaused { cause, detail });
    let decision = evaluated.map(|evaluated| evaluated.advice.recommendation);
    let reason = evaluated.map(|evaluated| evaluated.advice.reason.clone()).unwrap_or_default();
    let event = if let Some(drift) = &gathered.drift {
        pause(PauseCause::FlagDrift, drift.clone())
    } else if let Some(detail) = stale {
        pause(PauseCause::StaleSignal, detail)
    } else {
        match decision {
            Some(Recommendation::KillGuardrail | Recommendation::HoldAlert)
                if judged.is_some_and(|judged| kills(plan, judged)) =>
            {
                Some(ExperimentEvent::KilledByRule { detail: reason.clone() })
            }
            Some(Recommendation::KillGuardrail | Recommendation::HoldAlert) => {
                pause(PauseCause::Constraint, reason.clone())
            }
            Some(Recommendation::KillHarm) => pause(PauseCause::KillThreshold, reason.clone()),
            Some(Recommendation::HoldDataQuality | Recommendation::HoldSrm) | None => None,
            Some(
                Recommendation::Ship
                | Recommendation::KillFutility
                | Recommendation::IterateGuardrailUnproven
                | Recommendation::IterateInconclusive
                | Recommendation::Continue,
            ) => calm_step(runtime, tx, experiment, evaluated, &reason).await?,
        }
    };
    let Some(event) = event else { return Ok(()) };
    let is_sample = event == ExperimentEvent::SampleReached;
    let context = StepContext {
        recommendation: evaluated.map(recommendation),
        conclusion: Some(reason.clone()),
        ..StepContext::default()
    };
    experiment_step(runtime, tx, outcome, experiment, event, &by, &context).await?;
    if is_sample && let Some(due) = calm_step(runtime, tx, experiment, evaluated, &reason).await? {
        experiment_step(runtime, tx, outcome, experiment, due, &by, &context).await?;
    }
    Ok(())
}

/// Steps that nothing speaks against: sample reached, analysis due, rollout step measured.
async fn calm_step(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    evaluated: Option<&Evaluated>,
    reason: &str,
) -> Result<Option<ExperimentEvent>> {
    let Some(evaluated) = evaluated else { return Ok(None) };
    Ok(match experiment.state.status {
        ExperimentStatus::Running if evaluated.is_min_sample_reached => Some(ExperimentEvent::SampleReached),
        ExperimentStatus::Running | ExperimentStatus::Measuring => match evaluated.advice.recommendation {
            decision @ (Recommendation::Ship
            | Recommendation::KillFutility
            | Recommendation::IterateGuardrailUnproven
            | Recommendation::IterateInconclusive) => analysis_due(runtime, tx, experiment, decision, reason).await?,
            _ => None,
        },
        ExperimentStatus::Scaling => {
            let phases = tx.phase_list(experiment.id).await?;
            let began = phases.last().map(|phase| phase.started_at.0);
            let is_over = began.is_some_and(|began| runtime.now().duration_since(began).as_hours() >= STEP_DAYS * 24);
            is_over.then_some(ExperimentEvent::StepMeasured)
        }
        _ => None,
    })
}

/// Opens the analysis once for a verdict. After a human said `extend`, futility is not brought up again before the end of
/// the plan, and the others after a week at the earliest.
async fn analysis_due(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    decision: Recommendation,
    reason: &str,
) -> Result<Option<ExperimentEvent>> {
    let days = i64::from(experiment.hypothesis.measurement.duration_days);
    let is_over = experiment.launched_at.is_some_and(|at| runtime.now().duration_since(at).as_hours() >= days * 24);
    let is_futile = decision == Recommendation::KillFutility;
    let verdict = match json!(decision).as_str() {
        Some(_) if is_futile && is_over => "end_of_plan".to_owned(),
        name => name.unwrap_or_default().to_owned(),
    };
    let lines = tx.event_steps_of_subject(experiment.id.0, 10_000).await?;
    let mut last = None;
    for line in lines.iter().filter(|line| line.is(EventKind::Experiment(ExperimentEventKind::AnalysisDue))) {
        let due = DueLine::deserialize(&line.payload).map_err(|e| {
            Error::new(Code::StateTampered, format!("line {} of the log cannot be read", line.seq)).because(e)
        })?;
        if due.verdict == verdict {
            last = Some(line);
            break;
        }
    }
    let is_due = last.is_none_or(|line| {
        (!is_futile || is_over) && runtime.now().duration_since(line.at).as_hours() >= STEP_DAYS * 24
    });
    Ok(is_due.then(|| ExperimentEvent::AnalysisDue { verdict, reason: reason.to_owned() }))
}

/// What a line of the log says about an analysis that was due.
#[derive(Deserialize)]
struct DueLine {
    verdict: String,
}

/// What the engine would do, in a sentence for the gate. Deterministic.
fn recommendation(evaluated: &Evaluated) -> String {
    let advice = match evaluated.advice.recommendation {
        Recommendation::Ship => "ship",
        Recommendation::KillHarm | Recommendation::KillGuardrail | Recommendation::KillFutility => "kill",
        Recommendation::IterateInconclusive | Recommendation::IterateGuardrailUnproven => "iterate",
        Recommendation::HoldDataQuality
        | Recommendation::HoldSrm
        | Recommendation::HoldAlert
        | Recommendation::Continue => "extend",
    };
    format!("{advice}: {}", evaluated.advice.reason)
}

/// True when a crossed constraint's own entry says `on_violation: kill`.
fn kills(plan: &Plan, judged: &Judged) -> bool {
    judged.crossed(plan).any(|guardrail| guardrail.on_violation == ViolationPolicy::Kill)
}
