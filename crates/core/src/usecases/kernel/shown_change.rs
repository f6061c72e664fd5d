//! What a gate about the outcome file shows of the change.

use crate::config::Difference;
use crate::domain::{ChangeFacts, ChangedKey, ContextPackage, Gate, GateType};
use crate::error::{Code, Error, Result};

/// The change that a gate is about.
///
/// # Errors
/// [`Code::StateTampered`] when it cannot be read.
pub(in crate::usecases) fn change_of(gate: &Gate) -> Result<ChangeFacts> {
    let unreadable = || Error::new(Code::StateTampered, format!("what gate `{}` shows cannot be read", gate.slug));
    let shown: ContextPackage = serde_json::from_str(&gate.context).map_err(|e| unreadable().because(e))?;
    let change = shown.facts.read()?.change.clone();
    change.filter(|_| shown.gate_type == GateType::ChangeApproval).ok_or_else(unreadable)
}

/// A difference, as a gate shows it.
pub(in crate::usecases) fn changed(found: &Difference) -> ChangedKey {
    ChangedKey {
        field: found.field.clone(),
        from: found.from.clone(),
        to: found.to.clone(),
        is_signed: found.is_signed,
    }
}
