//! What a step brings with it besides its event.

use crate::domain::{AttachedFacts, FlagFacts};

/// What a step brings with it besides its event.
#[derive(Debug, Clone, Default)]
pub(in crate::usecases) struct StepContext {
    /// An agent's or author's words, shown as a quotation at the gate.
    pub says: Option<String>,
    /// The human's words, kept with the learning.
    pub note: Option<String>,
    /// Commit of the default branch that was signed, for a brief that is published.
    pub base: Option<String>,
    /// The flag as its service has it, for a gate before it is used.
    pub flag: Option<FlagFacts>,
    /// What was seen of an experiment that runs elsewhere, for the gate at which it is attached.
    pub attached: Option<AttachedFacts>,
    /// What the runtime recommends at the gate, with its reason.
    pub recommendation: Option<String>,
    /// Why the experiment ends, for the learning.
    pub conclusion: Option<String>,
}
