//! How much information a plan with a known end needs, and the critical values that it is planned with.
//!
//! Source: STATS.md 2.8, METRICS.md 4.1 and 5.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::cut_normal::CutNormal;
use super::group_sequential::{Bound, OF_LOOKS, crossing, next_bound, spent_at};
use super::plan_constant::{PlanConstant, increasing_root, power_in_range};
use super::{Alpha, Estimate, StatsError, Variance, normal};

/// Looks that a plan assumes. The constant hardly depends on it.
const PLANNED_LOOKS: u32 = 28;
const MAX_KNOWN: usize = 256;

/// The constant C of a plan with a known end: with information `C / MDE^2` the looks have the given power at the MDE. The reserve
/// beside them is not counted.
///
/// `alpha`: one-sided, of the whole test. `power`: in [1e-6, 1 - 1e-6], above alpha.
///
/// # Errors
/// [`StatsError::OutOfRange`] for a power outside its range, or an alpha too small to have critical values.
pub fn known_end_constant(alpha: Alpha, power: f64) -> Result<PlanConstant, StatsError> {
    power_in_range(alpha, power)?;
    let known = (alpha.get().to_bits(), power.to_bits());
    if let Some(constant) = CONSTANTS.lock().unwrap_or_else(PoisonError::into_inner).get(&known) {
        return Ok(*constant);
    }
    let looks = planned_looks(alpha);
    let Some(last) = looks.last().filter(|_| looks.len() == PLANNED_LOOKS as usize) else {
        return Err(StatsError::out_of_range("alpha", alpha.get(), "large enough to be spent over 28 looks"));
    };
    let constant = constant_of(power, last.z, |_, drift| crossing(&looks, drift));
    remember(&CONSTANTS, known, constant);
    Ok(constant)
}

/// The constant C of the one-sided mixture around the minimum detectable effect, looked at daily until then.
///
/// # Errors
/// [`StatsError::OutOfRange`] for a power outside its range.
pub(super) fn cut_normal_constant(alpha: Alpha, power: f64) -> Result<PlanConstant, StatsError> {
    power_in_range(alpha, power)?;
    let mixture = CutNormal::around(1.0);
    let looks = |information: f64| -> Vec<Bound> {
        let look = |k: u32| {
            let fraction = f64::from(k) / f64::from(PLANNED_LOOKS);
            let variance = Variance::try_new(1.0 / (information * fraction)).ok()?;
            let bound = mixture.lower_bound(&Estimate { delta: 0.0, variance }, alpha)?;
            Some(Bound { fraction, z: -bound / variance.standard_error() })
        };
        (1..=PLANNED_LOOKS).filter_map(look).collect()
    };
    let guess = -normal::quantile(0.5 * alpha.get());
    Ok(constant_of(power, guess, |root, drift| crossing(&looks(root * root), drift)))
}

/// The constant at which the test has the power. `crossing`: the probability to be above the boundary at each look for the first time,
/// from the root of the whole information in units of the MDE, and from the drift of the score until then.
fn constant_of(power: f64, last_z: f64, crossing: impl Fn(f64, f64) -> Vec<f64>) -> PlanConstant {
    let target = normal::quantile(power);
    let drift = increasing_root(last_z + target, |drift| {
        normal::quantile(crossing(drift, drift).iter().sum::<f64>().clamp(1e-15, 1.0 - 1e-15)) - target
    });
    PlanConstant {
        c: drift * drift,
        expected_fraction: mean_looks(&crossing(drift, drift)),
        expected_fraction_at_double: Some(mean_looks(&crossing(drift, 2.0 * drift))),
    }
}

/// As a share of those that are planned.
fn mean_looks(crossed: &[f64]) -> f64 {
    let (mut running, mut n_looks) = (1.0, 0.0);
    for crossed in crossed {
        n_looks += running;
        running -= crossed;
    }
    n_looks / f64::from(PLANNED_LOOKS)
}

/// The critical value that a plan of daily looks has at a share of its information, in standard errors; at the end of the plan and
/// beyond, that of its last look. `None` where there is none.
pub(super) fn planned_critical_value(alpha: Alpha, fraction: f64) -> Option<f64> {
    let looks = planned_looks(alpha);
    looks.iter().find(|look| look.fraction >= fraction).or(looks.last()).map(|look| look.z)
}

fn planned_looks(alpha: Alpha) -> Arc<Vec<Bound>> {
    let known = alpha.get().to_bits();
    if let Some(looks) = LOOKS.lock().unwrap_or_else(PoisonError::into_inner).get(&known) {
        return Arc::clone(looks);
    }
    let [of_looks, _] = alpha.with_reserve(OF_LOOKS);
    let mut looks: Vec<Bound> = Vec::new();
    let mut spent = 0.0;
    for look in 1..=PLANNED_LOOKS {
        let fraction = f64::from(look) / f64::from(PLANNED_LOOKS);
        let until = spent_at(of_looks.get(), fraction);
        let Some(z) = next_bound(&looks, fraction, until - spent) else { break };
        looks.push(Bound { fraction, z });
        spent = until;
    }
    let looks = Arc::new(looks);
    remember(&LOOKS, known, Arc::clone(&looks));
    looks
}

