//! Sums of different units, added and compared.

use super::{ArmSums, Cohort, VariantReading};

/// Sources add up in another order each time.
const TOLERANCE: f64 = 1e-9;

impl ArmSums {
    /// Everything that it holds, each with how large it can be: a sum that is near zero is no more exact than what was added.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn numbers(&self) -> Vec<(f64, f64)> {
        let sum = |n: i64, sum: f64, squares: f64| (sum, (n as f64 * squares).sqrt());
        let product = |product: f64, one: f64, other: f64| (product, (one * other).sqrt());
        match *self {
            Self::Proportion { n, successes } => vec![(n as f64, 0.0), (successes as f64, 0.0)],
            Self::Mean { n, sum: s, sum_squares: q } => vec![(n as f64, 0.0), sum(n, s, q), (q, 0.0)],
            Self::Ratio { n, num, num_squares, den, den_squares, num_den } => vec![
                (n as f64, 0.0),
                sum(n, num, num_squares),
                (num_squares, 0.0),
                sum(n, den, den_squares),
                (den_squares, 0.0),
                product(num_den, num_squares, den_squares),
            ],
            Self::Cuped { n, sum: s, sum_squares: q, cov_sum, cov_sum_squares, cross_sum } => vec![
                (n as f64, 0.0),
                sum(n, s, q),
                (q, 0.0),
                sum(n, cov_sum, cov_sum_squares),
                (cov_sum_squares, 0.0),
                product(cross_sum, q, cov_sum_squares),
            ],
            Self::Value { value } => vec![(value, 0.0)],
        }
    }

    /// Whether both say the same, but for the order in which a source added up.
    #[must_use]
    pub fn is_near(&self, other: &Self) -> bool {
        let is_near = |((one, scale), (other, _)): ((f64, f64), (f64, f64))| {
            (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()).max(scale)
        };
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.numbers().into_iter().zip(other.numbers()).all(is_near)
    }

    /// Whether these sums can become `left` by the loss of units alone: none of the others changed its value.
    #[must_use]
    pub fn can_lose(&self, left: &Self) -> bool {
        let Some(lost) = left.negated().and_then(|left| self.plus(left)) else { return false };
        let n = match lost.n() {
            None | Some(..0) => return false,
            Some(0) => return self.is_near(left),
            Some(n) => n,
        };
        // What was lost must be sums of some units, give or take what was rounded off the whole.
        let is_of_some = |sum: f64, squares: f64, of: f64| {
            let rounded = TOLERANCE * of;
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
            let most = n as f64 * (squares + rounded);
            squares >= -rounded && sum * sum <= most.max(0.0)
        };
        match (lost, *self) {
            (Self::Proportion { n, successes }, _) => (0..=n).contains(&successes),
            (Self::Mean { sum, sum_squares, .. }, Self::Mean { sum_squares: of, .. }) => {
                is_of_some(sum, sum_squares, of)
            }
            (
                Self::Ratio { num, num_squares, den, den_squares, .. },
                Self::Ratio { num_squares: of, den_squares: by, .. },
            ) => is_of_some(num, num_squares, of) && is_of_some(den, den_squares, by),
            (
                Self::Cuped { sum, sum_squares, cov_sum, cov_sum_squares, .. },
                Self::Cuped { sum_squares: of, cov_sum_squares: by, .. },
            ) => is_of_some(sum, sum_squares, of) && is_of_some(cov_sum, cov_sum_squares, by),
            _ => false,
        }
    }

    fn negated(self) -> Option<Self> {
        Some(match self {
            Self::Proportion { n, successes } => Self::Proportion { n: -n, successes: -successes },
            Self::Mean { n, sum, sum_squares } => Self::Mean { n: -n, sum: -sum, sum_squares: -sum_squares },
            Self::Ratio { n, num, num_squares, den, den_squares, num_den } => Self::Ratio {
                n: -n,
                num: -num,
                num_squares: -num_squares,
                den: -den,
                den_squares: -den_squares,
                num_den: -num_den,
            },
            Self::Cuped { n, sum, sum_squares, cov_sum, cov_sum_squares, cross_sum } => Self::Cuped {
                n: -n,
                sum: -sum,
                sum_squares: -sum_squares,
                cov_sum: -cov_sum,
                cov_sum_squares: -cov_sum_squares,
                cross_sum: -cross_sum,
            },
            Self::Value { .. } => return None,
        })
    }
}

