//! What the property tests of the statistics are given: data that could be real, in every kind and at every distance from
//! the boundary.

use outcome_stats::{
    Alpha, Alternative, ArmSums, DataHealth, Direction, Evaluated, Evaluation, Interval, Phase, Scope, Settings, Tau,
    TestPlan, TwoArmResult, two_arm_test,
};
use proptest::prelude::*;

/// 1,000 cases of each property, 10,000 with `OUTCOME_TEST_LONG=1`; `PROPTEST_CASES` chooses another number and
/// `PROPTEST_RNG_SEED` other cases.
pub fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None if is_long() => ProptestConfig::with_cases(10_000),
        None => ProptestConfig::with_cases(1_000),
    }
}

/// True with `OUTCOME_TEST_LONG=1`.
pub fn is_long() -> bool {
    std::env::var("OUTCOME_TEST_LONG").is_ok_and(|value| value == "1")
}

pub fn ten(exponent: f64) -> f64 {
    10.0_f64.powf(exponent)
}

/// Whether two numbers agree to `rel` of the larger one, or to `abs`.
pub fn close(a: f64, b: f64, rel: f64, abs: f64) -> bool {
    (a - b).abs() <= abs + rel * a.abs().max(b.abs())
}

pub fn settings(alpha: f64, tau: f64, alternative: Alternative, null: f64) -> Settings {
    Settings { alpha: Alpha::try_new(alpha).unwrap(), tau: Tau::try_new(tau).unwrap(), alternative, null }
}

/// The test at 5 %.
pub fn test(pair: &Pair, tau: f64, alternative: Alternative) -> TwoArmResult {
    two_arm_test(&pair.control, &pair.treatment, false, &settings(0.05, tau, alternative, 0.0))
}

pub fn any_alpha() -> impl Strategy<Value = f64> {
    (-12.0..-0.4_f64).prop_map(ten)
}

pub fn any_side() -> impl Strategy<Value = Alternative> {
    prop_oneof![Just(Alternative::TwoSided), Just(Alternative::Greater), Just(Alternative::Less)]
}

pub fn any_direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Increase), Just(Direction::Decrease)]
}

/// Two arms of the same kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub control: ArmSums,
    pub treatment: ArmSums,
    /// Size of the effects and errors of this metric, in metric units: about the right order for tau.
    pub scale: f64,
}

impl Pair {
    pub fn swapped(self) -> Self {
        Self { control: self.treatment, treatment: self.control, ..self }
    }

    /// The same metric in another unit, `c` of the old. Exact when `c` is a power of two. A covariate keeps its unit.
    pub fn scaled(self, c: f64) -> Self {
        let arm = |arm| match arm {
            ArmSums::Proportion { .. } => arm,
            ArmSums::Mean { n, sum, sum_squares } => {
                ArmSums::Mean { n, sum: c * sum, sum_squares: c * c * sum_squares }
            }
            ArmSums::Ratio { n, numerator_sum: s, numerator_sum_squares: q, denominator_sum: d, .. } => {
                let ArmSums::Ratio { denominator_sum_squares, cross_sum, .. } = arm else { unreachable!() };
                ArmSums::Ratio {
                    n,
                    numerator_sum: c * s,
                    numerator_sum_squares: c * c * q,
                    denominator_sum: d,
                    denominator_sum_squares,
                    cross_sum: c * cross_sum,
                }
            }
            ArmSums::Cuped { n, sum, sum_squares, covariate_sum, covariate_sum_squares, cross_sum } => ArmSums::Cuped {
                n,
                sum: c * sum,
                sum_squares: c * c * sum_squares,
                covariate_sum,
                covariate_sum_squares,
                cross_sum: c * cross_sum,
            },
        };
        Self { control: arm(self.control), treatment: arm(self.treatment), scale: c * self.scale }
    }
}

/// Conversions: rates from rare to nearly certain; the treatment's is up to 12 standard errors away.
pub fn rates() -> impl Strategy<Value = Pair> {
    (sizes(), 0.0005..0.9995_f64, -12.0..12.0_f64).prop_map(|((n_a, n_b), rate, distance)| {
        let se = (rate * (1.0 - rate) * (1.0 / n_a as f64 + 1.0 / n_b as f64)).sqrt();
        let arm = |n: u64, rate: f64| {
            let successes = (n as f64 * rate.clamp(0.0, 1.0)).round() as u64;
            ArmSums::Proportion { n, successes: successes.min(n) }
        };
        Pair { control: arm(n_a, rate), treatment: arm(n_b, rate + distance * se), scale: se }
    })
}

