//! Bringing a hypothesis to the portfolio gate.

use super::experiment_step::experiment_step;
use super::flag_owner::require_unproposed_flag;
use super::query_check::judging_signals;
use super::step_context::StepContext;
use crate::domain::{Design, Experiment, FlagFacts, Outcome, OutcomeSpec, OutcomeStatus, SignalSpec};
use crate::error::{Code, Error, Result};
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Takes the step to the portfolio gate. `flag`: what its service says of its key.
pub(in crate::usecases) async fn propose(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &mut Experiment,
    by: &Principal,
    flag: Option<FlagFacts>,
) -> Result<()> {
    require_exposures(&outcome.spec)?;
    require_unproposed_flag(tx, experiment).await?;
    let context = StepContext { flag, ..StepContext::default() };
    experiment_step(runtime, tx, outcome, experiment, ExperimentEvent::Proposed, by, &context).await?;
    Ok(())
}

/// Nobody builds or launches what cannot be measured, because nothing says who saw which arm.
pub(in crate::usecases) fn require_exposures(spec: &OutcomeSpec) -> Result<()> {
    match missing_exposures(spec) {
        None => Ok(()),
        Some(message) => Err(Error::new(Code::Conflict, message).hint(
            "make a table of exposures (a comment in `outcome.yaml` has the statement), name it in `exposures` with `table` in \
             the place of `sql`, and run `outcome-runtime apply`",
        )),
    }
}

/// That an outcome whose experiments have a control group still has the empty query that `init` wrote.
pub(in crate::usecases) fn missing_exposures(spec: &OutcomeSpec) -> Option<String> {
    let is_missing = |signal: &SignalSpec| signal.contract.as_ref().is_some_and(|it| it.exposures.are_missing());
    let signal = judging_signals(spec).into_iter().find(is_missing)?;
    (spec.design == Design::Randomised).then(|| {
        format!(
            "no experiment can be measured yet: `exposures` of the source `{}` is the empty query that `init` wrote",
            signal.source
        )
    })
}

/// Hypotheses are taken only for an active outcome.
pub(in crate::usecases) fn require_active(outcome: &Outcome) -> Result<()> {
    if outcome.state.status == OutcomeStatus::Active {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, format!("outcome `{}` is {}, not active", outcome.spec.slug, outcome.state.status))
        .hint(match outcome.state.status {
            OutcomeStatus::Draft => "a human must run `outcome-runtime activate` first",
            _ => "it has ended and accepts no more proposals",
        }))
}
