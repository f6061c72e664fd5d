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
