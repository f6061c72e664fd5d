//! What an experiment came to, from its row and its outcome.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{ConstraintBound, Evaluation, Experiment, ExperimentState, OutcomeSpec};
use crate::error::Result;
use crate::ids::ExperimentId;
use crate::present::{Answer, Asked, Scale, Values};
use crate::store::Tx;

/// What is known of an experiment.
pub(in crate::usecases) struct Standing<'e> {
    pub(in crate::usecases) experiment: ExperimentId,
    pub(in crate::usecases) state: &'e ExperimentState,
    pub(in crate::usecases) result: Option<&'e Evaluation>,
    pub(in crate::usecases) launched_at: Option<Timestamp>,
    pub(in crate::usecases) measurement: Thresholds,
}

/// What the plan asks of the numbers.
pub(in crate::usecases) struct Thresholds {
    pub(in crate::usecases) duration_days: u32,
    pub(in crate::usecases) mde: f64,
    pub(in crate::usecases) success: f64,
    pub(in crate::usecases) kill: f64,
}

impl<'e> Standing<'e> {
    /// `result`: the one that the answer is about.
    pub(in crate::usecases) fn of(experiment: &'e Experiment, result: Option<&'e Evaluation>) -> Self {
        let measurement = &experiment.hypothesis.measurement;
        Self {
            experiment: experiment.id,
            state: &experiment.state,
            result,
            launched_at: experiment.launched_at,
            measurement: Thresholds {
                duration_days: measurement.duration_days,
                mde: measurement.minimum_detectable_effect,
                success: measurement.success_threshold,
                kill: measurement.kill_threshold,
            },
        }
    }
}

/// The answer; `None` before the launch. `scale`: of the outcome's signal.
///
/// # Errors
/// When the database fails.
pub(in crate::usecases) async fn answer(
    tx: &mut Tx,
    spec: &OutcomeSpec,
    scale: &Scale,
    standing: &Standing<'_>,
) -> Result<Option<Answer>> {
    let crossed = crossed(tx, spec, standing).await?;
    let Thresholds { duration_days, mde, success, kill } = standing.measurement;
    let lasts = SignedDuration::from_hours(24) * i32::try_from(duration_days).unwrap_or(i32::MAX);
    let status = standing.state.status;
    Ok(Answer::to(&Asked {
        metric: &spec.signal.name,
        scale,
        direction: spec.target.direction,
        unit: &spec.randomisation_unit,
        result: standing.result,
        pause: standing.state.pause.as_ref(),
        is_over: status.is_terminal(),
        is_going_on: status.is_live(),
        mde,
        success_threshold: success,
        kill_threshold: kill,
        answer_by: standing.launched_at.and_then(|launched| launched.checked_add(lasts).ok()),
        values: Values::of(&spec.signal, standing.launched_at),
        limit: &|_| crossed.clone(),
    }))
}

/// How the values of the constraint that is crossed are written, as its latest reading tells, and what it must hold.
async fn crossed(tx: &mut Tx, spec: &OutcomeSpec, standing: &Standing<'_>) -> Result<Option<(Scale, ConstraintBound)>> {
    let guard = standing.result.and_then(|result| result.guardrails.iter().find(|guard| guard.breached));
    let Some((signal, bound)) = guard.and_then(|guard| spec.constraint_of(&guard.name)) else { return Ok(None) };
    let read = tx.measurement_series(standing.experiment, &signal.name, 1).await?;
    let scale = bound.scale(signal, read.first().map(|reading| &reading.sums)).unwrap_or_default();
    Ok(Some((scale, bound.clone())))
}
