//! What is kept with an experiment from poll to poll: its plan, its running state, its latest evaluation.

use jiff::Timestamp;

use crate::domain::{Evaluation, Experiment, Plan, SignalSpec, Stored};
use crate::error::{Code, Error, Result};
use crate::stats::{Evaluated, RunningState};
use crate::usecases::kernel::digest::digest;

/// The signals that a plan reads: the primary one first.
pub(super) fn plan_signals(plan: &Plan) -> impl Iterator<Item = &SignalSpec> {
    std::iter::once(&plan.signal).chain(plan.guardrails.iter().map(|guardrail| &guardrail.signal))
}

/// The plan that was fixed at launch.
pub(super) fn read_plan(experiment: &Experiment) -> Result<Plan> {
    let plan =
        experiment.plan.as_ref().ok_or_else(|| Error::new(Code::Internal, "a launched experiment has no plan"))?;
    let plan = plan.read()?;
    if experiment.state.plan_hash.as_ref() != Some(&digest(plan)?) {
        return Err(Error::new(Code::StateTampered, "the stored plan differs from the approved plan")
            .hint("another program wrote to the database; run `outcome-runtime audit verify`"));
    }
    Ok(plan.clone())
}

/// What the statistics remember of an experiment; `None` before its first poll.
///
/// # Errors
/// [`Code::StateTampered`] when it cannot be read: going on without it would forget the evidence so far.
pub(super) fn running_of(experiment: &Experiment) -> Result<Option<&RunningState>> {
    experiment.running.as_ref().map(Stored::read).transpose()
}

/// Keeps the evaluation with the experiment.
pub(super) fn remember(
    experiment: &mut Experiment,
    plan: &Plan,
    evaluated: &Evaluated,
    now: Timestamp,
    n_readings: usize,
) -> Result<()> {
    experiment.running = Some(Stored::new(evaluated.running.clone())?);
    experiment.current_result = Some(Stored::new(Evaluation::of(plan, evaluated, now, n_readings))?);
    Ok(())
}
