//! How surely a decision must come from a human.

use super::TransitionError;
use crate::domain::{Assurance, GateType, Verdict};
use crate::identity::VerifiedDecision;

/// The least assurance of a decision about an experiment, at a gate or outside of one. `is_touched`: whether a key that is touched
/// counts in the workspace.
pub(super) fn needed(gate: Option<GateType>, verdict: Verdict, is_touched: bool) -> Assurance {
    match gate {
        _ if verdict.is_negative() => Assurance::A2,
        Some(gate_type) if matches!(verdict, Verdict::Resume | Verdict::Detach) => {
            least_at(gate_type, is_touched).max(Assurance::A3)
        }
        Some(gate_type) => least_at(gate_type, is_touched),
        None => Assurance::A3,
    }
}

/// The least assurance of a positive decision at a gate, whatever a file or a row says. Whoever has a key that is touched wants what
/// everybody gets to depend on it; a passphrase that somebody learnt would ship past it otherwise.
#[must_use]
pub fn least_at(gate_type: GateType, is_touched: bool) -> Assurance {
    match gate_type {
        GateType::ShipApproval if is_touched => Assurance::A4,
        other => other.floor(),
    }
}

/// Refuses a decision below `needed`, and one that ships with a key that did not know who touched it.
pub(super) fn must_be_sure(
    decision: &VerifiedDecision,
    gate: Option<GateType>,
    needed: Assurance,
) -> Result<(), TransitionError> {
    let got = decision.get().assurance;
    if got < needed {
        return Err(TransitionError::AssuranceTooLow { needed, got });
    }
    let ships = gate == Some(GateType::ShipApproval) && !decision.get().verdict.is_negative();
    if ships && decision.touch().is_some_and(|touch| !touch.is_verified) {
        return Err(TransitionError::NotVerified);
    }
    Ok(())
}
