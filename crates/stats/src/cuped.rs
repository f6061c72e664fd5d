//! CUPED: variance reduction with a covariate measured before exposure, from sums (STATS.md 2.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moments::{DEGENERATE, variance_of_mean};
use super::{Contrast, InvalidInput, Moments};

/// Checked sums of one arm: the outcome, its pre-exposure covariate, and how they move together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CupedArm {
    outcome: Moments,
    covariate: Moments,
    cross: f64,
}

impl CupedArm {
    /// # Errors
    /// [`InvalidInput`] when `cross_sum` (the sum of outcome times covariate) is impossible.
    pub fn try_new(outcome: Moments, covariate: Moments, cross_sum: f64) -> Result<Self, InvalidInput> {
        let cross = outcome.centred_cross(&covariate, cross_sum)?;
        Ok(Self { outcome, covariate, cross })
    }

    fn adjusted_variance(&self, theta: f64) -> f64 {
        let centred = self.outcome.centred - 2.0 * theta * self.cross + theta * theta * self.covariate.centred;
        let scale = self.outcome.sum_squares + theta * theta * self.covariate.sum_squares;
        variance_of_mean(self.outcome.n, centred, scale)
    }

    fn cross_of_means(&self) -> f64 {
        if self.outcome.n < 2.0 { 0.0 } else { self.cross / (self.outcome.n - 1.0) / self.outcome.n }
    }
}

/// Raw and adjusted effect side by side; the plan says which one decides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CupedAdjustment {
    /// Pooled within-arm slope of the outcome on the covariate.
    pub theta: f64,
    /// Unadjusted effect.
    pub raw_effect: f64,
    /// Variance of the unadjusted effect.
    pub raw_variance: f64,
    /// Adjusted effect.
    pub effect: f64,
    /// Variance of the adjusted effect.
    pub variance: f64,
    /// `1 - variance / raw_variance`; `None` when the raw variance is zero.
    pub variance_reduction: Option<f64>,
}

/// Adjusts treatment minus control by the covariate.
///
/// The slope pools both arms *within* arm, so that an effect on the outcome does not leak into it.
///
/// Source: STATS.md 2.4.
#[must_use]
pub fn cuped(control: &CupedArm, treatment: &CupedArm) -> (Contrast, CupedAdjustment) {
    let (a, b) = (control, treatment);
    let c_xx = a.covariate.centred + b.covariate.centred;
    let is_constant = c_xx <= DEGENERATE * (a.covariate.sum_squares + b.covariate.sum_squares);
    let theta = if is_constant { 0.0 } else { (a.cross + b.cross) / c_xx };
    let shift = theta * (b.covariate.mean() - a.covariate.mean());
    let var_covariate = a.covariate.variance_of_mean();
    let contrast = Contrast {
        treatment: b.outcome.mean() - shift,
        control: a.outcome.mean(),
        var_treatment: b.adjusted_variance(theta) + theta * theta * var_covariate,
        var_control: a.outcome.variance_of_mean(),
        covariance: theta * a.cross_of_means(),
    };
    let raw_effect = b.outcome.mean() - a.outcome.mean();
    let raw_variance = b.outcome.variance_of_mean() + a.outcome.variance_of_mean();
    let variance = b.adjusted_variance(theta) + a.adjusted_variance(theta);
    let adjustment = CupedAdjustment {
        theta,
        raw_effect,
        raw_variance,
        effect: raw_effect - shift,
        variance,
        variance_reduction: (raw_variance > 0.0).then(|| 1.0 - variance / raw_variance),
    };
    (contrast, adjustment)
}
