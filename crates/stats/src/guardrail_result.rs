//! What a guardrail comes to at one poll, as it is stored and shown.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GuardrailFlags, Status};

/// The numbers of a guardrail at one poll.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuardrailNumbers {
    /// Whether there are numbers.
    pub status: Status,
    /// Harm-signed effect, or the observed rate or value for an absolute limit.
    pub value: Option<f64>,
    /// One-sided lower bound of `value`.
    pub lower: Option<f64>,
    /// One-sided upper bound of `value`.
    pub upper: Option<f64>,
    /// Tolerated harm in metric units, or the absolute limit.
    pub bound: Option<f64>,
    /// Strongest of the evidence against "within the bound".
    pub ln_e_breached: Option<f64>,
    /// Worse than control. Always false for an absolute limit.
    pub deteriorated: bool,
    /// Beyond the bound: kill.
    pub breached: bool,
    /// Proven to be within the bound.
    pub non_inferior: bool,
    /// Whether shipping needs that proof.
    pub must_prove: bool,
    /// A bare value has been beyond its limit for long enough; operational, no statistical claim.
    pub is_alerting: bool,
    /// The same of everybody's value, which says nothing about the treatment: nothing is claimed, and nothing pauses.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_incident: bool,
    /// Whether its events were so few that they were counted exactly.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_exact: bool,
    /// Readings of a bare value beyond its limit in a row, at least a day apart.
    pub n_consecutive: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(x: &bool) -> bool {
    !*x
}

impl GuardrailNumbers {
    pub(super) fn without_numbers(must_prove: bool, status: Status) -> Self {
        Self {
            status,
            value: None,
            lower: None,
            upper: None,
            bound: None,
            ln_e_breached: None,
            deteriorated: false,
            breached: false,
            non_inferior: false,
            must_prove,
            is_alerting: false,
            is_incident: false,
            is_exact: false,
            n_consecutive: 0,
        }
    }

    pub(super) fn flags(&self) -> GuardrailFlags {
        GuardrailFlags {
            breached: self.breached,
            non_inferior: self.non_inferior,
            must_prove: self.must_prove,
            is_alerting: self.is_alerting,
            is_incident: self.is_incident,
        }
    }
}

/// A guardrail at one poll, as stored and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuardrailResult {
    /// Its name.
    pub name: String,
    /// Its numbers.
    #[serde(flatten)]
    pub numbers: GuardrailNumbers,
}

impl Deref for GuardrailResult {
    type Target = GuardrailNumbers;
    fn deref(&self) -> &GuardrailNumbers {
        &self.numbers
    }
}
