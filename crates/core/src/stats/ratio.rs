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
