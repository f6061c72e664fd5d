//! The 26 mistakes of STATS.md 2.12, one test each. What they cost is simulated elsewhere; here each of them would be seen
//! at once.

use outcome_stats::{
    Alpha, Alternative, ArmSums, Comparison, Contrast, DataHealth, Direction, EpochReason, Evaluated, Evaluation,
    Guardrail, GuardrailReading, HarmDirection, Interval, InvalidInput, Margin, Phase, Recommendation, RunningState,
    RunningTest, Scope, SeriesVerdict, Settings, SrmLevel, Status, Tau, TestPlan, TwoArmResult, adjust_running_max,
    boundary, delta_method_lift, e_benjamini_hochberg, eval_line, evaluate, fieller_lift, level_vs_target,
    ln_e_one_sided, pre_post, sample_ratio_mismatch, two_arm_test,
};
use serde_json::Value;

fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

/// Sums of units with this mean and standard deviation (the one that divides by n).
fn mean(n: u64, mean: f64, sd: f64) -> ArmSums {
    let units = n as f64;
    ArmSums::Mean { n, sum: units * mean, sum_squares: units * (mean * mean + sd * sd) }
}

fn settings(tau: f64) -> Settings {
    let tau = Tau::try_new(tau).unwrap();
    Settings { alpha: Alpha::DEFAULT, tau, alternative: Alternative::TwoSided, null: 0.0 }
}

fn test(control: ArmSums, treatment: ArmSums, tau: f64) -> TwoArmResult {
    two_arm_test(&control, &treatment, false, &settings(tau))
}

fn phase(control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number: 1, control_weight: 1.0, treatment_weight: 1.0, control, treatment }
}

fn plan() -> TestPlan {
    TestPlan { mde_abs: Some(0.01), ..TestPlan::default() }
}

fn on_day(day: i64, plan: &TestPlan, phases: &[Phase], previous: Option<&RunningState>) -> Evaluated {
    let (elapsed_days, as_of, health) = (day as f64, day * 86_400, DataHealth::default());
    evaluate(
        &Evaluation {
            cohorts: None,
            plan,
            phases,
            elapsed_days,
            as_of,
            guardrails: &[],
            health,
            scope: Scope::default(),
        },
        previous,
    )
}

fn guarded(phases: &[Phase], margin: f64, must_prove: bool) -> Evaluated {
    let gain = [phase(rate(20_000, 1000), rate(20_000, 1300))];
    let (harm_direction, margin) = (HarmDirection::Increase, Margin::Absolute(margin));
    let reading = GuardrailReading::RelativeToControl(Comparison::new(phases, harm_direction, margin));
    let guardrails = [Guardrail { name: "errors", must_prove, reading }];
    let health = DataHealth::default();
    let plan = plan();
    let input = Evaluation {
        cohorts: None,
        plan: &plan,
        phases: &gain,
        elapsed_days: 14.0,
        as_of: 0,
        guardrails: &guardrails,
        health,
        scope: Scope::default(),
    };
    evaluate(&input, None)
}

fn close(got: f64, want: f64, rel: f64) -> bool {
    (got - want).abs() <= rel * want.abs()
}

#[test]
fn mistake_01_events_are_not_units() {
    // 3000 orders of 1000 customers are no proportion, and as amounts the customers stay the units.
    let orders = test(rate(1000, 3000), rate(1000, 3100), 0.1);
    assert_eq!(orders.status, Status::Invalid { reason: InvalidInput::SuccessesExceedUnits });
    // Each customer with three equal rows: rows as units would pretend to three times the information.
    let customers = test(mean(1000, 3.0, 2.0), mean(1000, 3.2, 2.0), 0.3);
    let rows = test(mean(3000, 1.0, 2.0 / 3.0), mean(3000, 3.2 / 3.0, 2.0 / 3.0), 0.1);
    assert!(close(rows.z.unwrap() / customers.z.unwrap(), 3.0_f64.sqrt(), 1e-3));
}

