//! The one-sided group-sequential test of a plan with a known end: its error is spent by the information that was observed.
//!
//! Scores are in units of the plan's whole information, so that the last planned look is at 1.
//!
//! Source: STATS.md 2.8, METRICS.md 5; Lan and `DeMets` 1983.

use super::normal;
use super::score_process::{REACH_SD, SubDensity};

/// Share of a plan's error that its looks spend; the rest is an always-valid reserve beside them.
pub(super) const OF_LOOKS: f64 = 0.9;
/// Least growth of the share of the information between two looks. Closer looks would add nothing and cost much.
pub(super) const LEAST_GROWTH: f64 = 1e-3;
/// Less than this cannot be spent: the boundary would be beyond what doubles resolve.
const LEAST_SPENT: f64 = 1e-12;

/// One look that was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    /// Share of the planned information, > 0; above 1 where the plan was over-run.
    pub(super) fraction: f64,
    /// Critical value in standard errors.
    pub(super) z: f64,
}

/// Error that may be spent at a share `t` of the information, of `alpha` in all: `alpha t^2`.
pub(super) fn spent_at(alpha: f64, t: f64) -> f64 {
    let t = t.clamp(0.0, 1.0);
    alpha * t * t
}

/// The critical value in standard errors of the next look, so that a run without an effect is first above a boundary there with
/// probability `spend`. `None` where nothing can be tested: too little information or error was added.
pub(super) fn next_bound(before: &[Bound], fraction: f64, spend: f64) -> Option<f64> {
    let last = before.last().map_or(0.0, |last| last.fraction);
    if !(fraction - last >= LEAST_GROWTH && spend >= LEAST_SPENT) {
        return None;
    }
    let density = undecided(before, fraction);
    let z = solve(&density, fraction - last, fraction, spend);
    z.is_finite().then_some(z)
}

/// The smallest error at which the last of these looks, whose score is `z` standard errors above the null, would be above its
/// boundary. `looks`: share of the information of each, oldest first. `is_over`: the last one spends all that is left.
pub(super) fn smallest_alpha(looks: &[f64], is_over: bool, z: f64) -> f64 {
    // The critical value is nearly a line in the logarithm of alpha: a secant needs few steps.
    let beyond = |ln_alpha: f64| last_bound(looks, is_over, ln_alpha.exp()).map_or(f64::NAN, |bound| z - bound);
    let (mut x, mut y) = (normal::cdf(-z).max(LEAST_SPENT).ln(), 0.0);
    let mut previous = (x - 0.5, beyond(x - 0.5));
    for _ in 0..12 {
        y = beyond(x);
        let slope = (y - previous.1) / (x - previous.0);
        if !(y.abs() > 1e-9 && slope.is_finite() && slope > 0.0) {
            break;
        }
        previous = (x, y);
        x = (x - y / slope).clamp(LEAST_SPENT.ln(), 0.0);
    }
    // What is beyond its boundary at this error has no larger p. Where nothing converged, nothing is claimed.
    if y > -1e-6 { x.exp() } else { 1.0 }
}

/// The critical value of the last of these looks, of `alpha` in all.
fn last_bound(looks: &[f64], is_over: bool, alpha: f64) -> Option<f64> {
    let (mut density, mut last, mut spent, mut found) = (SubDensity::at_origin(), 0.0, 0.0, None);
    for (index, fraction) in looks.iter().copied().enumerate() {
        let following = looks.get(index + 1).map_or(f64::NAN, |next| next - fraction);
        let until = if following.is_nan() && is_over { alpha } else { spent_at(alpha, fraction) };
        let step = fraction - last;
        let z = solve(&density, step, fraction, until - spent);
        found = z.is_finite().then_some(z);
        density = kept(&density, Bound { fraction, z }, step, step.min(following).sqrt(), 0.0);
        (last, spent) = (fraction, until);
    }
    found
}

/// Probability to be above a boundary at each look for the first time, for an effect at which the score drifts by `drift` until 1.
pub(super) fn crossing(looks: &[Bound], drift: f64) -> Vec<f64> {
    let mut density = SubDensity::at_origin();
    let mut found = Vec::with_capacity(looks.len());
    walk(looks, f64::NAN, |look, step, finest| {
        found.push(density.beyond(look.z * look.fraction.sqrt() - drift * step, step).0);
        density = kept(&density, look, step, finest, drift);
    });
    found
}

/// The scores of runs that were never above a boundary, where there is no effect. `next`: share of the look that follows.
fn undecided(looks: &[Bound], next: f64) -> SubDensity {
    let mut density = SubDensity::at_origin();
    walk(looks, next, |look, step, finest| density = kept(&density, look, step, finest, 0.0));
    density
}

/// Calls `each` with every look, the increment before it, and the finest standard deviation of the increments on both its sides.
fn walk(looks: &[Bound], next: f64, mut each: impl FnMut(Bound, f64, f64)) {
    let mut last = 0.0;
    for (index, look) in looks.iter().enumerate() {
        let step = look.fraction - last;
        let following = looks.get(index + 1).map_or(next, |look| look.fraction);
        // `min` passes over a NaN.
        each(*look, step, step.min(following - look.fraction).sqrt());
        last = look.fraction;
    }
}

fn kept(density: &SubDensity, look: Bound, step: f64, finest: f64, drift: f64) -> SubDensity {
    let spread = look.fraction.sqrt();
    let start = drift * look.fraction - REACH_SD * spread;
    let end = (look.z * spread).max(start + finest);
    density.advance(step, drift * step, start, end, finest)
}

