//! Values on the very edge of a rule, and numbers worked out by hand. Each would slip by one side when a comparison, a sign
//! or a factor is wrong; most of them were written because a mutant survived.

use outcome_stats::{
    Alpha, Alternative, ArmSums, Comparison, Contrast, CupedArm, DataHealth, Direction, Estimate, Evaluated,
    Evaluation, Guardrail, GuardrailReading, GuardrailResult, HarmDirection, HealthCode, InvalidInput, Limit, Margin,
    Moments, Phase, QuantileArm, Recommendation, RunningState, Scope, SeriesVerdict, Settings, SrmStatus, StartGate,
    StartGateInput, Status, Tau, TestPlan, TuningSource, ValueLimit, ValueRule, Variance, adjust_running_max, boundary,
    combine_phases, count_test, cuped, delta_method_lift, eval_line, evaluate, fieller_lift, guardrail_test,
    level_vs_target, ln_e_one_sided, pre_post, quantile_estimate, r_star, rate_confidence, sample_ratio_mismatch,
    two_arm_test,
};
use serde_json::{Value, json};

fn close(got: f64, want: f64, rel: f64) -> bool {
    (got - want).abs() <= rel * want.abs()
}

fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

fn phase(control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number: 1, control_weight: 1.0, treatment_weight: 1.0, control, treatment }
}

