//! How a gate is decided.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assurance, Period};

/// Who decides a type of gate, until when, and with which assurance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct GatePolicy {
    /// E-mail of the member who holds the gate; the workspace's first member when absent.
    pub assigned_to: Option<String>,
    /// Time to decide.
    pub sla: Period,
    /// Where to send the message: `slack:#name`, `email`, `webhook`, `none`.
    pub channel: Option<String>,
    /// Who holds it next when the time is over, in order.
    #[serde(default)]
    pub escalation: Vec<String>,
    /// The level a positive decision needs.
    pub assurance: Assurance,
    /// Number of members who must make the same decision.
    pub quorum: u32,
}

impl Default for GatePolicy {
    /// What holds for a gate that the file does not mention.
    fn default() -> Self {
        Self {
            assigned_to: None,
            sla: Period::from_hours(24),
            channel: None,
            escalation: Vec::new(),
            assurance: Assurance::A3,
            quorum: 1,
        }
    }
}
