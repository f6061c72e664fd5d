//! An absolute bound of a guardrail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An absolute bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Limit {
    /// The value must not fall below this.
    Min(f64),
    /// The value must not rise above this.
    Max(f64),
}

impl Limit {
    pub(super) fn get(self) -> f64 {
        match self {
            Self::Min(x) | Self::Max(x) => x,
        }
    }

    pub(super) fn is_crossed_by(self, value: f64) -> bool {
        match self {
            Self::Min(x) => value < x,
            Self::Max(x) => value > x,
        }
    }
}