/// Amounts with a mean of either sign, from constant to wild.
pub fn amounts() -> impl Strategy<Value = Pair> {
    bivariate().prop_map(|b| Pair {
        control: b.control.mean(b.n.0),
        treatment: b.treatment.mean(b.n.1),
        scale: b.standard_error,
    })
}

/// Ratios with a denominator that is positive for most units and correlated with the numerator.
pub fn ratios() -> impl Strategy<Value = Pair> {
    bivariate().prop_map(|b| Pair {
        control: b.control.ratio(b.n.0),
        treatment: b.treatment.ratio(b.n.1),
        scale: b.standard_error / b.control.mean_x,
    })
}

/// Amounts with a covariate.
pub fn covariates() -> impl Strategy<Value = Pair> {
    bivariate().prop_map(|b| Pair {
        control: b.control.cuped(b.n.0),
        treatment: b.treatment.cuped(b.n.1),
        scale: b.standard_error,
    })
}

/// Every kind.
pub fn pairs() -> impl Strategy<Value = Pair> {
    prop_oneof![rates(), amounts(), ratios(), covariates()]
}

/// Every kind whose unit is free.
pub fn scalable() -> impl Strategy<Value = Pair> {
    prop_oneof![amounts(), ratios(), covariates()]
}

/// A pair and a tau from a thousandth to a thousand times its standard error.
pub fn with_tau(pair: impl Strategy<Value = Pair>) -> impl Strategy<Value = (Pair, f64)> {
    (pair, -3.0..3.0_f64).prop_map(|(pair, exponent)| (pair, pair.scale * ten(exponent)))
}

/// From a hundred to two billion units, with splits as uneven as 1 to 1000.
fn sizes() -> impl Strategy<Value = (u64, u64)> {
    (2.0..9.3_f64, -3.0..=0.0_f64, any::<bool>()).prop_map(|(exponent, split, is_control_small)| {
        let large = ten(exponent).round() as u64;
        let small = ((large as f64 * ten(split)).round() as u64).max(2);
        if is_control_small { (small, large) } else { (large, small) }
    })
}

/// Moments of one unit: an outcome y and something measured beside it, x.
#[derive(Debug, Clone, Copy)]
struct Unit {
    mean_y: f64,
    sd_y: f64,
    mean_x: f64,
    sd_x: f64,
    correlation: f64,
}

impl Unit {
    fn sums(&self, n: u64) -> [f64; 5] {
        let Self { mean_y, sd_y, mean_x, sd_x, correlation } = *self;
        let n = n as f64;
        let square = |mean: f64, sd: f64| n * (mean * mean + sd * sd);
        let cross = n * (mean_x * mean_y + correlation * sd_x * sd_y);
        [n * mean_y, square(mean_y, sd_y), n * mean_x, square(mean_x, sd_x), cross]
    }

    fn mean(&self, n: u64) -> ArmSums {
        let [sum, sum_squares, ..] = self.sums(n);
        ArmSums::Mean { n, sum, sum_squares }
    }

    fn ratio(&self, n: u64) -> ArmSums {
        let [numerator_sum, numerator_sum_squares, denominator_sum, denominator_sum_squares, cross_sum] = self.sums(n);
        ArmSums::Ratio { n, numerator_sum, numerator_sum_squares, denominator_sum, denominator_sum_squares, cross_sum }
    }

