//! What the poll loop did so far.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Polls so far.
#[derive(Debug, Default)]
pub struct PollRecord(Mutex<PollCounts>);

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollCounts {
    /// Rounds.
    pub n_rounds: u64,
    /// Rounds that failed as a whole: the database, or a defect.
    pub n_failed: u64,
    /// Readings and messages that failed within rounds.
    pub n_source_failures: u64,
    /// The end of the latest round that did not fail as a whole.
    pub last_at: Option<Timestamp>,
}

impl PollRecord {
    /// The counts now.
    pub fn counts(&self) -> PollCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut PollCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
