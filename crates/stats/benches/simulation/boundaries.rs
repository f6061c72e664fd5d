//! Boundaries of a group sequential test with alpha spending, by the Armitage-McPherson-Rowe recursion.

use std::f64::consts::{PI, SQRT_2};

/// Nodes of the grid on which the density of the score is carried; even.
const NODES: usize = 400;
/// Critical values are cut off here, as Spotify's tool does.
const LARGEST: f64 = 8.0;

pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Two-sided critical values of |z| at `n_looks` evenly spaced looks; `spent(t)` is the alpha spent by the share t of
/// the information, rising, 0 at 0.
pub fn spending_boundaries(n_looks: usize, spent: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut previous = vec![(0.0, 1.0)];
    let mut critical = Vec::with_capacity(n_looks);
    for look in 1..=n_looks {
        // One unit of information per look: increments of the score are standard normal.
        let information = look as f64;
        let share = |k: usize| k as f64 / n_looks as f64;
        let to_spend = spent(share(look)) - spent(share(look - 1));
        let exit = |c: f64| {
            let end = c * information.sqrt();
            let tails = |s: f64| normal_cdf(s - end) + normal_cdf(-end - s);
            previous.iter().map(|(s, mass)| mass * tails(*s)).sum::<f64>()
        };
        let (mut low, mut high) = (0.0, LARGEST);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if exit(middle) > to_spend { low = middle } else { high = middle }
        }
        critical.push(high);
        previous = carry(&previous, high * information.sqrt());
    }
    critical
}

/// The density after one more increment, on a Simpson grid over the continuation region `[-end, end]`.
fn carry(previous: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let width = 2.0 * end / NODES as f64;
    let node = |i: usize| {
        let x = -end + width * i as f64;
        let density = previous.iter().map(|(s, mass)| mass * (-0.5 * (x - s) * (x - s)).exp()).sum::<f64>();
        let simpson = if i == 0 || i == NODES {
            1.0
        } else if i % 2 == 1 {
            4.0
        } else {
            2.0
        };
        (x, density / (2.0 * PI).sqrt() * simpson * width / 3.0)
    };
    (0..=NODES).map(node).collect()
}