fn on_day(day: i64, plan: &TestPlan, phases: &[Phase], previous: Option<&RunningState>) -> Evaluated {
    let health = DataHealth::default();
    let (elapsed_days, as_of) = (day as f64, day * 86_400);
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

fn plan() -> TestPlan {
    TestPlan { mde_abs: Some(0.01), ..TestPlan::default() }
}

fn gain() -> [Phase; 1] {
    [phase(rate(20_000, 1000), rate(20_000, 1300))]
}

fn guard(reading: GuardrailReading<'_>) -> GuardrailResult {
    let (plan, phases, health) = (plan(), gain(), DataHealth::default());
    let guardrails = [Guardrail { name: "guard", must_prove: false, reading }];
    let input = Evaluation {
        cohorts: None,
        plan: &plan,
        phases: &phases,
        elapsed_days: 9.0,
        as_of: 0,
        guardrails: &guardrails,
        health,
        scope: Scope::default(),
    };
    evaluate(&input, None).guardrails.remove(0)
}

fn answer(function: &str, input: Value) -> Value {
    serde_json::from_str(&eval_line(&json!({ "id": 1, "fn": function, "input": input }).to_string())).unwrap()
}

// Sums of one arm.

#[test]
fn sums_of_nobody_are_empty_or_wrong() {
    let empty = Moments::try_new(0, 0.0, 0.0).unwrap();
    assert_eq!((empty.mean(), empty.variance_of_mean()), (0.0, 0.0));
    assert_eq!(Moments::try_new(0, 1.0, 0.0), Err(InvalidInput::SumWithoutUnits));
    assert_eq!(Moments::try_new(0, 0.0, 1.0), Err(InvalidInput::SumWithoutUnits));
    assert_eq!(empty.centred_cross(&empty, 0.0), Ok(0.0));
    assert_eq!(empty.centred_cross(&empty, 1.0), Err(InvalidInput::SumWithoutUnits));
}

#[test]
fn one_unit_has_no_variance_and_two_have_one() {
    assert_eq!(Moments::try_new(1, 1.0, 1.5).unwrap().variance_of_mean(), 0.0);
    assert_eq!(Moments::try_new(2, 1.0, 1.0).unwrap().variance_of_mean(), 0.25);
}

#[test]
fn a_centred_sum_below_a_trillionth_is_rounding() {
    let moments = |excess: f64| Moments::try_new(1000, 5000.0, 25_000.0 * (1.0 + excess));
    let variance = |excess: f64| moments(excess).unwrap().variance_of_mean();
    assert_eq!(variance(9e-13), 0.0);
    // Too much for rounding alone, and too little to be told from it.
    assert_eq!(moments(1.1e-12), Err(InvalidInput::DigitsLost));
    assert_eq!(moments(9e-12), Err(InvalidInput::DigitsLost));
    assert!(variance(1.1e-11) > 0.0);
    // Below zero by rounding is zero, by more is impossible.
    assert_eq!(variance(-9e-10), 0.0);
    assert_eq!(Moments::try_new(1000, 5000.0, 25_000.0 * (1.0 - 1.1e-9)), Err(InvalidInput::SumSquaresTooSmall));
}

#[test]
fn a_cross_product_has_the_slack_of_its_rounding() {
    let constant = Moments::try_new(1000, 1e6, 1e9).unwrap();
    assert!(constant.centred_cross(&constant, 1e9 + 0.5).is_ok());
    assert_eq!(constant.centred_cross(&constant, 1e9 + 2.0), Err(InvalidInput::CrossProductTooLarge));
    let varied = Moments::try_new(1000, 0.0, 1e9).unwrap();
    assert!(varied.centred_cross(&varied, 1e9 * (1.0 + 0.9e-6)).is_ok());
    assert_eq!(varied.centred_cross(&varied, 1e9 * (1.0 + 1.1e-6)), Err(InvalidInput::CrossProductTooLarge));
    assert_eq!(varied.centred_cross(&varied, -1e9 * (1.0 + 1.1e-6)), Err(InvalidInput::CrossProductTooLarge));
}

// The start gate.

#[test]
fn fewer_than_two_units_are_too_few_before_they_are_constant() {
    let status = |control, treatment| {
        let tau = Tau::try_new(1.0).unwrap();
        let settings = Settings { alpha: Alpha::DEFAULT, tau, alternative: Alternative::TwoSided, null: 0.0 };
        two_arm_test(&control, &treatment, false, &settings).status
    };
    let gate = StartGate::UnitsPerArm;
    assert_eq!(status(rate(2, 0), rate(2, 0)), Status::ZeroVariance);
    assert_eq!(status(rate(1, 0), rate(2, 0)), Status::InsufficientSample { gate, have: 1.0, need: 100.0 });
    let nothing = ArmSums::Ratio {
        n: 0,
        numerator_sum: 0.0,
        numerator_sum_squares: 0.0,
        denominator_sum: 0.0,
        denominator_sum_squares: 0.0,
        cross_sum: 0.0,
    };
    assert_eq!(status(nothing, nothing), Status::InsufficientSample { gate, have: 0.0, need: 100.0 });
    assert_eq!(status(rate(99, 50), rate(500, 200)), Status::InsufficientSample { gate, have: 99.0, need: 100.0 });
    assert_eq!(status(rate(100, 50), rate(500, 200)), Status::Ok);
}

#[test]
fn nothing_recorded_is_no_effective_unit() {
    let silent = Moments::try_new(1000, 0.0, 0.0).unwrap();
    let input = StartGateInput { control: silent, treatment: silent, is_proportion: false, is_signed: false };
    let want = Status::InsufficientSample { gate: StartGate::EffectiveUnits, have: 0.0, need: 25.0 };
    assert_eq!(input.check(), Err(want));
}

// Findings.

fn codes(phases: &[Phase]) -> Vec<HealthCode> {
    on_day(1, &plan(), phases, None).health.iter().map(|finding| finding.code).collect()
}

#[test]
fn silence_is_found_in_every_kind_and_only_there() {
    let arms = |n: u64, x: f64| {
        [
            rate(n, x as u64),
            ArmSums::Mean { n, sum: x, sum_squares: x },
            ArmSums::Ratio {
                n,
                numerator_sum: x,
                numerator_sum_squares: x,
                denominator_sum: n as f64,
                denominator_sum_squares: 2.0 * n as f64,
                cross_sum: x,
            },
            ArmSums::Cuped {
                n,
                sum: x,
                sum_squares: x,
                covariate_sum: 0.0,
                covariate_sum_squares: n as f64,
                cross_sum: 0.0,
            },
        ]
    };
    for kind in 0..4 {
        let pair = |n, a, b| [phase(arms(n, a)[kind], arms(n, b)[kind])];
        assert!(codes(&pair(100, 0.0, 0.0)).contains(&HealthCode::ZeroEvents), "{kind}");
        assert!(!codes(&pair(99, 0.0, 0.0)).contains(&HealthCode::ZeroEvents), "{kind}");
        for (a, b) in [(50.0, 50.0), (0.0, 50.0), (50.0, 0.0)] {
            assert!(!codes(&pair(100, a, b)).contains(&HealthCode::ZeroEvents), "{kind}");
        }
    }
}

#[test]
fn an_empty_arm_is_found_where_twenty_units_are_expected() {
    let is_found = |phase: Phase| codes(&[phase]).contains(&HealthCode::ArmWithoutExposure);
    assert!(is_found(phase(rate(20, 5), rate(0, 0))) && is_found(phase(rate(0, 0), rate(20, 5))));
    assert!(!is_found(phase(rate(19, 5), rate(0, 0))) && !is_found(phase(rate(20, 5), rate(1, 0))));
    let a_tenth = |n| Phase { control_weight: 9.0, ..phase(rate(n, 5), rate(0, 0)) };
    assert!(is_found(a_tenth(180)) && !is_found(a_tenth(179)));
}

#[test]
fn an_arm_that_is_empty_since_the_last_change_of_the_flag_is_found() {
    let before = phase(rate(1000, 50), rate(1000, 50));
    let since = Phase { number: 2, ..phase(rate(20, 1), rate(0, 0)) };
    let found = on_day(2, &plan(), &[before, since], None).health;
    let message = found.iter().find(|f| f.code == HealthCode::ArmWithoutExposure).map(|f| f.message.as_str());
    assert_eq!(message, Some("since the last change of the flag one arm has no exposed units"));
}

#[test]
fn a_suspicion_about_traffic_is_between_a_hundred_and_a_thousand() {
    let at = |more: u64| {
        let got = on_day(1, &plan(), &[phase(rate(50_000, 2500), rate(50_000 + more, 2500))], None);
        let is_warned = got.health.iter().any(|f| f.code == HealthCode::SrmSuspected);
        (got.srm.ln_e.unwrap().exp(), is_warned, got.advice.recommendation == Recommendation::HoldSrm)
    };
    let (mut n_clean, mut n_warned, mut n_blocked) = (0, 0, 0);
    for more in (0..2500).step_by(50) {
        let (e, is_warned, is_blocked) = at(more);
        assert_eq!((is_warned, is_blocked), ((100.0..1000.0).contains(&e), e >= 1000.0), "{e}");
        n_clean += u32::from(e < 100.0);
        n_warned += u32::from(is_warned);
        n_blocked += u32::from(is_blocked);
    }
    assert!(n_clean > 0 && n_warned > 0 && n_blocked > 0);
}

#[test]
fn weights_that_cannot_be_checked_are_invalid() {
    let status = |a: f64, b: f64| sample_ratio_mismatch(&[(100, a), (100, b)]).status;
    assert_eq!(status(1.0, 1.0), SrmStatus::Ok);
    for (a, b) in [(-1.0, 2.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (1e308, 1e308), (-1.0, 1.0)] {
        assert_eq!(status(a, b), SrmStatus::Invalid, "{a} {b}");
    }
    assert_eq!(sample_ratio_mismatch(&[(0, 0.0), (0, 0.0)]).status, SrmStatus::Invalid);
    let wrong = Phase { control_weight: -1.0, ..gain()[0] };
    assert!(
        codes(&[wrong]).contains(&HealthCode::WeightsInvalid) && !codes(&gain()).contains(&HealthCode::WeightsInvalid)
    );
}

// A poll.

#[test]
fn thresholds_at_the_very_end_of_the_interval_are_not_met() {
    let first = on_day(14, &plan(), &gain(), None);
    let (ci, harm) = (first.ci.unwrap(), first.harm.unwrap());
    let at = |success_threshold, kill_threshold| {
        let plan = TestPlan { success_threshold, kill_threshold, ..plan() };
        let got = on_day(14, &plan, &gain(), None);
        (got.is_success_threshold_met, got.is_kill_threshold_exceeded)
    };
    let (lower, upper) = (ci.lower.unwrap(), harm.bound.unwrap());
    assert_eq!(at(lower, 0.0), (false, false));
    assert_eq!(at(lower * (1.0 - 1e-12), 0.0), (true, false));
    assert_eq!(at(0.0, upper), (true, false));
    assert_eq!(at(0.0, upper * (1.0 + 1e-12)), (true, true));
}

#[test]
fn the_numbers_of_a_poll_by_hand() {
    let got = on_day(14, &plan(), &gain(), None);
    let variance = (1000.0 * 0.95 + 1300.0 * 0.935) / 19_999.0 / 20_000.0;
    let r = 1e-4 / variance;
    assert!(close(got.standard_error.unwrap(), f64::sqrt(variance), 1e-12));
    assert!(close(got.effect.unwrap(), 0.015, 1e-12) && close(got.lift.unwrap(), 0.3, 1e-12));
    assert!(close(got.effect_shrunken.unwrap(), 0.015 * r / (1.0 + r), 1e-12));
    let ln_e = 0.5 * (0.015 * 0.015 / variance * r / (1.0 + r) - r.ln_1p());
    assert!(close(got.ln_e.unwrap(), ln_e, 1e-12));
    let half_width = (variance * (1.0 + 1.0 / r) * (r.ln_1p() + 2.0 * 20.0_f64.ln())).sqrt();
    assert!(close(got.ci.unwrap().lower.unwrap(), 0.015 - half_width, 1e-12));
    let futility = boundary(r, Alpha::FUTILITY, Alternative::Greater) * variance.sqrt();
    assert!(close(got.futility_upper.unwrap(), 0.015 + futility, 1e-12));
}

#[test]
fn significance_needs_a_crossing_and_an_interval_that_still_excludes_nothing() {
    let plan = plan();
    let nothing = [phase(rate(10_000, 500), rate(10_000, 505))];
    let day_1 = on_day(1, &plan, &nothing, None);
    assert_eq!((day_1.running.first_crossing, day_1.is_significant), (None, false));
    let day_2 = on_day(2, &plan, &gain(), Some(&day_1.running));
    assert_eq!((day_2.running.first_crossing.unwrap().as_of, day_2.is_significant), (2 * 86_400, true));
    let more = [phase(rate(21_000, 1050), rate(21_000, 1365))];
    let day_3 = on_day(3, &plan, &more, Some(&day_2.running));
    assert_eq!(day_3.running.first_crossing, day_2.running.first_crossing, "the first one stays");
    let faded = [phase(rate(40_000, 2300), rate(40_000, 2400))];
    let day_4 = on_day(4, &plan, &faded, Some(&day_3.running));
    assert!(day_4.running.first_crossing.is_some() && !day_4.is_significant && day_4.p_running < 0.05);
    // A reading that is not trusted is no evidence, however clear.
    let health = DataHealth { is_stale: true, ..DataHealth::default() };
    let phases = gain();
    let stale = Evaluation {
        cohorts: None,
        plan: &plan,
        phases: &phases,
        elapsed_days: 9.0,
        as_of: 0,
        guardrails: &[],
        health,
        scope: Scope::default(),
    };
    let stale = evaluate(&stale, None);
    assert!(stale.ci.unwrap().excludes(0.0) && !stale.is_significant && stale.running.first_crossing.is_none());
}

#[test]
fn a_changed_effect_is_a_changed_plan_however_small_its_unit() {
    let fine = TestPlan { mde_abs: Some(1e-5), ..TestPlan::default() };
    let first = on_day(1, &fine, &gain(), None);
    let same = TestPlan { mde_abs: Some(1e-5 * (1.0 + 1e-12)), ..TestPlan::default() };
    assert_eq!(on_day(2, &same, &gain(), Some(&first.running)).epoch, 1);
    let other = TestPlan { mde_abs: Some(1.001e-5), ..TestPlan::default() };
    assert_eq!(on_day(2, &other, &gain(), Some(&first.running)).epoch, 2);
}

#[test]
fn tau_from_the_first_poll_by_hand() {
    let phases = gain();
    let variance = on_day(1, &plan(), &phases, None).standard_error.unwrap().powi(2);
    let tau = |plan: TestPlan| on_day(1, &plan, &phases, None).tuning.unwrap();
    let r = r_star(Alpha::DEFAULT).r_star;
    let fallback = tau(TestPlan::default());
    assert_eq!(fallback.source, TuningSource::Fallback);
    assert!(close(fallback.tau.get(), (r * variance * 40_000.0 / 10_000.0).sqrt(), 1e-12));
    let planned = tau(TestPlan { max_sample_size: Some(160_000), ..TestPlan::default() });
    assert!(close(planned.tau.get(), (r * variance * 40_000.0 / 160_000.0).sqrt(), 1e-12));
    assert_eq!(tau(TestPlan { max_sample_size: Some(0), ..TestPlan::default() }), fallback);
    // Of a guardrail: one-sided, so at twice its alpha.
    let reading =
        GuardrailReading::RelativeToControl(Comparison::new(&phases, HarmDirection::Increase, Margin::Absolute(0.0)));
    let guarded = [Guardrail { name: "guard", must_prove: false, reading }];
    let (plan, health) = (plan(), DataHealth::default());
    let input = Evaluation {
        cohorts: None,
        plan: &plan,
        phases: &phases,
        elapsed_days: 9.0,
        as_of: 0,
        guardrails: &guarded,
        health,
        scope: Scope::default(),
    };
    let tuning = evaluate(&input, None).running.guardrails[0].tuning.unwrap();
    let r = r_star(Alpha::try_new(0.1).unwrap()).r_star;
    assert!(close(tuning.tau.get(), (r * variance * 4.0).sqrt(), 1e-12));
}

#[test]
fn an_effect_of_zero_is_no_effect_to_detect() {
    assert_eq!(TestPlan { mde_abs: Some(0.0), ..TestPlan::default() }.fixed_mde(), None);
    assert_eq!(TestPlan { mde_abs: Some(f64::INFINITY), ..TestPlan::default() }.fixed_mde(), None);
    assert_eq!(TestPlan { mde_abs: Some(-0.02), ..TestPlan::default() }.fixed_mde(), Some(0.02));
    assert!(Variance::try_new(0.0).is_err() && Tau::try_new(0.0).is_err() && Alpha::try_new(0.0).is_err());
    assert!(Alpha::try_new(1.0).is_err() && Variance::try_new(f64::INFINITY).is_err());
}

// Guardrails.

#[test]
fn the_numbers_of_a_guardrail_by_hand() {
    let phases = gain();
    let of = |margin, harm_direction| {
        guard(GuardrailReading::RelativeToControl(Comparison::new(&phases, harm_direction, margin)))
    };
    let (v_control, v_treatment): (f64, f64) = (0.05 * 0.95 / 19_999.0, 0.065 * 0.935 / 19_999.0);
    let evidence = |effect: f64, null: f64, variance: f64, tau: f64| {
        ln_e_one_sided((effect - null) / variance.sqrt(), tau * tau / variance)
    };
    let check = |got: &GuardrailResult, harm: f64, bound: f64, ln_e: f64| {
        assert_eq!((got.status, got.must_prove, got.is_alerting, got.n_consecutive), (Status::Ok, false, false, 0));
        assert!(close(got.value.unwrap(), harm, 1e-9) && close(got.bound.unwrap(), bound, 1e-9), "{got:?}");
        assert!(close(got.ln_e_breached.unwrap(), ln_e, 1e-9), "{got:?} {ln_e}");
        let variance = v_control + v_treatment;
        let width = variance.sqrt() * boundary(bound * bound / variance, Alpha::DEFAULT, Alternative::Greater);
        assert!(close(got.lower.unwrap(), harm - width, 1e-9) && close(got.upper.unwrap(), harm + width, 1e-9));
    };
    let absolute = of(Margin::Absolute(0.005), HarmDirection::Increase);
    check(&absolute, 0.015, 0.005, evidence(0.015, 0.005, v_control + v_treatment, 0.005));
    assert!(absolute.deteriorated && absolute.breached && !absolute.non_inferior);
    let good = of(Margin::Absolute(0.005), HarmDirection::Decrease);
    check(&good, -0.015, 0.005, evidence(-0.015, 0.005, v_control + v_treatment, 0.005));
    assert!(!good.deteriorated && !good.breached && good.non_inferior);
    // Relative to control: P - 1.25 Q, and for less harm 0.75 Q - P.
    let relative = of(Margin::RelativeToControl(0.25), HarmDirection::Increase);
    check(&relative, 0.015, 0.0125, evidence(0.065 - 0.0625, 0.0, v_treatment + 1.5625 * v_control, 0.0125));
    assert!(relative.deteriorated && !relative.breached && !relative.non_inferior);
    let less = of(Margin::RelativeToControl(0.25), HarmDirection::Decrease);
    check(&less, -0.015, 0.0125, evidence(0.0375 - 0.065, 0.0, v_treatment + 0.5625 * v_control, 0.0125));
    assert!(!less.deteriorated && !less.breached && less.non_inferior);
}

#[test]
fn the_numbers_of_limits_by_hand() {
    let rate =
        guard(GuardrailReading::RateLimit { successes: 100, n: 20_000, of_step: None, limit: Limit::Max(0.004) });
    let want = rate_confidence(100, 20_000, 0.004, Alpha::DEFAULT).unwrap();
    assert_eq!((rate.status, rate.value, rate.bound), (Status::Ok, Some(0.005), Some(0.004)));
    assert_eq!((rate.lower, rate.upper, rate.ln_e_breached), (want.ci.lower, want.ci.upper, Some(want.ln_e)));
    let limit = Limit::Min(3.0);
    let value = guard(GuardrailReading::ValueLimit(ValueLimit {
        value: Some(2.0),
        n: None,
        limit,
        consecutive: 2,
        rule: ValueRule::InARow,
    }));
    assert_eq!((value.status, value.value, value.bound), (Status::Ok, Some(2.0), Some(3.0)));
    assert_eq!((value.n_consecutive, value.is_alerting, value.breached), (1, false, false));
}

#[test]
fn a_reading_that_is_missing_neither_adds_to_nor_ends_a_row_of_alarms() {
    let (plan, phases, health) = (plan(), gain(), DataHealth::default());
    let mut state: Option<RunningState> = None;
    let mut counts = Vec::new();
    for (day, value) in [(1, Some(9.0)), (2, None), (3, Some(9.0)), (4, Some(1.0))] {
        let reading = GuardrailReading::ValueLimit(ValueLimit {
            value,
            n: None,
            limit: Limit::Max(5.0),
            consecutive: 3,
            rule: ValueRule::InARow,
        });
        let guardrails = [Guardrail { name: "guard", must_prove: false, reading }];
        let input = Evaluation {
            cohorts: None,
            plan: &plan,
            phases: &phases,
            elapsed_days: 9.0,
            as_of: day * 86_400,
            guardrails: &guardrails,
            health,
            scope: Scope::default(),
        };
        let got = evaluate(&input, state.as_ref());
        counts.push((got.guardrails[0].n_consecutive, got.running.guardrails[0].days.n_consecutive));
        state = Some(got.running);
    }
    assert_eq!(counts, [(1, 1), (1, 1), (2, 2), (0, 0)]);
}

#[test]
fn a_guardrail_keeps_the_tau_of_its_first_poll() {
    let plan = plan();
    let mut state: Option<RunningState> = None;
    let mut taus = Vec::new();
    for (day, n) in [(1, 20_000), (2, 80_000)] {
        let phases = [phase(rate(n, n / 20), rate(n, n / 20))];
        let (harm_direction, margin) = (HarmDirection::Increase, Margin::Absolute(0.0));
        let reading = GuardrailReading::RelativeToControl(Comparison::new(&phases, harm_direction, margin));
        let guardrails = [Guardrail { name: "guard", must_prove: false, reading }];
        let health = DataHealth::default();
        let input = Evaluation {
            cohorts: None,
            plan: &plan,
            phases: &phases,
            elapsed_days: 9.0,
            as_of: day * 86_400,
            guardrails: &guardrails,
            health,
            scope: Scope::default(),
        };
        let got = evaluate(&input, state.as_ref());
        taus.push(got.running.guardrails[0].tuning);
        state = Some(got.running);
    }
    assert!(taus[0].is_some() && taus[0] == taus[1], "{taus:?}");
}

#[test]
fn a_bare_value_at_its_limit_does_not_cross_it() {
    let crossed = |value, limit| {
        guard(GuardrailReading::ValueLimit(ValueLimit {
            value: Some(value),
            n: None,
            limit,
            consecutive: 1,
            rule: ValueRule::InARow,
        }))
        .is_alerting
    };
    for (value, is_below, is_above) in [(9.9, true, false), (10.0, false, false), (10.1, false, true)] {
        assert_eq!(crossed(value, Limit::Min(10.0)), is_below);
        assert_eq!(crossed(value, Limit::Max(10.0)), is_above);
    }
    let few = |n| {
        let limit = Limit::Max(1.0);
        guard(GuardrailReading::ValueLimit(ValueLimit {
            value: Some(2.0),
            n: Some(n),
            limit,
            consecutive: 1,
            rule: ValueRule::InARow,
        }))
        .is_alerting
    };
    assert!(!few(99) && few(100));
}

#[test]
fn a_limit_or_a_value_that_is_no_number_is_invalid() {
    let of = |value, limit| {
        guard(GuardrailReading::ValueLimit(ValueLimit {
            value,
            n: None,
            limit,
            consecutive: 1,
            rule: ValueRule::InARow,
        }))
        .status
    };
    let invalid = Status::Invalid { reason: InvalidInput::NotFinite };
    assert_eq!(of(Some(1.0), Limit::Max(f64::INFINITY)), invalid);
    assert_eq!(of(Some(f64::NAN), Limit::Max(1.0)), invalid);
    assert_eq!(of(None, Limit::Max(1.0)), invalid);
    assert_eq!(of(Some(1.0), Limit::Max(2.0)), Status::Ok);
}

#[test]
fn a_margin_below_zero_or_without_end_is_refused() {
    let phases = gain();
    let parameter = Status::Invalid { reason: InvalidInput::Parameter };
    for bad in [-0.01, f64::INFINITY, f64::NAN] {
        for margin in [Margin::Absolute(bad), Margin::RelativeToControl(bad)] {
            let harm_direction = HarmDirection::Increase;
            let reading = GuardrailReading::RelativeToControl(Comparison::new(&phases, harm_direction, margin));
            assert_eq!(guard(reading).status, parameter, "{margin:?}");
        }
        let harm = Estimate { delta: 0.1, variance: Variance::try_new(0.01).unwrap() };
        let tau = Tau::try_new(0.1).unwrap();
        let got = guardrail_test(&harm, bad, tau, Alpha::DEFAULT, Alpha::DEFAULT);
        assert_eq!(got, Err(InvalidInput::Parameter));
    }
}

#[test]
fn each_bound_of_a_guardrail_has_its_own_alpha() {
    let harm = Estimate { delta: 0.1, variance: Variance::try_new(0.01).unwrap() };
    let tau = Tau::try_new(0.2).unwrap();
    let half_width = |alpha| 0.1 * boundary(4.0, alpha, Alternative::Greater);
    let strict = Alpha::try_new(0.01).unwrap();
    for (breach, safe) in [(strict, Alpha::DEFAULT), (Alpha::DEFAULT, strict), (strict, strict)] {
        let test = guardrail_test(&harm, 0.05, tau, breach, safe).unwrap();
        assert!(close(test.harm_lower.unwrap(), 0.1 - half_width(breach), 1e-12));
        assert!(close(test.harm_upper.unwrap(), 0.1 + half_width(safe), 1e-12));
    }
}

#[test]
fn a_rate_whose_bound_is_its_limit_is_neither_beyond_nor_safe() {
    let of = |limit| guard(GuardrailReading::RateLimit { successes: 100, n: 20_000, of_step: None, limit });
    let any = of(Limit::Max(0.5));
    let (lower, upper) = (any.lower.unwrap(), any.upper.unwrap());
    let flags = |limit| (of(limit).breached, of(limit).non_inferior);
    assert_eq!(flags(Limit::Max(lower)), (false, false));
    assert_eq!(flags(Limit::Max(lower * (1.0 - 1e-12))), (true, false));
    assert_eq!(flags(Limit::Max(upper)), (false, false));
    assert_eq!(flags(Limit::Max(upper * (1.0 + 1e-12))), (false, true));
    assert_eq!(flags(Limit::Min(upper)), (false, false));
    assert_eq!(flags(Limit::Min(upper * (1.0 + 1e-12))), (true, false));
    assert_eq!(flags(Limit::Min(lower)), (false, false));
    assert_eq!(flags(Limit::Min(lower * (1.0 - 1e-12))), (false, true));
}

// Levels, phases, lifts.

#[test]
fn the_variance_of_a_sum_of_phases_counts_covariance() {
    let one = Contrast { treatment: 3.0, control: 2.0, var_treatment: 1.0, var_control: 2.0, covariance: 0.5 };
    let two = combine_phases(&[one, one], 1.0).unwrap();
    let want = Contrast { var_treatment: 0.5, var_control: 1.0, covariance: 0.25, ..one };
    assert_eq!(two, want);
}

#[test]
fn a_phase_without_variance_cannot_be_weighed() {
    let of = |variance| {
        let (var_treatment, var_control) = (variance, variance);
        Contrast { treatment: 3.0, control: 2.0, var_treatment, var_control, covariance: 0.0 }
    };
    for bad in [0.0, f64::INFINITY, f64::NAN] {
        assert_eq!(combine_phases(&[of(bad), of(bad)], 1.0), Err(InvalidInput::OutOfRange), "{bad}");
    }
    assert_eq!(combine_phases(&[of(0.0), of(1.0)], 1.0), Err(InvalidInput::OutOfRange));
    assert_eq!(combine_phases(&[], 1.0), Err(InvalidInput::OutOfRange));
}

#[test]
fn an_interval_that_just_touches_zero_touches_it_in_both_scales() {
    // Standard errors and boundary without rounding: the effect of 2 is exactly the half-width.
    for (treatment, control) in [(12.0, 10.0), (8.0, 10.0), (-12.0, -10.0), (-8.0, -10.0)] {
        let contrast = Contrast { treatment, control, var_treatment: 0.5, var_control: 0.5, covariance: 0.0 };
        let ci = fieller_lift(&contrast, 2.0, Alternative::TwoSided).unwrap();
        assert!(!ci.excludes(0.0), "{contrast:?} {ci:?}");
        let just = fieller_lift(&contrast, 2.0 * (1.0 - 1e-15), Alternative::TwoSided).unwrap();
        assert!(just.excludes(0.0), "{contrast:?} {just:?}");
    }
}

#[test]
fn a_tiny_relative_interval_keeps_its_digits_with_covariance_and_in_every_unit() {
    for unit in [1e-6, 1.0, 1e6] {
        let (var_treatment, var_control) = (1e-18 * unit * unit, 1e-18 * unit * unit);
        let covariance = 0.5e-18 * unit * unit;
        let contrast = Contrast { treatment: unit, control: unit, var_treatment, var_control, covariance };
        // vP - 2c + vQ is 1e-18: half-width 3e-9.
        let ci = fieller_lift(&contrast, 3.0, Alternative::TwoSided).unwrap();
        assert!(close(ci.lower.unwrap(), -3e-9, 1e-6) && close(ci.upper.unwrap(), 3e-9, 1e-6), "{unit} {ci:?}");
    }
}

#[test]
fn the_delta_method_by_hand() {
    let contrast = Contrast { treatment: 6.0, control: 4.0, var_treatment: 0.04, var_control: 0.01, covariance: 0.0 };
    let got = delta_method_lift(&contrast, 2.0).unwrap();
    let variance = (0.04 + 0.01 * 2.25) / 16.0;
    assert!(close(got.lift, 0.5, 1e-12) && close(got.variance, variance, 1e-12));
    assert!(close(got.ci.upper.unwrap(), 0.5 + 2.0 * f64::sqrt(variance), 1e-12));
}

// Covariates.

fn cuped_arm(n: u64, y: (f64, f64), x: (f64, f64), cross: f64) -> CupedArm {
    CupedArm::try_new(Moments::try_new(n, y.0, y.1).unwrap(), Moments::try_new(n, x.0, x.1).unwrap(), cross).unwrap()
}

#[test]
fn an_outcome_that_is_its_covariate_leaves_no_variance() {
    // y = 3x, but for a rounding error in the sum of y^2, whose scale is that of both sums of squares.
    let adjusted = |rounding: f64| {
        let y = (15_000.0, 234_000.0 * (1.0 + rounding));
        let arm = cuped_arm(1000, y, (5000.0, 26_000.0), 78_000.0);
        cuped(&arm, &arm).1.variance
    };
    assert_eq!(adjusted(1.8e-12), 0.0);
    assert!(adjusted(2.2e-12) > 0.0);
}

#[test]
fn arms_of_one_and_two_units_have_the_right_covariance() {
    let two = cuped_arm(2, (1.0, 1.0), (1.0, 1.0), 1.0);
    let (contrast, adjustment) = cuped(&two, &two);
    assert_eq!((adjustment.theta, contrast.covariance), (1.0, 0.25));
    let one = cuped_arm(1, (1.0, 1.0), (1.0, 1.0), 1.0);
    assert_eq!(cuped(&one, &two).0.covariance, 0.0);
}

#[test]
fn the_unit_of_a_covariate_does_not_matter() {
    let at = |c: f64| {
        let arm = |y, cross: f64| cuped_arm(1000, (y, 30_000.0), (4000.0 * c, 20_000.0 * c * c), cross * c);
        cuped(&arm(5000.0, 22_000.0), &arm(5100.0, 22_100.0)).1
    };
    for power in [-40, 40] {
        let c = 2.0_f64.powi(power);
        assert_eq!((at(c).effect, at(c).variance, at(c).theta * c), (at(1.0).effect, at(1.0).variance, at(1.0).theta));
    }
    assert_eq!(at(1.0).variance_reduction.unwrap(), 1.0 - at(1.0).variance / at(1.0).raw_variance);
    let constant = cuped_arm(1000, (5000.0, 25_000.0), (4000.0, 20_000.0), 20_000.0);
    assert_eq!(cuped(&constant, &constant).1.variance_reduction, None);
}

// Counts, rates, quantiles.

#[test]
fn weights_of_counts_are_positive_numbers() {
    for (a, b) in [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY), (1e308, 1e-308)] {
        assert_eq!(count_test(5, 6, a, b, Alpha::DEFAULT), Err(InvalidInput::Parameter), "{a} {b}");
        assert_eq!(count_test(5, 6, b, a, Alpha::DEFAULT), Err(InvalidInput::Parameter), "{b} {a}");
    }
    assert_eq!(count_test(0, 0, 1.0, 1.0, Alpha::DEFAULT).unwrap().rate_ratio, None);
}

#[test]
fn a_target_is_a_rate_between_zero_and_one() {
    for target in [0.0, 1.0, -0.5, 2.0, f64::NAN] {
        assert_eq!(rate_confidence(5, 10, target, Alpha::DEFAULT), Err(InvalidInput::Parameter), "{target}");
    }
    let none = rate_confidence(0, 0, 0.5, Alpha::DEFAULT).unwrap();
    assert_eq!((none.rate, none.ln_e, none.ci.lower, none.ci.upper), (None, 0.0, Some(0.0), Some(1.0)));
    let zero = rate_confidence(0, 100, 0.5, Alpha::DEFAULT).unwrap();
    assert!((0.01..0.2).contains(&zero.ci.upper.unwrap()) && zero.ci.lower == Some(0.0));
    let all = rate_confidence(100, 100, 0.5, Alpha::DEFAULT).unwrap();
    assert!((0.8..0.99).contains(&all.ci.lower.unwrap()) && all.ci.upper == Some(1.0));
}

#[test]
fn bounds_enclose_their_quantile() {
    let arm = |lower, value, upper| QuantileArm { value, lower, upper };
    let good = arm(9.0, 10.0, 11.0);
    for bad in [arm(10.1, 10.0, 11.0), arm(9.0, 10.0, 9.9), arm(11.0, 10.0, 9.0)] {
        assert_eq!(quantile_estimate(&good, &bad), Err(InvalidInput::BoundsOutOfOrder));
    }
    assert_eq!(quantile_estimate(&arm(9.0, f64::NAN, 11.0), &good), Err(InvalidInput::NotFinite));
    let estimate = quantile_estimate(&good, &arm(11.0, 13.0, 15.0)).unwrap();
    let se = |width: f64| width / (2.0 * 1.959_963_984_540_054);
    assert!(close(estimate.variance.get(), se(2.0).powi(2) + se(4.0).powi(2), 1e-12));
    assert!(close(estimate.delta, 3.0, 1e-12));
    assert_eq!(quantile_estimate(&arm(9.0, 9.0, 9.0), &arm(9.0, 9.0, 9.0)), Err(InvalidInput::OutOfRange));
}

#[test]
fn an_adjusted_maximum_near_zero_keeps_its_digits() {
    for l in [1e-8, 1e-5, 9e-4] {
        let series: f64 = 0.5 + l / 6.0 + l * l / 24.0;
        assert!((adjust_running_max(l) - series.ln()).abs() < 1e-12, "{l}");
    }
    assert_eq!(adjust_running_max(f64::INFINITY), f64::INFINITY);
    assert_eq!(adjust_running_max(f64::NAN), f64::NEG_INFINITY);
}

// Series.

#[test]
fn a_trend_widens_the_interval_of_a_level() {
    // Deviations -2.5 .. 2.5: centred 17.5, lagged 8.75, so phi = 1/2 and an inflation of 3.
    let got = level_vs_target(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.5, Alpha::DEFAULT);
    assert!(close(got.autocorrelation.unwrap(), 0.5, 1e-12));
    assert!(close(got.se.unwrap(), (17.5_f64 / 5.0 * 3.0 / 6.0).sqrt(), 1e-12));
    let nu = 5.0 / 3.0;
    assert!(close(got.degrees_of_freedom.unwrap(), nu, 1e-12));
    let t2 = 9.0 / 1.75 / nu;
    let ln_e = -0.5 * 3.0_f64.ln() + 0.5 * (nu + 1.0) * (f64::ln_1p(t2) - f64::ln_1p(t2 / 3.0));
    assert!(close(got.ln_e.unwrap(), ln_e, 1e-12), "r = 6 / 3");
    // Never less than one degree of freedom.
    let steep = level_vs_target(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 0.5, Alpha::DEFAULT);
    assert!(steep.autocorrelation.unwrap() <= 0.8 && steep.degrees_of_freedom.unwrap() >= 1.0);
}

#[test]
fn before_and_after_by_hand() {
    // Within each run the deviations are -1.5 .. 1.5 and -0.5, 0.5: centred 5.5, lagged 1 (1.25 - 0.25).
    let got = pre_post(&[1.0, 2.0, 3.0, 4.0], &[9.0, 10.0], Alpha::DEFAULT);
    let phi = 1.0 / 5.5;
    let inflation = (1.0 + phi) / (1.0 - phi);
    assert!(close(got.autocorrelation.unwrap(), phi, 1e-12) && close(got.difference.unwrap(), 7.0, 1e-12));
    assert!(close(got.se.unwrap(), f64::sqrt(5.5 / 4.0 * inflation * 0.75), 1e-12));
    assert!(close(got.degrees_of_freedom.unwrap(), 4.0 / inflation, 1e-12));
    let (nu, r) = (4.0 / inflation, 1.0 / (inflation * 0.75));
    let t2 = got.t.unwrap().powi(2) / nu;
    let ln_e = -0.5 * f64::ln_1p(r) + 0.5 * (nu + 1.0) * (f64::ln_1p(t2) - f64::ln_1p(t2 / (1.0 + r)));
    assert!(close(got.ln_e.unwrap(), ln_e, 1e-12));
}

#[test]
fn a_series_needs_its_blocks_and_numbers() {
    let too_few = |have: f64, need: f64| Status::InsufficientSample { gate: StartGate::UnitsPerArm, have, need };
    let not_finite = Status::Invalid { reason: InvalidInput::NotFinite };
    let level = |blocks: &[f64], target| level_vs_target(blocks, target, Alpha::DEFAULT).status;
    assert_eq!(level(&[1.0, 2.0, 1.0], 1.0), too_few(3.0, 4.0));
    assert_eq!(level(&[1.0, 2.0, 1.0, 2.0], 1.0), Status::Ok);
    assert_eq!(level(&[1.0, 2.0, 1.0, 2.0], f64::NAN), not_finite);
    assert_eq!(level(&[1.0, 2.0, 1.0, f64::INFINITY], 1.0), not_finite);
    let pair = |pre: &[f64], post: &[f64]| pre_post(pre, post, Alpha::DEFAULT).status;
    assert_eq!(pair(&[1.0, 2.0, 1.0], &[1.0, 2.0]), too_few(3.0, 4.0));
    assert_eq!(pair(&[1.0, 2.0, 1.0, 2.0], &[1.0]), too_few(1.0, 2.0));
    assert_eq!(pair(&[1.0, 2.0, 1.0, 2.0], &[1.0, 2.0]), Status::Ok);
    assert_eq!(pair(&[1.0, 2.0, 1.0, 2.0], &[1.0, f64::NAN]), not_finite);
}

#[test]
fn a_series_that_moves_by_a_millionth_is_constant() {
    let of = |step: f64| level_vs_target(&[1e6, 1e6 + step, 1e6, 1e6 + step], 0.0, Alpha::DEFAULT).status;
    assert_eq!(of(1.9), Status::ZeroVariance);
    assert_eq!(of(2.1), Status::Ok);
}

#[test]
fn a_level_whose_bound_is_the_target_is_not_distinguishable() {
    let blocks = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8];
    let test = level_vs_target(&blocks, 0.0, Alpha::DEFAULT);
    let ci = test.ci.unwrap();
    for (target, above, below) in [
        (ci.lower.unwrap(), SeriesVerdict::NotDistinguishable, SeriesVerdict::NotDistinguishable),
        (ci.upper.unwrap(), SeriesVerdict::NotDistinguishable, SeriesVerdict::NotDistinguishable),
        (ci.lower.unwrap() - 1e-9, SeriesVerdict::TargetMet, SeriesVerdict::TargetMissed),
        (ci.upper.unwrap() + 1e-9, SeriesVerdict::TargetMissed, SeriesVerdict::TargetMet),
    ] {
        assert_eq!(test.verdict(target, Direction::Increase), above);
        assert_eq!(test.verdict(target, Direction::Decrease), below);
    }
}

