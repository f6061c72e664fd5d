//! Which allocation phases count for what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Phase;

/// Which phases the two ladders look at. Phases are compared by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Scope {
    /// The first phase of the running safety process: of the launch, or since a human resumed after a statistical finding. In plans of
    /// earlier versions also of a rollout step.
    pub safety_from: u32,
    /// The first phase that claims rest on: before it, units did not arrive as declared.
    pub claims_from: u32,
    /// How often a human resumed after a statistical finding; each time the budget of the safety process is halved.
    pub n_restarts: u32,
    /// Nobody gets the treatment any more: the data are corrected, and no longer looked at while they grow.
    pub is_off: bool,
    /// The running rollout step, where it is watched by itself beside the process that goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// A rollout step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its first phase.
    pub from: u32,
    /// Which step of the running safety process it is, from 1.
    pub number: u32,
}

impl Scope {
    /// The phases of the safety process.
    pub(super) fn safety<'p>(&self, phases: &'p [Phase]) -> &'p [Phase] {
        since(phases, self.safety_from)
    }

    /// The phases of the rollout step that is watched by itself.
    pub(super) fn of_step<'p>(&self, phases: &'p [Phase]) -> Option<&'p [Phase]> {
        self.step.map(|step| since(phases, step.from))
    }

    /// The phases that claims rest on.
    pub(super) fn claims<'p>(&self, phases: &'p [Phase]) -> &'p [Phase] {
        since(phases, self.claims_from)
    }
}

/// Phases are in rising order.
pub(super) fn since(phases: &[Phase], first: u32) -> &[Phase] {
    let start = phases.iter().position(|phase| phase.number >= first).unwrap_or(phases.len());
    phases.get(start..).unwrap_or_default()
}
