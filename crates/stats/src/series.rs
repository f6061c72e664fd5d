//! One series without a control: level against a target, before against after. Observational, never causal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::finite;
use super::log_space::ln_p_from_ln_e;
use super::moments::DEGENERATE;
use super::{Alpha, Direction, Interval, InvalidInput, StartGate, Status};

const MIN_BLOCKS: usize = 4;
const MIN_POST_BLOCKS: usize = 2;
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
struct Spread {
    /// Sum of squared deviations.
    centred: f64,
    /// Raw sum of squares, the scale of rounding.
    squares: f64,
    /// Sum of products of neighbouring deviations.
    lagged: f64,
}

impl Spread {
    fn of(runs: &[&[f64]]) -> Self {
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

    fn is_constant(&self) -> bool {
        self.centred <= DEGENERATE * self.squares
    }

    fn autocorrelation(&self) -> f64 {
        (self.lagged / self.centred).clamp(0.0, MAX_AUTOCORRELATION)
    }
}

fn mean(run: &[f64]) -> f64 {
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
    if !pre.iter().chain(post).all(|y| y.is_finite()) {
        return PrePostTest::without_numbers(InvalidInput::NotFinite.into(), None);
    }
    if pre.len() < MIN_BLOCKS {
        return PrePostTest::without_numbers(too_few(pre.len(), MIN_BLOCKS), None);
    }
    if post.len() < MIN_POST_BLOCKS {
        return PrePostTest::without_numbers(too_few(post.len(), MIN_POST_BLOCKS), None);
    }
    let (m1, m2) = (pre.len() as f64, post.len() as f64);
    let difference = mean(post) - mean(pre);
    let spread = Spread::of(&[pre, post]);
    if spread.is_constant() {
        return PrePostTest::without_numbers(Status::ZeroVariance, finite(difference));
    }
    let phi = spread.autocorrelation();
    let inflation = (1.0 + phi) / (1.0 - phi);
    let per_block = inflation * (1.0 / m1 + 1.0 / m2);
    let free = m1 + m2 - 2.0;
    let se = (spread.centred / free * per_block).sqrt();
    let nu = (free / inflation).max(1.0);
    let t = difference / se;
    let (ln_e, radius) = student_mixture(t, nu, 1.0 / per_block, alpha);
    let is_finite = [difference, se, t, ln_e].into_iter().all(f64::is_finite);
    if !is_finite {
        return PrePostTest::without_numbers(InvalidInput::OutOfRange.into(), None);
    }
    PrePostTest {
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

/// How often a before/after comparison finds a change at a date on which nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Placebo {
    /// Dates that were tried.
    pub n_tried: u32,
    /// Dates at which the level "moved".
    pub n_moved: u32,
}

/// Placebo in time: the comparison of [`pre_post`] at every date within the blocks before the intervention.
///
/// `pre`: block means in time order; nothing can be tried with fewer than 6. A series that moves at such a date has a
/// trend, a season or a memory, and a change at the real date is then no evidence.
///
/// Source: STATS.md 2.9.
#[must_use]
pub fn placebo_in_time(pre: &[f64], alpha: Alpha) -> Placebo {
    let mut placebo = Placebo::default();
    for date in MIN_BLOCKS..=pre.len().saturating_sub(MIN_POST_BLOCKS) {
        let (before, after) = pre.split_at(date);
        placebo.n_tried += 1;
        placebo.n_moved += u32::from(pre_post(before, after, alpha).verdict() == SeriesVerdict::Moved);
    }
    placebo
}

/// A before/after comparison with its placebos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BeforeAfter {
    /// The comparison.
    pub test: PrePostTest,
    /// The same at dates on which nothing happened.
    pub placebo: Placebo,
    /// The level after the intervention against a target.
    pub level: LevelTest,
    /// [`SeriesVerdict::Moved`] only where no placebo moved. Always observational.
    pub verdict: SeriesVerdict,
}

/// Compares blocks before and after an intervention, tries placebos, and holds the level against `target`.
///
/// Source: STATS.md 2.9.
#[must_use]
pub fn before_after(pre: &[f64], post: &[f64], target: f64, alpha: Alpha) -> BeforeAfter {
    let test = pre_post(pre, post, alpha);
    let placebo = placebo_in_time(pre, alpha);
    let verdict = if placebo.n_moved > 0 { SeriesVerdict::NotDistinguishable } else { test.verdict() };
    BeforeAfter { test, placebo, level: level_vs_target(post, target, alpha), verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(n: usize) -> Vec<f64> {
        (0..n).map(|i| 10.0 + [0.3, -0.2, 0.1, -0.3, 0.2, -0.1][i % 6]).collect()
    }

    #[test]
    fn a_jump_of_a_flat_series_moves_and_no_placebo_does() {
        let post: Vec<f64> = flat(6).iter().map(|y| y + 5.0).collect();
        let found = before_after(&flat(12), &post, 14.0, Alpha::DEFAULT);
        assert_eq!(found.placebo, Placebo { n_tried: 7, n_moved: 0 });
        assert_eq!(found.verdict, SeriesVerdict::Moved);
        assert_eq!(found.level.verdict(14.0, Direction::Increase), SeriesVerdict::TargetMet);
    }

    #[test]
    fn a_level_that_already_jumped_before_is_no_evidence() {
        let mut pre = flat(14);
        pre.iter_mut().skip(7).for_each(|y| *y += 5.0);
        let post: Vec<f64> = flat(6).iter().map(|y| y + 10.0).collect();
        let found = before_after(&pre, &post, 10.0, Alpha::DEFAULT);
        assert!(found.placebo.n_moved > 0, "{found:?}");
        assert_eq!(found.verdict, SeriesVerdict::NotDistinguishable);
    }

    #[test]
    fn few_blocks_leave_no_placebo() {
        assert_eq!(placebo_in_time(&flat(5), Alpha::DEFAULT), Placebo::default());
        assert_eq!(placebo_in_time(&flat(6), Alpha::DEFAULT).n_tried, 1);
        assert_eq!(placebo_in_time(&[], Alpha::DEFAULT), Placebo::default());
    }
}