/// What was found before, by the bits of alpha and power: a workspace has few of them and asks often.
static CONSTANTS: Mutex<BTreeMap<(u64, u64), PlanConstant>> = Mutex::new(BTreeMap::new());
static LOOKS: Mutex<BTreeMap<u64, Arc<Vec<Bound>>>> = Mutex::new(BTreeMap::new());

fn remember<K: Ord, V>(known: &Mutex<BTreeMap<K, V>>, key: K, value: V) {
    let mut all = known.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MAX_KNOWN {
        all.clear();
    }
    all.insert(key, value);
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Shares of simulated runs with such an effect, in MDE, that find it, and of the planned looks that they take. `is_beyond`: whether
    /// a score of such an estimate is beyond the boundary, by the look (from 1), the estimate and its variance.
    fn simulated(c: f64, effect: f64, is_beyond: impl Fn(u32, f64, f64) -> bool) -> [f64; 2] {
        const N_RUNS: u32 = 20_000;
        let mut rng = ChaCha8Rng::seed_from_u64(20_260_106);
        let step = c / f64::from(PLANNED_LOOKS);
        let (mut n_found, mut n_looks) = (0, 0);
        for _ in 0..N_RUNS {
            let mut score = 0.0;
            let found = (1..=PLANNED_LOOKS).find(|look| {
                score += effect * step + step.sqrt() * rng.sample::<f64, _>(StandardNormal);
                let information = step * f64::from(*look);
                is_beyond(*look, score / information, 1.0 / information)
            });
            n_found += u32::from(found.is_some());
            n_looks += found.unwrap_or(PLANNED_LOOKS);
        }
        let share = |n: u32, of: u32| f64::from(n) / f64::from(of);
        [share(n_found, N_RUNS), share(n_looks, N_RUNS * PLANNED_LOOKS)]
    }

    #[test]
    fn power_and_expected_looks_are_those_of_simulated_runs() {
        let alpha = Alpha::try_new(1.0 / 60.0).unwrap();
        let agrees = |name: &str, constant: PlanConstant, is_beyond: &dyn Fn(u32, f64, f64) -> bool| {
            let [power, looks] = simulated(constant.c, 1.0, is_beyond);
            let [_, at_double] = simulated(constant.c, 2.0, is_beyond);
            assert!((power - 0.8).abs() < 0.01, "{name}: {power}");
            let expected = [constant.expected_fraction, constant.expected_fraction_at_double.unwrap()];
            let found = [looks, at_double];
            assert!(expected.iter().zip(found).all(|(a, b)| (a - b).abs() < 0.01), "{name}: {expected:?} {found:?}");
        };
        let looks = planned_looks(alpha);
        let is_beyond = |look: u32, estimate: f64, variance: f64| {
            looks.get(look as usize - 1).is_some_and(|bound| estimate / variance.sqrt() > bound.z)
        };
        agrees("known end", known_end_constant(alpha, 0.8).unwrap(), &is_beyond);
        let evidence = |_, delta: f64, variance: f64| {
            let estimate = Estimate { delta, variance: Variance::try_new(variance).unwrap() };
            alpha.rejects(CutNormal::around(1.0).ln_e(&estimate, 0.0))
        };
        agrees("mixture", cut_normal_constant(alpha, 0.8).unwrap(), &evidence);
    }

    #[test]
    fn the_constants_are_those_of_the_page() {
        let fixed = 7.849;
        // METRICS.md 4.1, the row of alpha t^2 with a reserve: E[N] and N_max over the fixed two-sided test.
        for (alpha, expected, most) in [(0.05, 0.63, None), (0.025, 0.78, None), (1.0 / 60.0, 0.89, Some(1.29))] {
            let found = known_end_constant(Alpha::try_new(alpha).unwrap(), 0.8).unwrap();
            let (n_max, mean) = (found.c / fixed, found.c * found.expected_fraction / fixed);
            // That page's boundaries come from 400,000 simulated runs, and its looks begin after a week.
            assert!((mean - expected).abs() < 0.03, "{alpha}: {mean}");
            assert!(most.is_none_or(|most: f64| (n_max - most).abs() < 0.03), "{alpha}: {n_max}");
        }
    }

    #[test]
    fn an_impossible_power_is_said() {
        let error = known_end_constant(Alpha::DEFAULT, 0.01).unwrap_err().to_string();
        assert!(error.starts_with("power"), "{error}");
        let tiny = Alpha::try_new(1e-14).unwrap();
        assert!(known_end_constant(tiny, 0.8).unwrap_err().to_string().starts_with("alpha"));
    }
}
