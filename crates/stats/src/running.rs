//! What a test remembers between polls: its strongest evidence and the running intersection of its intervals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Interval, log_space};

/// Running minimum of p and running intersection of the confidence sequence within one epoch.
///
/// Observing the same poll again changes nothing. Skipping polls keeps it valid.
///
/// Source: STATS.md 2.1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunningTest {
    /// Strongest evidence so far, >= 0.
    pub max_ln_e: f64,
    /// Intersection of all intervals so far. Its ends have crossed when it became empty.
    pub ci: Interval,
}

impl Default for RunningTest {
    fn default() -> Self {
        Self { max_ln_e: 0.0, ci: Interval::UNBOUNDED }
    }
}

impl RunningTest {
    /// Takes one poll into account.
    #[must_use]
    pub fn observe(self, ln_e: f64, ci: Interval) -> Self {
        Self { max_ln_e: self.max_ln_e.max(ln_e), ci: self.ci.intersect(ci) }
    }

    /// The intersection as it is shown: `None` before the first bound, and where nothing is left, since ends that have crossed are no
    /// interval.
    #[must_use]
    pub fn intersection(&self) -> Option<Interval> {
        (self.ci != Interval::UNBOUNDED && !self.ci.is_empty()).then_some(self.ci)
    }

    /// `ln p` over all polls of the epoch, never rising.
    #[must_use]
    pub fn ln_p(&self) -> f64 {
        log_space::ln_p_from_ln_e(self.max_ln_e)
    }

    /// p over all polls of the epoch, in [0, 1].
    #[must_use]
    pub fn p(&self) -> f64 {
        log_space::p_from_ln(self.ln_p())
    }

    /// Whether the intervals contradict each other, which a stationary effect does with probability at most alpha.
    #[must_use]
    pub fn has_drifted(&self) -> bool {
        self.ci.is_empty()
    }
}
