//! Bringing a hypothesis to the portfolio gate.

use super::experiment_step::experiment_step;
use super::step_context::StepContext;
use crate::domain::{Experiment, Outcome, OutcomeStatus};
use crate::error::{Code, Error, Result};
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Takes the step to the portfolio gate.
pub(in crate::usecases) async fn propose(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &mut Experiment,
    by: &Principal,
) -> Result<()> {
    let context = StepContext::default();
    experiment_step(runtime, tx, outcome, experiment, ExperimentEvent::Proposed, by, &context).await?;
    Ok(())
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
