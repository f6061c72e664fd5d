//! Input that is wrong, or as extreme as it can be: a status and a reason, never a panic, a NaN or an infinity.

use outcome_stats::{
    Alpha, Alternative, ArmSums, Comparison, DataHealth, Evaluation, Guardrail, GuardrailReading, HarmDirection,
    InvalidInput, Limit, Margin, Phase, RunningState, Scope, Status, Tau, TestPlan, TwoArmResult, ValueLimit,
    ValueRule, eval_line, evaluate, two_arm_test,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::answer::broken_promise;
use crate::given::{any_side, assert_finite, assert_storable, cases, settings, ten};
use crate::requests::{places, requests};

/// Text of what may stand where something else was expected.
const HOSTILE: &[&str] = &[
    "0",
    "-0.0",
    "1",
    "-1",
    "0.5",
    "1e-12",
    "2",
    "100",
    "2e9",
    "-2e9",
    "1e6",
    "-1e6",
    "9007199254740993",
    "18446744073709551616",
    "-9223372036854775809",
    "1e15",
    "1e154",
    "-1e154",
    "1e200",
    "1e308",
    "-1e308",
    "5e-324",
    "1e-308",
    "1e-160",
    "1e400",
    "null",
    "true",
    "false",
    "\"\"",
    "\"NaN\"",
    "\"nan\"",
    "\"inf\"",
    "\"-inf\"",
    "\"Infinity\"",
    "\"1\"",
    "\"\\u0000\\ud800\"",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "[1]",
    "[0,0]",
    "[1e308,1e308]",
    "[-1e308,1e308]",
    "[\"inf\",\"-inf\"]",
    "[1,1,1]",
    "[0,0,0,0]",
    "[1e300,1,1e300,1,1e300]",
    "{\"n\":1}",
    "{\"delta\":1e308,\"var\":1e-308}",
    "[{}]",
    "[{\"delta\":1,\"var\":1e300}]",
    "NaN",
    "Infinity",
    "\"\n\"",
];

/// `request` with other texts at some places.
fn damaged(request: &Value, damage: &[(usize, String)]) -> String {
    let mut places_found = Vec::new();
    places(&request["input"], "/input", &mut places_found);
    places_found.push("/input".to_owned());
    let mut request = request.clone();
    for (i, (place, _)) in damage.iter().enumerate() {
        if let Some(slot) = request.pointer_mut(&places_found[place % places_found.len()]) {
            *slot = json!(format!("@{i}@"));
        }
    }
    // The texts need not be JSON, so they are put in afterwards.
    let mut line = request.to_string();
    for (i, (_, text)) in damage.iter().enumerate() {
        line = line.replace(&format!("\"@{i}@\""), text);
    }
    line
}

fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(HOSTILE).prop_map(str::to_owned),
        1 => any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
        1 => (-320.0..309.0_f64).prop_map(|e| format!("{:e}", ten(e))),
        1 => any::<i64>().prop_map(|n| n.to_string()),
    ]
}

fn answered(line: &str) {
    let answer = eval_line(line);
    if let Some(fault) = broken_promise(line, &answer) {
        panic!("{fault}");
    }
}

#[test]
fn every_function_answers_its_plain_request_with_numbers() {
    let known: Vec<Value> = requests();
    assert_eq!(known.iter().map(|r| r["fn"].as_str().unwrap()).collect::<std::collections::BTreeSet<_>>().len(), 23);
    for request in known {
        let line = request.to_string();
        answered(&line);
        let got: Value = serde_json::from_str(&eval_line(&line)).unwrap();
        assert_eq!(got.get("error"), None, "{line}");
        assert!(got.get("status").is_none_or(|s| s == "ok"), "{line} {got}");
    }
}

/// A plan may take a second without optimisation.
fn is_plan(request: &Value) -> bool {
    request["fn"] == "plan_constant" || request["fn"] == "sample_size"
}

#[test]
fn every_field_of_every_function_may_be_anything() {
    assert_answered(requests().into_iter().filter(|request| !is_plan(request)));
}

#[test]
fn every_field_of_a_plan_may_be_anything() {
    assert_answered(requests().into_iter().filter(is_plan));
}

