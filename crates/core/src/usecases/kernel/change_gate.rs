//! The gate at which a member approves a change of the outcome file.

use super::gate_opening::{NewGate, insert_gate};
use super::gate_step::gate_step;
use super::shown_change::{change_of, changed};
use crate::config::Difference;
use crate::domain::{
    ChangeFacts, ConfigurationOrigin, ContextPackage, Facts, Gate, GatePolicy, GateType, Place, Slug, Stored,
};
use crate::error::Result;
use crate::ids::GateId;
use crate::lifecycle::{GateEvent, GateRules};
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// The gate for this text, against what is applied now. One that waits for exactly that is kept; one for another text is closed, since
/// there is one file.
pub(in crate::usecases) async fn open_change_gate(
    runtime: &Runtime,
    tx: &mut Tx,
    (hash, applied): (&str, Option<&str>),
    origin: ConfigurationOrigin,
    (differences, places): (&[Difference], &[Place]),
    by: &Principal,
) -> Result<(Gate, GateRules)> {
    for (gate, rules) in tx.gate_list_open().await? {
        if gate.gate_type != GateType::ChangeApproval {
            continue;
        }
        let change = change_of(&gate)?;
        if change.hash == hash && change.applied.as_deref() == applied && change.places == places {
            return Ok((gate, rules));
        }
    }
    supersede_change_gates(runtime, tx, "the file was applied again with another text").await?;
    let id = runtime.ids.next::<GateId>();
    let touches = touches(tx, differences).await?;
    let change = ChangeFacts {
        hash: hash.to_owned(),
        applied: applied.map(ToOwned::to_owned),
        origin,
        differences: differences.iter().map(changed).collect(),
        touches,
        places: places.to_vec(),
    };
    let package = ContextPackage {
        version: 1,
        gate: id,
        gate_type: GateType::ChangeApproval,
        question: GateType::ChangeApproval.question().to_owned(),
        agent_says: None,
        outcome: None,
        experiment: None,
        verdicts: GateType::ChangeApproval.verdicts().to_vec(),
        recommendation: None,
        facts: Stored::new(Facts { change: Some(change), ..Facts::default() })?,
        checklist: Vec::new(),
        open_conditions: Vec::new(),
        created_at: runtime.now(),
    };
    let base = Slug::from_title("outcome file");
    let new = NewGate { base: &base, policy: GatePolicy::default(), outcome: None, experiment: None, package };
    insert_gate(runtime, tx, new, by).await
}

/// Closes the gates about changes that wait.
pub(in crate::usecases) async fn supersede_change_gates(runtime: &Runtime, tx: &mut Tx, reason: &str) -> Result<()> {
    let system = Principal::system("apply");
    for (mut gate, rules) in tx.gate_list_open().await? {
        if gate.gate_type == GateType::ChangeApproval {
            let event = GateEvent::Superseded { reason: reason.to_owned() };
            gate_step(runtime, tx, &mut gate, &rules, event, &system).await?;
        }
    }
    Ok(())
}

/// What the change means for the experiments that are open, as sentences.
async fn touches(tx: &mut Tx, differences: &[Difference]) -> Result<Vec<String>> {
    let outcomes = tx.outcome_list(None).await?;
    let are_settings = differences.iter().any(|found| found.outcome.is_none() && found.is_signed);
    let mut sentences = Vec::new();
    for experiment in tx.experiment_list_open(None).await? {
        let outcome = outcomes.iter().find(|outcome| outcome.id == experiment.outcome);
        let slug = outcome.map(|outcome| outcome.spec.slug.as_str());
        let is_of_its_outcome =
            differences.iter().any(|found| found.outcome.is_some() && found.outcome.as_deref() == slug);
        let (name, status) = (&experiment.slug, experiment.state.status);
        let what = match (are_settings, is_of_its_outcome, experiment.plan.is_some()) {
            (true, ..) => "its sources, its flag or its messages change with this",
            (false, true, true) => "it keeps the plan with which it was launched",
            (false, true, false) => "it will be judged by what changes here",
            (false, false, _) => continue,
        };
        sentences.push(format!("Experiment `{name}` ({status}): {what}."));
    }
    Ok(sentences)
}
