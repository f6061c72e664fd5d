//! How a constraint is watched while an experiment runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConstraintBound, SignalSpec, ViolationPolicy};

/// How one constraint is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct GuardrailPlan {
    /// What is read.
    pub signal: SignalSpec,
    /// What it must hold.
    pub bound: ConstraintBound,
    /// Number of polls in a row for which a value without units must be out of bounds.
    pub consecutive: u32,
    /// What a crossing does.
    pub on_violation: ViolationPolicy,
    /// Whether a value of everybody beyond its limit turns the flag off. Absent in plans of earlier versions, in which it always did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_pause_on_level: Option<bool>,
}
