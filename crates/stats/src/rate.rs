//! One rate against a fixed target: beta-binomial mixture, exact at any sample size (STATS.md 2.9, 2.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{border, softplus};
use super::interval::finite;
use super::log_space::{ln_beta, ln_p_from_ln_e};
use super::{Alpha, Interval, InvalidInput};

const LOGIT_RANGE: f64 = 700.0;

/// Confidence sequence of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateConfidence {
    /// Observed rate; `None` without units.
    pub rate: Option<f64>,
    /// Confidence sequence within [0, 1].
    pub ci: Interval,
    /// Evidence against the target.
    pub ln_e: f64,
    /// `-max(0, ln E)`.
    pub ln_p: f64,
}

/// Tests a rate against `target` with Jeffreys' mixture.
///
/// `target`: in (0, 1). Exact for independent units; ignores drift from day to day, so it belongs on a current window.
///
/// # Errors
/// [`InvalidInput`] for more successes than units or a target outside (0, 1).
///
/// Source: STATS.md 2.9.
pub fn rate_confidence(successes: u64, n: u64, target: f64, alpha: Alpha) -> Result<RateConfidence, InvalidInput> {
    if successes > n {
        return Err(InvalidInput::SuccessesExceedUnits);
    }
    if !(target > 0.0 && target < 1.0) {
        return Err(InvalidInput::Parameter);
    }
    let (x, failures) = (successes as f64, (n - successes) as f64);
    let marginal = ln_beta(x + 0.5, failures + 0.5) - ln_beta(0.5, 0.5);
    let ln_e_at = |t: f64| marginal + x * softplus(-t) + failures * softplus(t);
    let ln_e = if n == 0 { 0.0 } else { marginal - x * target.ln() - failures * (-target).ln_1p() };
    let ln_e = finite(ln_e).ok_or(InvalidInput::OutOfRange)?;
    let rejected = |t: f64| ln_e_at(t) >= alpha.ln_inverse();
    let middle = ((x + 0.5) / (failures + 0.5)).ln();
    let rate_at = |t: f64| 1.0 / (1.0 + (-t).exp());
    let lower = border(-LOGIT_RANGE, middle, rejected).map_or(0.0, rate_at);
    let upper = border(LOGIT_RANGE, middle, rejected).map_or(1.0, rate_at);
    Ok(RateConfidence {
        rate: (n > 0).then(|| x / n as f64),
        ci: Interval::new(lower, upper),
        ln_e,
        ln_p: ln_p_from_ln_e(ln_e),
    })
}
