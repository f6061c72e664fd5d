//! What is kept with an experiment from poll to poll: its plan, its running state, its latest evaluation.

use jiff::Timestamp;

use crate::domain::{Experiment, SignalSpec};
use crate::error::{Code, Error, Result};
use crate::hypotheses::Plan;
use crate::stats::{Evaluated, RunningState};
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::latest::Latest;

/// The signals that a plan reads: the primary one first.
pub(super) fn plan_signals(plan: &Plan) -> impl Iterator<Item = &SignalSpec> {
    std::iter::once(&plan.signal).chain(plan.guardrails.iter().map(|guardrail| &guardrail.signal))
}

/// The plan that was fixed at launch.
pub(super) fn read_plan(experiment: &Experiment) -> Result<Plan> {
    let value =
        experiment.plan.clone().ok_or_else(|| Error::new(Code::Internal, "a launched experiment has no plan"))?;
    let plan: Plan = serde_json::from_value(value)
        .map_err(|e| Error::new(Code::StateTampered, "the stored plan cannot be read").because(e))?;
    if experiment.state.plan_hash.as_ref() != Some(&digest(&plan)?) {
        return Err(Error::new(Code::StateTampered, "the stored plan differs from the approved plan")
            .hint("another program wrote to the database; run `outcome-runtime audit verify`"));
    }
    Ok(plan)
}

/// What the statistics remember of an experiment.
pub(super) fn running_of(experiment: &Experiment) -> Option<RunningState> {
    experiment.running.as_ref().and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// Keeps the evaluation with the experiment.
pub(super) fn remember(
    experiment: &mut Experiment,
    plan: &Plan,
    evaluated: &Evaluated,
    now: Timestamp,
    n_readings: usize,
) -> Result<()> {
    let json = |e: serde_json::Error| Error::new(Code::Internal, "an evaluation cannot be written").because(e);
    experiment.running = Some(serde_json::to_value(&evaluated.running).map_err(json)?);
    let latest = Latest::of(plan, evaluated, now, n_readings);
    experiment.current_result = Some(serde_json::to_value(latest).map_err(json)?);
    Ok(())
}