/// Newton's method on the logarithm of the probability, which falls with the bound and is concave.
fn solve(density: &SubDensity, step: f64, fraction: f64, spend: f64) -> f64 {
    let spread = fraction.sqrt();
    let mut bound = spread * -normal::quantile(spend);
    for _ in 0..40 {
        let (probability, slope) = density.beyond(bound, step);
        if !(probability > 0.0 && slope > 0.0) {
            // Beyond all mass: half way back to where there is some.
            bound *= 0.5;
            continue;
        }
        let change = (probability / spend).ln() * probability / slope;
        bound += change.clamp(-spread, spread);
        if change.abs() <= 1e-11 * spread {
            break;
        }
    }
    bound / spread
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(alpha: f64, n: u32) -> Vec<Bound> {
        let mut looks: Vec<Bound> = Vec::new();
        for look in 1..=n {
            let fraction = f64::from(look) / f64::from(n);
            let spend = spent_at(alpha, fraction) - spent_at(alpha, f64::from(look - 1) / f64::from(n));
            let z = next_bound(&looks, fraction, spend).unwrap();
            looks.push(Bound { fraction, z });
        }
        looks
    }

    #[test]
    fn one_look_is_the_fixed_test() {
        let looks = planned(0.025, 1);
        assert!((looks[0].z - 1.959_963_984_540_054).abs() < 1e-9);
        // The normal quantiles of .975 and .8.
        let power = crossing(&looks, 1.959_963_984_540_054 + 0.841_621_233_572_914_3)[0];
        assert!((power - 0.8).abs() < 1e-9);
    }

    #[test]
    fn what_is_spent_is_what_was_to_be_spent() {
        for (alpha, n) in [(0.05, 5), (0.0135, 28), (0.025, 90)] {
            let looks = planned(alpha, n);
            let total: f64 = crossing(&looks, 0.0).iter().sum();
            assert!((total - alpha).abs() < 1e-9, "{alpha} {n} {total}");
            // Those that go on are counted by another sum.
            let left = undecided(&looks, f64::NAN).mass();
            assert!((1.0 - left - alpha).abs() < 1e-5, "{alpha} {n} {left}");
        }
    }

    /// By convolution on a grid of a thousandth with another root finder (scipy 1.15), good to about 1e-4.
    #[test]
    fn boundaries_are_those_of_an_independent_integration() {
        let even = planned(0.025, 5);
        let want = [3.090_23, 2.714_11, 2.472_78, 2.279_86, 2.114_03];
        assert!(even.iter().zip(want).all(|(found, want)| (found.z - want).abs() < 1e-4), "{even:?}");
        let mut uneven: Vec<Bound> = Vec::new();
        for fraction in [0.1, 0.15, 0.4, 0.45, 0.8, 1.0] {
            let last = uneven.last().map_or(0.0, |last| last.fraction);
            let z = next_bound(&uneven, fraction, spent_at(0.0135, fraction) - spent_at(0.0135, last)).unwrap();
            uneven.push(Bound { fraction, z });
        }
        let want = [3.642_50, 3.532_53, 2.892_06, 2.949_63, 2.462_19, 2.361_36];
        assert!(uneven.iter().zip(want).all(|(found, want)| (found.z - want).abs() < 1e-4), "{uneven:?}");
    }

    #[test]
    fn a_look_that_adds_nothing_is_none() {
        let looks = planned(0.025, 4);
        assert_eq!(next_bound(&looks, 1.0, 0.01), None);
        assert_eq!(next_bound(&looks, 1.000_5, 0.01), None);
        assert_eq!(next_bound(&[], 0.5, 0.0), None);
        assert!(next_bound(&looks, 1.3, 0.01).is_some());
    }

    #[test]
    fn at_its_boundary_the_smallest_error_of_a_look_is_its_plans() {
        for fractions in [&[0.1, 0.15, 0.4, 0.45, 0.8, 1.0][..], &[0.9, 0.902, 0.91], &[0.3]] {
            let alpha = 0.0135;
            let mut looks: Vec<Bound> = Vec::new();
            let mut spent = 0.0;
            for fraction in fractions.iter().copied() {
                let ended = next_bound(&looks, fraction, alpha - spent).unwrap();
                let z = next_bound(&looks, fraction, spent_at(alpha, fraction) - spent).unwrap();
                spent = spent_at(alpha, fraction);
                looks.push(Bound { fraction, z });
                let until = &fractions[..looks.len()];
                let found = [smallest_alpha(until, false, z), smallest_alpha(until, true, ended)];
                assert!(found.iter().all(|found| (found / alpha - 1.0).abs() < 1e-6), "{until:?} {found:?}");
            }
        }
    }

    #[test]
    fn evidence_beyond_what_can_be_spent_is_not_lost() {
        let daily: Vec<f64> = (1..=28).map(|day| f64::from(day) / 28.0).collect();
        for looks in [&[1.0][..], &[0.5, 1.0], &[0.001, 0.1], &daily] {
            let found = [5.0, 6.0, 7.0, 8.0, 20.0].map(|z| smallest_alpha(looks, false, z));
            assert!(found.is_sorted_by(|more, less| more >= less) && found[0] < 1e-4, "{} {found:?}", looks.len());
            assert!(found[4] < 2e-12, "{} {found:?}", looks.len());
        }
    }
}
