//! How many units and days a test needs (STATS.md 2.10).

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "each of these numbers is clamped to what its type holds"
)]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plan_constant::{PlanConstant, increasing_root, power_in_range};
use super::score_process::SubDensity;
use super::ship_constant::{cut_normal_constant, known_end_constant, planned_critical_value};
use super::{Alpha, Alternative, StatsError, boundary, normal, r_star};

const MAX_LOOKS: u32 = 1000;

/// The constant C for a two-sided test with `n_looks` evenly spaced looks.
///
/// `power`: in [1e-6, 1 - 1e-6], above alpha. Takes some milliseconds for 100 looks: the Armitage-McPherson-Rowe recursion
/// inside a root search.
///
/// # Errors
/// [`StatsError::OutOfRange`] for power or looks (1 to 1000) outside their range.
///
/// Source: STATS.md 2.10.
pub fn plan_constant(alpha: Alpha, power: f64, n_looks: u32) -> Result<PlanConstant, StatsError> {
    power_in_range(alpha, power)?;
    if !(1..=MAX_LOOKS).contains(&n_looks) {
        return Err(StatsError::out_of_range("looks", f64::from(n_looks), "1 to 1000"));
    }
    let fixed = fixed_constant(alpha, power);
    if !fixed.is_finite() {
        return Err(StatsError::out_of_range("alpha", alpha.get(), "large enough to have a quantile"));
    }
    let known = (alpha.get().to_bits(), power.to_bits(), n_looks);
    if let Some(constant) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&known) {
        return Ok(*constant);
    }
    // The normal quantile of the power is almost sqrt(c) and a constant, so that few steps find the root.
    let target = normal::quantile(power);
    let mut survival = Vec::new();
    let root_c = increasing_root(last_look_constant(alpha, power).sqrt(), |root_c| {
        survival = survival_by_look(root_c * root_c, alpha, n_looks);
        let reached = 1.0 - survival.last().copied().unwrap_or(1.0);
        normal::quantile(reached.clamp(1e-15, 1.0 - 1e-15)) - target
    });
    let c = root_c * root_c;
    // The test still runs at look k with the probability to have survived look k - 1.
    let still_running = 1.0 + survival.iter().rev().skip(1).sum::<f64>();
    let constant =
        PlanConstant { c, expected_fraction: still_running / f64::from(n_looks), expected_fraction_at_double: None };
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MAX_KNOWN {
        all.clear();
    }
    all.insert(known, constant);
    Ok(constant)
}

/// What was found before, by the bits of alpha and power and the looks: a workspace has few of them and asks often.
static KNOWN: Mutex<BTreeMap<(u64, u64, u32), PlanConstant>> = Mutex::new(BTreeMap::new());
const MAX_KNOWN: usize = 256;

/// `(z_(1-alpha/2) + z_power)^2`, the constant of one look at a fixed horizon.
fn fixed_constant(alpha: Alpha, power: f64) -> f64 {
    // From the lower tail, where an alpha below 1e-16 still has its digits.
    let z = normal::quantile(power) - normal::quantile(0.5 * alpha.get());
    z * z
}

/// `(sqrt(1 + r*) + z_power)^2`, an upper bound in closed form: the power of the last look alone.
fn last_look_constant(alpha: Alpha, power: f64) -> f64 {
    let z = r_star(alpha).min_boundary + normal::quantile(power);
    z * z
}

/// Probability to be still undecided after each look, for an effect of MDE = tau = 1 and total information `c`.
fn survival_by_look(c: f64, alpha: Alpha, n_looks: u32) -> Vec<f64> {
    let step = c / f64::from(n_looks);
    let mut density = SubDensity::at_origin();
    (1..=n_looks)
        .map(|look| {
            let information = step * f64::from(look);
            let end = information.sqrt() * boundary(information, alpha, Alternative::TwoSided);
            density = density.advance(step, step, -end, end, step.sqrt());
            density.mass().clamp(0.0, 1.0)
        })
        .collect()
}

/// What [`sample_size`] needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleSizeInput {
    /// Variance of one unit of control, > 0 (`p (1 - p)` for a rate).
    pub unit_variance_control: f64,
    /// Variance of one unit of treatment, > 0, under the declared effect.
    pub unit_variance_treatment: f64,
    /// Weight of control, > 0, any scale.
    pub weight_control: f64,
    /// Weight of treatment, > 0, same scale.
    pub weight_treatment: f64,
    /// Minimum detectable effect in metric units, not 0.
    pub mde_abs: f64,
    /// Error probability of the test: one-sided with a known end, else two-sided.
    pub alpha: Alpha,
    /// Probability to find an effect of exactly the MDE.
    pub power: f64,
    /// Which test.
    pub test: PlannedTest,
}