#[test]
fn mistake_02_direction_and_scale_are_not_mixed_up() {
    let fewer = [phase(rate(20_000, 1300), rate(20_000, 1000))];
    let decrease = TestPlan { direction: Direction::Decrease, ..plan() };
    assert_eq!(on_day(7, &decrease, &fewer, None).advice.recommendation, Recommendation::Ship);
    assert_eq!(on_day(7, &plan(), &fewer, None).advice.recommendation, Recommendation::KillHarm);
    // A threshold is an effect in metric units: a lift of 20 % is not one of 0.2.
    let gain = [phase(rate(20_000, 1000), rate(20_000, 1200))];
    let absolute = TestPlan { success_threshold: 0.2, ..plan() };
    let got = on_day(7, &absolute, &gain, None);
    assert!(got.lift.unwrap() > 0.19 && !got.is_success_threshold_met);
    // A relative effect is one of the baseline, whatever its sign.
    let relative = TestPlan { mde_relative: Some(0.1), baseline: Some(-0.05), ..TestPlan::default() };
    assert!(close(relative.fixed_mde().unwrap(), 0.005, 1e-12));
}

#[test]
fn mistake_03_p_is_remembered_and_never_rises() {
    let strong = on_day(1, &plan(), &[phase(rate(20_000, 1000), rate(20_000, 1300))], None);
    let faded = [phase(rate(40_000, 2200), rate(40_000, 2400))];
    let stored: RunningState = serde_json::from_str(&serde_json::to_string(&strong.running).unwrap()).unwrap();
    let later = on_day(2, &plan(), &faded, Some(&stored));
    let alone = on_day(2, &plan(), &faded, None);
    assert!(alone.p_running > strong.p_running, "the last poll alone says less");
    assert!((later.p_running - strong.p_running).abs() <= 0.0);
}

#[test]
fn mistake_04_a_fixed_interval_is_not_for_peeking() {
    // z = 2.5 is "significant" at a fixed end and nothing at all when one may look at every poll.
    for r in [0.01, 0.1, 1.0, 8.2, 100.0, 1e6] {
        assert!(boundary(r, Alpha::DEFAULT, Alternative::TwoSided) > 3.03);
    }
    let se = (2.0_f64 * 0.25 / 10_000.0).sqrt();
    let treatment = (10_000.0 * (0.5 + 2.5 * se)) as u64;
    let got = test(rate(10_000, 5000), rate(10_000, treatment), 3.0 * se);
    assert!(got.z.unwrap() > 2.4 && got.p > 0.05 && !got.ci.unwrap().excludes(0.0));
}

#[test]
fn mistake_05_tau_is_frozen() {
    // Without a declared effect the first gated poll chooses tau; ten times the data do not choose again.
    let bare = TestPlan::default();
    let first = on_day(1, &bare, &[phase(rate(5000, 250), rate(5000, 260))], None);
    let more = [phase(rate(50_000, 2500), rate(50_000, 2600))];
    let later = on_day(2, &bare, &more, Some(&first.running));
    assert_eq!(later.tuning, first.tuning);
    assert_ne!(on_day(2, &bare, &more, None).tuning, first.tuning, "a tuning to the current variance would be another");
    // Another tau is another test.
    let first = on_day(1, &plan(), &more, None);
    let changed = TestPlan { mde_abs: Some(0.02), ..plan() };
    let got = on_day(2, &changed, &more, Some(&first.running));
    assert_eq!((got.epoch, got.running.epoch_start.unwrap().reason), (2, EpochReason::PlanChanged));
}