fn assert_answered(requests: impl Iterator<Item = Value>) {
    let mut faults = Vec::new();
    for request in requests {
        let mut found = Vec::new();
        places(&request["input"], "", &mut found);
        for place in 0..=found.len() {
            for text in HOSTILE {
                // The default of a hundred looks takes seconds, and is planned elsewhere.
                let is_slow = is_plan(&request) && (place == found.len() || found[place].ends_with("/K"));
                if is_slow && matches!(*text, "100" | "null" | "{}" | "{\"n\":1}" | "{\"delta\":1e308,\"var\":1e-308}")
                {
                    continue;
                }
                let line = damaged(&request, &[(place, (*text).to_owned())]);
                faults.extend(broken_promise(&line, &eval_line(&line)));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn deep_nesting_and_long_lines_are_answered() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"input\":".repeat(100_000), "}".repeat(100_000));
    answered(&deep);
    answered(&objects);
    answered(&format!("{{\"id\": 1, \"fn\": \"bh\", \"input\": {{\"p\": {deep}}}}}"));
    answered(&format!("{{\"id\": 1, \"fn\": \"srm\", \"input\": {{\"counts\": {}}}}}", "9".repeat(100_000)));
    let many: Vec<f64> = (0..100_000).map(|i| f64::from(i) / 1e5).collect();
    answered(&json!({ "id": 1, "fn": "holm", "input": { "p": many } }).to_string());
    for not_a_request in
        ["", " ", "null", "[]", "\"fn\"", "{}", "{\"fn\": 5}", "{\"fn\": \"ab\"}", "\u{0}", "{\"id\": 1"]
    {
        answered(not_a_request);
    }
}

fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

fn mean(n: u64, sum: f64, sum_squares: f64) -> ArmSums {
    ArmSums::Mean { n, sum, sum_squares }
}

fn cuped(cross_sum: f64) -> ArmSums {
    let (covariate_sum, covariate_sum_squares) = (4000.0, 20_000.0);
    ArmSums::Cuped { n: 1000, sum: 5000.0, sum_squares: 30_000.0, covariate_sum, covariate_sum_squares, cross_sum }
}

fn ratio(n: u64, denominator_sum_squares: f64, cross_sum: f64) -> ArmSums {
    let (numerator_sum, numerator_sum_squares, denominator_sum) = (500.0, 600.0, 2000.0);
    ArmSums::Ratio { n, numerator_sum, numerator_sum_squares, denominator_sum, denominator_sum_squares, cross_sum }
}

fn tested(control: ArmSums, treatment: ArmSums) -> TwoArmResult {
    two_arm_test(&control, &treatment, false, &settings(0.05, 0.01, Alternative::TwoSided, 0.0))
}

#[test]
fn sums_that_cannot_be_true_are_invalid_for_a_reason_in_either_arm() {
    use InvalidInput as Why;
    let good = [rate(1000, 50), mean(1000, 5000.0, 30_000.0), cuped(22_000.0), ratio(1000, 5000.0, 1200.0)];
    let cases = [
        (rate(1000, 1001), Why::SuccessesExceedUnits),
        (mean(1000, f64::NAN, 30_000.0), Why::NotFinite),
        (mean(1000, 5000.0, f64::INFINITY), Why::NotFinite),
        (mean(1000, 5000.0, -1.0), Why::SumSquaresTooSmall),
        (mean(1000, 5000.0, 24_999.0), Why::SumSquaresTooSmall),
        (mean(0, 1.0, 1.0), Why::SumWithoutUnits),
        (mean(1000, 1e200, 1e300), Why::SumSquaresTooSmall),
        (cuped(25_000.0), Why::CrossProductTooLarge),
        (cuped(15_000.0), Why::CrossProductTooLarge),
        (cuped(f64::NEG_INFINITY), Why::NotFinite),
        (ratio(1000, 3999.0, 1200.0), Why::SumSquaresTooSmall),
        (ratio(1000, 5000.0, 1800.0), Why::CrossProductTooLarge),
        (ratio(1000, 5000.0, f64::NAN), Why::NotFinite),
        (ratio(0, 5000.0, 1200.0), Why::SumWithoutUnits),
    ];
    for (bad, reason) in cases {
        let same_kind = |arm: &&ArmSums| std::mem::discriminant(*arm) == std::mem::discriminant(&bad);
        let good = *good.iter().find(same_kind).unwrap();
        assert!(tested(good, good).status.is_ok() || matches!(tested(good, good).status, Status::ZeroVariance));
        for (control, treatment) in [(bad, good), (good, bad)] {
            let got = tested(control, treatment);
            assert_eq!(got.status, Status::Invalid { reason }, "{bad:?}");
            assert_eq!((got.p, got.ci, got.effect), (1.0, None, None));
        }
    }
    let other_kind = tested(rate(1000, 50), mean(1000, 50.0, 50.0));
    assert_eq!(other_kind.status, Status::Invalid { reason: Why::ArmsDiffer });
}

#[test]
fn the_reason_reaches_the_reader_of_json() {
    let ask = |control: &str, rest: &str| {
        let line = format!(
            r#"{{"id": 1, "fn": "ab", "input": {{"kind": "mean", "control": {control}, "treatment": {{"n": 1000, "sum": 1, "sum_sq": 9}}{rest}}}}}"#
        );
        answered(&line);
        let got: Value = serde_json::from_str(&eval_line(&line)).unwrap();
        assert_eq!((&got["status"], &got["p"], &got["ci"]), (&json!("invalid"), &json!(1.0), &Value::Null));
        got["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(ask(r#"{"n": -1, "sum": 0, "sum_sq": 0}"#, ""), "not_a_count");
    assert_eq!(ask(r#"{"n": 1.5, "sum": 0, "sum_sq": 0}"#, ""), "not_a_count");
    assert_eq!(ask(r#"{"n": 9, "sum": "inf", "sum_sq": 0}"#, ""), "not_finite");
    assert_eq!(ask(r#"{"n": 9, "sum": 9, "sum_sq": 1}"#, ""), "sum_squares_too_small");
    let good = r#"{"n": 1000, "sum": 1, "sum_sq": 9}"#;
    assert_eq!(ask(good, r#", "tau": 0"#), "parameter");
    assert_eq!(ask(good, r#", "tau": 1, "alpha": 1"#), "parameter");
    assert_eq!(ask(good, r#", "tau": 1, "alpha": 0"#), "parameter");
}

#[test]
fn the_smallest_and_the_largest_numbers_that_are_promised_work() {
    for alpha in [1e-12, 1e-6, 0.05, 0.5, 0.999] {
        for (control, treatment) in [
            (rate(2_000_000_000, 100_000_000), rate(2_000_000_000, 100_300_000)),
            (rate(2_000_000_000, 1_000_000), rate(100, 0)),
            (rate(100, 50), rate(2_000_000_000, 1_000_000_000)),
            (rate(2_000_000_000, 1_999_999_000), rate(2_000_000_000, 1_999_998_000)),
            (mean(2_000_000_000, 1e18, 1e27), mean(2_000_000_000, 1.0001e18, 1.1e27)),
        ] {
            for side in [Alternative::TwoSided, Alternative::Greater, Alternative::Less] {
                let tau = 0.001 * tested(control, treatment).effect.map_or(1.0, |x| x.abs().max(1e-3));
                let got = two_arm_test(&control, &treatment, false, &settings(alpha, tau, side, 0.0));
                assert_finite(&got);
                let is_small = matches!(got.status, Status::InsufficientSample { .. });
                assert!(got.status.is_ok() || is_small, "{got:?}");
            }
        }
    }
    // z of a million: p underflows, its logarithm does not.
    let far = tested(mean(1_000_000, 0.0, 1e6), mean(1_000_000, 1.414_213e9, 2e12 + 1e6));
    assert!(far.z.unwrap() > 7e5 && far.p <= 0.0 && far.ln_p < -1e11, "{far:?}");
}

#[test]
fn arms_without_variance_have_no_interval() {
    for (control, treatment) in [
        (rate(1000, 0), rate(1000, 0)),
        (rate(1000, 1000), rate(500, 500)),
        (mean(1000, 5000.0, 25_000.0), mean(1000, 7000.0, 49_000.0)),
    ] {
        let got = tested(control, treatment);
        assert_eq!((got.status, got.ci, got.lift_ci, got.p), (Status::ZeroVariance, None, None, 1.0));
    }
    let no_denominator = |n| ArmSums::Ratio {
        n,
        numerator_sum: 50.0,
        numerator_sum_squares: 50.0,
        denominator_sum: 0.0,
        denominator_sum_squares: 10.0,
        cross_sum: 0.0,
    };
    assert_eq!(tested(no_denominator(1000), no_denominator(1000)).status, Status::ZeroDenominator);
}

/// Any bits that are a number.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => any::<f64>().prop_filter("finite", |x| x.is_finite()),
        1 => prop::sample::select(&[0.0, -0.0, 1.0, -1.0, 5e-324, 1e-308, 1e154, -1e154, 1.7e308, -1.7e308, 1e-160][..]),
        1 => -1e6..1e6_f64,
    ]
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..5, 0_u64..100_000, any::<u64>(), Just(2_000_000_000)]
}

/// Sums that mostly cannot be true.
fn any_arm(kind: u8) -> impl Strategy<Value = ArmSums> {
    (any_count(), any_count(), prop::array::uniform5(any_number())).prop_map(
        move |(n, x, [s, q, d, e, c])| match kind {
            0 => ArmSums::Proportion { n, successes: x },
            1 => ArmSums::Mean { n, sum: s, sum_squares: q },
            2 => ArmSums::Ratio {
                n,
                numerator_sum: s,
                numerator_sum_squares: q,
                denominator_sum: d,
                denominator_sum_squares: e.abs(),
                cross_sum: c,
            },
            _ => ArmSums::Cuped {
                n,
                sum: s,
                sum_squares: q.abs(),
                covariate_sum: d,
                covariate_sum_squares: e.abs(),
                cross_sum: c,
            },
        },
    )
}

/// Sums of real data at the edges of double precision.
fn extreme_arm(kind: u8) -> impl Strategy<Value = ArmSums> {
    let unit = prop::array::uniform4(-150.0..150.0_f64);
    (100_u64..2_000_000_000, unit, -1.0..1.0_f64, 0.0..=1.0_f64).prop_map(move |(n, unit, correlation, share)| {
        let [mean_y, sd_y, mean_x, sd_x] = unit.map(ten);
        let units = n as f64;
        let (sum, sum_squares) = (units * mean_y, units * (mean_y * mean_y + sd_y * sd_y));
        let (sum_x, sum_squares_x) = (units * mean_x, units * (mean_x * mean_x + sd_x * sd_x));
        let cross_sum = units * (mean_x * mean_y + correlation * sd_x * sd_y);
        match kind {
            0 => ArmSums::Proportion { n, successes: (units * share) as u64 },
            1 => ArmSums::Mean { n, sum, sum_squares },
            2 => ArmSums::Ratio {
                n,
                numerator_sum: sum,
                numerator_sum_squares: sum_squares,
                denominator_sum: sum_x,
                denominator_sum_squares: sum_squares_x,
                cross_sum,
            },
            _ => ArmSums::Cuped {
                n,
                sum,
                sum_squares,
                covariate_sum: sum_x,
                covariate_sum_squares: sum_squares_x,
                cross_sum,
            },
        }
    })
}

fn arms() -> impl Strategy<Value = (ArmSums, ArmSums)> {
    (0_u8..4, any::<bool>()).prop_flat_map(|(kind, is_possible)| {
        if is_possible {
            (extreme_arm(kind).boxed(), extreme_arm(kind).boxed())
        } else {
            (any_arm(kind).boxed(), any_arm(kind).boxed())
        }
    })
}

fn any_plan() -> impl Strategy<Value = TestPlan> {
    let effects = prop::array::uniform6(prop::option::of(any_number()));
    let limits =
        (any_count(), prop::option::of(any_count()), any::<u32>(), prop::option::of(any::<u32>()), any::<u32>());
    (effects, limits, any::<bool>()).prop_map(|(effects, limits, is_signed)| {
        let [tau, mde_abs, mde_relative, baseline, success, kill] = effects;
        let (min_sample_size, max_sample_size, min_runtime_days, max_days, n_treatments) = limits;
        TestPlan {
            tau: tau.and_then(|tau| Tau::try_new(tau.abs()).ok()),
            mde_abs,
            mde_relative,
            baseline,
            success_threshold: success.unwrap_or(0.0),
            kill_threshold: kill.unwrap_or(0.0),
            min_sample_size,
            max_sample_size,
            min_runtime_days,
            max_days,
            n_treatments,
            is_signed,
            ..TestPlan::default()
        }
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_finite_sums_give_finite_results(
        (a, b) in arms(), tau in any_number(), null in any_number(), alpha in 1e-12..1.0_f64, side in any_side(),
        is_signed in any::<bool>(),
    ) {
        if let (Ok(tau), Ok(alpha)) = (Tau::try_new(tau), Alpha::try_new(alpha)) {
            assert_finite(&two_arm_test(&a, &b, is_signed, &settings(alpha.get(), tau.get(), side, null)));
        }
        // A tau that fits the data, so that they are tested.
        let first = two_arm_test(&a, &b, is_signed, &settings(0.05, 1.0, side, 0.0));
        assert_finite(&first);
        if let Some(tau) = first.variance.and_then(|v| Tau::try_new(v.sqrt()).ok()) {
            assert_finite(&two_arm_test(&a, &b, is_signed, &settings(alpha, tau.get(), side, 0.0)));
        }
    }

    #[test]
    fn any_poll_of_any_plan_gives_a_verdict_that_can_be_stored(
        phases in prop::collection::vec((arms(), any_number(), any_number()), 0..4), plan in any_plan(),
        guards in (any_number(), any_number(), any_count(), any_count(), any::<bool>(), any::<bool>()),
        as_of in prop::array::uniform2(any::<i64>()), elapsed in any_number(),
    ) {
        let phases: Vec<Phase> = (1..)
            .zip(phases)
            .map(|(number, ((control, treatment), control_weight, treatment_weight))| Phase {
                number,
                control_weight,
                treatment_weight,
                control,
                treatment,
            })
            .collect();
        let (margin, value, successes, n, is_relative, is_max) = guards;
        let limit = if is_max { Limit::Max } else { Limit::Min };
        let margin = if is_relative { Margin::RelativeToControl(margin) } else { Margin::Absolute(margin) };
        let harm_direction = if is_max { HarmDirection::Increase } else { HarmDirection::Decrease };
        let guard = |name, reading| Guardrail { name, must_prove: is_relative, reading };
        let guardrails = [
            guard("compared", GuardrailReading::RelativeToControl(Comparison { is_signed: is_max, ..Comparison::new(&phases, harm_direction, margin) })),
            guard("rate", GuardrailReading::RateLimit { successes, n, of_step: None, limit: limit(value) }),
            guard("value", GuardrailReading::ValueLimit(ValueLimit { value: Some(value), n: Some(n), limit: limit(0.0), consecutive: 3, rule: ValueRule::InARow })),
            guard("nothing", GuardrailReading::ValueLimit(ValueLimit { value: None, n: None, limit: limit(value), consecutive: 0, rule: ValueRule::InARow })),
        ];
        let health = DataHealth::default();
        let mut state: Option<RunningState> = None;
        for as_of in as_of {
            let input =
                Evaluation { cohorts: None, plan: &plan, phases: &phases, elapsed_days: elapsed, as_of, guardrails: &guardrails, health, scope: Scope::default() };
            let got = evaluate(&input, state.as_ref());
            assert_storable(&got);
            prop_assert!(!got.advice.reason.is_empty() && !got.advice.reason.contains("NaN"), "{:?}", got.advice);
            if matches!(got.status, Status::Invalid { .. }) {
                prop_assert!((got.effect, got.ci, got.ln_e) == (None, None, None));
            }
            state = Some(got.running);
        }
    }

    #[test]
    fn any_damage_to_a_request_is_answered(
        function in 0_usize..1000, damage in prop::collection::vec((any::<usize>(), hostile_text()), 1..4),
    ) {
        let known: Vec<Value> = requests().into_iter().filter(|request| !is_plan(request)).collect();
        answered(&damaged(&known[function % known.len()], &damage));
    }

    #[test]
    fn any_line_is_answered(function in "[a-z_]{0,16}", id in any::<i64>(), text in ".*", junk in any::<f64>()) {
        answered(&json!({ "id": id, "fn": function, "input": { "n": junk, "p": [text] } }).to_string());
        answered(&text);
    }
}
