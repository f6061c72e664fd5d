//! Questions about an experiment: of an agent, and of the runtime after a build that failed. What an approval of one leads to depends
//! on where the experiment stood when it was asked, and counts only while it still stands there.

use super::experiment_step::experiment_step;
use super::gate_opening::open_gate;
use super::gate_step::asked_when;
use super::step_context::StepContext;
use crate::domain::{Experiment, ExperimentStatus, Gate, GateType, Outcome, Verdict};
use crate::error::Result;
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Asks a human what is to become of a build that failed.
pub(in crate::usecases) async fn ask_after_failure(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    reason: &str,
    by: &Principal,
) -> Result<Gate> {
    let says = format!("The build of `{}` failed: {reason}\n\nMay it be tried again?", experiment.slug);
    let context = StepContext { says: Some(says), ..StepContext::default() };
    open_gate(runtime, tx, outcome, Some(experiment), GateType::Escalation, by, &context).await
}

/// What an answer leads to: a yes to a failed build is another try, and one to a hypothesis that was kept opens its portfolio gate. It
/// never takes that gate's place. A yes to any other question, and every no, is an answer and nothing more.
pub(in crate::usecases) async fn follow_answer(
    runtime: &Runtime,
    tx: &mut Tx,
    gate: &Gate,
    experiment: &mut Experiment,
    outcome: &Outcome,
    verdict: Verdict,
    by: &Principal,
) -> Result<()> {
    let status = experiment.state.status;
    if verdict.is_negative() || asked_when(gate) != Some(status) {
        return Ok(());
    }
    let event = match status {
        ExperimentStatus::FailedBuild => ExperimentEvent::Retried,
        ExperimentStatus::Hypothesis => ExperimentEvent::Proposed,
        _ => return Ok(()),
    };
    experiment_step(runtime, tx, outcome, experiment, event, by, &StepContext::default()).await?;
    Ok(())
}
