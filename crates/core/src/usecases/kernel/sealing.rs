//! When the cohorts of a signal were last looked at by this program.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::ids::ExperimentId;

/// The least time between two tries: a day that has too few units stays for the next one.
const BETWEEN: SignedDuration = SignedDuration::from_hours(1);

/// When each signal of an experiment was last sealed by this program. It is no state: who does not know it looks once more.
#[derive(Debug, Default)]
pub(in crate::usecases) struct SealTries(Mutex<HashMap<(ExperimentId, String), Timestamp>>);

impl SealTries {
    /// When it was last tried.
    pub(in crate::usecases) fn last(&self, experiment: ExperimentId, signal: &str) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(experiment, signal.to_owned())).copied()
    }

    /// Whether it is time; if so, it counts as tried.
    pub(in crate::usecases) fn begin(&self, experiment: ExperimentId, signal: &str, now: Timestamp) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = tries.entry((experiment, signal.to_owned())).or_insert(Timestamp::MIN);
        // A clock that was put back is no reason to wait.
        let is_time = now.duration_since(*last).abs() >= BETWEEN;
        if is_time {
            *last = now;
        }
        is_time
    }
}