#[test]
fn mistake_06_tau_is_a_standard_deviation_and_v_a_variance() {
    let line = r#"{"id": 1, "fn": "core", "input": {"delta": 0.006, "var": 4e-6, "tau": 0.004}}"#;
    let got: Value = serde_json::from_str(&eval_line(line)).unwrap();
    let number = |name: &str| got[name].as_f64().unwrap();
    assert!(close(number("r"), 4.0, 1e-12) && close(number("z"), 3.0, 1e-12));
    assert!(close(number("log_e"), 0.5 * (9.0 * 0.8 - 5.0_f64.ln()), 1e-12));
    // The unit variance divides by n - 1, the variance of a mean by n again.
    let arms = test(mean(101, 15.0, 10.0), mean(201, 15.0, 10.0), 1.0);
    assert!(close(arms.variance.unwrap(), 100.0 / 100.0 + 100.0 / 200.0, 1e-12));
    // Conversion rates make tau small; it is not rounded away.
    let tiny = test(rate(1_000_000_000, 1_000_000), rate(1_000_000_000, 1_000_000), 1e-9);
    assert!(tiny.r.unwrap() > 0.0 && tiny.ln_e.unwrap() < 0.0);
}

#[test]
fn mistake_07_the_variance_is_not_pooled() {
    // A small wild arm beside a large calm one: pooled, the variance would be dominated by the large arm's.
    let got = test(mean(10_000, 5.0, 1.0), mean(1000, 5.0, 10.0), 1.0);
    let unpooled = 1.0 / 9999.0 + 100.0 / 999.0;
    assert!(close(got.variance.unwrap(), unpooled, 1e-9));
    let pooled = (10_000.0 + 100_000.0) / 10_998.0 * (1.0 / 10_000.0 + 1.0 / 1000.0);
    assert!(pooled < 0.12 * unpooled);
}

#[test]
fn mistake_08_evidence_stays_in_logarithms() {
    let got = test(rate(1_000_000_000, 100_000_000), rate(1_000_000_000, 900_000_000), 0.1);
    assert!(got.z.unwrap() > 4e4 && got.ln_e.unwrap() > 1e8 && got.ln_e.unwrap().is_finite());
    assert!(got.p <= 0.0 && close(got.ln_p, -got.ln_e.unwrap(), 1e-15));
    assert!(got.ci.unwrap().lower.unwrap() > 0.79);
}

#[test]
fn mistake_09_no_variance_is_neither_certainty_nor_an_empty_interval() {
    for (control, treatment) in [(rate(1000, 0), rate(1000, 0)), (mean(1000, 5.0, 0.0), mean(1000, 7.0, 0.0))] {
        let got = test(control, treatment, 0.1);
        assert_eq!((got.status, got.p, got.ci, got.z), (Status::ZeroVariance, 1.0, None, None));
    }
    // One constant arm is data: a checkout that no longer sells.
    let broken = test(rate(100_000, 51), rate(100_000, 0), 0.0005);
    assert!(broken.status.is_ok() && broken.ci.unwrap().upper.unwrap() < 0.0);
}

#[test]
fn mistake_10_uneven_arms_wait_for_effective_units() {
    // 120 units and 30 conversions in control, none in the small arm: two conversions were expected there.
    let got = test(rate(5880, 120), rate(120, 0), 0.02);
    assert!(matches!(got.status, Status::InsufficientSample { .. }) && got.p >= 1.0);
    // Amounts: 2000 units of whom one bought nearly everything are about one unit.
    let whale = ArmSums::Mean { n: 1000, sum: 1000.0, sum_squares: 900_000.0 };
    assert!(matches!(test(whale, whale, 1.0).status, Status::InsufficientSample { .. }));
}

#[test]
fn mistake_11_a_ramp_is_not_pooled() {
    // The base rate doubles while the split goes from 9:1 to 1:1. There is no effect; the pooled sums would show one.
    let ramp = [
        Phase { control_weight: 9.0, ..phase(rate(90_000, 4500), rate(10_000, 500)) },
        Phase { number: 2, ..phase(rate(50_000, 5000), rate(50_000, 5000)) },
    ];
    let got = on_day(10, &plan(), &ramp, None);
    assert!(got.effect.unwrap().abs() < 1e-12 && got.p_running > 0.9);
    assert!(test(rate(140_000, 9500), rate(60_000, 5500), 0.01).ln_e.unwrap() > 100.0);
}

