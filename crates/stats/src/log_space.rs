//! Sums and Gamma functions in log space.

use super::params::LN_TWO;

/// `ln((e^a + e^b) / 2)`.
pub(super) fn ln_mean_exp2(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p() - LN_TWO
}

/// `ln Gamma(x)` for x > 0.
///
/// From 16 up by Stirling's series (next term below 1e-13), which is several times faster than the general routine.
pub(super) fn ln_gamma(x: f64) -> f64 {
    const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;
    if x < 16.0 {
        return libm::lgamma(x);
    }
    let inv = 1.0 / x;
    let inv2 = inv * inv;
    let series =
        inv * (1.0 / 12.0 - inv2 * (1.0 / 360.0 - inv2 * (1.0 / 1260.0 - inv2 * (1.0 / 1680.0 - inv2 / 1188.0))));
    (x - 0.5) * x.ln() - x + HALF_LN_TWO_PI + series
}

/// `ln B(a, b)`, the Beta function.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// `p` from `ln p`, at most 1; may underflow to 0.
pub(super) fn p_from_ln(ln_p: f64) -> f64 {
    ln_p.min(0.0).exp()
}

/// `ln p = -max(0, ln E)`, never `-0`.
pub(super) fn ln_p_from_ln_e(ln_e: f64) -> f64 {
    if ln_e > 0.0 { -ln_e } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stirling_agrees_with_the_general_routine() {
        for x in [16.0, 17.5, 40.0, 123.25, 1e4, 1e9] {
            let want = libm::lgamma(x);
            assert!((ln_gamma(x) - want).abs() <= 1e-13 * want.abs().max(1.0), "{x}");
        }
    }

    #[test]
    fn no_evidence_is_a_plain_zero() {
        assert!(ln_p_from_ln_e(0.0).is_sign_positive() && ln_p_from_ln_e(-1.0).is_sign_positive());
    }

    #[test]
    fn a_mean_of_huge_evidence_does_not_overflow() {
        assert!((ln_mean_exp2(5000.0, 10.0) - (5000.0 - LN_TWO)).abs() < 1e-12);
        assert!((ln_mean_exp2(-5000.0, -5000.0) + 5000.0).abs() < 1e-12);
    }
}
