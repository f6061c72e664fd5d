//! What was read once and for all.

use jiff::Timestamp;

use super::{VariantReading, Window, text_enum};
use crate::ids::{CohortId, ExperimentId};

text_enum! {
    /// Why a revision of a cohort was read.
    pub enum SealReason {
        /// Its units became final.
        Final,
        /// The rest of a phase, too few units to be kept alone, was read with the units before them.
        Merged,
        /// The source says something else than before.
        Corrected,
    }
}

/// What was read of the units that were first exposed in a part of an allocation phase, once their values were final: polls add it to what
/// they read of later units.
///
/// Source: METRICS.md 8.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedCohort {
    /// Its id.
    pub id: CohortId,
    /// The experiment.
    pub experiment: ExperimentId,
    /// Name of the signal.
    pub signal: String,
    /// SHA-256 of what the numbers mean: any change of the metric begins a new series.
    pub series: String,
    /// Allocation phase, from 0.
    pub phase: i32,
    /// When its units were exposed first; one that saw both arms counts as such where it saw the second.
    pub window: Window,
    /// 0 for what was read first, and one more for each correction by the source.
    pub revision: i32,
    /// Why it was read.
    pub reason: SealReason,
    /// By arm, control first; both.
    pub arms: Vec<VariantReading>,
    /// The clock of the source by which its units were final.
    pub as_of: Timestamp,
    /// The poll beside which it was read.
    pub read_at: Timestamp,
    /// SHA-256 of the query and its parameters.
    pub query_hash: String,
    /// SHA-256 of the raw answer.
    pub raw_hash: String,
    /// When the source last said the same.
    pub checked_at: Timestamp,
}
