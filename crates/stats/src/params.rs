//! The numbers that steer a test, each in a type of its own so that no call can mix them up.

use std::f64::consts::LN_2;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Interval, StatsError};

/// Error probability of a test, in (0, 1).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Alpha(f64);

impl Alpha {
    /// 0.05, the default of every plan.
    pub const DEFAULT: Self = Self(0.05);
    /// 0.10, the separate budget of the futility bound (STATS.md 2.8).
    pub const FUTILITY: Self = Self(0.10);
    /// 0.025, the budget of an experiment for a false finding of harm (STATS.md 2.8).
    pub const HARM: Self = Self(0.025);

    /// # Errors
    /// [`StatsError::OutOfRange`] unless `0 < value < 1`.
    pub fn try_new(value: f64) -> Result<Self, StatsError> {
        if value > 0.0 && value < 1.0 {
            Ok(Self(value))
        } else {
            Err(StatsError::out_of_range("alpha", value, "between 0 and 1, exclusive"))
        }
    }

    /// The probability itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// `L = ln(1 / alpha)`, > 0.
    #[must_use]
    pub fn ln_inverse(self) -> f64 {
        -self.0.ln()
    }

    /// Whether evidence `ln_e` rejects: `E >= 1 / alpha`.
    #[must_use]
    pub fn rejects(self, ln_e: f64) -> bool {
        ln_e >= self.ln_inverse()
    }

    /// The share of each of `n` simultaneous tests (Bonferroni); `n = 0` counts as 1.
    #[must_use]
    pub fn split(self, n: usize) -> Self {
        // Never rounds down to an impossible 0.
        Self((self.0 / n.max(1) as f64).max(f64::MIN_POSITIVE))
    }

    /// The part of one experiment when all experiments of an outcome share this error rate.
    ///
    /// The planned ones get nine tenths in equal parts; each later one half of what is left, so that the sum never
    /// exceeds the whole, however many there are (a union bound). `planned = 0` counts as 1; `part` from 0.
    #[must_use]
    pub fn budget_share(self, planned: u32, part: u32) -> Self {
        let planned = planned.max(1);
        let share = match part.checked_sub(planned) {
            None => 0.9 / f64::from(planned),
            Some(late) => 0.1 * 0.5_f64.powi(i32::try_from(late.saturating_add(1)).unwrap_or(i32::MAX)),
        };
        Self((self.0 * share).max(f64::MIN_POSITIVE))
    }

    /// The parts of the looks of a plan with a known end and of the reserve beside them.
    pub(super) fn with_reserve(self, of_looks: f64) -> [Self; 2] {
        [of_looks, 1.0 - of_looks].map(|share| Self((self.0 * share).max(f64::MIN_POSITIVE)))
    }

    /// A share of it, in (0, 1].
    pub(super) fn part(self, share: f64) -> Self {
        Self((self.0 * share).max(f64::MIN_POSITIVE))
    }

    /// Halved once for each of `n` restarts of a safety process (METRICS.md 3.3).
    #[must_use]
    pub fn halved(self, n: u32) -> Self {
        let factor = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
        Self((self.0 * factor).max(f64::MIN_POSITIVE))
    }

    /// `2 alpha`, at which one-sided mixtures are tuned (STATS.md 1.10); unchanged from 0.5 up.
    pub(super) fn doubled(self) -> Self {
        if self.0 < 0.5 { Self(self.0 * 2.0) } else { self }
    }
}

impl Default for Alpha {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<f64> for Alpha {
    type Error = StatsError;
    fn try_from(value: f64) -> Result<Self, StatsError> {
        Self::try_new(value)
    }
}

impl From<Alpha> for f64 {
    fn from(alpha: Alpha) -> Self {
        alpha.0
    }
}

/// Standard deviation of the mixture, in effect units (not squared), > 0. Fixed before the first reading.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Tau(f64);

impl Tau {
    /// # Errors
    /// [`StatsError::OutOfRange`] unless `value` is finite and > 0.
    pub fn try_new(value: f64) -> Result<Self, StatsError> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(StatsError::out_of_range("tau", value, "finite and above 0"))
        }
    }

    /// In effect units.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// `r = tau^2 / V`: how much information there is, in units of the mixture (STATS.md, "The one formula").
    #[must_use]
    pub fn information_ratio(self, variance: Variance) -> f64 {
        let ratio = self.0 / variance.standard_error();
        ratio * ratio
    }
}

