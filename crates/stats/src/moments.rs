//! Mean and variance of one arm from its sums, with the data contract of STATS.md 2.0.

use super::InvalidInput;

/// Relative size of a centred sum of squares below which an arm counts as constant (STATS.md 2.1).
pub(super) const DEGENERATE: f64 = 1e-12;
/// Relative size of a centred sum of squares up to which sums that were rounded on their way do not tell it. A source adds a million
/// values with an error of about 1e-13 of their sum of squares, which is one part in a hundred of what is left here.
const UNRELIABLE: f64 = 1e-11;
/// Whole numbers below this are held exactly by a double.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Relative rounding allowed in a centred sum of squares before it is called impossible (STATS.md 2.0).
const ROUNDING: f64 = 1e-9;
/// Relative rounding allowed in the Cauchy-Schwarz inequality (STATS.md 2.0).
const CROSS_ROUNDING: f64 = 1e-6;

/// Checked sums of one value per unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Units, >= 0.
    pub n: f64,
    /// Sum over units, in metric units.
    pub sum: f64,
    /// Sum of squares over units.
    pub sum_squares: f64,
    /// `sum_squares - sum^2 / n`, >= 0; 0 when n = 0.
    pub centred: f64,
}

impl Moments {
    /// Checks the sums of a value with `n` units.
    ///
    /// # Errors
    /// [`InvalidInput`] when no data could have these sums.
    ///
    /// Source: STATS.md 2.0.
    pub fn try_new(n: u64, sum: f64, sum_squares: f64) -> Result<Self, InvalidInput> {
        if !sum.is_finite() || !sum_squares.is_finite() {
            return Err(InvalidInput::NotFinite);
        }
        if sum_squares < 0.0 {
            return Err(InvalidInput::SumSquaresTooSmall);
        }
        if n == 0 {
            let is_empty = sum.abs() + sum_squares <= 0.0;
            let empty = Self { n: 0.0, sum: 0.0, sum_squares: 0.0, centred: 0.0 };
            return if is_empty { Ok(empty) } else { Err(InvalidInput::SumWithoutUnits) };
        }
        let n = n as f64;
        let centred = sum_squares - sum * (sum / n);
        // Also false for the -inf of an overflowing square.
        if centred < -ROUNDING * sum_squares {
            return Err(InvalidInput::SumSquaresTooSmall);
        }
        let is_exact = sum.fract() == 0.0 && sum_squares.fract() == 0.0 && sum_squares < EXACT;
        if !is_exact && centred > DEGENERATE * sum_squares && centred <= UNRELIABLE * sum_squares {
            return Err(InvalidInput::DigitsLost);
        }
        Ok(Self { n, sum, sum_squares, centred: centred.max(0.0) })
    }

    /// In metric units; 0 without units.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.n > 0.0 { self.sum / self.n } else { 0.0 }
    }

    /// Variance of the mean, `s^2 / n` with the unbiased `s^2`; 0 for a constant arm and below two units.
    ///
    /// Source: STATS.md 2.1.
    #[must_use]
    pub fn variance_of_mean(&self) -> f64 {
        variance_of_mean(self.n, self.centred, self.sum_squares)
    }

    /// Centred cross product `sum xy - sum x sum y / n` with another value of the same units.
    ///
    /// # Errors
    /// [`InvalidInput`] when it violates the Cauchy-Schwarz inequality or is not finite.
    ///
    /// Source: STATS.md 2.0.
    pub fn centred_cross(&self, other: &Self, cross_sum: f64) -> Result<f64, InvalidInput> {
        if !cross_sum.is_finite() {
            return Err(InvalidInput::NotFinite);
        }
        if self.n <= 0.0 {
            let is_empty = cross_sum.abs() <= 0.0;
            return if is_empty { Ok(0.0) } else { Err(InvalidInput::SumWithoutUnits) };
        }
        let raw_limit = self.sum_squares.sqrt() * other.sum_squares.sqrt();
        let limit = self.centred.sqrt() * other.centred.sqrt();
        let centred = cross_sum - self.sum * (other.sum / self.n);
        let slack = CROSS_ROUNDING * limit + ROUNDING * raw_limit;
        if centred.is_finite() && centred.abs() <= limit + slack {
            Ok(centred)
        } else {
            Err(InvalidInput::CrossProductTooLarge)
        }
    }
}

/// `centred / (n - 1) / n`, or 0 when `centred` is rounding noise beside `scale`.
pub(super) fn variance_of_mean(n: f64, centred: f64, scale: f64) -> f64 {
    if n < 2.0 || centred <= DEGENERATE * scale { 0.0 } else { centred / (n - 1.0) / n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sums_are_refused() {
        assert_eq!(Moments::try_new(10, f64::NAN, 1.0), Err(InvalidInput::NotFinite));
        assert_eq!(Moments::try_new(10, 1.0, -1.0), Err(InvalidInput::SumSquaresTooSmall));
        assert_eq!(Moments::try_new(10, 100.0, 999.0), Err(InvalidInput::SumSquaresTooSmall));
        assert_eq!(Moments::try_new(0, 1.0, 1.0), Err(InvalidInput::SumWithoutUnits));
        assert_eq!(Moments::try_new(10, 1e300, 1e300), Err(InvalidInput::SumSquaresTooSmall));
    }

    #[test]
    fn a_constant_arm_has_no_variance() {
        let m = Moments::try_new(1000, 5000.0, 25_000.0).unwrap();
        assert!(m.variance_of_mean() <= 0.0);
        assert!((m.mean() - 5.0).abs() < 1e-12);
    }

    #[test]
    fn sums_of_values_far_from_zero_do_not_tell_their_spread() {
        let sums = |level: f64, spread: f64| {
            let n = 10_000;
            let square = level * level + spread * spread;
            Moments::try_new(n, n as f64 * level, n as f64 * square)
        };
        assert_eq!(sums(1e9 + 0.5, 2000.0).map(|m| m.n), Err(InvalidInput::DigitsLost));
        let far = sums(1e7 + 0.5, 1000.0).unwrap();
        assert!((far.variance_of_mean() - 100.0).abs() < 1.0, "{far:?}");
        assert!(sums(1e10 + 0.5, 0.0).unwrap().variance_of_mean() <= 0.0, "a constant stays one");
        let counted = Moments::try_new(1_000_000_000_000, 999_999_999_995.0, 999_999_999_995.0).unwrap();
        assert!((counted.centred - 5.0).abs() < 1e-3, "whole numbers lose nothing: {counted:?}");
    }

    #[test]
    fn a_cross_product_beyond_cauchy_schwarz_is_refused() {
        let x = Moments::try_new(100, 500.0, 2600.0).unwrap();
        let y = Moments::try_new(100, 100.0, 200.0).unwrap();
        assert_eq!(x.centred_cross(&y, 700.0), Err(InvalidInput::CrossProductTooLarge));
        assert!(x.centred_cross(&y, 550.0).is_ok());
    }
}
