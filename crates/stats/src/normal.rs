//! The normal distribution where the tails matter.

use std::f64::consts::SQRT_2;

const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// Standard normal cumulative distribution.
pub(super) fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Standard normal density.
pub(super) fn pdf(x: f64) -> f64 {
    (-0.5 * x * x - HALF_LN_TWO_PI).exp()
}

/// Standard normal quantile for p in (0, 1).
pub(super) fn quantile(p: f64) -> f64 {
    -SQRT_2 * statrs::function::erf::erfc_inv(2.0 * p)
}

/// `y^2/2 + ln Phi(y)`, the exponent of the one-sided mixture, without cancellation in the left tail.
///
/// Above -30 through `erfc`, below by the asymptotic series of Mills' ratio (STATS.md 2.1).
pub(super) fn half_square_plus_ln_cdf(y: f64) -> f64 {
    if y > -30.0 {
        return 0.5 * y * y + cdf(y).ln();
    }
    let u = 1.0 / (y * y);
    let series = -u * (1.0 - u * (3.0 - u * (15.0 - 105.0 * u)));
    series.ln_1p() - (-y).ln() - HALF_LN_TWO_PI
}

/// [`half_square_plus_ln_cdf`] of `y` and of `-y`, with one evaluation of the distribution where that is enough.
pub(super) fn half_square_plus_ln_cdf_both(y: f64) -> (f64, f64) {
    let size = y.abs();
    if size >= 30.0 {
        return (half_square_plus_ln_cdf(y), half_square_plus_ln_cdf(-y));
    }
    let tail = cdf(-size);
    let half_square = 0.5 * y * y;
    let (inner, outer) = (half_square + (-tail).ln_1p(), half_square + tail.ln());
    if y > 0.0 { (inner, outer) } else { (outer, inner) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_branches_of_the_tail_meet() {
        let near = half_square_plus_ln_cdf(-30.0 + 1e-9);
        let far = half_square_plus_ln_cdf(-30.0 - 1e-9);
        assert!((near - far).abs() < 1.5e-10, "{near} {far}");
        assert!(half_square_plus_ln_cdf(-1e150).is_finite());
    }

    #[test]
    fn both_sides_at_once_are_the_two_sides_one_by_one() {
        for y in [-40.0, -29.9, -3.0, -1e-9, 0.0, 0.5, 8.0, 29.9, 40.0] {
            let (of_y, of_minus_y) = half_square_plus_ln_cdf_both(y);
            let close = |got: f64, want: f64| (got - want).abs() <= 1e-14 * want.abs().max(1.0);
            assert!(close(of_y, half_square_plus_ln_cdf(y)), "{y}");
            assert!(close(of_minus_y, half_square_plus_ln_cdf(-y)), "{y}");
        }
    }

    #[test]
    fn quantiles_invert_the_distribution() {
        for p in [1e-300, 1e-160, 1e-20] {
            assert!((cdf(quantile(p)) / p - 1.0).abs() < 1e-12, "{p}");
        }
        for p in [1e-9, 0.001, 0.025, 0.2, 0.5, 0.8, 0.975, 0.999] {
            assert!((cdf(quantile(p)) / p - 1.0).abs() < 1e-13, "{p}");
        }
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
    }
}
