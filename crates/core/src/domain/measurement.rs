//! Readings of a signal.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text_enum;
use crate::ids::{ExperimentId, MeasurementId, OutcomeId};

text_enum! {
    /// The arm of a randomised experiment.
    pub enum Variant { Control, Treatment }
}

/// `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Window {
    /// Inclusive.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// Exclusive.
    #[schemars(with = "String")]
    pub to: Timestamp,
}

/// Sufficient sums of one arm. `n` counts randomised units, never rows or polls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum ArmSums {
    /// A share of units.
    Proportion {
        /// Units.
        n: i64,
        /// Units that did it.
        successes: i64,
    },
    /// A mean per unit.
    Mean {
        /// Units.
        n: i64,
        /// Sum of the values.
        sum: f64,
        /// Sum of their squares.
        sum_squares: f64,
    },
    /// A ratio of two sums per unit.
    Ratio {
        /// Units.
        n: i64,
        /// Sum of numerators.
        num: f64,
        /// Sum of their squares.
        num_squares: f64,
        /// Sum of denominators.
        den: f64,
        /// Sum of their squares.
        den_squares: f64,
        /// Sum of the products.
        num_den: f64,
    },
    /// A value without units: can be shown and can guard, never tests.
    Value {
        /// In the signal's units.
        value: f64,
    },
}

impl ArmSums {
    /// Units, where counted.
    #[must_use]
    pub fn n(&self) -> Option<i64> {
        match self {
            Self::Proportion { n, .. } | Self::Mean { n, .. } | Self::Ratio { n, .. } => Some(*n),
            Self::Value { .. } => None,
        }
    }

    /// The value for people: mean, share, ratio; `None` without units or with a zero denominator.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn value(&self) -> Option<f64> {
        let value = match self {
            Self::Proportion { n, successes } => *successes as f64 / *n as f64,
            Self::Mean { n, sum, .. } => sum / *n as f64,
            Self::Ratio { num, den, .. } => num / den,
            Self::Value { value } => *value,
        };
        value.is_finite().then_some(value)
    }
}

/// What a source said about one arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct VariantReading {
    /// The arm.
    pub variant: Variant,
    /// Its sums.
    pub sums: ArmSums,
}

/// One answer of a source. Everything in it was bounded and checked on the way in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading<T> {
    /// What it said.
    pub data: T,
    /// The window that was asked for.
    pub window: Window,
    /// SHA-256 of the query and its parameters, in hexadecimal.
    pub query_hash: String,
    /// SHA-256 of the raw answer, in hexadecimal.
    pub raw_hash: String,
    /// Doubts of the source itself: sampled, thresholded, lagging.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A stored reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// Its id.
    pub id: MeasurementId,
    /// The outcome.
    pub outcome: OutcomeId,
    /// The experiment, for readings by variant.
    pub experiment: Option<ExperimentId>,
    /// Name of the signal within the outcome.
    pub signal: String,
    /// The arm.
    pub variant: Option<Variant>,
    /// Allocation phase, from 0.
    pub phase: Option<i32>,
    /// When the poll was made.
    #[schemars(with = "String")]
    pub measured_at: Timestamp,
    /// What was asked for.
    pub window: Window,
    /// What was said.
    pub sums: ArmSums,
    /// Name of the connector.
    pub source: String,
    /// SHA-256 of the query and its parameters.
    pub query_hash: String,
    /// SHA-256 of the raw answer.
    pub raw_hash: String,
}
