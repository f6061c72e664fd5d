//! Finding what a reference names: by slug or by id.

use crate::config::did_you_mean;
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
    if let Some(found) = found {
        return Ok(found);
    }
    let known: Vec<String> = tx.outcome_list(None).await?.iter().map(|outcome| outcome.spec.slug.to_string()).collect();
    Err(unknown(
        "outcome",
        reference,
        near(reference, &known),
        "`outcome-runtime status` lists what exists; `apply` stores a new one",
    ))
}

/// The experiment with this slug or id.
pub(in crate::usecases) async fn experiment_named(tx: &mut Tx, reference: &str) -> Result<Experiment> {
    let found = match reference.parse::<ExperimentId>() {
        Ok(id) => tx.experiment_get(id).await?,
        Err(_) => tx.experiment_by_slug(reference).await?,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    let known: Vec<String> = tx.experiment_list(None, MOST_KNOWN).await?.iter().map(|it| it.slug.to_string()).collect();
    Err(unknown(
        "experiment",
        reference,
        near(reference, &known),
        "`outcome-runtime experiment list` shows all experiments",
    ))
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
    if let Some(found) = found {
        return Ok(found);
    }
    let known: Vec<String> = tx.gate_list_open().await?.iter().map(|(gate, _)| gate.slug.to_string()).collect();
    // The name of an experiment stands for the gate that waits for it.
    let of_experiment = known.iter().find(|gate| gate.strip_suffix(reference).is_some_and(|rest| rest.ends_with('-')));
    let meant = of_experiment.map(String::as_str).or_else(|| near(reference, &known));
    Err(unknown("gate", reference, meant, "`outcome-runtime gate list` shows the pending gates"))
}

/// Experiments among which a name is looked for that was mistyped.
const MOST_KNOWN: i64 = 500;

fn near<'k>(reference: &str, known: &'k [String]) -> Option<&'k str> {
    did_you_mean(reference, known.iter().map(String::as_str))
}

fn unknown(kind: &str, reference: &str, meant: Option<&str>, hint: &str) -> Error {
    let error = Error::not_found(kind, reference);
    match meant {
        Some(name) => error.hint(format!("did you mean `{name}`? {hint}")),
        None => error.hint(hint),
    }
}
