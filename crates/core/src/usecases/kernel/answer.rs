//! What an experiment came to, from its row and its outcome.

use jiff::{SignedDuration, Timestamp};

use super::scale::scale_of_bound;
use crate::domain::{
    ConstraintBound, Evaluation, Experiment, ExperimentState, MeasurementPlan, OutcomeSpec, SignalSpec, signal_of_limit,
};
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
    pub(in crate::usecases) measurement: &'e MeasurementPlan,
}

impl<'e> Standing<'e> {
    /// `result`: the one that the answer is about.
    pub(in crate::usecases) fn of(experiment: &'e Experiment, result: Option<&'e Evaluation>) -> Self {
        Self {
            experiment: experiment.id,
            state: &experiment.state,
            result,
            launched_at: experiment.launched_at,
            measurement: &experiment.hypothesis.measurement,
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
    let lasts = SignedDuration::from_hours(24) * i32::try_from(standing.measurement.duration_days).unwrap_or(i32::MAX);
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
        measurement: standing.measurement,
        is_guarded: standing.state.is_attached(),
        is_planned: true,
        answer_by: standing.launched_at.and_then(|launched| launched.checked_add(lasts).ok()),
        values: Values::of(&spec.signal, standing.launched_at),
        crossed: crossed.as_ref(),
    }))
}

/// The constraint that a result of this name is about: of the outcome, or of what runs elsewhere.
fn constraint_of<'s>(
    spec: &'s OutcomeSpec,
    state: &'s ExperimentState,
    result: &str,
) -> Option<(&'s SignalSpec, &'s ConstraintBound)> {
    let guards =
        || state.attached.iter().flat_map(|attached| &attached.guards).map(|guard| (&guard.signal, &guard.bound));
    spec.constraint_of(result).or_else(|| {
        let named = signal_of_limit(result);
        guards().find(|(signal, _)| signal.name == result || Some(signal.name.as_str()) == named)
    })
}

/// How the values of the constraint that is crossed are written, as its latest reading tells, and what it must hold.
async fn crossed(tx: &mut Tx, spec: &OutcomeSpec, standing: &Standing<'_>) -> Result<Option<(Scale, ConstraintBound)>> {
    let guard = standing.result.and_then(Evaluation::crossed);
    let Some((signal, bound)) = guard.and_then(|guard| constraint_of(spec, standing.state, &guard.name)) else {
        return Ok(None);
    };
    let scale = scale_of_bound(tx, standing.experiment, signal, bound).await?.unwrap_or_default();
    Ok(Some((scale, bound.clone())))
}
