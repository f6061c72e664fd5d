//! What the poll loop did so far.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use outcome_core::usecases::Polled;

/// Rounds in a row from which polling counts as broken.
const BROKEN: u64 = 3;
/// Rounds in a row that another program kept from beginning, from which polling counts as held off.
const HELD_OFF: u64 = 20;

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
    /// The same without a good one since.
    pub n_failed_in_a_row: u64,
    /// Rounds in which something was due and nothing could be read, without one since in which something could.
    pub n_blind_in_a_row: u64,
    /// Rounds that another program kept from beginning.
    pub n_busy: u64,
    /// The same without one since that began.
    pub n_busy_in_a_row: u64,
    /// Rounds that only looked for danger, since the clock of this machine is not believed.
    pub n_clock_doubted: u64,
    /// Whether the latest was one of them.
    pub is_clock_doubted: bool,
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

    /// Counts a round.
    pub(super) fn note(&self, polled: &Polled, now: Timestamp) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.n_rounds += 1;
        counts.n_failed_in_a_row = 0;
        if polled.is_skipped {
            counts.n_busy += 1;
            counts.n_busy_in_a_row += 1;
            return;
        }
        counts.n_busy_in_a_row = 0;
        counts.is_clock_doubted = polled.clock_problem.is_some();
        counts.n_clock_doubted += u64::from(counts.is_clock_doubted);
        counts.n_source_failures += u64::try_from(polled.failures.len()).unwrap_or(u64::MAX);
        counts.last_at = Some(now);
        let has_read = polled.n_levels > 0 || !polled.experiments.is_empty();
        if has_read {
            counts.n_blind_in_a_row = 0;
        } else if !polled.failures.is_empty() {
            counts.n_blind_in_a_row += 1;
        }
    }

    /// Counts messages and flags that could not be delivered.
    pub(super) fn note_failures(&self, n: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.n_source_failures += u64::try_from(n).unwrap_or(u64::MAX);
    }

    /// Counts a round that failed as a whole.
    pub(super) fn note_failed(&self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.n_rounds += 1;
        counts.n_failed += 1;
        counts.n_failed_in_a_row += 1;
    }
}

impl PollCounts {
    /// Why the loop does not do its work, as stable words.
    #[must_use]
    pub fn problems(&self) -> Vec<&'static str> {
        let problems = [
            (self.n_failed_in_a_row >= BROKEN, "polls_failing"),
            (self.n_blind_in_a_row >= BROKEN, "nothing_readable"),
            (self.n_busy_in_a_row >= HELD_OFF, "polls_held_off"),
            (self.is_clock_doubted, "clock_doubtful"),
        ];
        problems.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect()
    }
}
