//! Whether arms share the units in the same way over time.

use statrs::distribution::{ChiSquared, ContinuousCDF as _};

/// Units of two arms that are expected in each cell at least; thinner buckets are joined with the ones after them.
const MIN_EXPECTED: f64 = 5.0;

/// The probability of shares of the second arm that differ over buckets of time as much as these, or more, where each unit had the same
/// share of getting it. In [0, 1]; `None` with fewer than two buckets that are large enough.
///
/// `buckets`: units of both arms, in the order of time.
///
/// Source: Pearson's test of homogeneity.
#[must_use]
pub fn share_homogeneity_p(buckets: &[(u64, u64)]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let counts: Vec<(f64, f64)> = buckets.iter().map(|(a, b)| (*a as f64, *b as f64)).collect();
    let (all_a, all_b) = sum(&counts);
    let share = all_b / (all_a + all_b);
    if !(share > 0.0 && share < 1.0) {
        return None;
    }
    let smaller = share.min(1.0 - share);
    let joined = joined(&counts, MIN_EXPECTED / smaller);
    if joined.len() < 2 {
        return None;
    }
    let of_bucket = |(a, b): &(f64, f64)| {
        let n = a + b;
        (b - n * share).powi(2) / (n * share * (1.0 - share))
    };
    let statistic: f64 = joined.iter().map(of_bucket).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few buckets")]
    let degrees = (joined.len() - 1) as f64;
    ChiSquared::new(degrees).ok().map(|law| law.sf(statistic))
}

fn sum(counts: &[(f64, f64)]) -> (f64, f64) {
    counts.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y))
}

/// Buckets of at least `min` units each.
fn joined(counts: &[(f64, f64)], min: f64) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64)> = Vec::new();
    let mut open = (0.0, 0.0);
    for (a, b) in counts {
        open = (open.0 + a, open.1 + b);
        if open.0 + open.1 >= min {
            all.push(open);
            open = (0.0, 0.0);
        }
    }
    // What is left belongs to the last one.
    match all.last_mut() {
        Some(last) => *last = (last.0 + open.0, last.1 + open.1),
        None => all.push(open),
    }
    all
}

#[cfg(test)]
mod tests {
    use super::share_homogeneity_p;

    #[test]
    fn a_share_that_changed_is_told_from_one_that_did_not() {
        // chi-square of 2 degrees by hand: 3 buckets of 100, with 40, 50 and 60 of the second arm: 8.
        let p = share_homogeneity_p(&[(60, 40), (50, 50), (40, 60)]).unwrap();
        assert!((p - (-4.0_f64).exp()).abs() < 1e-12, "{p}");
        assert!((share_homogeneity_p(&[(500, 500), (50, 50)]).unwrap() - 1.0).abs() < 1e-12);
        let ramp = share_homogeneity_p(&[(7200, 800), (4000, 4000)]).unwrap();
        assert!(ramp < 1e-100, "{ramp}");
    }

    #[test]
    fn thin_buckets_are_joined_and_one_alone_says_nothing() {
        assert_eq!(share_homogeneity_p(&[]), None);
        assert_eq!(share_homogeneity_p(&[(10, 0), (20, 0)]), None);
        assert_eq!(share_homogeneity_p(&[(3, 2), (1, 3)]), None);
        let (many, few) = ([(1, 1); 100], [(50, 50), (50, 50)]);
        assert!(share_homogeneity_p(&many).unwrap() > 0.99 && share_homogeneity_p(&few).unwrap() > 0.99);
    }
}
