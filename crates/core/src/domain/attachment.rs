//! An experiment that runs at a flag service without the runtime, and is only guarded by it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GuardrailPlan;

/// What was taken over from a flag service when an experiment that runs there was attached. It is a part of the plan that a human
/// signs, and never changes: an experiment that is no longer like this there has drifted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Attachment {
    /// The service, as the outcome file calls it: `posthog`.
    pub provider: String,
    /// By what the service finds the experiment again: its number, id or key.
    pub reference: String,
    /// What it is called there.
    pub name_says: String,
    /// The arm that everybody gets while the flag is off, as the service calls it.
    pub control: String,
    /// The other arm.
    pub treatment: String,
    /// Percent of the experiment's units that get the treatment, 1 to 99.
    pub treatment_pct: u8,
    /// Since when its units are counted: its start, or a later instant that was asked for.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it began there, where the service tells: `started_at`, or earlier where units are counted from a later instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub began_at: Option<Timestamp>,
    /// By what its arms were dealt: SHA-256 of what decides who gets which arm, and what an arm is.
    pub deal: String,
    /// Where the service is, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The metrics that it has there, by name; they are shown, and not watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics_say: Vec<String>,
    /// Its page there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// What it must hold beside the constraints of the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardrailPlan>,
}
