//! A bare value (a p95 latency) against an absolute limit (METRICS.md 6.4): by the evidence of its daily values where enough days
//! before the launch are known, else by how many days in a row it was beyond.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::series::{Spread, student_mixture};
use super::{Alpha, GuardrailNumbers, InvalidInput, Limit, Status};

/// Least time between two readings of a bare value that both count, in seconds.
const MIN_SECONDS_APART: i64 = 86_400;
/// Units below which a bare value beyond its limit raises no alert (STATS.md 2.7).
const MIN_UNITS_FOR_ALERT: u64 = 100;
/// Days before the launch that tell how much a value moves by itself.
const MIN_DAYS_BEFORE: usize = 14;
/// Standard deviations of the days before the launch beyond the limit that are far beyond it, and the days in a row of them that
/// raise the alert.
const FAR: (f64, u32) = (4.0, 2);

/// A bare value against an absolute limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueLimit<'a> {
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
    pub rule: ValueRule<'a>,
}

/// What a value beyond its limit means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRule<'a> {
    /// A row of readings raises the alert, whoever the value is of: the rule of plans that do not say more.
    InARow,
    /// The value is of the units with the treatment.
    OfTreatment {
        /// Everybody's daily values before the launch, in time order. With 14 and more, evidence decides: a one-sided test of the
        /// treatment's daily values, and an alert after two days far beyond the limit.
        before: &'a [f64],
        /// Share of the units that the treatment's value is of, in (0, 1]: the fewer, the more it moves by itself.
        share: f64,
        /// Whether the value is of a whole day of the present split.
        is_full_day: bool,
    },
    /// The value is of everybody, whatever they saw: an incident, not evidence about the treatment.
    OfEverybody {
        /// The same.
        before: &'a [f64],
        /// Whether it turns the flag off all the same.
        pauses: bool,
        /// Whether the whole day is after the launch.
        is_full_day: bool,
    },
}

impl ValueRule<'_> {
    /// Whether it makes a statistical claim, which has a part of the error budget.
    pub(super) fn claims(&self) -> bool {
        matches!(self, Self::OfTreatment { before, .. } if Noise::of(before, 1.0).is_some())
    }

    fn is_full_day(&self) -> bool {
        match self {
            Self::InARow => true,
            Self::OfTreatment { is_full_day, .. } | Self::OfEverybody { is_full_day, .. } => *is_full_day,
        }
    }

    fn noise(&self) -> Option<Noise> {
        match self {
            Self::InARow => None,
            Self::OfTreatment { before, share, .. } => Noise::of(before, *share),
            Self::OfEverybody { before, .. } => Noise::of(before, 1.0),
        }
    }
}

/// How much a value moves from day to day by itself.
#[derive(Debug, Clone, Copy)]
struct Noise {
    /// Sum of squared deviations of the days before the launch.
    centred: f64,
    n: f64,
    /// Days that tell as much as one day that does not depend on its neighbours, at least 1.
    inflation: f64,
}

impl Noise {
    /// A part of the units moves more than everybody: at most as much more as independent units would.
    fn of(before: &[f64], share: f64) -> Option<Self> {
        let spread = Spread::of(&[before]);
        let is_usable = before.len() >= MIN_DAYS_BEFORE
            && before.iter().all(|y| y.is_finite())
            && !spread.is_constant()
            && share > 0.0
            && share <= 1.0;
        is_usable.then(|| {
            let phi = spread.autocorrelation();
            Self { centred: spread.centred / share, n: before.len() as f64, inflation: (1.0 + phi) / (1.0 - phi) }
        })
    }

    fn sd(&self) -> f64 {
        (self.centred / (self.n - 1.0)).sqrt()
    }
}

/// Readings beyond a limit in a row.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Row {
    n: u32,
    counted_at: Option<i64>,
}

impl Row {
    fn after(self, is_beyond: bool, new_poll: Option<i64>) -> Self {
        match (is_beyond, new_poll) {
            (_, None) => self,
            (false, Some(_)) => Self::default(),
            (true, Some(at)) if is_apart(self.counted_at, at) => {
                Self { n: self.n.saturating_add(1), counted_at: Some(at) }
            }
            (true, Some(_)) => self,
        }
    }
}

fn is_apart(last: Option<i64>, at: i64) -> bool {
    last.is_none_or(|last| at.saturating_sub(last) >= MIN_SECONDS_APART)
}

/// What is remembered of the days of a bare value.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Days {
    /// Readings beyond the limit in a row.
    pub n_consecutive: u32,
    /// The last of them, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<i64>,
    /// Where the days before the launch are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<DaySeries>,
}

