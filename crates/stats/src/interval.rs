//! An interval whose sides may be unbounded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A confidence interval in effect units; `None` is an unbounded side.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Lower end, `None` when unbounded.
    pub lower: Option<f64>,
    /// Upper end, `None` when unbounded.
    pub upper: Option<f64>,
}

impl Interval {
    /// The whole line.
    pub const UNBOUNDED: Self = Self { lower: None, upper: None };

    /// Both ends; an end that is not finite is unbounded.
    #[must_use]
    pub fn new(lower: f64, upper: f64) -> Self {
        Self { lower: finite(lower), upper: finite(upper) }
    }

    /// Bounded below only.
    #[must_use]
    pub fn above(lower: f64) -> Self {
        Self { lower: finite(lower), upper: None }
    }

    /// Bounded above only.
    #[must_use]
    pub fn below(upper: f64) -> Self {
        Self { lower: None, upper: finite(upper) }
    }

    /// Mirrored at zero.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { lower: self.upper.map(|x| -x), upper: self.lower.map(|x| -x) }
    }

    /// Whether `value` lies outside, strictly.
    #[must_use]
    pub fn excludes(self, value: f64) -> bool {
        self.lower.is_some_and(|l| l > value) || self.upper.is_some_and(|u| u < value)
    }

    /// What both have in common; see [`Interval::is_empty`].
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let pick = |a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(choose(a, b)),
            (one, None) | (None, one) => one,
        };
        Self { lower: pick(self.lower, other.lower, f64::max), upper: pick(self.upper, other.upper, f64::min) }
    }

    /// Whether nothing is left: the lower end lies above the upper one.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!((self.lower, self.upper), (Some(l), Some(u)) if l > u)
    }
}

/// `None` for NaN and infinities.
pub(super) fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}
