//! A bare value (a p95 latency) against an absolute limit: by how many days in a row it was beyond (METRICS.md 6.4, iii).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GuardrailNumbers, InvalidInput, Limit, Status};

/// Least time between two readings of a bare value that both count, in seconds.
const MIN_SECONDS_APART: i64 = 86_400;
/// Units below which a bare value beyond its limit raises no alert (STATS.md 2.7).
const MIN_UNITS_FOR_ALERT: u64 = 100;

/// A bare value against an absolute limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueLimit {
    /// The value; `None` when nothing was read.
    pub value: Option<f64>,
    /// Units behind it, when known; below 100 it is not judged.
    pub n: Option<u64>,
    /// The bound.
    pub limit: Limit,
    /// Readings beyond the limit in a row that raise the alert; 3 is usual, 0 counts as 1. Only readings at least a day apart
    /// count, so that no event of a day counts twice.
    pub consecutive: u32,
    /// What being beyond it means.
    pub rule: ValueRule,
}

/// What a value beyond its limit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRule {
    /// A row of readings raises the alert, whoever the value is of, and a reading that is missing ends the alert: the rule of plans
    /// that do not say more.
    InARow,
    /// The value is of the units with the treatment.
    OfTreatment,
    /// The value is of everybody, whatever they saw: an incident, not evidence about the treatment.
    OfEverybody {
        /// Whether it turns the flag off all the same.
        pauses: bool,
        /// Whether the day that the value is of lies after the launch, wholly.
        is_full_day: bool,
    },
}

/// What is remembered of the days of a bare value.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Days {
    /// Readings beyond the limit in a row.
    pub n_consecutive: u32,
    /// The last of them, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<i64>,
}

impl Days {
    fn after(self, is_beyond: bool, at: i64) -> Self {
        let is_apart = self.counted_at.is_none_or(|last| at.saturating_sub(last) >= MIN_SECONDS_APART);
        match (is_beyond, is_apart) {
            (false, _) => Self::default(),
            (true, true) => Self { n_consecutive: self.n_consecutive.saturating_add(1), counted_at: Some(at) },
            (true, false) => self,
        }
    }
}

/// Judges a bare value. `new_poll`: when the data are as of, `None` for a repeated poll, which must not count twice. `is_off`: nobody
/// gets the treatment, so that the value says nothing about it.
pub(super) fn value_limit(
    reading: &ValueLimit,
    days: Days,
    new_poll: Option<i64>,
    is_off: bool,
) -> (GuardrailNumbers, Days) {
    let ValueLimit { value, n, limit, consecutive, rule } = *reading;
    let value = value.filter(|value| value.is_finite() && limit.get().is_finite());
    let is_judged = n.is_none_or(|n| n >= MIN_UNITS_FOR_ALERT);
    let days = match (value, new_poll) {
        // Nothing read is neither a breach nor the end of a row of breaches.
        (None, _) | (_, None) => days,
        (Some(value), Some(at)) if rule == ValueRule::InARow => days.after(is_judged && limit.is_crossed_by(value), at),
        // Too few units, a part of a day, and a day without the treatment neither accuse nor acquit.
        (Some(value), Some(at)) if is_judged && !is_off && rule.is_full_day() => {
            days.after(limit.is_crossed_by(value), at)
        }
        (Some(_), Some(_)) => days,
    };
    let is_long = days.n_consecutive >= consecutive.max(1);
    let (is_alerting, is_incident) = match rule {
        ValueRule::InARow => (is_long && value.is_some(), false),
        ValueRule::OfTreatment => (is_long, false),
        ValueRule::OfEverybody { pauses, .. } => (is_long && pauses, is_long && !pauses),
    };
    let status = if value.is_some() { Status::Ok } else { InvalidInput::NotFinite.into() };
    let found = GuardrailNumbers {
        value,
        bound: value.map(|_| limit.get()),
        is_alerting,
        is_incident,
        n_consecutive: days.n_consecutive,
        ..GuardrailNumbers::without_numbers(false, status)
    };
    (found, days)
}

impl ValueRule {
    fn is_full_day(self) -> bool {
        match self {
            Self::InARow | Self::OfTreatment => true,
            Self::OfEverybody { is_full_day, .. } => is_full_day,
        }
    }
}