    fn cuped(&self, n: u64) -> ArmSums {
        let [sum, sum_squares, covariate_sum, covariate_sum_squares, cross_sum] = self.sums(n);
        ArmSums::Cuped { n, sum, sum_squares, covariate_sum, covariate_sum_squares, cross_sum }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bivariate {
    n: (u64, u64),
    control: Unit,
    treatment: Unit,
    standard_error: f64,
}

fn bivariate() -> impl Strategy<Value = Bivariate> {
    let unit = (-3.0..3.0_f64, any::<bool>(), -2.0..1.5_f64, 0.1..10.0_f64, 0.05..1.5_f64);
    let between = (-12.0..12.0_f64, -2.0..2.0_f64, 0.5..2.0_f64);
    (sizes(), unit, -0.95..0.95_f64, between).prop_map(|(n, unit, correlation, between)| {
        let (level, is_negative, relative_sd, mean_x, relative_sd_x) = unit;
        let (distance, distance_x, widening) = between;
        let mean_y = if is_negative { -ten(level) } else { ten(level) };
        let sd_y = mean_y.abs() * ten(relative_sd);
        let sd_x = mean_x * relative_sd_x;
        let root = (1.0 / n.0 as f64 + 1.0 / n.1 as f64).sqrt();
        let control = Unit { mean_y, sd_y, mean_x, sd_x, correlation };
        let treatment = Unit {
            mean_y: mean_y + distance * sd_y * root,
            sd_y: sd_y * widening,
            mean_x: mean_x + distance_x * sd_x * root,
            ..control
        };
        Bivariate { n, control, treatment, standard_error: sd_y * root }
    })
}

pub fn phase(number: u32, pair: &Pair) -> Phase {
    // Weights that fit the traffic, so that the mismatch check stays quiet.
    let (control_weight, treatment_weight) = (pair.control.n() as f64, pair.treatment.n() as f64);
    Phase { number, control_weight, treatment_weight, control: pair.control, treatment: pair.treatment }
}

pub fn poll<'a>(plan: &'a TestPlan, phases: &'a [Phase], day: i64) -> Evaluation<'a> {
    let (as_of, elapsed_days) = (day * 86_400, day as f64);
    let health = DataHealth::default();
    Evaluation { cohorts: None, plan, phases, elapsed_days, as_of, guardrails: &[], health, scope: Scope::default() }
}

/// No NaN, no infinity, and the signs and ranges every result promises.
pub fn assert_finite(result: &TwoArmResult) {
    let numbers = [result.effect, result.variance, result.z, result.r, result.ln_e, result.boundary, result.lift];
    assert!(numbers.into_iter().flatten().all(f64::is_finite), "{result:?}");
    let ends = |ci: Option<Interval>| ci.into_iter().flat_map(|ci| [ci.lower, ci.upper]).flatten();
    assert!(ends(result.ci).chain(ends(result.lift_ci)).all(f64::is_finite), "{result:?}");
    assert!(result.ln_p.is_finite() && result.ln_p <= 0.0 && (0.0..=1.0).contains(&result.p), "{result:?}");
    assert!(result.status.is_ok() == result.ln_e.is_some() && result.status.is_ok() == result.ci.is_some());
}

/// The same for a verdict. JSON has no NaN: it would come back as null, which is another value or no value at all.
pub fn assert_storable(result: &Evaluated) {
    let text = serde_json::to_string(result).unwrap();
    let again: Evaluated = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(&again, result);
    assert!(result.ln_p_running <= 0.0 && (0.0..=1.0).contains(&result.p_running), "{text}");
}

/// Most of what is generated is far enough to be tested, and on both sides of the boundary: else the properties would hold
/// for want of cases.
#[test]
fn the_given_data_reach_the_numbers() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for (name, strategy) in [
        ("rates", with_tau(rates()).boxed()),
        ("amounts", with_tau(amounts()).boxed()),
        ("ratios", with_tau(ratios()).boxed()),
        ("covariates", with_tau(covariates()).boxed()),
    ] {
        let mut results = Vec::new();
        for _ in 0..1000 {
            let (pair, tau) = strategy.new_tree(&mut runner).unwrap().current();
            results.push(test(&pair, tau, Alternative::TwoSided));
        }
        let n = |is: fn(&TwoArmResult) -> bool| results.iter().filter(|r| is(r)).count();
        let n_ok = n(|r| r.status.is_ok());
        let n_rejected = n(|r| r.p < 0.05);
        let n_lifts = n(|r| r.lift_ci.is_some());
        assert!(n_ok > 500, "{name}: {n_ok}");
        assert!((100..n_ok - 100).contains(&n_rejected), "{name}: {n_rejected} of {n_ok}");
        assert!(n_lifts > 300, "{name}: {n_lifts}");
    }
}