/// The test that a sample is planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum PlannedTest {
    /// Of plans with a known end: one claim look a day, and an always-valid reserve (METRICS.md 5).
    KnownEnd,
    /// The one-sided mixture around the minimum detectable effect, which needs no end (METRICS.md 4.1).
    CutNormal,
    /// The two-sided mixture with `tau = |MDE|` (STATS.md 2.10).
    TwoSided {
        /// Evenly spaced looks, 1 to 1000.
        n_looks: u32,
    },
}

impl PlannedTest {
    /// Of the sequential test, of one look at a fixed end, and of the power of the last look alone.
    fn constants(self, alpha: Alpha, power: f64) -> Result<(PlanConstant, f64, f64), StatsError> {
        Ok(match self {
            Self::TwoSided { n_looks } => {
                let constant = plan_constant(alpha, power, n_looks)?;
                (constant, fixed_constant(alpha, power), last_look_constant(alpha, power))
            }
            Self::KnownEnd | Self::CutNormal => {
                let squared = |z: f64| (z + normal::quantile(power)).powi(2);
                let fixed = squared(-normal::quantile(alpha.get()));
                if self == Self::CutNormal {
                    let constant = cut_normal_constant(alpha, power)?;
                    return Ok((constant, fixed, constant.c));
                }
                let constant = known_end_constant(alpha, power)?;
                (constant, fixed, planned_critical_value(alpha, 1.0).map_or(constant.c, squared))
            }
        })
    }
}

/// Units needed, both arms together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleSize {
    /// The end of the plan: power is reached here.
    pub n_max: u64,
    /// Expected use when the effect is exactly the MDE.
    pub n_expected_at_mde: f64,
    /// The same when it is twice the MDE; `None` for the two-sided mixture.
    pub n_expected_at_double: Option<f64>,
    /// A test with one look at a fixed end would need this.
    pub n_fixed: u64,
    /// Upper bound from the power of the last look alone.
    pub n_last_look: u64,
    /// Mixture width, |MDE|.
    pub tau: f64,
}

/// Units for a sequential test.
///
/// # Errors
/// [`StatsError::OutOfRange`] naming the parameter.
///
/// Source: STATS.md 2.10.
pub fn sample_size(input: &SampleSizeInput) -> Result<SampleSize, StatsError> {
    let positive = |name, value: f64| {
        if value > 0.0 && value.is_finite() {
            Ok(value)
        } else {
            Err(StatsError::out_of_range(name, value, "finite and above 0"))
        }
    };
    let weight_control = positive("weight of control", input.weight_control)?;
    let weight_treatment = positive("weight of treatment", input.weight_treatment)?;
    let total = positive("sum of weights", weight_control + weight_treatment)?;
    let variance_control = positive("variance of control", input.unit_variance_control)?;
    let variance_treatment = positive("variance of treatment", input.unit_variance_treatment)?;
    let tau = positive("minimum detectable effect", input.mde_abs.abs())?;
    let unit = variance_control * (total / weight_control) + variance_treatment * (total / weight_treatment);
    let unit = positive("units per information", unit / tau / tau)?;
    let (constant, fixed, last_look) = input.test.constants(input.alpha, input.power)?;
    let units = |c: f64| (c * unit).ceil().clamp(1.0, 9.0e15) as u64;
    let n_max = units(constant.c);
    Ok(SampleSize {
        n_max,
        n_expected_at_mde: constant.expected_fraction * n_max as f64,
        n_expected_at_double: constant.expected_fraction_at_double.map(|fraction| fraction * n_max as f64),
        n_fixed: units(fixed),
        n_last_look: units(last_look),
        tau,
    })
}

/// Where the metric stands today.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Baseline {
    /// Share of units that convert, in (0, 1).
    Rate {
        /// The share.
        rate: f64,
    },
    /// Mean and standard deviation per unit (for a ratio metric, of its linearised value).
    Mean {
        /// Mean, not 0.
        mean: f64,
        /// Standard deviation of one unit, > 0.
        standard_deviation: f64,
    },
}

impl Baseline {
    /// The level of the metric.
    #[must_use]
    pub fn level(self) -> f64 {
        match self {
            Self::Rate { rate } => rate,
            Self::Mean { mean, .. } => mean,
        }
    }
}

/// A question about a test that has not started.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeasibilityInput {
    /// Where the metric stands.
    pub baseline: Baseline,
    /// Units that enter the experiment per day, both arms together, > 0.
    pub daily_units: f64,
    /// Declared effect relative to |baseline|, signed as it moves the metric (0.05 = 5 % more), not 0.
    pub mde_relative: f64,
    /// Error probability of the test: one-sided with a known end, else two-sided.
    pub alpha: Alpha,
    /// Which test.
    pub test: PlannedTest,
    /// Probability to find an effect of exactly that size; 0.8 is usual.
    pub power: f64,
    /// Share of the units that get the treatment, in (0, 1); 0.5 is most efficient.
    pub treatment_share: f64,
}

