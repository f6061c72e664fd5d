//! One series without a control: level against a target, before against after. Observational, never causal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;

use super::interval::finite;
use super::log_space::ln_p_from_ln_e;
use super::moments::DEGENERATE;
use super::params::LN_TWO;
use super::{Alpha, Direction, Interval, InvalidInput, StartGate, Status};

pub(super) const MIN_BLOCKS: usize = 4;
pub(super) const MIN_POST_BLOCKS: usize = 2;
const MAX_AUTOCORRELATION: f64 = 0.8;

/// What may be said about one series. Always with the word "observational"; never a reason to ship by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesVerdict {
    /// The level is beyond the target.
    TargetMet,
    /// The level is short of the target.
    TargetMissed,
    /// The level after differs from the level before.
    Moved,
    /// Neither can be said.
    NotDistinguishable,
}

/// Level of a series against a target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LevelTest {
    /// Whether there are numbers.
    pub status: Status,
    /// Mean of the blocks.
    pub mean: Option<f64>,
    /// Standard error, widened for autocorrelation.
    pub se: Option<f64>,
    /// Lag-1 autocorrelation used, in [0, 0.8].
    pub autocorrelation: Option<f64>,
    /// Effective degrees of freedom, >= 1.
    pub degrees_of_freedom: Option<f64>,
    /// Distance from the target in standard errors.
    pub t: Option<f64>,
    /// Evidence against "the level is the target".
    pub ln_e: Option<f64>,
    /// `-max(0, ln E)`.
    pub ln_p: f64,
    /// Confidence sequence of the level; `None` with too few blocks for any bound.
    pub ci: Option<Interval>,
}

/// Level after an intervention against the level before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrePostTest {
    /// Whether there are numbers.
    pub status: Status,
    /// After minus before.
    pub difference: Option<f64>,
    /// Standard error, widened for autocorrelation.
    pub se: Option<f64>,
    /// Lag-1 autocorrelation used, in [0, 0.8].
    pub autocorrelation: Option<f64>,
    /// Effective degrees of freedom, >= 1.
    pub degrees_of_freedom: Option<f64>,
    /// Difference in standard errors.
    pub t: Option<f64>,
    /// Evidence against "no difference".
    pub ln_e: Option<f64>,
    /// `-max(0, ln E)`.
    pub ln_p: f64,
    /// Confidence sequence of the difference; `None` with too few blocks for any bound.
    pub ci: Option<Interval>,
}

impl LevelTest {
    fn without_numbers(status: Status, mean: Option<f64>) -> Self {
        Self {
            status,
            mean,
            se: None,
            autocorrelation: None,
            degrees_of_freedom: None,
            t: None,
            ln_e: None,
            ln_p: 0.0,
            ci: None,
        }
    }
}

impl LevelTest {
    /// Whether the level is beyond the target, in the direction of improvement.
    #[must_use]
    pub fn verdict(&self, target: f64, direction: Direction) -> SeriesVerdict {
        let Some(ci) = self.ci.map(|ci| direction.orient(ci)) else {
            return SeriesVerdict::NotDistinguishable;
        };
        let target = match direction {
            Direction::Increase => target,
            Direction::Decrease => -target,
        };
        if ci.lower.is_some_and(|l| l > target) {
            SeriesVerdict::TargetMet
        } else if ci.upper.is_some_and(|u| u < target) {
            SeriesVerdict::TargetMissed
        } else {
            SeriesVerdict::NotDistinguishable
        }
    }
}

impl PrePostTest {
    fn without_numbers(status: Status, difference: Option<f64>) -> Self {
        Self {
            status,
            difference,
            se: None,
            autocorrelation: None,
            degrees_of_freedom: None,
            t: None,
            ln_e: None,
            ln_p: 0.0,
            ci: None,
        }
    }

    /// What forbids a comparison of these blocks; `None` where nothing does.
    pub(super) fn problem(pre: &[f64], post: &[f64]) -> Option<Self> {
        if !pre.iter().chain(post).all(|y| y.is_finite()) {
            return Some(Self::without_numbers(InvalidInput::NotFinite.into(), None));
        }
        let missing =
            [(pre.len(), MIN_BLOCKS), (post.len(), MIN_POST_BLOCKS)].into_iter().find(|(have, need)| have < need);
        missing.map(|(have, need)| Self::without_numbers(too_few(have, need), None))
    }