#[test]
fn mistake_12_the_clock_is_information_and_not_units() {
    // As many units with another split hold less information.
    let (even, uneven) =
        (test(rate(50_000, 2500), rate(50_000, 2500), 0.01), test(rate(98_000, 4900), rate(2000, 100), 0.01));
    assert!(even.r.unwrap() / uneven.r.unwrap() > 12.0);
    // Four times the units of twice the spread hold the same, and are the same test.
    let (few, many) =
        (test(mean(101, 5.0, 1.0), mean(101, 5.5, 1.0), 0.5), test(mean(401, 5.0, 2.0), mean(401, 5.5, 2.0), 0.5));
    assert!(close(few.ln_e.unwrap(), many.ln_e.unwrap(), 1e-9) && close(few.r.unwrap(), many.r.unwrap(), 1e-9));
}

#[test]
fn mistake_13_the_mismatch_check_is_sequential_and_knows_the_weights() {
    // A chi-square test at 0.001 would stop here (z = 3.5); among 112 looks that is no rarity.
    let srm = sample_ratio_mismatch(&[(50_000, 1.0), (51_112, 1.0)]);
    assert_eq!(srm.level, SrmLevel::Clean);
    assert!(srm.p > 0.01);
    // 9:1 traffic is right when 9:1 was declared.
    assert_eq!(sample_ratio_mismatch(&[(90_000, 9.0), (10_000, 1.0)]).level, SrmLevel::Clean);
    assert_eq!(sample_ratio_mismatch(&[(90_000, 1.0), (10_000, 1.0)]).level, SrmLevel::Block);
    // It counts units. Arms with very different numbers of events are no mismatch.
    let events = [phase(mean(10_000, 1.0, 1.0), mean(10_000, 3.0, 1.0))];
    assert_eq!(on_day(1, &plan(), &events, None).srm.level, SrmLevel::Clean);
}

#[test]
fn mistake_14_one_sided_is_a_test_of_its_own() {
    let (control, treatment) = (rate(20_000, 1000), rate(20_000, 1150));
    let sided = |alternative| two_arm_test(&control, &treatment, false, &Settings { alternative, ..settings(0.01) });
    let (two, up, down) = (sided(Alternative::TwoSided), sided(Alternative::Greater), sided(Alternative::Less));
    // At most twice the two-sided E, never more; and the wrong side has none.
    assert!(up.ln_e.unwrap() <= two.ln_e.unwrap() + std::f64::consts::LN_2 && up.ln_e.unwrap() > two.ln_e.unwrap());
    assert!(down.ln_e.unwrap() < 0.0 && down.p >= 1.0);
    assert!(ln_e_one_sided(-5.0, 8.0) < -2.0, "the size of z alone is no evidence");
}

#[test]
fn mistake_15_no_significant_harm_is_not_safe() {
    let unclear = [phase(rate(2000, 40), rate(2000, 41))];
    let got = guarded(&unclear, 0.002, true);
    let guardrail = &got.guardrails[0];
    assert!(!guardrail.deteriorated && !guardrail.breached && !guardrail.non_inferior);
    assert_eq!(got.advice.recommendation, Recommendation::Continue);
    assert_eq!(guarded(&unclear, 0.002, false).advice.recommendation, Recommendation::Ship);
    let proven = [phase(rate(2_000_000, 40_000), rate(2_000_000, 40_001))];
    assert_eq!(guarded(&proven, 0.002, true).advice.recommendation, Recommendation::Ship);
}

#[test]
fn mistake_16_the_success_threshold_is_not_the_detectable_effect() {
    // A true gain of half the detectable effect ships, once it is proven to be above nothing.
    let half = [phase(rate(100_000, 5000), rate(100_000, 5500))];
    let got = on_day(14, &plan(), &half, None);
    assert!(got.effect.unwrap() < 0.0051 && got.advice.recommendation == Recommendation::Ship);
    let strict = TestPlan { success_threshold: 0.01, ..plan() };
    assert_ne!(on_day(14, &strict, &half, None).advice.recommendation, Recommendation::Ship);
}