/// How long it takes, at most and on average at exactly the MDE.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Feasibility {
    /// Declared effect in metric units, signed.
    pub mde_abs: f64,
    /// Mixture width to freeze in the plan.
    pub tau: f64,
    /// The end of the plan in units, both arms together.
    pub n_max: u64,
    /// Expected units when the effect is exactly the MDE.
    pub n_expected_at_mde: f64,
    /// Units of a test with one look at a fixed end.
    pub n_fixed: u64,
    /// Days until `n_max`, rounded up.
    pub days: u64,
    /// `days` rounded up to whole weeks, at least 7.
    pub days_whole_weeks: u64,
    /// Expected days when the effect is exactly the MDE, at least 7: nothing is claimed before.
    pub days_expected_at_mde: f64,
}

/// Whether an experiment can answer in reasonable time.
///
/// # Errors
/// [`StatsError::OutOfRange`] naming the parameter; also when the effect would move a rate out of (0, 1).
///
/// Source: STATS.md 2.10.
pub fn feasibility(input: &FeasibilityInput) -> Result<Feasibility, StatsError> {
    let level = input.baseline.level();
    let mde_abs = input.mde_relative * level.abs();
    let (unit_variance_control, unit_variance_treatment) = match input.baseline {
        Baseline::Rate { rate } => {
            (rate_variance("baseline rate", rate)?, rate_variance("rate under the effect", rate + mde_abs)?)
        }
        Baseline::Mean { standard_deviation: sd, .. } => (sd * sd, sd * sd),
    };
    if !(input.daily_units > 0.0 && input.daily_units.is_finite()) {
        let expected = "finite and above 0";
        return Err(StatsError::out_of_range("daily units", input.daily_units, expected));
    }
    let size = sample_size(&SampleSizeInput {
        unit_variance_control,
        unit_variance_treatment,
        weight_control: 1.0 - input.treatment_share,
        weight_treatment: input.treatment_share,
        mde_abs,
        alpha: input.alpha,
        power: input.power,
        test: input.test,
    })?;
    let days = days(size.n_max, input.daily_units);
    Ok(Feasibility {
        mde_abs,
        tau: size.tau,
        n_max: size.n_max,
        n_expected_at_mde: size.n_expected_at_mde,
        n_fixed: size.n_fixed,
        days,
        days_whole_weeks: whole_weeks(days),
        days_expected_at_mde: (size.n_expected_at_mde / input.daily_units).clamp(7.0, f64::MAX),
    })
}

/// Variance of one 0/1 unit.
///
/// # Errors
/// [`StatsError::OutOfRange`] outside (0, 1).
pub(super) fn rate_variance(name: &'static str, rate: f64) -> Result<f64, StatsError> {
    if rate > 0.0 && rate < 1.0 {
        Ok(rate * (1.0 - rate))
    } else {
        Err(StatsError::out_of_range(name, rate, "between 0 and 1, exclusive"))
    }
}

/// Days until `units` have arrived, rounded up; saturates.
pub(super) fn days(units: u64, daily: f64) -> u64 {
    (units as f64 / daily).ceil().clamp(1.0, 9.0e15) as u64
}

