//! Ratio metrics, sum of numerators over sum of denominators, by the delta method (STATS.md 2.3).

use super::Moments;
use super::moments::variance_of_mean;

/// Level and sampling variance of `sum num / sum den` in one arm; `None` when the denominator is zero.
///
/// `cross`: centred cross product of numerator and denominator. The unit stays the randomised unit: averaging ratios of
/// rows is another metric.
///
/// Source: STATS.md 2.3.
pub(super) fn ratio_level(num: &Moments, den: &Moments, cross: f64) -> Option<(f64, f64)> {
    let mean_den = den.mean();
    if mean_den.abs() <= 0.0 {
        return None;
    }
    let level = num.sum / den.sum;
    let centred = num.centred - 2.0 * level * cross + level * level * den.centred;
    let scale = num.sum_squares + level * level * den.sum_squares;
    Some((level, variance_of_mean(num.n, centred, scale) / (mean_den * mean_den)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numerator_that_is_its_denominator_leaves_no_variance() {
        // num = 3 den, but for a rounding error in the sum of num^2, whose scale is that of both sums of squares.
        let variance = |rounding: f64| {
            let num = Moments::try_new(1000, 15_000.0, 234_000.0 * (1.0 + rounding)).unwrap();
            let den = Moments::try_new(1000, 5000.0, 26_000.0).unwrap();
            ratio_level(&num, &den, 3000.0).unwrap().1
        };
        assert!(variance(1.8e-12) <= 0.0);
        assert!(variance(2.2e-12) > 0.0);
    }
}