#[test]
fn mistake_17_a_point_estimate_never_kills() {
    let worse = [phase(rate(2000, 110), rate(2000, 80))];
    let got = on_day(3, &plan(), &worse, None);
    assert!(got.effect.unwrap() < -0.01 && got.advice.recommendation == Recommendation::Continue);
    let beyond = [phase(rate(2000, 40), rate(2000, 60))];
    let guardrail = &guarded(&beyond, 0.005, false).guardrails[0];
    assert!(guardrail.value.unwrap() > 0.005 && !guardrail.breached);
}

#[test]
fn mistake_18_the_relative_interval_does_not_contradict_the_absolute_test() {
    // The case of STATS.md 1.1: 100 of 200 against 150 of 200.
    let contrast = Contrast {
        treatment: 0.75,
        control: 0.5,
        var_treatment: 0.75 * 0.25 / 199.0,
        var_control: 0.25 / 199.0,
        covariance: 0.0,
    };
    let b = 4.5;
    let half_width = b * contrast.variance_against(1.0).sqrt();
    let absolute = Interval::new(0.25 - half_width, 0.25 + half_width);
    let delta = delta_method_lift(&contrast, b).unwrap().ci;
    let fieller = fieller_lift(&contrast, b, Alternative::TwoSided).unwrap();
    assert!(
        absolute.excludes(0.0) && fieller.excludes(0.0) && !delta.excludes(0.0),
        "{absolute:?} {fieller:?} {delta:?}"
    );
}

#[test]
fn mistake_19_a_negative_or_zero_baseline_has_the_right_lift_or_none() {
    let loss = test(mean(10_000, -5.0, 1.0), mean(10_000, -4.0, 1.0), 0.1);
    assert!(close(loss.lift.unwrap(), 0.2, 1e-9) && loss.lift_ci.unwrap().lower.unwrap() > 0.0);
    let settings = Settings { alternative: Alternative::TwoSided, ..settings(0.1) };
    let zero = two_arm_test(&mean(10_000, 0.0, 1.0), &mean(10_000, 1.0, 1.0), true, &settings);
    assert_eq!((zero.lift, zero.lift_ci), (None, None));
    assert!(zero.ci.unwrap().excludes(0.0), "the absolute interval stands alone");
}

#[test]
fn mistake_20_theta_pools_within_arms() {
    // Within each arm y = 2 x; the treatment adds 10 and by chance has larger x. Across arms the slope would be steeper.
    let arm = |shift: f64, x: f64| {
        let (n, sd) = (1000.0, 1.0);
        let y = 2.0 * x + shift;
        ArmSums::Cuped {
            n: 1000,
            sum: n * y,
            sum_squares: n * (y * y + 4.0 * sd * sd + 1.0),
            covariate_sum: n * x,
            covariate_sum_squares: n * (x * x + sd * sd),
            cross_sum: n * (x * y + 2.0 * sd * sd),
        }
    };
    let got = test(arm(0.0, 5.0), arm(10.0, 6.0), 1.0);
    let cuped = got.cuped.unwrap();
    assert!(close(cuped.theta, 2.0, 1e-9), "{}", cuped.theta);
    assert!(close(cuped.raw_effect, 12.0, 1e-9) && close(got.effect.unwrap(), 10.0, 1e-9));
    assert!(close(cuped.variance_reduction.unwrap(), 0.8, 1e-9));
}

#[test]
fn mistake_21_a_running_maximum_is_no_e_value() {
    // 20 of 20 maxima just above 1/alpha: as they are, e-BH would reject all; adjusted, none.
    let maxima = [3.2; 20];
    assert_eq!(e_benjamini_hochberg(&maxima, Alpha::DEFAULT).n_rejected, 20);
    let adjusted = maxima.map(adjust_running_max);
    assert_eq!(e_benjamini_hochberg(&adjusted, Alpha::DEFAULT).n_rejected, 0);
}

