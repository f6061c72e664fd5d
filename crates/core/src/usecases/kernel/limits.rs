//! What must not be crossed, as whoever writes hypotheses or builds them is told.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{ConstraintBound, OutcomeSpec};

/// Constraints of an outcome.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Limits {
    /// What is measured.
    pub guardrails: Vec<LimitedSignal>,
    /// What humans confirm.
    pub rules_say: Vec<String>,
}

/// A signal and its bound.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct LimitedSignal {
    /// What it must hold.
    pub bound: ConstraintBound,
    /// Its name.
    pub signal: String,
}

impl Limits {
    pub(in crate::usecases) fn of(spec: &OutcomeSpec) -> Self {
        let limited =
            |name: &str, bound: &ConstraintBound| LimitedSignal { bound: bound.clone(), signal: name.to_owned() };
        Self {
            guardrails: spec.guardrails().map(|(signal, bound, _, _)| limited(&signal.name, bound)).collect(),
            rules_say: spec.rules().map(ToOwned::to_owned).collect(),
        }
    }
}
