//! What a flag does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a flag does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct FlagState {
    /// Its key.
    pub key: String,
    /// Off: every unit gets the control.
    pub is_on: bool,
    /// Share of units that get the treatment while it is on, 0 to 100; without meaning while it is off.
    pub treatment_pct: u8,
}

impl FlagState {
    /// On, with this share of treatment.
    #[must_use]
    pub fn on(key: impl Into<String>, treatment_pct: u8) -> Self {
        Self { key: key.into(), is_on: true, treatment_pct }
    }

    /// Off.
    #[must_use]
    pub fn off(key: impl Into<String>) -> Self {
        Self { key: key.into(), is_on: false, treatment_pct: 0 }
    }

    /// True when both do the same to every unit's exposure: the share counts only while the flag is on.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && self.is_on == other.is_on && (!self.is_on || self.treatment_pct == other.treatment_pct)
    }
}

impl std::fmt::Display for FlagState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_on { write!(f, "on at {} %", self.treatment_pct) } else { f.write_str("off") }
    }
}
