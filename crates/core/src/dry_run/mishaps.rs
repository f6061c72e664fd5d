//! What goes wrong while an experiment runs.

use schemars::JsonSchema;
use serde::Serialize;

/// What goes wrong in every run. Without any, readings come at once and whole, and gates are answered at the poll that opened
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Mishaps {
    /// Days until a human answers a gate. The flag stays where it is meanwhile, and danger goes on being judged.
    pub answer_after_days: f64,
    /// Days within which a unit's value arrives after its exposure, evenly spread.
    pub delay_days: f64,
    /// Share of all units so far that disappears from the source each day, from both arms alike, in [0, 1).
    pub daily_deletions: f64,
    /// Days without readings, at a random time of the run; the units of these days are there afterwards.
    pub outage_days: f64,
    /// Share of the treatment's units that is lost before it is counted, in [0, 1).
    pub lost_treatment: f64,
}

impl Mishaps {
    /// Whether nothing goes wrong.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What is out of range, and what would be in it.
    pub(super) fn problem(&self, n_days: u32) -> Option<(&'static str, &'static str)> {
        let is_length = |days: f64| (0.0..=365.0).contains(&days);
        if !is_length(self.answer_after_days) || !is_length(self.delay_days) {
            return Some(("an answer or a delay takes longer than a year", "days from 0 to 365"));
        }
        if !(0.0..f64::from(n_days)).contains(&self.outage_days) {
            return Some(("the outage takes longer than the plan", "a part of the days of the plan"));
        }
        let is_share = |share: f64| (0.0..1.0).contains(&share);
        let is_lossy = !is_share(self.daily_deletions) || !is_share(self.lost_treatment);
        is_lossy.then_some(("a share of lost units is not between 0 and 1", "0.2% is 0.002"))
    }
}
