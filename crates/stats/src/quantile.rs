//! Quantiles (p95 latency) from the source's own order-statistic bounds (STATS.md 2.11).

use super::{Estimate, InvalidInput, Variance};

/// Half the width of a 95 % interval in standard errors.
const Z_95: f64 = 1.959_963_984_540_054;

/// A quantile of one arm with its 95 % bounds, in metric units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileArm {
    /// The quantile.
    pub value: f64,
    /// Lower 95 % order-statistic bound.
    pub lower: f64,
    /// Upper 95 % order-statistic bound.
    pub upper: f64,
}

impl QuantileArm {
    fn variance(&self) -> Result<f64, InvalidInput> {
        if ![self.value, self.lower, self.upper].into_iter().all(f64::is_finite) {
            return Err(InvalidInput::NotFinite);
        }
        if !(self.lower <= self.value && self.value <= self.upper) {
            return Err(InvalidInput::BoundsOutOfOrder);
        }
        let se = (self.upper - self.lower) / (2.0 * Z_95);
        Ok(se * se)
    }
}

/// Treatment minus control, ready for the mixture test. Only when observations are independent units.
///
/// # Errors
/// [`InvalidInput`] for bounds that do not enclose the quantile, and [`InvalidInput::OutOfRange`] without any spread.
///
/// Source: STATS.md 2.11.
pub fn quantile_estimate(control: &QuantileArm, treatment: &QuantileArm) -> Result<Estimate, InvalidInput> {
    let sum = control.variance()? + treatment.variance()?;
    let variance = Variance::try_new(sum).map_err(|_| InvalidInput::OutOfRange)?;
    Ok(Estimate { delta: treatment.value - control.value, variance })
}
