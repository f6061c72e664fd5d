//! Readings of a signal.

use std::sync::Arc;

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
    /// A mean per unit, with a covariate of each unit from before its first exposure.
    Cuped {
        /// Units.
        n: i64,
        /// Sum of the values.
        sum: f64,
        /// Sum of their squares.
        sum_squares: f64,
        /// Sum of the covariates.
        cov_sum: f64,
        /// Sum of their squares.
        cov_sum_squares: f64,
        /// Sum of the products of value and covariate.
        cross_sum: f64,
    },
    /// A value without units: can be shown and can guard, never tests.
    Value {
        /// In the signal's units.
        value: f64,
    },
}

impl ArmSums {
    /// The same kind of sums over no units; of a bare value, a mean.
    #[must_use]
    pub fn of_nobody(self) -> Self {
        match self {
            Self::Proportion { .. } => Self::Proportion { n: 0, successes: 0 },
            Self::Mean { .. } | Self::Value { .. } => Self::Mean { n: 0, sum: 0.0, sum_squares: 0.0 },
            Self::Ratio { .. } => {
                Self::Ratio { n: 0, num: 0.0, num_squares: 0.0, den: 0.0, den_squares: 0.0, num_den: 0.0 }
            }
            Self::Cuped { .. } => {
                Self::Cuped { n: 0, sum: 0.0, sum_squares: 0.0, cov_sum: 0.0, cov_sum_squares: 0.0, cross_sum: 0.0 }
            }
        }
    }

    /// The sums of both; `None` for two kinds, or a bare value.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Proportion { n, successes }, Self::Proportion { n: m, successes: more }) => {
                Self::Proportion { n: n.checked_add(m)?, successes: successes.checked_add(more)? }
            }
            (Self::Mean { n, sum, sum_squares }, Self::Mean { n: m, sum: more, sum_squares: squares }) => {
                Self::Mean { n: n.checked_add(m)?, sum: sum + more, sum_squares: sum_squares + squares }
            }
            (Self::Ratio { n, num, num_squares, den, den_squares, num_den }, Self::Ratio { n: m, .. }) => {
                let Self::Ratio { num: a, num_squares: b, den: c, den_squares: d, num_den: e, .. } = other else {
                    return None;
                };
                Self::Ratio {
                    n: n.checked_add(m)?,
                    num: num + a,
                    num_squares: num_squares + b,
                    den: den + c,
                    den_squares: den_squares + d,
                    num_den: num_den + e,
                }
            }
            (Self::Cuped { n, sum, sum_squares, cov_sum, cov_sum_squares, cross_sum }, Self::Cuped { n: m, .. }) => {
                let Self::Cuped { sum: a, sum_squares: b, cov_sum: c, cov_sum_squares: d, cross_sum: e, .. } = other
                else {
                    return None;
                };
                Self::Cuped {
                    n: n.checked_add(m)?,
                    sum: sum + a,
                    sum_squares: sum_squares + b,
                    cov_sum: cov_sum + c,
                    cov_sum_squares: cov_sum_squares + d,
                    cross_sum: cross_sum + e,
                }
            }
            _ => return None,
        })
    }

    /// Units, where counted.
    #[must_use]
    pub fn n(&self) -> Option<i64> {
        match self {
            Self::Proportion { n, .. } | Self::Mean { n, .. } | Self::Ratio { n, .. } | Self::Cuped { n, .. } => {
                Some(*n)
            }
            Self::Value { .. } => None,
        }
    }

    /// The value for people: mean, share, ratio; `None` without units or with a zero denominator.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn value(&self) -> Option<f64> {
        let value = match self {
            Self::Proportion { n, successes } => *successes as f64 / *n as f64,
            Self::Mean { n, sum, .. } | Self::Cuped { n, sum, .. } => sum / *n as f64,
            Self::Ratio { num, den, .. } => num / den,
            Self::Value { value } => *value,
        };
        value.is_finite().then_some(value)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// What is known about the units of an arm, where the runtime wrote the query: which of them may be claimed on, and what is odd.
///
/// Source: METRICS.md 2.3, 2.4.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Cohort {
    /// Sums of the units that are mature and whole: their window is over, and the flag was not changed during it.
    pub claimed: ArmSums,
    /// Units that saw both arms within the phase. They count for the arm that they saw first.
    pub n_both: i64,
    /// Units whose value was cut to the cap.
    pub n_capped: i64,
    /// What the cap took from the units of `claimed`; absent without a cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncapped: Option<Uncapped>,
    /// Units of the exposures that a map leads nowhere or to two: they are in no arm. Zero without a map.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_unmapped: i64,
    /// Units of the phase that were only seen with something that is neither arm; they are in no arm.
    pub n_other: i64,
}

/// What a query of the user's own says about the units of an arm, and what was found about its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct CountedUnits {
    /// Different units of the arm. Where it differs from `n`, rows were counted as units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_units: Option<i64>,
    /// Units that saw both arms; each arm of a phase repeats it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_both: Option<i64>,
    /// Another running experiment that has exactly the same numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<ExperimentId>,
}

/// Sums without the cap, of the units that may be claimed on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Uncapped {
    /// Sum of the values; of a ratio, of its numerators.
    pub sum: f64,
    /// Sum of a ratio's denominators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub den: Option<f64>,
}

impl Uncapped {
    /// The sums of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, den: self.den.zip(other.den).map(|(one, more)| one + more) }
    }
}

/// What a cap did to the result: beside the effect, so that nobody is misled by what it took away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Capped {
    /// Share of the units of control whose value was cut, 0 to 1.
    pub control_share: f64,
    /// The same of the treatment.
    pub treatment_share: f64,
    /// Treatment minus control without the cap and without a covariate, of the units that may be claimed on; in metric units. `None` where
    /// an arm has none.
    pub effect: Option<f64>,
    /// Whether it has the other sign than the effect with the cap.
    pub is_turned: bool,
}

/// The sums of an arm and what is known about its units, in one document: as a reading is stored, hashed and proved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ReadSums {
    /// Of all units that were exposed so far.
    #[serde(flatten)]
    pub sums: ArmSums,
    /// Absent where the query is the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<Cohort>,
    /// Absent where the runtime wrote the query, and where a query of the user's own says nothing about its units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<CountedUnits>,
}

/// What a source said about one arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct VariantReading {
    /// The arm.
    pub variant: Variant,
    /// Its sums; of all units that were exposed so far.
    pub sums: ArmSums,
    /// What is known about its units; absent where the query is the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<Cohort>,
    /// What a query of the user's own says about its units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<CountedUnits>,
}

impl VariantReading {
    /// The sums of a query of the user's own.
    #[must_use]
    pub fn new(variant: Variant, sums: ArmSums) -> Self {
        Self { variant, sums, cohort: None, units: None }
    }
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
    /// The text whose hash that is: what of the answer the numbers were made from, as canonical JSON. `None` where several answers were
    /// put together, and of what was stored before.
    #[serde(skip)]
    pub raw: Option<Arc<str>>,
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
    /// What is known about the units of the arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<Cohort>,
    /// What a query of the user's own says about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<CountedUnits>,
    /// Name of the connector.
    pub source: String,
    /// SHA-256 of the query and its parameters.
    pub query_hash: String,
    /// SHA-256 of the raw answer.
    pub raw_hash: String,
}

impl Measurement {
    /// Sums and units in one document.
    #[must_use]
    pub fn read_sums(&self) -> ReadSums {
        ReadSums { sums: self.sums, cohort: self.cohort, units: self.units }
    }
}
