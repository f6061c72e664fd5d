//! The checks that every reading passes, whatever source it comes from: what no data set can say is refused here.
//!
//! Counts that shrink between two readings are not looked at: a reading is judged alone.
//!
//! Source of the tolerances: the statistics' data contract (an impossible input is never turned into a number).

use crate::domain::{ArmSums, Variant, VariantReading};

/// Most units of an arm. Far above any population; small enough to be exact as `f64`.
pub const MAX_UNITS: i64 = 1_000_000_000_000;

/// Largest magnitude of a sum. Its square stays finite.
pub const MAX_SUM: f64 = 1e150;

/// Spellings of the arms, besides any mix of upper and lower case.
pub const VARIANT_NAMES: [(&str, Variant); 8] = [
    ("control", Variant::Control),
    ("treatment", Variant::Treatment),
    ("off", Variant::Control),
    ("on", Variant::Treatment),
    ("false", Variant::Control),
    ("true", Variant::Treatment),
    ("0", Variant::Control),
    ("1", Variant::Treatment),
];

/// The arm that a source's text names.
#[must_use]
pub fn variant(text: &str) -> Option<Variant> {
    let text = text.trim();
    VARIANT_NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, variant)| *variant)
}

/// Checks the sums of one arm: finite, non-negative counts, `successes <= n`, squares that fit the sums.
///
/// # Errors
/// What is wrong, beginning with the column's name.
pub fn sums(sums: &ArmSums) -> Result<(), String> {
    if let Some(n) = sums.n() {
        count("n", n)?;
    }
    match *sums {
        ArmSums::Proportion { n, successes } => {
            count("successes", successes)?;
            if successes > n {
                return Err(format!("`successes` is {successes}, more than `n` ({n}): count units, not events"));
            }
        }
        ArmSums::Mean { n, sum, sum_squares } => moments(n, ("sum", sum), ("sum_squares", sum_squares))?,
        ArmSums::Ratio { n, num, num_squares, den, den_squares, num_den } => {
            moments(n, ("num_sum", num), ("num_sum_squares", num_squares))?;
            moments(n, ("den_sum", den), ("den_sum_squares", den_squares))?;
            finite("num_den_sum", num_den)?;
            if n == 0 && num_den != 0.0 {
                return Err(format!("`num_den_sum` is {num_den} although `n` is 0"));
            }
            if !is_cross(num_den, num_squares, den_squares) {
                return Err(format!(
                    "`num_den_sum` is {num_den}, which no data with these `num_sum_squares` and `den_sum_squares` \
                     have: it is the sum over units of numerator times denominator"
                ));
            }
        }
        ArmSums::Cuped { n, sum, sum_squares, cov_sum, cov_sum_squares, cross_sum } => {
            moments(n, ("sum", sum), ("sum_squares", sum_squares))?;
            moments(n, ("cov_sum", cov_sum), ("cov_sum_squares", cov_sum_squares))?;
            finite("cross_sum", cross_sum)?;
            if n == 0 && cross_sum != 0.0 {
                return Err(format!("`cross_sum` is {cross_sum} although `n` is 0"));
            }
            if !is_cross(cross_sum, sum_squares, cov_sum_squares) {
                return Err(format!(
                    "`cross_sum` is {cross_sum}, which no data with these `sum_squares` and `cov_sum_squares` have"
                ));
            }
        }
        ArmSums::Value { value } => finite("value", value)?,
    }
    Ok(())
}

/// Whether two numbers of each unit can have this sum of products. Compared as roots: the product of two squares could overflow.
fn is_cross(products: f64, squares: f64, other_squares: f64) -> bool {
    products.abs() <= squares.sqrt() * other_squares.sqrt() * (1.0 + 1e-6)
}

/// Checks readings by variant: each alone, and at most one an arm.
///
/// # Errors
/// What is wrong, beginning with the row.
pub fn by_variant(readings: &[VariantReading]) -> Result<(), String> {
    for (row, reading) in (1..).zip(readings) {
        sums(&reading.sums).map_err(|problem| format!("row {row} (`{}`): {problem}", reading.variant))?;
        let first = readings.iter().position(|other| other.variant == reading.variant);
        if first != Some(row - 1) {
            return Err(format!(
                "row {row}: a second row for `{}`: there must be one row per variant, so group only by the variant",
                reading.variant
            ));
        }
    }
    Ok(())
}

/// Checks a count: 0 to [`MAX_UNITS`].
///
/// # Errors
/// What is wrong, beginning with the column's name.
pub fn count(name: &str, count: i64) -> Result<(), String> {
    match count {
        ..0 => Err(format!("`{name}` is {count}, and a count cannot be negative")),
        0..=MAX_UNITS => Ok(()),
        _ => Err(format!("`{name}` is {count}, more than the limit of {MAX_UNITS}")),
    }
}

