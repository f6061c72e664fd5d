//! Exact conditional test of event counts, for rare events and before the start gate (STATS.md 2.5b).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::finite;
use super::log_space::{ln_beta, ln_mean_exp2, ln_p_from_ln_e, p_from_ln};
use super::{Alpha, Interval, InvalidInput};

/// Concentrations of the two mixtures, smaller than those of the mismatch check because the events are few.
const CONCENTRATIONS: [f64; 2] = [2.0, 100.0];
/// The logit range in which an end of an interval is sought; beyond it is 0 or unbounded.
const LOGIT_RANGE: f64 = 700.0;

/// Result of [`count_test`]. Valid only while there is no sample-ratio mismatch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CountTest {
    /// Evidence against equal rates.
    pub ln_e: f64,
    /// `-max(0, ln E)`.
    pub ln_p: f64,
    /// In [0, 1].
    pub p: f64,
    /// Event rate of treatment over that of control; `None` without control events.
    pub rate_ratio: Option<f64>,
    /// Confidence sequence of the rate ratio; `None` above is unbounded. Lift is the ratio minus 1.
    pub rate_ratio_ci: Interval,
}

/// Compares event counts of two arms, given how traffic is allocated.
///
/// `events_*`: events per arm. `weight_*`: expected allocation, > 0, any scale. Needs no variance and no gate, at the
/// price of a factor 1 - p of information, so only for rates below about 0.1 or for counts.
///
/// # Errors
/// [`InvalidInput::Parameter`] for a weight that is not positive and finite.
///
/// Source: STATS.md 2.5b.
pub fn count_test(
    events_control: u64,
    events_treatment: u64,
    weight_control: f64,
    weight_treatment: f64,
    alpha: Alpha,
) -> Result<CountTest, InvalidInput> {
    let is_weight = |w: f64| w > 0.0 && w.is_finite();
    let allocation = weight_control / weight_treatment;
    if !(is_weight(weight_control) && is_weight(weight_treatment) && is_weight(allocation)) {
        return Err(InvalidInput::Parameter);
    }
    let (xa, xb) = (events_control as f64, events_treatment as f64);
    let theta = 1.0 / (1.0 + allocation);
    let [low, high] = CONCENTRATIONS.map(|k| {
        let (prior_a, prior_b) = (k * (1.0 - theta), k * theta);
        ln_beta(prior_a + xa, prior_b + xb) - ln_beta(prior_a, prior_b)
    });
    let marginal = ln_mean_exp2(low, high);
    // Likelihood in the logit t = ln(theta / (1 - theta)); ln theta = -ln(1 + e^-t).
    let ln_e_at = |t: f64| marginal + xa * softplus(t) + xb * softplus(-t);
    let ln_e = finite(ln_e_at(-allocation.ln())).ok_or(InvalidInput::OutOfRange)?;
    let ln_p = ln_p_from_ln_e(ln_e);
    let rejected = |t: f64| ln_e_at(t) >= alpha.ln_inverse();
    let middle = ((xb + 0.5) / (xa + 0.5)).ln();
    let ratio_at = |t: f64| t.exp() * allocation;
    let lower = border(-LOGIT_RANGE, middle, rejected).map_or(0.0, ratio_at);
    let upper = border(LOGIT_RANGE, middle, rejected).and_then(|t| finite(ratio_at(t)));
    Ok(CountTest {
        ln_e,
        ln_p,
        p: p_from_ln(ln_p),
        rate_ratio: if events_control > 0 { finite(xb / xa * allocation) } else { None },
        rate_ratio_ci: Interval { lower: finite(lower), upper },
    })
}

/// `ln(1 + e^x)` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// Where `rejected` starts to hold on the way from `inside` to `outside`; `None` when it does not even hold there.
pub(super) fn border(outside: f64, inside: f64, rejected: impl Fn(f64) -> bool) -> Option<f64> {
    if !rejected(outside) {
        return None;
    }
    let (mut out, mut inn) = (outside, inside);
    for _ in 0..200 {
        let middle = 0.5 * (out + inn);
        if rejected(middle) {
            out = middle;
        } else {
            inn = middle;
        }
        if (out - inn).abs() <= 1e-14 * (1.0 + out.abs()) {
            break;
        }
    }
    Some(0.5 * (out + inn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softplus_neither_overflows_nor_cancels() {
        assert!((softplus(800.0) - 800.0).abs() < 1e-12);
        let tail = (-40.0_f64).exp();
        assert!((softplus(-40.0) / tail - 1.0).abs() < 1e-12);
        assert!((softplus(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn twelve_crashes_against_none_are_found_without_a_gate() {
        let result = count_test(0, 12, 1.0, 1.0, Alpha::DEFAULT).unwrap();
        assert!((result.p - 0.006).abs() < 0.001, "{}", result.p);
        assert_eq!(result.rate_ratio, None);
        assert!(result.rate_ratio_ci.lower.unwrap() > 1.0);
        assert_eq!(result.rate_ratio_ci.upper, None);
    }
}
