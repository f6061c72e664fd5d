//! The step that a poll leads to. [`crate::lifecycle`] says which; here is read what it needs to know.

use jiff::Timestamp;
use serde::Deserialize;

use super::gathered::Gathered;
use crate::audit::{EventKind, LogEntry};
use crate::domain::{Experiment, ExperimentStatus, Outcome, Plan, SignedDecision, ViolationPolicy};
use crate::error::{Code, Error, Result};
use crate::evaluation::Judged;
use crate::lifecycle::{
    AnalysisCause, ExperimentEvent, ExperimentEventKind, PollFindings, Standing, asks_for_analysis, event_after_poll,
    recommendation_at_gate,
};
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::step_context::StepContext;

/// Takes the step that a poll leads to, if any; where it only says that the sample is reached, the next one as well.
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
    let advice = judged.map(|judged| &judged.evaluated.advice);
    let found = PollFindings {
        flag_drift: gathered.drift.as_deref(),
        stale_signal: stale.as_deref(),
        advice,
        is_min_sample_reached: judged.is_some_and(|judged| judged.evaluated.is_min_sample_reached),
        is_kill_by_rule: judged.is_some_and(|judged| kills(plan, judged)),
    };
    let context = StepContext {
        recommendation: advice.map(recommendation_at_gate),
        conclusion: Some(advice.map(|advice| advice.reason.clone()).unwrap_or_default()),
        ..StepContext::default()
    };
    while let Some(event) = next_event(runtime, tx, experiment, &found).await? {
        let is_sample = event == ExperimentEvent::SampleReached;
        experiment_step(runtime, tx, outcome, experiment, event, &by, &context).await?;
        if !is_sample {
            break;
        }
    }
    Ok(())
}

/// What the policy says of the poll, with what the log and the phases say of the experiment.
async fn next_event(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    found: &PollFindings<'_>,
) -> Result<Option<ExperimentEvent>> {
    let status = experiment.state.status;
    let needs_log = found.advice.is_some_and(|advice| asks_for_analysis(status, advice.recommendation));
    let analyses = if needs_log { analyses(tx, experiment).await? } else { Vec::new() };
    let step_began_at = match status {
        ExperimentStatus::Scaling => tx.phase_list(experiment.id).await?.last().map(|phase| phase.started_at.0),
        _ => None,
    };
    let standing = Standing {
        status,
        now: runtime.now(),
        launched_at: experiment.launched_at,
        duration_days: experiment.hypothesis.measurement.duration_days,
        step_began_at,
        analyses: &analyses,
    };
    Ok(event_after_poll(found, &standing))
}

/// The analyses that were due before, newest first.
async fn analyses(tx: &mut Tx, experiment: &Experiment) -> Result<Vec<(AnalysisCause, Timestamp)>> {
    let lines = tx.event_steps_of_subject(experiment.id.0, 10_000).await?;
    let due = lines.iter().filter(|line| line.is(EventKind::Experiment(ExperimentEventKind::AnalysisDue)));
    due.map(|line| match ExperimentEvent::<SignedDecision>::deserialize(&line.payload) {
        Ok(ExperimentEvent::AnalysisDue { cause, .. }) => Ok((cause, line.at)),
        Ok(_) => Err(unreadable(line)),
        Err(e) => Err(unreadable(line).because(e)),
    })
    .collect()
}

fn unreadable(line: &LogEntry) -> Error {
    Error::new(Code::StateTampered, format!("line {} of the log cannot be read", line.seq))
}

/// True when a crossed constraint's own entry says `on_violation: kill`.
fn kills(plan: &Plan, judged: &Judged) -> bool {
    judged.crossed(plan).any(|guardrail| guardrail.on_violation == ViolationPolicy::Kill)
}
