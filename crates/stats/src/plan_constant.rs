//! How much information a plan needs, and the search for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Alpha, StatsError};

/// Closer to 0 or 1 the root search, which is good to 1e-9 in power, would answer with noise.
const MIN_POWER: f64 = 1e-6;

/// What the recursion of a test gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanConstant {
    /// `C`: the information needed, in units of `1 / MDE^2`. `N_max = C (s_a^2/w_a + s_b^2/w_b) / MDE^2`.
    pub c: f64,
    /// Expected share of `N_max` used when the effect is exactly the MDE, in (0, 1).
    pub expected_fraction: f64,
    /// The same when it is twice the MDE; `None` for the two-sided mixture.
    pub expected_fraction_at_double: Option<f64>,
}

pub(super) fn power_in_range(alpha: Alpha, power: f64) -> Result<(), StatsError> {
    if power > alpha.get() && (MIN_POWER..=1.0 - MIN_POWER).contains(&power) {
        Ok(())
    } else {
        Err(StatsError::out_of_range("power", power, "above alpha, and between 0.000001 and 0.999999"))
    }
}

/// Root of an increasing function whose slope is about 1, by false position with the Illinois correction, from a guess. The
/// function was called last with what is returned.
pub(super) fn increasing_root(guess: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    let first = f(guess);
    if first == 0.0 {
        return guess;
    }
    let (mut low, mut f_low, mut high, mut f_high) = (guess, first, guess, first);
    // A step a little longer than the slope says finds the other side.
    let mut step = 1.1 * first.abs();
    for _ in 0..60 {
        if f_low <= 0.0 && f_high >= 0.0 {
            break;
        }
        if f_low > 0.0 {
            (high, f_high) = (low, f_low);
            low = (low - step).max(0.5 * low);
            f_low = f(low);
        } else {
            (low, f_low) = (high, f_high);
            high += step;
            f_high = f(high);
        }
        step *= 2.0;
    }
    if f_high <= f_low {
        f(low);
        return low;
    }
    let mut x = high;
    let mut was_below = None;
    for _ in 0..60 {
        x = (low * f_high - high * f_low) / (f_high - f_low);
        let value = f(x);
        // The second where a node more makes the function jump over 0.
        if value.abs() < 1e-9 || high - low < 1e-9 * high {
            break;
        }
        let is_below = value < 0.0;
        // The other end stays for a second time: half its value draws the next guess to its side.
        let weight = if was_below == Some(is_below) { 0.5 } else { 1.0 };
        if is_below {
            (low, f_low) = (x, value);
            f_high *= weight;
        } else {
            (high, f_high) = (x, value);
            f_low *= weight;
        }
        was_below = Some(is_below);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_found_from_either_side_in_few_steps_and_is_what_was_asked_last() {
        let bent = |x: f64, root: f64| (x - root) * (1.0 + 0.05 * (x - root));
        let curved = |x: f64, root: f64| (x - root).exp_m1();
        let bowed = |x: f64, root: f64| -(root - x).exp_m1();
        let flat = |x: f64, root: f64| 0.3 * (x - root);
        let jumps = |x: f64, root: f64| if x == root { 0.0 } else { x - root + 2e-8 * (x - root).signum() };
        type Shape = fn(f64, f64) -> f64;
        let shapes: [(&str, Shape, usize); 5] =
            [("bent", bent, 6), ("curved", curved, 8), ("bowed", bowed, 8), ("flat", flat, 5), ("jumps", jumps, 10)];
        for (name, shape, mean_steps) in shapes {
            let (mut n_roots, mut n_steps) = (0, 0);
            for root in [0.5, 2.0, 7.0] {
                assert_eq!(increasing_root(root, |x| shape(x, root)), root);
                for guess in [0.6, 0.9, 0.99, 1.01, 1.1, 1.5].map(|share| share * root) {
                    let mut asked = Vec::new();
                    let found = increasing_root(guess, |x| {
                        asked.push(x);
                        shape(x, root)
                    });
                    assert!((found - root).abs() < 1e-9 * root.max(1.0), "{name}: {found} for {root} from {guess}");
                    assert_eq!(asked.last(), Some(&found), "{name}: {root} from {guess}");
                    (n_roots, n_steps) = (n_roots + 1, n_steps + asked.len());
                }
            }
            assert!(n_steps <= mean_steps * n_roots, "{name}: {n_steps} steps for {n_roots} roots");
        }
    }
}
