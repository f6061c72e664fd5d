//! What can be wrong with an input, and the status every result carries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A parameter that a human set is outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StatsError {
    /// A single parameter is outside its range.
    #[error("{name} is {value}, expected {expected}")]
    OutOfRange {
        /// Name of the parameter.
        name: &'static str,
        /// What it was.
        value: f64,
        /// Its range, in words.
        expected: &'static str,
    },
}

impl StatsError {
    pub(super) fn out_of_range(name: &'static str, value: f64, expected: &'static str) -> Self {
        Self::OutOfRange { name, value, expected }
    }
}

/// Why a reading cannot be true (STATS.md 2.0). Such data give a status, never a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvalidInput {
    /// x > n.
    #[error("more successes than units")]
    SuccessesExceedUnits,
    /// n < 0, or not a whole number.
    #[error("a count is negative or not a whole number")]
    NotACount,
    /// NaN or infinite input.
    #[error("a sum is not a finite number")]
    NotFinite,
    /// A sum over zero units.
    #[error("sums without units")]
    SumWithoutUnits,
    /// `sum_squares` below zero, or below what `sum` and `n` allow.
    #[error("the sum of squares is smaller than the sum allows")]
    SumSquaresTooSmall,
    /// `sum` and `sum_squares` are so large beside the spread of the values that rounding has eaten it.
    #[error(
        "the values lie so far from zero that their sums do not tell how much they vary: subtract a constant in the query, for \
         example the usual level"
    )]
    DigitsLost,
    /// Cross product violates the Cauchy-Schwarz inequality.
    #[error("the cross product is larger than the sums of squares allow")]
    CrossProductTooLarge,
    /// The arms hold different kinds of sums.
    #[error("the arms were measured in different ways")]
    ArmsDiffer,
    /// Bounds that do not enclose their estimate.
    #[error("the bounds do not enclose the estimate")]
    BoundsOutOfOrder,
    /// alpha, tau or a weight outside its range.
    #[error("a parameter of the test is outside its range")]
    Parameter,
    /// Finite, but beyond what double precision can calculate with.
    #[error("the numbers are too large or too small to calculate with")]
    OutOfRange,
}

impl From<StatsError> for InvalidInput {
    fn from(_: StatsError) -> Self {
        Self::Parameter
    }
}

/// One condition of the start gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartGate {
    /// Units in the smaller arm.
    UnitsPerArm,
    /// Effective units (successes, or Kish size for amounts) expected in the smaller arm when pooled.
    EffectiveUnits,
    /// Failures of a proportion expected in the smaller arm when pooled.
    Failures,
}

/// Whether a result holds numbers, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Status {
    /// The numbers are there.
    Ok,
    /// Neither arm varies: there is nothing to test. The interval is unknown, never `[0, 0]`.
    ZeroVariance,
    /// The denominator of a ratio metric is zero.
    ZeroDenominator,
    /// The start gate has not been passed (STATS.md 2.1); later readings may pass it.
    InsufficientSample {
        /// Which of the gates.
        gate: StartGate,
        /// Where the data are, in the gate's unit.
        have: f64,
        /// Where they need to be.
        need: f64,
    },
    /// The input cannot be true.
    Invalid {
        /// What is wrong.
        reason: InvalidInput,
    },
}

impl Status {
    /// Stable word for the machine interface.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ZeroVariance => "zero_variance",
            Self::ZeroDenominator => "zero_denominator",
            Self::InsufficientSample { .. } => "insufficient_sample",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// Whether the result holds numbers.
    #[must_use]
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }
}

impl From<InvalidInput> for Status {
    fn from(reason: InvalidInput) -> Self {
        Self::Invalid { reason }
    }
}