    /// The test of a difference.
    ///
    /// `free`: degrees of freedom of the spread. `per_variance`: variance of the difference over that of one block, for independent
    /// blocks.
    pub(super) fn of(difference: f64, spread: &Spread, free: f64, per_variance: f64, alpha: Alpha) -> Self {
        if spread.is_constant() {
            return Self::without_numbers(Status::ZeroVariance, finite(difference));
        }
        let phi = spread.autocorrelation();
        let inflation = (1.0 + phi) / (1.0 - phi);
        let per_block = inflation * per_variance;
        let se = (spread.centred / free * per_block).sqrt();
        let nu = (free / inflation).max(1.0);
        let t = difference / se;
        let (ln_e, radius) = student_mixture(t, nu, 1.0 / per_block, alpha);
        let is_finite = [difference, se, t, ln_e].into_iter().all(f64::is_finite);
        if !is_finite {
            return Self::without_numbers(InvalidInput::OutOfRange.into(), None);
        }
        Self {
            status: Status::Ok,
            difference: Some(difference),
            se: Some(se),
            autocorrelation: Some(phi),
            degrees_of_freedom: Some(nu),
            t: Some(t),
            ln_e: Some(ln_e),
            ln_p: ln_p_from_ln_e(ln_e),
            ci: radius.map(|k| Interval::new(difference - k * se, difference + k * se)),
        }
    }

    /// Whether the level moved. A drift that was there before looks the same (STATS.md 2.9).
    #[must_use]
    pub fn verdict(&self) -> SeriesVerdict {
        if self.ci.is_some_and(|ci| ci.excludes(0.0)) {
            SeriesVerdict::Moved
        } else {
            SeriesVerdict::NotDistinguishable
        }
    }
}

/// Sums around the means of one or two runs of blocks, in time order.
pub(super) struct Spread {
    /// Sum of squared deviations.
    centred: f64,
    /// Raw sum of squares, the scale of rounding.
    squares: f64,
    /// Sum of products of neighbouring deviations.
    lagged: f64,
}

impl Spread {
    pub(super) fn of(runs: &[&[f64]]) -> Self {
        let mut spread = Self { centred: 0.0, squares: 0.0, lagged: 0.0 };
        for run in runs {
            let mean = mean(run);
            let mut previous = None;
            for y in *run {
                let deviation = y - mean;
                spread.centred += deviation * deviation;
                spread.squares += y * y;
                spread.lagged += previous.map_or(0.0, |p: f64| p * deviation);
                previous = Some(deviation);
            }
        }
        spread
    }

    /// The same, with these runs as the scale of rounding.
    pub(super) fn on_the_scale_of(self, runs: &[&[f64]]) -> Self {
        Self { squares: runs.iter().flat_map(|run| run.iter()).map(|y| y * y).sum(), ..self }
    }

    pub(super) fn is_constant(&self) -> bool {
        self.centred <= DEGENERATE * self.squares
    }

    /// Sum of squared deviations.
    pub(super) fn centred(&self) -> f64 {
        self.centred
    }

    pub(super) fn autocorrelation(&self) -> f64 {
        (self.lagged / self.centred).clamp(0.0, MAX_AUTOCORRELATION)
    }
}

pub(super) fn mean(run: &[f64]) -> f64 {
    run.iter().sum::<f64>() / run.len().max(1) as f64
}

fn too_few(have: usize, need: usize) -> Status {
    let gate = StartGate::UnitsPerArm;
    Status::InsufficientSample { gate, have: have as f64, need: need as f64 }
}

/// Student-t mixture: evidence and radius in standard errors (`None` when unbounded).
///
/// Source: STATS.md 2.9, 1.5.
fn student_mixture(t: f64, degrees_of_freedom: f64, r: f64, alpha: Alpha) -> (f64, Option<f64>) {
    let nu = degrees_of_freedom;
    let t2 = t * t / nu;
    let ln_e = -0.5 * r.ln_1p() + 0.5 * (nu + 1.0) * (t2.ln_1p() - (t2 / (1.0 + r)).ln_1p());
    let rho = 1.0 / (1.0 + r);
    let q = ((rho.ln() - 2.0 * alpha.ln_inverse()) / (nu + 1.0)).exp();
    let radius = (q > rho).then(|| (nu * (1.0 - q) / (q - rho)).sqrt());
    (ln_e, radius.and_then(finite))
}

/// The evidence of a Student mixture over effects above zero only: twice the part of the two-sided mixture that lies there. With mu
/// normal given sigma and the right Haar prior of sigma, mu given the blocks is a Student t with one degree of freedom more.
///
/// Source: STATS.md 2.9, 2.1 (one-sided).
pub(super) fn ln_e_student_above(t: f64, degrees_of_freedom: f64, r: f64) -> f64 {
    let nu = degrees_of_freedom;
    let t2 = t * t / nu;
    let both = -0.5 * r.ln_1p() + 0.5 * (nu + 1.0) * (t2.ln_1p() - (t2 / (1.0 + r)).ln_1p());
    let above = (nu + 1.0) * t2 * (r / (1.0 + r)) / (1.0 + t2 / (1.0 + r));
    LN_TWO + both + ln_student_cdf(above.sqrt().copysign(t), nu + 1.0)
}