// Words.

#[test]
fn every_verdict_reads_well() {
    let reason = |plan: TestPlan, day, phases: &[Phase]| on_day(day, &plan, phases, None).advice.reason;
    let vague = [phase(rate(2000, 100), rate(2000, 112))];
    const LEVELS: &str = "95 % at the lower end, 97.5 % at the upper end, 92.5 % together";
    let within = "[-1.712, +2.913] points";
    assert_eq!(reason(plan(), 3, &vague), format!("Not settled yet: the effect is within {within} ({LEVELS})."));
    let at_end = TestPlan { max_sample_size: Some(4000), ..plan() };
    let want = format!(
        "The plan reached its maximum sample size without an answer: the effect is within {within} ({LEVELS})."
    );
    assert_eq!(reason(at_end, 14, &vague), want);
    let nothing = [phase(rate(20, 1), rate(20, 1))];
    let by_days = TestPlan { max_days: Some(14), ..plan() };
    let want = "The plan reached its maximum number of days with too little data for an answer.";
    assert_eq!(reason(by_days, 14, &nothing), want);
    let waiting = TestPlan { min_sample_size: 50_000, ..plan() };
    let want = "The effect is above the success threshold; waiting for the minimum sample of 50,000 units.";
    assert_eq!(reason(waiting, 14, &gain()), want);
    let want = "The effect is above the success threshold; waiting for the minimum of 7 days.";
    assert_eq!(reason(waiting, 3, &gain()), want);
    let silent = [phase(rate(1000, 0), rate(1000, 0))];
    assert_eq!(reason(plan(), 3, &silent), "Nothing to test yet: all units have the same value.");
    let ratio = ArmSums::Ratio {
        n: 1000,
        numerator_sum: 50.0,
        numerator_sum_squares: 50.0,
        denominator_sum: 0.0,
        denominator_sum_squares: 10.0,
        cross_sum: 0.0,
    };
    assert_eq!(reason(plan(), 3, &[phase(ratio, ratio)]), "Nothing to test yet: the denominator is zero.");
    let skewed = [phase(rate(50_000, 2500), rate(52_500, 3500))];
    assert!(
        reason(plan(), 3, &skewed).starts_with("Units do not arrive in the declared proportions (sequential p-value ")
    );
    let flat = [phase(rate(200_000, 10_000), rate(200_000, 10_020))];
    assert!(
        reason(plan(), 14, &flat)
            .starts_with("The declared effect of +1 point is excluded: the one-sided 90 % upper bound is +0.")
    );
}

