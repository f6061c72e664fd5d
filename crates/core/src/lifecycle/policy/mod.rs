//! What follows from a poll: from what was found and where the experiment stands to an event.
//!
//! Danger comes first, in every state whose flag is on and on whatever data could be read; then what can be claimed; then
//! whether what an open gate recommends still holds (STATS.md 2.8, METRICS.md 3.3).
//!
//! **Invariant**: pure. What the log and the readings say is handed in; whether a step is allowed is the tables' business.

mod claim;
mod danger;
mod findings;
mod gate;
mod silence;
#[cfg(test)]
mod tests;

use super::ExperimentEvent;
use crate::domain::ExperimentStatus;

pub use claim::asks_for_analysis;
pub use danger::{is_danger, least_time, may_go_on, statistical_finding};
pub use findings::{Failing, GateAdvice, PollFindings, Standing};
pub use silence::Silence;

/// The event that follows from a poll, if any. What speaks against the experiment comes before what speaks for it.
#[must_use]
pub fn event_after_poll(found: &PollFindings<'_>, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    if standing.is_on()
        && let Some(event) = danger::danger(found, standing)
    {
        return Some(event);
    }
    match standing.status {
        status if status.is_live() => claim::claim(found, standing),
        status if status.is_waiting() && (standing.is_on() || standing.is_gate_empty) => gate::rejudge(found, standing),
        ExperimentStatus::Paused => gate::reconsider(found, standing),
        _ => None,
    }
}
