//! What became of an experiment so far, step by step, for whoever goes on with it: a member, or an agent of a later session.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::people::People;
use super::tampered::payload;
use crate::audit::EventKind;
use crate::domain::{GateType, SignedDecision, Verdict};
use crate::error::Result;
use crate::ids::ExperimentId;
use crate::lifecycle::{ExperimentEvent, ExperimentEventKind};
use crate::principal::Principal;
use crate::store::Tx;

/// Most steps that are shown, the latest ones.
const MAX_STEPS: i64 = 100;

/// One step of an experiment, as the log says it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PastStep {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Which step of the lifecycle.
    pub step: ExperimentEventKind,
    /// Who took it.
    pub by: Principal,
    /// What whoever took it is called.
    pub by_name: String,
    /// The gate whose decision it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateType>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why, in the words of whoever took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// Conditions of the decision, in the words of whoever decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions_say: Vec<String>,
}

/// The steps of an experiment, oldest first.
pub(in crate::usecases) async fn past_steps(
    tx: &mut Tx,
    people: &People,
    experiment: ExperimentId,
) -> Result<Vec<PastStep>> {
    let mut steps = Vec::new();
    for line in tx.event_steps_of_subject(experiment.0, MAX_STEPS).await?.into_iter().rev() {
        let Ok(EventKind::Experiment(step)) = line.event_kind() else { continue };
        let event: ExperimentEvent<SignedDecision> = payload(&line)?;
        let decided = event.decision().map(|(gate, decision)| (gate, decision.decision()));
        steps.push(PastStep {
            at: line.at,
            step,
            by: line.principal.clone(),
            by_name: people.acting(&line.principal),
            gate: decided.and_then(|(gate, _)| gate),
            verdict: decided.map(|(_, decision)| decision.verdict),
            says: decided
                .and_then(|(_, decision)| decision.note.clone())
                .or_else(|| event.reason().map(ToOwned::to_owned)),
            conditions_say: decided.map(|(_, decision)| decision.conditions.clone()).unwrap_or_default(),
        });
    }
    Ok(steps)
}
