//! The test behind `ship` as it was run: what a p-value for success needs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClaimLook, RunningState, ShipTest};

/// The test of an experiment as it was run so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ShipRecord {
    /// Which test.
    pub test: ShipTest,
    /// Minimum detectable effect that it is centred on, in metric units, > 0.
    pub mde: Option<f64>,
    /// Its claim looks, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<ClaimLook>,
}

impl ShipRecord {
    /// What a state remembers of it.
    #[must_use]
    pub fn of(test: ShipTest, state: &RunningState) -> Self {
        Self { test, mde: state.mde_abs, looks: state.looks.clone() }
    }
}