impl TryFrom<f64> for Tau {
    type Error = StatsError;
    fn try_from(value: f64) -> Result<Self, StatsError> {
        Self::try_new(value)
    }
}

impl From<Tau> for f64 {
    fn from(tau: Tau) -> Self {
        tau.0
    }
}

/// Variance of an effect estimate, in squared effect units, finite and > 0. Not of a single unit.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Variance(f64);

impl Variance {
    /// # Errors
    /// [`StatsError::OutOfRange`] unless `value` is finite and > 0.
    pub fn try_new(value: f64) -> Result<Self, StatsError> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(StatsError::out_of_range("variance", value, "finite and above 0"))
        }
    }

    /// In squared effect units.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Square root, in effect units.
    #[must_use]
    pub fn standard_error(self) -> f64 {
        self.0.sqrt()
    }
}

/// Inverse of the variance of an effect estimate, in 1 / (effect units)^2, finite and > 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Information(f64);

impl Information {
    /// # Errors
    /// [`StatsError::OutOfRange`] unless `value` is finite and > 0.
    pub fn try_new(value: f64) -> Result<Self, StatsError> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(StatsError::out_of_range("information", value, "finite and above 0"))
        }
    }

    /// In 1 / (effect units)^2.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// The information of an estimate, as a share of this.
    pub(super) fn share_of(self, variance: Variance) -> f64 {
        1.0 / (variance.get() * self.0)
    }
}

impl TryFrom<f64> for Information {
    type Error = StatsError;
    fn try_from(value: f64) -> Result<Self, StatsError> {
        Self::try_new(value)
    }
}

impl From<Information> for f64 {
    fn from(information: Information) -> Self {
        information.0
    }
}

/// Which way the metric should move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    #[default]
    Increase,
    /// Less is better.
    Decrease,
}

impl Direction {
    /// The interval signed in the good direction. The only place where a `decrease` turns a sign (STATS.md 2.8).
    #[must_use]
    pub fn orient(self, interval: Interval) -> Interval {
        match self {
            Self::Increase => interval,
            Self::Decrease => interval.negated(),
        }
    }
}

/// Natural logarithm of 2, of the one-sided mixture.
pub(super) const LN_TWO: f64 = LN_2;

/// What the test looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alternative {
    /// Any difference from the null: one interval then answers ship and kill with one alpha.
    #[default]
    TwoSided,
    /// An effect above the null.
    Greater,
    /// An effect below the null.
    Less,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_any_number_of_experiments_stay_within_the_budget() {
        for planned in [0, 1, 3, 100] {
            let shares = |n: u32| (0..n).map(|part| Alpha::DEFAULT.budget_share(planned, part).get()).sum::<f64>();
            assert!((shares(planned.max(1)) - 0.045).abs() < 1e-12, "{planned}");
            assert!(shares(planned + 200) <= 0.05 + 1e-15, "{planned}");
        }
        let late = [3, 4, 5].map(|part| Alpha::DEFAULT.budget_share(3, part).get());
        assert_eq!(late, [0.05 * 0.05, 0.05 * 0.025, 0.05 * 0.0125]);
        assert!(Alpha::DEFAULT.budget_share(1, u32::MAX).get() > 0.0);
    }

    #[test]
    fn a_doubled_alpha_stays_a_probability() {
        let doubled = |value| Alpha(value).doubled().get();
        assert!((doubled(0.05) - 0.1).abs() < 1e-15 && (doubled(0.01) - 0.02).abs() < 1e-15);
        assert!((doubled(0.5) - 0.5).abs() < 1e-15 && (doubled(0.7) - 0.7).abs() < 1e-15);
    }

    #[test]
    fn information_is_a_number_above_zero_and_stays_the_same_when_it_is_stored() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Information::try_new(bad).is_err(), "{bad}");
        }
        let information = Information::try_new(28.5).unwrap();
        assert_eq!((information.get(), f64::from(information)), (28.5, 28.5));
        assert_eq!(serde_json::from_str::<Information>("28.5").unwrap(), information);
    }
}