/// Rounded up to whole weeks.
pub(super) fn whole_weeks(days: u64) -> u64 {
    days.div_ceil(7).saturating_mul(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recursion_gives_the_published_constants() {
        let published = [
            (0.10, 0.80, 11.04, 0.005),
            (0.05, 0.80, 13.12, 0.005),
            (0.05, 0.90, 16.74, 0.005),
            (0.05, 0.95, 20.08, 0.005),
            (0.01, 0.80, 17.66, 0.005),
            (0.01, 0.90, 21.76, 0.005),
        ];
        for (alpha, power, want, tolerance) in published {
            let got = plan_constant(Alpha::try_new(alpha).unwrap(), power, 100).unwrap().c;
            assert!((got - want).abs() <= tolerance + 1e-9, "{alpha} {power}: {got} {want}");
        }
    }

    #[test]
    fn at_the_effect_itself_it_takes_about_as_long_as_a_fixed_test() {
        for (alpha, power, want) in [(0.10, 0.80, 1.05), (0.05, 0.80, 1.02), (0.05, 0.95, 0.68), (0.01, 0.90, 0.81)] {
            let alpha = Alpha::try_new(alpha).unwrap();
            let got = plan_constant(alpha, power, 100).unwrap();
            let share = got.expected_fraction * got.c / fixed_constant(alpha, power);
            assert!((share - want).abs() <= 0.006, "{share} {want}");
        }
        assert_eq!(plan_constant(Alpha::DEFAULT, 0.8, 1).unwrap().expected_fraction, 1.0);
    }

    #[test]
    fn what_was_found_before_is_the_same_again_and_of_its_own_question() {
        let ask = |power: f64, looks| plan_constant(Alpha::DEFAULT, power, looks).unwrap();
        let (first, other) = (ask(0.8, 7), ask(0.81, 7));
        assert!(other.c > first.c && ask(0.8, 8).c < first.c);
        assert_eq!((ask(0.8, 7), ask(0.81, 7)), (first, other));
    }

    #[test]
    fn more_looks_need_fewer_units() {
        let c = |looks| plan_constant(Alpha::DEFAULT, 0.8, looks).unwrap().c;
        assert!((c(28) - 13.52).abs() < 0.005);
        assert!((c(400) - 12.87).abs() < 0.005);
    }

    #[test]
    fn one_look_is_the_last_look() {
        let c = plan_constant(Alpha::DEFAULT, 0.8, 1).unwrap().c;
        let z = boundary(c, Alpha::DEFAULT, Alternative::TwoSided);
        let power = normal::cdf(c.sqrt() - z) + normal::cdf(-c.sqrt() - z);
        assert!((power - 0.8).abs() < 1e-5, "{power}");
    }

    #[test]
    fn probabilities_too_small_to_calculate_with_are_refused() {
        let tiny = |alpha| Alpha::try_new(alpha).unwrap();
        for power in [4.9e-58, 9.9e-7, 1.0 - 9.9e-7, 1.0, f64::NAN] {
            assert!(plan_constant(tiny(1e-264), power, 2).unwrap_err().to_string().starts_with("power"), "{power}");
        }
        assert!(plan_constant(tiny(0.05), 0.05, 2).is_err() && plan_constant(tiny(1e-9), 1e-6, 2).is_ok());
        assert!(plan_constant(tiny(5e-324), 0.8, 1).unwrap_err().to_string().starts_with("alpha"));
        let c = plan_constant(tiny(1e-160), 0.8, 1).unwrap().c;
        assert!((c / fixed_constant(tiny(1e-160), 0.8) - 1.0).abs() < 0.1, "{c}");
    }

    #[test]
    fn an_impossible_question_names_its_parameter() {
        let input = FeasibilityInput {
            baseline: Baseline::Rate { rate: 0.9 },
            daily_units: 1000.0,
            mde_relative: 0.2,
            alpha: Alpha::DEFAULT,
            test: PlannedTest::TwoSided { n_looks: 100 },
            power: 0.8,
            treatment_share: 0.5,
        };
        let error = feasibility(&input).unwrap_err().to_string();
        assert!(error.starts_with("rate under the effect is 1.08"), "{error}");
        let zero = FeasibilityInput { mde_relative: 0.0, ..input };
        assert!(feasibility(&zero).unwrap_err().to_string().starts_with("minimum detectable effect"));
    }

    #[test]
    fn a_checkout_with_five_percent_needs_eight_weeks() {
        let got = feasibility(&FeasibilityInput {
            baseline: Baseline::Rate { rate: 0.05 },
            daily_units: 2000.0,
            mde_relative: 0.1,
            alpha: Alpha::DEFAULT,
            test: PlannedTest::TwoSided { n_looks: 100 },
            power: 0.8,
            treatment_share: 0.5,
        })
        .unwrap();
        assert_eq!((got.days, got.days_whole_weeks, got.n_fixed), (53, 56, 62_462));
        assert!((104_300..104_500).contains(&got.n_max), "{}", got.n_max);
    }

    #[test]
    fn one_sided_plans_stand_beside_the_fixed_test_of_the_same_error() {
        let alpha = Alpha::try_new(0.025).unwrap();
        let of = |test| {
            let input = SampleSizeInput {
                unit_variance_control: 1.0,
                unit_variance_treatment: 1.0,
                weight_control: 1.0,
                weight_treatment: 1.0,
                mde_abs: 0.1,
                alpha,
                power: 0.8,
                test,
            };
            sample_size(&input).unwrap()
        };
        let (known, mixture) = (of(PlannedTest::KnownEnd), of(PlannedTest::CutNormal));
        // (1.96 + .8416)^2 = 7.8489, times four for two arms of one variance, over the square of the effect.
        assert_eq!((known.n_fixed, mixture.n_fixed), (3140, 3140));
        let constant = known_end_constant(alpha, 0.8).unwrap();
        assert!((known.n_max as f64 - 400.0 * constant.c).abs() < 1.0, "{known:?}");
        let at_double = constant.expected_fraction_at_double.unwrap() * known.n_max as f64;
        assert!((known.n_expected_at_double.unwrap() - at_double).abs() < 1e-6, "{known:?}");
        // A test that may look early needs more than the fixed one, and one without an end needs most.
        assert!(known.n_fixed < known.n_max && known.n_max < mixture.n_max, "{known:?} {mixture:?}");
        assert_eq!(mixture.n_last_look, mixture.n_max);
    }
}
