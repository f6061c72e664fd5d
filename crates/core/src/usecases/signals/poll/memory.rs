//! What is kept with an experiment from poll to poll: its plan, its running state, its latest evaluation.

use jiff::Timestamp;

use crate::domain::{Evaluation, Experiment, Plan, Stored};
use crate::error::Result;
use crate::evaluation::Judged;
use crate::stats::RunningState;

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
    judged: &Judged,
    now: Timestamp,
    n_readings: usize,
) -> Result<()> {
    experiment.running = Some(Stored::new(judged.running.clone())?);
    experiment.current_result =
        Some(Stored::new(Evaluation::of(plan, judged, now, n_readings).with_capped(judged.capped))?);
    Ok(())
}
