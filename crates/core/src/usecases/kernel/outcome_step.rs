//! Taking a step of an outcome.

use super::check::check_outcome;
use super::digest::digest;
use super::event::new_event;
use super::keyring::keyring;
use super::queue::queue_outcome;
use crate::audit::EventKind;
use crate::domain::{Outcome, OutcomeSpec};
use crate::error::Result;
use crate::lifecycle::{OutcomeEvent, transition_outcome};
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Takes a step of an outcome. With `declared` its declaration becomes that one.
pub(in crate::usecases) async fn outcome_step(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &mut Outcome,
    declared: Option<&OutcomeSpec>,
    event: OutcomeEvent,
    by: &Principal,
) -> Result<()> {
    let keyring = keyring(runtime, tx).await?;
    check_outcome(tx, &keyring, outcome).await?;
    if let Some(spec) = declared {
        outcome.spec = spec.clone();
    }
    outcome.state = transition_outcome(&outcome.state, &event, by)?;
    let now = runtime.now();
    outcome.updated_at = now;
    if let Some(decision) = event.decision() {
        tx.decision_insert(decision).await?;
    }
    tx.event_append(new_event(EventKind::Outcome(event.kind()), outcome.id.into(), by, &event)?, now).await?;
    let hash = digest(&outcome.spec)?;
    tx.outcome_update(outcome, &hash).await?;
    queue_outcome(tx, outcome, now).await
}