#[test]
fn mistake_22_evidence_of_overlapping_data_is_not_multiplied() {
    let state = RunningTest::default().observe(2.0, Interval::UNBOUNDED).observe(2.0, Interval::UNBOUNDED);
    assert!(close(state.max_ln_e, 2.0, 1e-15));
    // Cumulative polls: the second mismatch check sees the first one's units again and replaces it.
    let skewed = |n: u64| [phase(rate(n, n / 20), rate(n + n / 40, n / 20))];
    let first = on_day(1, &plan(), &skewed(20_000), None);
    let second = on_day(2, &plan(), &skewed(22_000), Some(&first.running));
    assert_eq!(second.srm.ln_e, on_day(2, &plan(), &skewed(22_000), None).srm.ln_e);
}

#[test]
fn mistake_23_a_ratio_is_not_the_mean_of_ratios() {
    // Half of the units have 1 of 1, half have 0 of 9: one in ten, not one in two.
    let arm = |n: u64| {
        let half = n as f64 / 2.0;
        ArmSums::Ratio {
            n,
            numerator_sum: half,
            numerator_sum_squares: half,
            denominator_sum: 10.0 * half,
            denominator_sum_squares: 82.0 * half,
            cross_sum: half,
        }
    };
    let got = on_day(1, &plan(), &[phase(arm(1000), arm(1000))], None);
    assert!(close(got.control_level.unwrap(), 0.1, 1e-12));
    // And its variance is that of num - R den: here 0.9^2 per unit over the mean denominator 5, squared.
    let per_arm: f64 = 0.81 / 999.0 / 25.0;
    assert!(close(got.standard_error.unwrap(), (2.0 * per_arm).sqrt(), 1e-9));
}

#[test]
fn mistake_24_restated_data_are_no_new_poll() {
    let first = on_day(1, &plan(), &[phase(rate(20_000, 1000), rate(20_000, 1300))], None);
    let restated = on_day(2, &plan(), &[phase(rate(19_000, 1000), rate(20_000, 1300))], Some(&first.running));
    // The evidence is that of this poll alone, as if none had been made before.
    let alone = on_day(2, &plan(), &[phase(rate(19_000, 1000), rate(20_000, 1300))], None);
    assert_eq!((restated.epoch, restated.p_running), (2, alone.p_running));
    assert!(restated.p_running > first.p_running);
}

#[test]
fn mistake_25_nothing_ships_before_a_full_week() {
    let gain = [phase(rate(20_000, 1000), rate(20_000, 1300))];
    let hasty = TestPlan { min_runtime_days: 1, ..plan() };
    let just_short = Evaluation {
        cohorts: None,
        plan: &hasty,
        phases: &gain,
        elapsed_days: 6.999,
        as_of: 0,
        guardrails: &[],
        health: DataHealth::default(),
        scope: Scope::default(),
    };
    assert_eq!(evaluate(&just_short, None).advice.recommendation, Recommendation::Continue);
    assert_eq!(on_day(7, &hasty, &gain, None).advice.recommendation, Recommendation::Ship);
}

#[test]
fn mistake_26_a_series_without_control_is_no_experiment() {
    // However clear it is: the words are those of an observation, and none of them is a decision.
    let (pre, post) = ([10.0, 10.1, 9.9, 10.05, 9.95, 10.0], [20.0, 20.1, 19.9, 20.05, 19.95, 20.0]);
    let moved = pre_post(&pre, &post, Alpha::DEFAULT);
    assert_eq!(moved.verdict(), SeriesVerdict::Moved);
    let level = level_vs_target(&[&pre[..], &pre[..]].concat(), 5.0, Alpha::DEFAULT);
    assert_eq!(level.verdict(5.0, Direction::Increase), SeriesVerdict::TargetMet);
    assert_eq!(level.verdict(5.0, Direction::Decrease), SeriesVerdict::TargetMissed);
    let words = ["target_met", "target_missed", "moved", "not_distinguishable"];
    for word in words {
        let quoted = format!("\"{word}\"");
        assert!(serde_json::from_str::<SeriesVerdict>(&quoted).is_ok());
        assert!(serde_json::from_str::<Recommendation>(&quoted).is_err());
    }
}
