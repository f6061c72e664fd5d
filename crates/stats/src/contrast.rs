//! Two arm levels with their sampling variances: what every kind of metric is reduced to.

use super::{InvalidInput, Variance};

/// An effect with the variance of its estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// In effect units.
    pub delta: f64,
    /// Of `delta`.
    pub variance: Variance,
}

/// Levels of both arms. For CUPED the treatment level is adjusted and the two are correlated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// Level of the treatment arm, P.
    pub treatment: f64,
    /// Level of the control arm, Q.
    pub control: f64,
    /// Sampling variance of P, >= 0.
    pub var_treatment: f64,
    /// Sampling variance of Q, >= 0.
    pub var_control: f64,
    /// Sampling covariance of P and Q; 0 except for CUPED.
    pub covariance: f64,
}

impl Contrast {
    /// The estimate of `P - k Q`; `k = 1` is the absolute effect.
    ///
    /// # Errors
    /// [`InvalidInput::OutOfRange`] when it or its variance cannot be represented, or the variance is not positive.
    pub fn against(&self, k: f64) -> Result<Estimate, InvalidInput> {
        let delta = self.treatment - k * self.control;
        if !delta.is_finite() {
            return Err(InvalidInput::OutOfRange);
        }
        let variance = Variance::try_new(self.variance_against(k)).map_err(|_| InvalidInput::OutOfRange)?;
        Ok(Estimate { delta, variance })
    }

    /// Variance of `P - k Q`.
    #[must_use]
    pub fn variance_against(&self, k: f64) -> f64 {
        self.var_treatment + k * k * self.var_control - 2.0 * k * self.covariance
    }

    /// Whether one of the arms is constant (for instance without a single conversion).
    #[must_use]
    pub fn has_constant_arm(&self) -> bool {
        self.var_treatment <= 0.0 || self.var_control <= 0.0
    }
}
