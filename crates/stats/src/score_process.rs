//! The score process of a test, carried from look to look: Brownian motion in information time, less the paths that were stopped.
//!
//! Source: Armitage, `McPherson` and Rowe 1969; STATS.md 2.10.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of nodes are clamped to what their type holds"
)]

use super::normal;

/// Nodes per standard deviation of one increment.
const NODES_PER_SD: f64 = 4.0;
/// Increments further away than this many standard deviations add nothing in double precision.
pub(super) const REACH_SD: f64 = 8.5;
const MIN_HALF_PANELS: f64 = 8.0;
const MAX_HALF_PANELS: f64 = 20_000.0;

/// The density of the score of runs that go on, on evenly spaced nodes, times the weights of Simpson's rule.
#[derive(Debug, Clone)]
pub(super) struct SubDensity {
    start: f64,
    width: f64,
    weighted: Vec<f64>,
}

impl SubDensity {
    /// Before the first look all mass sits at 0.
    pub(super) fn at_origin() -> Self {
        Self { start: 0.0, width: 1.0, weighted: vec![1.0] }
    }

    /// Probability to go on.
    pub(super) fn mass(&self) -> f64 {
        self.weighted.iter().sum()
    }

    /// What is left between `start` and `end` after an increment of mean `drift` and variance `step` > 0. `finest`: the smallest
    /// standard deviation of this and the next increment, which the nodes have to resolve.
    pub(super) fn advance(&self, step: f64, drift: f64, start: f64, end: f64, finest: f64) -> Self {
        let scale = 1.0 / step.sqrt();
        let half_panels = (0.5 * (end - start) / finest * NODES_PER_SD).ceil();
        let last = 2 * half_panels.clamp(MIN_HALF_PANELS, MAX_HALF_PANELS) as u32;
        let width = (end - start) / f64::from(last);
        let kernel = Kernel::new(scale, self.width);
        let weighted = (0..=last)
            .map(|node| {
                let x = start + width * f64::from(node);
                let simpson = match node {
                    0 => 1.0,
                    n if n == last => 1.0,
                    n if n % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                kernel.smooth(self, x - drift) * simpson * width / 3.0
            })
            .collect();
        Self { start, width, weighted }
    }

    /// Probability and density of a score above and at `bound` after an increment of mean 0 and variance `step` > 0.
    pub(super) fn beyond(&self, bound: f64, step: f64) -> (f64, f64) {
        let scale = 1.0 / step.sqrt();
        let mut sums = (0.0, 0.0);
        for (node, weight) in self.weighted.iter().enumerate() {
            let away = (bound - self.start - self.width * node as f64) * scale;
            if away < REACH_SD {
                sums.0 += weight * normal::cdf(-away);
                sums.1 += weight * normal::pdf(away) * scale;
            }
        }
        sums
    }
}

/// The normal density of one increment on a grid, without an exponential per node: between the nearest node, `a` standard
/// deviations from the center, and the `k`th after it, `exp(-(a - k d)^2 / 2) = exp(-a^2 / 2) exp(-(k d)^2 / 2) exp(a d)^k`.
struct Kernel {
    scale: f64,
    /// `d`: distance of two nodes in standard deviations of an increment.
    distance: f64,
    /// Nodes to each side that matter.
    reach: usize,
    /// `exp(-(k d)^2 / 2)` for k from `-reach` to `reach`.
    bell: Vec<f64>,
}

impl Kernel {
    fn new(scale: f64, width: f64) -> Self {
        let distance = width * scale;
        let reach = (REACH_SD / distance).ceil() as usize;
        let value = |k: usize| (-0.5 * ((k as f64 - reach as f64) * distance).powi(2)).exp();
        Self { scale, distance, reach, bell: (0..=2 * reach).map(value).collect() }
    }

    /// Density that arrives from a grid whose increments end at `center`.
    fn smooth(&self, grid: &SubDensity, center: f64) -> f64 {
        let n_last = grid.weighted.len().saturating_sub(1);
        let nearest = ((center - grid.start) / grid.width).round().clamp(0.0, n_last as f64);
        let away = (center - grid.start - nearest * grid.width) * self.scale;
        if away.abs() > REACH_SD {
            return 0.0;
        }
        let nearest = nearest as usize;
        let first = nearest.saturating_sub(self.reach);
        let n_below = nearest - first;
        let nodes = grid.weighted.get(first..=(nearest + self.reach).min(n_last)).unwrap_or_default();
        let bell = self.bell.get(self.reach - n_below..).unwrap_or_default();
        let ratio = (away * self.distance).exp();
        let begin = (-away * self.distance * n_below as f64).exp();
        normal::pdf(away) * self.scale * product_sum(nodes, bell, begin, ratio)
    }
}

/// `sum_k a_k b_k begin ratio^k`, four terms at a time.
fn product_sum(a: &[f64], b: &[f64], begin: f64, ratio: f64) -> f64 {
    let mut powers = [begin, begin * ratio, begin * ratio * ratio, begin * ratio * ratio * ratio];
    let step = (ratio * ratio) * (ratio * ratio);
    let mut sums = [0.0; 4];
    let (a_fours, a_rest) = a.as_chunks::<4>();
    let (b_fours, _) = b.as_chunks::<4>();
    for (a, b) in a_fours.iter().zip(b_fours) {
        for (sum, ((a, b), power)) in sums.iter_mut().zip(a.iter().zip(b).zip(&mut powers)) {
            *sum += a * b * *power;
            *power *= step;
        }
    }
    let b_rest = b.iter().skip(4 * a_fours.len());
    let rest: f64 = a_rest.iter().zip(b_rest).zip(powers).map(|((a, b), power)| a * b * power).sum();
    sums.iter().sum::<f64>() + rest
}
