//! What a decision led to.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Assurance, ExperimentStatus, GateStatus, Verdict};

/// The result of a decision.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Decided {
    /// Slug of the gate; absent for acts outside of a gate.
    pub gate: Option<String>,
    /// Status of the gate afterwards.
    pub gate_status: Option<GateStatus>,
    /// The verdict.
    pub verdict: Verdict,
    /// Who.
    pub decided_by: String,
    /// How surely.
    pub assurance: Assurance,
    /// Slug of the experiment.
    pub experiment: Option<String>,
    /// Where it stands now.
    pub experiment_status: Option<ExperimentStatus>,
    /// What the runtime did about flags at once, or why it will be tried again.
    pub deliveries: Vec<String>,
    /// Queries that could not be tried before a launch because their source did not answer, as sentences. The next poll asks again.
    pub unchecked: Vec<String>,
}
