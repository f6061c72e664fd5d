//! Which disappearances of units are deletions (an account was closed) and which mean that the source corrected its past.

use super::log_space::{ln_gamma, p_from_ln};

/// Largest share of a phase's units that deletions take (METRICS.md 3.3).
const MAX_SHARE: f64 = 0.005;
/// Below this the units did not disappear equally over the arms.
const ALPHA: f64 = 0.001;
/// Deletions above which the binomial is taken for a normal: its two-sided tails then differ by less than the rule notices.
const MANY: u64 = 1000;

/// Whether deletions explain that the units of a phase, control first, fell from `known` to `now`.
#[must_use]
pub fn explain(known: [u64; 2], now: [u64; 2]) -> bool {
    let lost = [known[0].saturating_sub(now[0]), known[1].saturating_sub(now[1])];
    let (n_lost, n_known) = (lost[0].saturating_add(lost[1]), known[0].saturating_add(known[1]));
    if n_lost == 0 {
        return true;
    }
    n_lost as f64 <= MAX_SHARE * n_known as f64 && p_equal(lost[1], n_lost, known[1] as f64 / n_known as f64) >= ALPHA
}

/// Two-sided p of `x` of `n` where each comes with probability `q`: twice the smaller tail.
fn p_equal(x: u64, n: u64, q: f64) -> f64 {
    if q <= 0.0 || q >= 1.0 {
        return 1.0;
    }
    if n > MANY {
        let (mean, sd) = (n as f64 * q, (n as f64 * q * (1.0 - q)).sqrt());
        return libm::erfc(((x as f64 - mean).abs() - 0.5).max(0.0) / (sd * std::f64::consts::SQRT_2));
    }
    let at = |k: u64| {
        let (k, n) = (k as f64, n as f64);
        let ways = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
        p_from_ln(ways + k * q.ln() + (n - k) * (-q).ln_1p())
    };
    let below: f64 = (0..=x).map(at).sum();
    let above: f64 = (x..=n).map(at).sum();
    (2.0 * below.min(above)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_of_both_arms_are_deletions() {
        assert!(explain([1000, 1000], [1000, 1000]));
        assert!(explain([1000, 1000], [1200, 1100]));
        assert!(explain([1000, 1000], [995, 995]));
        assert!(!explain([1000, 1000], [994, 995]), "more than half a percent");
        for n in [1000, 1_000_000] {
            let left = n - n / 200;
            assert!(explain([n, 0], [left, 0]) && explain([0, n], [0, left]), "there is no other arm");
        }
    }

    #[test]
    fn units_of_one_arm_alone_are_no_deletions() {
        // Ten of one arm: p is 2^-9. Eleven: 2^-10, below 0.001.
        assert!(explain([10_000, 10_000], [10_000, 9_990]));
        assert!(!explain([10_000, 10_000], [10_000, 9_989]));
        // At a split of 9 to 1 the large arm may lose more.
        assert!(explain([90_000, 10_000], [89_989, 10_000]));
        assert!(!explain([90_000, 10_000], [90_000, 9_995]));
    }

    #[test]
    fn the_tails_of_many_meet_those_of_few() {
        let exact = p_equal(460, 1000, 0.5);
        let normal = p_equal(461, 1002, 0.5);
        assert!((exact - normal).abs() < 0.0005, "{exact} {normal}");
        assert!(!explain([1_000_000, 1_000_000], [1_000_000, 998_000]));
        assert!(explain([1_000_000, 1_000_000], [999_000, 999_050]));
    }
}
