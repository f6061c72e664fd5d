//! Taking a step of a gate.

use super::check::check_gate;
use super::event::new_event;
use super::keyring::{email_of_before, keyring};
use crate::audit::EventKind;
use crate::domain::{ContextPackage, ExperimentStatus, Gate, GateType};
use crate::error::Result;
use crate::ids::ExperimentId;
use crate::lifecycle::{GateEvent, GateRules, transition_gate};
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Takes a step of a gate.
pub(in crate::usecases) async fn gate_step(
    runtime: &Runtime,
    tx: &mut Tx,
    gate: &mut Gate,
    rules: &GateRules,
    event: GateEvent,
    by: &Principal,
) -> Result<()> {
    let keyring = keyring(runtime, tx).await?;
    check_gate(tx, &keyring, gate, rules).await?;
    let email = email_of_before(&keyring, by);
    let now = runtime.now();
    gate.state = transition_gate(rules, &gate.state, &event, by, email.as_deref())?;
    if let GateEvent::Decided { decision } = &event {
        tx.decision_insert(decision).await?;
        gate.responded_at = Some(now);
    }
    tx.event_append(new_event(EventKind::Gate(event.kind()), gate.id.into(), by, &event)?, now).await?;
    tx.gate_update(gate).await
}

/// Closes the open gates of an experiment.
pub(super) async fn supersede_gates(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: ExperimentId,
    reason: &str,
) -> Result<()> {
    supersede(runtime, tx, reason, |gate| gate.experiment == Some(experiment) && gate.gate_type != GateType::Escalation)
        .await
}

async fn supersede(runtime: &Runtime, tx: &mut Tx, reason: &str, is_meant: impl Fn(&Gate) -> bool) -> Result<()> {
    let by = Principal::system("lifecycle");
    for (mut gate, rules) in tx.gate_list_open().await? {
        if is_meant(&gate) {
            let event = GateEvent::Superseded { reason: reason.to_owned() };
            gate_step(runtime, tx, &mut gate, &rules, event, &by).await?;
        }
    }
    Ok(())
}

/// Closes the open questions about an experiment. `asked_at`: only those that were asked while it stood there.
pub(in crate::usecases) async fn close_questions(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: ExperimentId,
    asked_at: Option<ExperimentStatus>,
    reason: &str,
) -> Result<()> {
    let is_question = |gate: &Gate| gate.experiment == Some(experiment) && gate.gate_type == GateType::Escalation;
    let was_asked_then = |gate: &Gate| asked_at.is_none() || asked_when(gate) == asked_at;
    supersede(runtime, tx, reason, |gate| is_question(gate) && was_asked_then(gate)).await
}

/// Where the experiment stood when a question was asked.
pub(super) fn asked_when(gate: &Gate) -> Option<ExperimentStatus> {
    let shown: ContextPackage = serde_json::from_str(&gate.context).ok()?;
    shown.facts.read().ok()?.status
}