impl Cohort {
    /// Of both together; `None` where the sums cannot be added.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        Some(Self {
            claimed: self.claimed.plus(other.claimed)?,
            n_both: self.n_both.checked_add(other.n_both)?,
            n_capped: self.n_capped.checked_add(other.n_capped)?,
            uncapped: match (self.uncapped, other.uncapped) {
                (Some(one), Some(more)) => Some(one.plus(more)),
                (one, more) => one.or(more),
            },
            n_unmapped: self.n_unmapped.checked_add(other.n_unmapped)?,
            n_other: self.n_other.checked_add(other.n_other)?,
        })
    }
}

impl VariantReading {
    /// Of the units of both readings of an arm, which have none in common; `None` where the sums cannot be added.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let cohort = match (&self.cohort, &other.cohort) {
            (Some(one), Some(more)) => Some(one.plus(more)?),
            (None, None) => None,
            _ => return None,
        };
        Some(Self { variant: self.variant, sums: self.sums.plus(other.sums)?, cohort, units: None })
    }

    /// Whether this reading can become `left` by the loss of units alone.
    #[must_use]
    pub fn can_lose(&self, left: &Self) -> bool {
        let claimed = match (&self.cohort, &left.cohort) {
            (Some(known), Some(left)) => known.claimed.can_lose(&left.claimed),
            (known, left) => known.is_none() && left.is_none(),
        };
        self.variant == left.variant && self.sums.can_lose(&left.sums) && claimed
    }

    /// Whether both say the same, but for the order in which a source added up, and for units of neither arm: they may have got one since.
    #[must_use]
    pub fn is_near(&self, other: &Self) -> bool {
        let cohorts = match (&self.cohort, &other.cohort) {
            (Some(one), Some(other)) => {
                one.claimed.is_near(&other.claimed) && (one.n_both, one.n_capped) == (other.n_both, other.n_capped)
            }
            (one, other) => one.is_none() && other.is_none(),
        };
        self.variant == other.variant && self.sums.is_near(&other.sums) && cohorts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_are_lost_take_their_own_values_with_them_and_no_others() {
        let share = |n, successes| ArmSums::Proportion { n, successes };
        assert!(share(1000, 300).can_lose(&share(999, 299)) && share(1000, 300).can_lose(&share(999, 300)));
        assert!(!share(1000, 300).can_lose(&share(999, 298)), "one unit had no two successes");
        assert!(!share(1000, 300).can_lose(&share(999, 310)), "others came back");
        assert!(!share(1000, 300).can_lose(&share(1000, 299)) && !share(1000, 300).can_lose(&share(1001, 300)));
        let mean = |n, sum, sum_squares| ArmSums::Mean { n, sum, sum_squares };
        assert!(mean(1000, 5000.0, 90_000.0).can_lose(&mean(999, 4990.0, 89_900.0)));
        assert!(
            !mean(1000, 5000.0, 90_000.0).can_lose(&mean(999, 4900.0, 89_900.0)),
            "no unit of 100 has a square of 100"
        );
        assert!(!mean(1000, 5000.0, 90_000.0).can_lose(&mean(999, 5000.0, 91_000.0)));
    }

    #[test]
    fn sums_near_zero_are_as_exact_as_what_was_added() {
        let signed = |sum| ArmSums::Mean { n: 1_000_000, sum, sum_squares: 1e12 };
        assert!(signed(1e-4).is_near(&signed(-1e-4)));
        assert!(!signed(1e5).is_near(&signed(1e5 + 10.0)));
    }
}
