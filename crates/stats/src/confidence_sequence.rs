//! Width of the confidence sequence, and where it is narrowest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::LN_TWO;
use super::{Alpha, Alternative, normal};

/// `1 / sqrt(2 pi)`.
const FRAC_1_SQRT_TWO_PI: f64 = 0.398_942_280_401_432_7;

/// Half-width of the confidence sequence in standard errors; infinite for `r = 0`.
///
/// `r`: information ratio `tau^2 / V`, >= 0. Two-sided `sqrt((1 + 1/r)(ln(1+r) + 2L))`; one-sided `y sqrt(1 + 1/r)`
/// with `y^2/2 + ln Phi(y) = L + ln(1+r)/2 - ln 2`.
///
/// Source: STATS.md "The one formula" and 2.1.
#[must_use]
pub fn boundary(r: f64, alpha: Alpha, alternative: Alternative) -> f64 {
    let ln1p_r = r.ln_1p();
    let spread = 1.0 + 1.0 / r;
    match alternative {
        Alternative::TwoSided => (spread * (ln1p_r + 2.0 * alpha.ln_inverse())).sqrt(),
        Alternative::Greater | Alternative::Less => one_sided_root(alpha.ln_inverse() + 0.5 * ln1p_r) * spread.sqrt(),
    }
}

/// Solves `y^2/2 + ln Phi(y) = level - ln 2` for y >= 0, in [0, sqrt(2 level)], by Halley's method.
pub(super) fn one_sided_root(level: f64) -> f64 {
    let target = level - LN_TWO;
    let mut y = if target > 1.0 { far_root(target) } else { (2.0 * level).max(0.0).sqrt() };
    for _ in 0..60 {
        let cdf = normal::cdf(y);
        let mills = normal::pdf(y) / cdf;
        let (value, slope, curvature) = (0.5 * y * y + cdf.ln() - target, y + mills, 1.0 - mills * (y + mills));
        let step = 2.0 * value * slope / (2.0 * slope * slope - value * curvature);
        // Not `step <= ...` alone: a NaN must end the loop as well.
        if !step.is_finite() {
            break;
        }
        y = (y - step).max(0.0);
        // The next step would be about the cube of this one.
        if step.abs() <= 3e-5 * y {
            break;
        }
    }
    y
}

/// Nearly the same root for `target > 1`, with the upper tail from its continued fraction at `sqrt(2 target)`.
fn far_root(target: f64) -> f64 {
    let y = (2.0 * target).sqrt();
    let fraction = y + 1.0 / (y + 2.0 / (y + 3.0 / (y + 4.0 / (y + 2.0))));
    let tail = (-target).exp() * FRAC_1_SQRT_TWO_PI / fraction;
    (2.0 * (target - (-tail).ln_1p())).sqrt()
}

/// The information ratio at which the two-sided boundary is narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RStar {
    /// `r* = ln(1 + r*) + 2L`.
    pub r_star: f64,
    /// `sqrt(1 + r*)`, in standard errors.
    pub min_boundary: f64,
    /// The usual closed form `2L + ln(1 + 2L)`, 1 to 7 % too small.
    pub approximation: f64,
}

/// Where the two-sided boundary for `alpha` is narrowest. For a one-sided test pass twice its alpha.
///
/// Source: STATS.md, table under "The one formula".
#[must_use]
pub fn r_star(alpha: Alpha) -> RStar {
    let two_l = 2.0 * alpha.ln_inverse();
    let approximation = two_l + two_l.ln_1p();
    let mut r = approximation + 1.0;
    for _ in 0..60 {
        let step = (r - r.ln_1p() - two_l) * (1.0 + r) / r;
        if !step.is_finite() {
            break;
        }
        r = (r - step).max(f64::MIN_POSITIVE);
        if step.abs() <= 1e-15 * r {
            break;
        }
    }
    RStar { r_star: r, min_boundary: (1.0 + r).sqrt(), approximation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_boundary_is_the_published_one() {
        for (alpha, want) in [(0.10, 2.764), (0.05, 3.035), (0.01, 3.572), (0.001, 4.206)] {
            let alpha = Alpha::try_new(alpha).unwrap();
            let star = r_star(alpha);
            assert!((star.min_boundary - want).abs() < 5e-4);
            assert!((boundary(star.r_star, alpha, Alternative::TwoSided) - want).abs() < 5e-4);
        }
    }

    #[test]
    fn a_one_sided_root_solves_its_equation_and_starts_near_it() {
        for level in [1e-9, 0.1, 0.7, 1.0, 1.7, 2.0, 3.0, 5.0, 10.0, 30.0, 300.0, 1e4] {
            let (root, target) = (one_sided_root(level), level - LN_TWO);
            let miss = normal::half_square_plus_ln_cdf(root) - target;
            assert!(miss.abs() <= 1e-14 * (1.0 + level), "{level}: {miss}");
            if target > 1.0 {
                let miss = (far_root(target) / root - 1.0).abs();
                assert!(miss <= 4e-3 * (1.0 - target).exp() + 1e-15, "{level}: {miss}");
            }
        }
    }

    #[test]
    fn a_one_sided_boundary_is_narrower() {
        for r in [1e-6, 0.1, 1.0, 8.2, 100.0, 1e12] {
            let one = boundary(r, Alpha::DEFAULT, Alternative::Greater);
            assert!(one < boundary(r, Alpha::DEFAULT, Alternative::TwoSided));
        }
    }
}