/// The daily values since the safety process began.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DaySeries {
    /// Readings far beyond the limit in a row.
    pub n_far: u32,
    /// The last of them, in Unix seconds.
    pub far_at: Option<i64>,
    /// Days.
    pub n: u32,
    /// The last of them, in Unix seconds.
    pub last_at: Option<i64>,
    /// Their mean.
    pub mean: f64,
    /// Sum of squared deviations from it.
    pub centred: f64,
}

impl DaySeries {
    /// With the value of one more day.
    fn with(self, value: f64, at: i64) -> Self {
        if !is_apart(self.last_at, at) {
            return self;
        }
        let n = self.n.saturating_add(1);
        let deviation = value - self.mean;
        let mean = self.mean + deviation / f64::from(n);
        Self { n, last_at: Some(at), mean, centred: self.centred + deviation * (value - mean), ..self }
    }

    /// Evidence that the value is beyond its limit: a Student mixture over the daily values, whose spread is that of the days before
    /// and since the launch. 0 where the mean is within the limit. The mixture has two sides and one of them counts, which only
    /// makes it slower.
    fn ln_e(&self, noise: &Noise, limit: Limit, alpha: Alpha) -> f64 {
        let m = f64::from(self.n);
        let beyond = match limit {
            Limit::Min(limit) => limit - self.mean,
            Limit::Max(limit) => self.mean - limit,
        };
        if m < 1.0 || beyond <= 0.0 {
            return 0.0;
        }
        let degrees_of_freedom = noise.n + m - 2.0;
        let variance = (noise.centred + self.centred) / degrees_of_freedom * noise.inflation;
        let t = beyond / (variance / m).sqrt();
        let nu = (degrees_of_freedom / noise.inflation).max(1.0);
        let (ln_e, _) = student_mixture(t, nu, m / noise.inflation, alpha);
        if ln_e.is_finite() { ln_e } else { 0.0 }
    }
}

/// Judges a bare value. `new_poll`: when the data are as of, `None` for a repeated poll, which must not count twice.
pub(super) fn value_limit(
    reading: &ValueLimit<'_>,
    days: Days,
    new_poll: Option<i64>,
    alpha: Alpha,
) -> (GuardrailNumbers, Days) {
    let without_numbers = |n_consecutive| {
        let missing = GuardrailNumbers::without_numbers(false, InvalidInput::NotFinite.into());
        (GuardrailNumbers { n_consecutive, ..missing }, days)
    };
    let limit = reading.limit;
    let Some(value) = reading.value else {
        // Nothing read is neither a breach nor the end of a row of breaches.
        return without_numbers(days.n_consecutive);
    };
    if !(value.is_finite() && limit.get().is_finite()) {
        return without_numbers(0);
    }
    // The first hours after the launch, and a part of a day, neither accuse nor acquit.
    let new_poll = new_poll.filter(|_| reading.rule.is_full_day());
    let is_judged = reading.n.is_none_or(|n| n >= MIN_UNITS_FOR_ALERT);
    let is_beyond = |limit: Limit| is_judged && limit.is_crossed_by(value);
    let row = Row { n: days.n_consecutive, counted_at: days.counted_at }.after(is_beyond(limit), new_poll);
    let noise = reading.rule.noise();
    let series = noise.map(|noise| {
        let series = days.series.unwrap_or_default();
        let far = limit.farther(FAR.0 * noise.sd());
        let far = Row { n: series.n_far, counted_at: series.far_at }.after(is_beyond(far), new_poll);
        let series = DaySeries { n_far: far.n, far_at: far.counted_at, ..series };
        new_poll.filter(|_| is_judged).map_or(series, |at| series.with(value, at))
    });
    let is_long = row.n >= reading.consecutive.max(1);
    let is_far = series.is_some_and(|series| series.n_far >= FAR.1);
    let mut found = GuardrailNumbers {
        value: Some(value),
        bound: Some(limit.get()),
        n_consecutive: row.n,
        ..GuardrailNumbers::without_numbers(false, Status::Ok)
    };
    match (reading.rule, noise.zip(series)) {
        (ValueRule::OfTreatment { .. }, Some((noise, series))) => {
            let ln_e = series.ln_e(&noise, limit, alpha);
            found.ln_e_breached = Some(ln_e);
            found.breached = alpha.rejects(ln_e);
            found.is_alerting = is_far;
        }
        (ValueRule::InARow | ValueRule::OfTreatment { .. }, _) => found.is_alerting = is_long,
        (ValueRule::OfEverybody { pauses, .. }, _) => {
            let is_alerting = is_long || is_far;
            (found.is_alerting, found.is_incident) = (is_alerting && pauses, is_alerting && !pauses);
        }
    }
    (found, Days { n_consecutive: row.n, counted_at: row.counted_at, series })
}