/// `ln P(T <= t)` of Student's distribution; of what cannot be represented, the smallest number that can.
fn ln_student_cdf(t: f64, degrees_of_freedom: f64) -> f64 {
    let beyond = degrees_of_freedom / (degrees_of_freedom + t * t);
    let tail = 0.5 * checked_beta_reg(degrees_of_freedom / 2.0, 0.5, beyond).unwrap_or(0.0);
    if t > 0.0 { (-tail).ln_1p() } else { tail.max(f64::MIN_POSITIVE).ln() }
}

/// The level of whole-week (or day) blocks against a target.
///
/// `blocks`: block means in time order, at least 4.
///
/// Source: STATS.md 2.9.
#[must_use]
pub fn level_vs_target(blocks: &[f64], target: f64, alpha: Alpha) -> LevelTest {
    if !target.is_finite() || !blocks.iter().all(|y| y.is_finite()) {
        return LevelTest::without_numbers(InvalidInput::NotFinite.into(), None);
    }
    if blocks.len() < MIN_BLOCKS {
        return LevelTest::without_numbers(too_few(blocks.len(), MIN_BLOCKS), None);
    }
    let m = blocks.len() as f64;
    let mean = mean(blocks);
    let spread = Spread::of(&[blocks]);
    if spread.is_constant() {
        return LevelTest::without_numbers(Status::ZeroVariance, finite(mean));
    }
    let phi = spread.autocorrelation();
    let inflation = (1.0 + phi) / (1.0 - phi);
    let se = (spread.centred / (m - 1.0) * inflation / m).sqrt();
    let nu = ((m - 1.0) / inflation).max(1.0);
    let t = (mean - target) / se;
    let (ln_e, radius) = student_mixture(t, nu, m / inflation, alpha);
    let is_finite = [mean, se, t, ln_e].into_iter().all(f64::is_finite);
    if !is_finite {
        return LevelTest::without_numbers(InvalidInput::OutOfRange.into(), None);
    }
    LevelTest {
        status: Status::Ok,
        mean: Some(mean),
        se: Some(se),
        autocorrelation: Some(phi),
        degrees_of_freedom: Some(nu),
        t: Some(t),
        ln_e: Some(ln_e),
        ln_p: ln_p_from_ln_e(ln_e),
        ci: radius.map(|k| Interval::new(mean - k * se, mean + k * se)),
    }
}

/// Blocks after an intervention against blocks before.
///
/// `pre`: at least 4, `post`: at least 2 block means, in time order. A slow drift that was there before makes this
/// fire in nearly half of all cases: say so beside the result, and ask for a holdout.
///
/// Source: STATS.md 2.9.
#[must_use]
pub fn pre_post(pre: &[f64], post: &[f64], alpha: Alpha) -> PrePostTest {
    if let Some(problem) = PrePostTest::problem(pre, post) {
        return problem;
    }
    let (m1, m2) = (pre.len() as f64, post.len() as f64);
    PrePostTest::of(mean(post) - mean(pre), &Spread::of(&[pre, post]), m1 + m2 - 2.0, 1.0 / m1 + 1.0 / m2, alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal;

    /// Its definition: effects above zero, normal given the standard deviation, and a flat prior of that one's logarithm; by sums over
    /// fine grids. In standard errors of an estimate whose own standard error is 1.
    #[test]
    fn evidence_above_zero_is_the_mean_of_the_likelihood_ratios_above_zero() {
        for (t, nu, r) in [(2.0_f64, 5.0_f64, 6.0_f64), (-1.0, 9.0, 4.0), (0.5, 3.0, 10.0), (4.0, 12.0, 13.0)] {
            let (mut above, mut null) = (0.0, 0.0);
            for step in -300..=300 {
                let sigma = (0.01 * f64::from(step)).exp();
                let likelihood = |theta: f64| {
                    (-(nu + 1.0) * sigma.ln() - ((t - theta) * (t - theta) + nu) / (2.0 * sigma * sigma)).exp()
                };
                null += likelihood(0.0);
                let spread = r.sqrt() * sigma;
                // The middles of narrow strips, twice the normal density each.
                let width = 0.02 * sigma;
                above += (0..2000)
                    .map(|strip| width * (f64::from(strip) + 0.5))
                    .map(|theta| 2.0 * normal::pdf(theta / spread) / spread * likelihood(theta) * width)
                    .sum::<f64>();
            }
            let found = ln_e_student_above(t, nu, r);
            assert!((found - (above / null).ln()).abs() < 1e-3, "{t} {nu} {r}: {found} {}", (above / null).ln());
        }
    }
}
