//! An experiment that nobody is exposed to: when it is said, and when it ends the wait (METRICS.md 3.3).

use jiff::{SignedDuration, Timestamp};

/// Before this nothing is said about missing exposures.
const SAID_FROM: SignedDuration = SignedDuration::from_hours(24);
/// Units that traffic lets expect from which their absence is said.
const SAID_UNITS: f64 = 20.0;
/// After this an experiment that nobody is exposed to is paused.
const STOPPED_FROM: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Units that traffic lets expect from which their absence pauses the experiment.
const STOPPED_UNITS: f64 = 100.0;

/// Nobody was exposed, although somebody should have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Silence<'a> {
    /// When the flag went on.
    pub since: Timestamp,
    /// Units that the traffic before the launch lets expect; `None` where it is not known.
    pub n_expected: Option<f64>,
    /// The same in a sentence.
    pub detail: &'a str,
}

impl Silence<'_> {
    /// Whether it is worth a word: not in the first day, nor as long as chance explains it.
    #[must_use]
    pub fn is_said(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) >= SAID_FROM && self.n_expected.is_none_or(|n| n >= SAID_UNITS)
    }

    pub(super) fn is_over_limit(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.since);
        self.is_said(now) && (age >= STOPPED_FROM || self.n_expected.is_some_and(|n| n >= STOPPED_UNITS))
    }
}
