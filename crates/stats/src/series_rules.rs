//! By which rules a series without a control is judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Dates on which nothing happened that have to be tried before a change is claimed (METRICS.md 6.2).
pub const MIN_PLACEBOS: u32 = 20;

/// Rules by which the levels before and after are compared; fixed with the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesRules {
    /// Of earlier versions: means as they are, and any number of placebos will do.
    Means,
    /// The trend or the season before is taken out, and a claim needs [`MIN_PLACEBOS`] placebos.
    Adjusted,
}
