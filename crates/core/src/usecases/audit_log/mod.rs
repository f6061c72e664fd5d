//! The audit log: verified, anchored, paged; and what is recomputed from it and from stored readings.

mod anchor;
mod answer;
mod decisions;
mod page;
mod proof;
mod reach;
mod recompute;
mod restore;
mod root;
mod verify;
mod vouch;

use crate::usecases::Runtime;

pub use anchor::AnchorPlace;
pub use answer::SourceAnswer;
pub use proof::{
    Proof, ProofExperiment, ProofLogged, ProofMethod, ProofPhase, ProofPoll, ProofReading, ProofRecorded,
    ProofSnapshot, ProofStep,
};
pub use reach::AnchorReach;
pub use recompute::{RecomputeRequest, Recomputed, RecomputedExperiment};
pub use restore::RestoredLog;
pub use verify::{Verification, Verified, WriterSeen};
pub use vouch::VouchedLog;

/// The use cases about the audit log.
#[derive(Clone, Copy)]
pub struct AuditLog<'r>(pub(super) &'r Runtime);
