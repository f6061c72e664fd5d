//! What is asked of a round, and what it did.

use schemars::JsonSchema;
use serde::Serialize;

use super::experiment::PolledExperiment;

/// What is polled.
#[derive(Debug, Clone, Default)]
pub struct PollRequest {
    /// Slug or id of one outcome; all active ones when absent.
    pub outcome: Option<String>,
    /// Also read what is not due yet.
    pub is_forced: bool,
    /// A person says that the clock of this machine is right, whatever else shows another time.
    pub is_clock_right: bool,
}

/// What one round did.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Polled {
    /// Signals of outcomes that were read.
    pub n_levels: u32,
    /// Experiments that were read.
    pub experiments: Vec<PolledExperiment>,
    /// Failures, as sentences; each is tried again.
    pub failures: Vec<String>,
    /// Outcomes whose deadline passed.
    pub expired: Vec<String>,
    /// True when another program was reading everything that is due, or recomputing, and nothing was done.
    pub is_skipped: bool,
    /// Why the clock of this machine is not believed. Then only danger was looked for.
    pub clock_problem: Option<String>,
}