fn finite(name: &str, value: f64) -> Result<(), String> {
    if !value.is_finite() {
        return Err(format!("`{name}` is {value}, not a finite number"));
    }
    if value.abs() > MAX_SUM {
        return Err(format!("`{name}` is {value:e}, beyond the limit of {MAX_SUM:e}"));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "n is at most 10^12")]
fn moments(n: i64, (name, sum): (&str, f64), (squares_name, squares): (&str, f64)) -> Result<(), String> {
    finite(name, sum)?;
    finite(squares_name, squares)?;
    if squares < 0.0 {
        return Err(format!("`{squares_name}` is {squares}, and a sum of squares cannot be negative"));
    }
    if n == 0 {
        return match sum == 0.0 && squares == 0.0 {
            true => Ok(()),
            false => Err(format!("`{name}` and `{squares_name}` are {sum} and {squares} although `n` is 0")),
        };
    }
    let n = n as f64;
    if squares - sum / n * sum < -1e-9 * squares {
        return Err(format!(
            "`{squares_name}` is {squares}, less than `{name}` squared / `n` ({}): it is the sum of each unit's \
             squared value, not the square of the sum",
            sum / n * sum
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mean(n: i64, sum: f64, sum_squares: f64) -> ArmSums {
        ArmSums::Mean { n, sum, sum_squares }
    }

    #[test]
    fn accepts_what_data_can_say() {
        for ok in [
            ArmSums::Proportion { n: 0, successes: 0 },
            ArmSums::Proportion { n: 2_000_000_000, successes: 2_000_000_000 },
            mean(0, 0.0, 0.0),
            mean(3, -6.0, 12.0),
            mean(3, 0.3, 0.03),
            mean(2_000_000_000, 2e12, 2e15),
            ArmSums::Ratio { n: 2, num: 3.0, num_squares: 5.0, den: 4.0, den_squares: 10.0, num_den: 7.0 },
            ArmSums::Value { value: -1e9 },
        ] {
            assert_eq!(sums(&ok), Ok(()), "{ok:?}");
        }
    }

    #[test]
    fn refuses_what_no_data_can_say_and_names_the_column() {
        let ratio = |num_den| ArmSums::Ratio { n: 2, num: 3.0, num_squares: 5.0, den: 4.0, den_squares: 10.0, num_den };
        for (bad, column) in [
            (ArmSums::Proportion { n: -1, successes: 0 }, "`n`"),
            (ArmSums::Proportion { n: i64::MAX, successes: 0 }, "`n`"),
            (ArmSums::Proportion { n: 5, successes: 6 }, "`successes`"),
            (ArmSums::Proportion { n: 5, successes: -1 }, "`successes`"),
            (mean(5, f64::NAN, 1.0), "`sum`"),
            (mean(5, 1.0, f64::INFINITY), "`sum_squares`"),
            (mean(5, 1.0, -1.0), "`sum_squares`"),
            (mean(5, 10.0, 19.0), "`sum_squares`"),
            (mean(5, 1e200, 1e300), "`sum`"),
            (mean(0, 1.0, 1.0), "`sum`"),
            (ratio(7.2), "`num_den_sum`"),
            (ratio(f64::NAN), "`num_den_sum`"),
            (ArmSums::Value { value: f64::NEG_INFINITY }, "`value`"),
        ] {
            let problem = sums(&bad).expect_err("impossible sums");
            assert!(problem.starts_with(column), "{bad:?}: {problem}");
        }
    }

    #[test]
    fn refuses_a_second_row_for_an_arm() {
        let row = |variant| VariantReading::new(variant, ArmSums::Proportion { n: 1, successes: 1 });
        assert_eq!(by_variant(&[row(Variant::Treatment), row(Variant::Control)]), Ok(()));
        let problem = by_variant(&[row(Variant::Control), row(Variant::Control)]).expect_err("a duplicate");
        assert!(problem.starts_with("row 2: a second row for `control`"), "{problem}");
    }

    #[test]
    fn knows_the_documented_spellings_only() {
        assert_eq!(variant(" Treatment "), Some(Variant::Treatment));
        assert_eq!(variant("OFF"), Some(Variant::Control));
        for unknown in ["", "test", "b", "variant", "2", "контроль"] {
            assert_eq!(variant(unknown), None, "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn real_data_always_pass(rows in prop::collection::vec((-1e6..1e6f64, 0.0..1e3f64), 0..200)) {
            let total = |f: fn(&(f64, f64)) -> f64| rows.iter().map(f).sum::<f64>();
            let n = i64::try_from(rows.len()).unwrap();
            prop_assert_eq!(sums(&mean(n, total(|r| r.0), total(|r| r.0 * r.0))), Ok(()));
            prop_assert_eq!(
                sums(&ArmSums::Ratio {
                    n,
                    num: total(|r| r.0),
                    num_squares: total(|r| r.0 * r.0),
                    den: total(|r| r.1),
                    den_squares: total(|r| r.1 * r.1),
                    num_den: total(|r| r.0 * r.1),
                }),
                Ok(())
            );
        }
    }
}
