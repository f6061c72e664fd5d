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

impl GatePolicy {
    /// The same, decided by nothing less than a signature, whatever a file of before asked for.
    #[must_use]
    pub fn at_least_signed(self) -> Self {
        Self { assurance: self.assurance.max(Assurance::A3), ..self }
    }
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

/// Where a gate's holder is told, as the file writes it: `none`, `KIND`, or `KIND:PLACE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateChannel<'a> {
    /// Nowhere.
    Nowhere,
    /// There.
    To {
        /// The kind of channel, such as `slack`.
        kind: &'a str,
        /// Where in it, such as `#checkout`.
        place: Option<&'a str>,
    },
}

impl<'a> GateChannel<'a> {
    /// What a text of the file says.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        match text.split_once(':') {
            None if text == "none" => Self::Nowhere,
            None => Self::To { kind: text, place: None },
            Some((kind, place)) => Self::To { kind, place: Some(place) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GateChannel;

    #[test]
    fn a_channel_is_a_kind_and_a_place() {
        assert_eq!(GateChannel::of("none"), GateChannel::Nowhere);
        assert_eq!(GateChannel::of("email"), GateChannel::To { kind: "email", place: None });
        assert_eq!(GateChannel::of("slack:#checkout"), GateChannel::To { kind: "slack", place: Some("#checkout") });
    }
}