#[test]
fn what_an_alert_says() {
    let phases = gain();
    let reading = GuardrailReading::ValueLimit(ValueLimit {
        value: Some(900.0),
        n: None,
        limit: Limit::Max(800.0),
        consecutive: 1,
        rule: ValueRule::InARow,
    });
    let guardrails = [Guardrail { name: "p95_ms", must_prove: false, reading }];
    let (plan, health) = (plan(), DataHealth::default());
    let input = Evaluation {
        cohorts: None,
        plan: &plan,
        phases: &phases,
        elapsed_days: 9.0,
        as_of: 0,
        guardrails: &guardrails,
        health,
        scope: Scope::default(),
    };
    let got = evaluate(&input, None).advice;
    assert_eq!(got.recommendation, Recommendation::HoldAlert);
    let want = "`p95_ms` has been beyond its limit for 1 reading (operational alert, no statistical claim).";
    assert_eq!(got.reason, want);
}

// The JSON interface.

#[test]
fn what_is_no_number_is_refused_by_name() {
    let error = |function, input| answer(function, input)["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!(error("bh", json!([1])), "`input` must be an object");
    assert_eq!(error("bh", json!({ "p": ["nope"] })), "`p` must be a list of numbers");
    assert_eq!(error("bh", json!({ "p": 1 })), "`p` must be a list");
    assert_eq!(error("r_star", json!({ "alpha": "" })), "`alpha` must be a number");
    assert_eq!(error("cuped", json!({ "a": 1 })), "`a` must be an object");
    assert_eq!(error("srm", json!({ "counts": [1], "weights": [1, 2] })), "`weights` must be as many as `counts`");
    let kind = error("ab", json!({ "kind": "median", "control": { "n": 1 }, "treatment": { "n": 1 } }));
    assert_eq!(kind, "`kind` must be `proportion`, `mean`, `ratio` or `cuped`");
    // Infinite evidence is a word.
    let got = answer("e_bh", json!({ "log_e": ["-inf", 5.0, "inf"] }));
    assert_eq!(got["rejected"], json!([false, true, true]));
}

#[test]
fn a_quantile_without_spread_in_one_arm_can_be_tested() {
    let arm = |half: f64| json!({ "q": 200.0, "lo": 200.0 - half, "hi": 200.0 + half });
    let of = |a, b| answer("quantile", json!({ "control": arm(a), "treatment": arm(b), "tau": 1.0 }));
    assert_eq!(of(0.0, 0.0)["status"], "zero_variance");
    assert!(of(0.0, 5.0)["log_e"].is_number() && of(5.0, 0.0)["log_e"].is_number());
}

#[test]
fn a_covariance_is_at_most_the_product_of_its_errors() {
    let of = |covariance: f64| {
        answer("fieller", json!({ "P": 5.0, "Q": 4.0, "vP": 0.04, "vQ": 0.09, "cPQ": covariance, "boundary": 3.0 }))
    };
    for good in [0.0, 0.06 * (1.0 + 5e-7), -0.06] {
        assert!(of(good)["lift_ci"][0].is_number(), "{good}");
    }
    for bad in [0.06 * (1.0 + 2e-6), 0.07, -0.07] {
        assert_eq!(of(bad)["reason"], "cross_product_too_large", "{bad}");
    }
    let negative = answer("lift_delta", json!({ "ma": 4.0, "mb": 5.0, "va": -1.0, "vb": 0.01, "boundary": 3.0 }));
    assert_eq!(negative["reason"], "parameter");
}
