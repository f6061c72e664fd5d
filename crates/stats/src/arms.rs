//! Cumulative sums of one arm, and the step from two arms to a [`Contrast`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cuped::{CupedArm, cuped};
use super::ratio::ratio_level;
use super::{Contrast, CupedAdjustment, InvalidInput, Moments, StartGate, StartGateInput, Status};

/// What one poll knows about one arm in one allocation phase, cumulative since the phase began.
///
/// A unit is the randomised unit (a user), counted once. Rows or events as units give a type I error of 0.5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ArmSums {
    /// Each unit converted or did not.
    Proportion {
        /// Exposed units.
        n: u64,
        /// Units that converted.
        successes: u64,
    },
    /// One number per unit.
    Mean {
        /// Exposed units.
        n: u64,
        /// Sum over units.
        sum: f64,
        /// Sum of squares over units.
        sum_squares: f64,
    },
    /// Sum of numerators over sum of denominators, both per unit.
    Ratio {
        /// Exposed units.
        n: u64,
        /// Sum of numerators.
        numerator_sum: f64,
        /// Sum of squared numerators.
        numerator_sum_squares: f64,
        /// Sum of denominators.
        denominator_sum: f64,
        /// Sum of squared denominators.
        denominator_sum_squares: f64,
        /// Sum of numerator times denominator.
        cross_sum: f64,
    },
    /// One number per unit with a covariate measured before exposure.
    Cuped {
        /// Exposed units.
        n: u64,
        /// Sum over units.
        sum: f64,
        /// Sum of squares over units.
        sum_squares: f64,
        /// Sum of the covariate.
        covariate_sum: f64,
        /// Sum of squares of the covariate.
        covariate_sum_squares: f64,
        /// Sum of value times covariate.
        cross_sum: f64,
    },
}

impl ArmSums {
    /// Exposed units.
    #[must_use]
    pub fn n(&self) -> u64 {
        match self {
            Self::Proportion { n, .. } | Self::Mean { n, .. } | Self::Ratio { n, .. } | Self::Cuped { n, .. } => *n,
        }
    }

    /// Whether nothing at all was recorded: no success, no amount.
    #[must_use]
    pub fn has_no_events(&self) -> bool {
        match self {
            Self::Proportion { successes, .. } => *successes == 0,
            Self::Mean { sum_squares, .. } | Self::Cuped { sum_squares, .. } => *sum_squares <= 0.0,
            Self::Ratio { numerator_sum_squares, .. } => *numerator_sum_squares <= 0.0,
        }
    }

    /// The value the gate judges.
    fn outcome(&self) -> Result<Moments, InvalidInput> {
        match *self {
            Self::Proportion { n, successes } => {
                if successes > n {
                    return Err(InvalidInput::SuccessesExceedUnits);
                }
                Moments::try_new(n, successes as f64, successes as f64)
            }
            Self::Mean { n, sum, sum_squares } | Self::Cuped { n, sum, sum_squares, .. } => {
                Moments::try_new(n, sum, sum_squares)
            }
            Self::Ratio { n, numerator_sum, numerator_sum_squares, .. } => {
                Moments::try_new(n, numerator_sum, numerator_sum_squares)
            }
        }
    }

    fn second(&self) -> Result<Option<(Moments, f64)>, InvalidInput> {
        let (n, sum, squares, cross_sum) = match *self {
            Self::Proportion { .. } | Self::Mean { .. } => return Ok(None),
            Self::Ratio { n, denominator_sum: s, denominator_sum_squares: q, cross_sum, .. } => (n, s, q, cross_sum),
            Self::Cuped { n, covariate_sum: s, covariate_sum_squares: q, cross_sum, .. } => (n, s, q, cross_sum),
        };
        Ok(Some((Moments::try_new(n, sum, squares)?, cross_sum)))
    }
}

/// Two arms that passed the gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Compared {
    pub(super) contrast: Contrast,
    pub(super) cuped: Option<CupedAdjustment>,
}

/// Reduces two arms to a contrast, in this order: data contract, variance, start gate.
///
/// # Errors
/// The [`Status`] that explains why there is no number.
///
/// Source: STATS.md 2.0, 2.1, 2.3, 2.4.
pub(super) fn compare(control: &ArmSums, treatment: &ArmSums, is_signed: bool) -> Result<Compared, Status> {
    if std::mem::discriminant(control) != std::mem::discriminant(treatment) {
        return Err(InvalidInput::ArmsDiffer.into());
    }
    let (a, b) = (control.outcome()?, treatment.outcome()?);
    let (a2, b2) = (control.second()?, treatment.second()?);
    let smaller = a.n.min(b.n);
    if smaller < 2.0 {
        // The cross products of the other arm must still be possible.
        for (outcome, second) in [(a, a2), (b, b2)] {
            if let Some((other, cross_sum)) = second {
                outcome.centred_cross(&other, cross_sum)?;
            }
        }
        let gate = StartGate::UnitsPerArm;
        return Err(Status::InsufficientSample { gate, have: smaller, need: 100.0 });
    }
    let (contrast, cuped) = match (control, a2, b2) {
        (ArmSums::Ratio { .. }, Some((den_a, cross_a)), Some((den_b, cross_b))) => {
            let level_a = ratio_level(&a, &den_a, a.centred_cross(&den_a, cross_a)?);
            let level_b = ratio_level(&b, &den_b, b.centred_cross(&den_b, cross_b)?);
            let (Some((control, var_control)), Some((treatment, var_treatment))) = (level_a, level_b) else {
                return Err(Status::ZeroDenominator);
            };
            (Contrast { treatment, control, var_treatment, var_control, covariance: 0.0 }, None)
        }
        (ArmSums::Cuped { .. }, Some((cov_a, cross_a)), Some((cov_b, cross_b))) => {
            let arm_a = CupedArm::try_new(a, cov_a, cross_a)?;
            let arm_b = CupedArm::try_new(b, cov_b, cross_b)?;
            let (contrast, adjustment) = cuped(&arm_a, &arm_b);
            (contrast, Some(adjustment))
        }
        _ => {
            let contrast = Contrast {
                treatment: b.mean(),
                control: a.mean(),
                var_treatment: b.variance_of_mean(),
                var_control: a.variance_of_mean(),
                covariance: 0.0,
            };
            (contrast, None)
        }
    };
    let variance = cuped.map_or_else(|| contrast.variance_against(1.0), |c| c.variance);
    if variance <= 0.0 {
        return Err(Status::ZeroVariance);
    }
    let is_proportion = matches!(control, ArmSums::Proportion { .. });
    StartGateInput { control: a, treatment: b, is_proportion, is_signed }.check()?;
    contrast.against(1.0)?;
    Ok(Compared { contrast, cuped })
}
