//! Finding what a reference names: by slug or by id.

use crate::domain::{Experiment, Gate, Outcome};
use crate::error::{Error, Result};
use crate::ids::{ExperimentId, GateId, OutcomeId};
use crate::lifecycle::GateRules;
use crate::store::Tx;

/// The outcome with this slug or id.
pub(in crate::usecases) async fn outcome_named(tx: &mut Tx, reference: &str) -> Result<Outcome> {
    let found = match reference.parse::<OutcomeId>() {
        Ok(id) => tx.outcome_get(id).await?,
        Err(_) => tx.outcome_by_slug(reference).await?,
    };
    found.ok_or_else(|| Error::not_found("outcome", reference).hint("`outcome-runtime status` lists what exists"))
}

/// The experiment with this slug or id.
pub(in crate::usecases) async fn experiment_named(tx: &mut Tx, reference: &str) -> Result<Experiment> {
    let found = match reference.parse::<ExperimentId>() {
        Ok(id) => tx.experiment_get(id).await?,
        Err(_) => tx.experiment_by_slug(reference).await?,
    };
    found.ok_or_else(|| {
        Error::not_found("experiment", reference).hint("`outcome-runtime experiment list` shows all experiments")
    })
}

/// The outcome of an experiment.
pub(in crate::usecases) async fn outcome_of(tx: &mut Tx, experiment: &Experiment) -> Result<Outcome> {
    tx.outcome_get(experiment.outcome)
        .await?
        .ok_or_else(|| Error::not_found("outcome", &experiment.outcome.to_string()))
}

/// The gate with this slug or id.
pub(in crate::usecases) async fn gate_named(tx: &mut Tx, reference: &str) -> Result<(Gate, GateRules)> {
    let found = match reference.parse::<GateId>() {
        Ok(id) => tx.gate_get(id).await?,
        Err(_) => tx.gate_by_slug(reference).await?,
    };
    found.ok_or_else(|| Error::not_found("gate", reference).hint("`outcome-runtime gate list` shows the pending gates"))
}
