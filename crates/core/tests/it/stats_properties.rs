//! Properties that must hold for every input (STATS.md section 3).

use outcome_core::stats::{
    Alpha, Alternative, ArmSums, Contrast, DataHealth, Evaluation, Interval, Phase, Plan, Settings, Tau, TwoArmResult,
    boundary, eval_line, evaluate, fieller_lift, mixture_test, sample_ratio_mismatch, two_arm_test,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALPHA: f64 = 0.05;

fn settings(tau: f64, alternative: Alternative) -> Settings {
    let (alpha, tau) = (Alpha::try_new(ALPHA).unwrap(), Tau::try_new(tau).unwrap());
    Settings { alpha, tau, alternative, null: 0.0 }
}

fn test(a: &ArmSums, b: &ArmSums, tau: f64, alternative: Alternative) -> TwoArmResult {
    two_arm_test(a, b, false, &settings(tau, alternative))
}

/// A proportion, mostly large enough for the gate.
fn rate() -> impl Strategy<Value = ArmSums> {
    (100_u64..200_000, 0.0..=1.0_f64)
        .prop_map(|(n, share)| ArmSums::Proportion { n, successes: ((n as f64 * share * share) as u64).min(n) })
}

/// A mean with the sums of some real data: mean and standard deviation of any size and sign.
fn amount() -> impl Strategy<Value = ArmSums> {
    (100_u64..1_000_000, -1e3..1e3_f64, 0.01..1e3_f64).prop_map(|(n, mean, sd)| {
        let units = n as f64;
        ArmSums::Mean { n, sum: units * mean, sum_squares: units * (mean * mean + sd * sd) }
    })
}

fn tau() -> impl Strategy<Value = f64> {
    (-6.0..3.0_f64).prop_map(|exponent| 10.0_f64.powf(exponent))
}

fn one_of() -> impl Strategy<Value = Alternative> {
    prop_oneof![Just(Alternative::TwoSided), Just(Alternative::Greater), Just(Alternative::Less)]
}

fn close(a: f64, b: f64, rel: f64) -> bool {
    (a - b).abs() <= rel * a.abs().max(b.abs()).max(1e-9)
}

/// No NaN, no infinity: serde_json writes both as null, so look at the values where null cannot be meant.
fn assert_finite(result: &TwoArmResult) {
    let numbers = [result.effect, result.variance, result.z, result.r, result.ln_e, result.lift];
    assert!(numbers.into_iter().flatten().all(f64::is_finite), "{result:?}");
    let ends = |ci: Option<Interval>| ci.into_iter().flat_map(|ci| [ci.lower, ci.upper]).flatten();
    assert!(ends(result.ci).chain(ends(result.lift_ci)).all(f64::is_finite), "{result:?}");
    assert!(result.ln_p.is_finite() && result.ln_p <= 0.0 && (0.0..=1.0).contains(&result.p));
}

fn phase(number: u32, control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number, control_weight: 1.0, treatment_weight: 1.0, control, treatment }
}

fn poll<'a>(plan: &'a Plan, phases: &'a [Phase], day: i64) -> Evaluation<'a> {
    let (as_of, elapsed_days) = (day * 86_400, day as f64);
    let health = DataHealth::default();
    Evaluation { plan, phases, elapsed_days, as_of, guardrails: &[], health }
}

proptest! {
    #[test]
    fn swapping_the_arms_negates_the_effect(a in rate(), b in rate(), tau in tau()) {
        let there = test(&a, &b, tau, Alternative::TwoSided);
        let back = test(&b, &a, tau, Alternative::TwoSided);
        prop_assert_eq!(there.status.code(), back.status.code());
        if let (Some(x), Some(y)) = (there.effect, back.effect) {
            prop_assert_eq!(x, -y);
            prop_assert_eq!(there.ln_e, back.ln_e);
            prop_assert_eq!(there.ci.unwrap(), back.ci.unwrap().negated());
        }
    }

    #[test]
    fn the_unit_of_the_metric_does_not_matter(
        a in amount(), b in amount(), tau in tau(), power in -20_i32..20,
    ) {
        // A power of two scales without rounding.
        let c = 2.0_f64.powi(power);
        let scaled = |arm: &ArmSums| match *arm {
            ArmSums::Mean { n, sum, sum_squares } => {
                ArmSums::Mean { n, sum: c * sum, sum_squares: c * c * sum_squares }
            }
            other => other,
        };
        let small = test(&a, &b, tau, Alternative::TwoSided);
        let large = test(&scaled(&a), &scaled(&b), c * tau, Alternative::TwoSided);
        prop_assert_eq!(small.ln_e, large.ln_e);
        prop_assert_eq!(small.lift, large.lift);
    }

    #[test]
    fn a_proportion_is_a_mean_of_zeros_and_ones_and_a_ratio_over_one(
        a in rate(), b in rate(), tau in tau(),
    ) {
        let sums = |arm: &ArmSums| match *arm {
            ArmSums::Proportion { n, successes } => (n, successes as f64),
            _ => unreachable!(),
        };
        let mean = |arm: &ArmSums| {
            let (n, x) = sums(arm);
            ArmSums::Mean { n, sum: x, sum_squares: x }
        };
        let ratio = |arm: &ArmSums| {
            let (n, x) = sums(arm);
            ArmSums::Ratio {
                n,
                numerator_sum: x,
                numerator_sum_squares: x,
                denominator_sum: n as f64,
                denominator_sum_squares: n as f64,
                cross_sum: x,
            }
        };
        let as_rate = test(&a, &b, tau, Alternative::TwoSided);
        // The proportion alone has the gate on failures.
        if as_rate.status.is_ok() {
            let as_mean = test(&mean(&a), &mean(&b), tau, Alternative::TwoSided);
            let as_ratio = test(&ratio(&a), &ratio(&b), tau, Alternative::TwoSided);
            prop_assert_eq!(as_rate, as_mean);
            prop_assert!(close(as_rate.ln_e.unwrap(), as_ratio.ln_e.unwrap(), 1e-9));
            prop_assert!(close(as_rate.variance.unwrap(), as_ratio.variance.unwrap(), 1e-12));
        }
    }

    #[test]
    fn the_interval_excludes_zero_exactly_when_the_evidence_rejects(
        a in prop_oneof![rate(), amount()], b in prop_oneof![rate(), amount()],
        tau in tau(), side in one_of(),
    ) {
        let result = test(&a, &b, tau, side);
        assert_finite(&result);
        if let (Some(ln_e), Some(ci), Some(boundary), Some(z)) =
            (result.ln_e, result.ci, result.boundary, result.z)
        {
            // On the boundary itself the last bit decides.
            if (z.abs() - boundary).abs() > 1e-9 * boundary {
                prop_assert_eq!(ci.excludes(0.0), ln_e >= (1.0 / ALPHA).ln());
                if let Some(lift_ci) = result.lift_ci {
                    prop_assert_eq!(lift_ci.excludes(0.0), ci.excludes(0.0), "{:?}", result);
                }
            }
        }
    }

    #[test]
    fn relative_and_absolute_interval_agree_near_the_boundary(
        level in -3.0..6.0_f64, relative_se in -9.0..-1.5_f64, distance in prop_oneof![Just(1.0), Just(-1.0), -2.0..2.0_f64], r in -2.0..4.0_f64,
        is_negative in any::<bool>(),
    ) {
        let ten = |exponent: f64| 10.0_f64.powf(exponent);
        let control = if is_negative { -ten(level) } else { ten(level) };
        let se = ten(level + relative_se);
        let tau = Tau::try_new(se * ten(r / 2.0)).unwrap();
        let settings = Settings { tau, ..settings(1.0, Alternative::TwoSided) };
        let b = boundary(ten(r), settings.alpha, Alternative::TwoSided);
        let (var_treatment, var_control) = (se * se / 2.0, se * se / 2.0);
        let treatment = control + distance * b * se;
        let contrast = Contrast { treatment, control, var_treatment, var_control, covariance: 0.0 };
        let test = mixture_test(&contrast.against(1.0).unwrap(), &settings).unwrap();
        let boundary = test.boundary.unwrap();
        if let Some(lift) = fieller_lift(&contrast, boundary, Alternative::TwoSided) {
            prop_assert_eq!(test.ci.excludes(0.0), lift.excludes(0.0), "{:?} {:?}", test, lift);
            prop_assert!(lift.lower < lift.upper, "{:?}", lift);
        }
    }

    #[test]
    fn any_finite_sums_give_finite_results(
        n in prop::array::uniform2(prop_oneof![0_u64..5, any::<u64>()]),
        sums in prop::array::uniform8(any::<f64>().prop_filter("finite", |x| x.is_finite())),
        tau in any::<f64>(), side in one_of(), kind in 0..4,
    ) {
        let [n_a, n_b] = n;
        let [s1, q1, s2, q2, c1, c2, d1, d2] = sums;
        let arm = |n, s: f64, q: f64, c: f64, d: f64| match kind {
            0 => ArmSums::Proportion { n, successes: s.abs() as u64 },
            1 => ArmSums::Mean { n, sum: s, sum_squares: q },
            2 => ArmSums::Ratio {
                n,
                numerator_sum: s,
                numerator_sum_squares: q,
                denominator_sum: d,
                denominator_sum_squares: q.abs(),
                cross_sum: c,
            },
            _ => ArmSums::Cuped {
                n,
                sum: s,
                sum_squares: q,
                covariate_sum: d,
                covariate_sum_squares: q.abs(),
                cross_sum: c,
            },
        };
        let (a, b) = (arm(n_a, s1, q1, c1, d1), arm(n_b, s2, q2, c2, d2));
        if let Ok(tau) = Tau::try_new(tau) {
            assert_finite(&two_arm_test(&a, &b, false, &settings(tau.get(), side)));
        }
        let plan = Plan::default();
        let phases = [phase(1, a, b)];
        let got = evaluate(&poll(&plan, &phases, 3), None);
        prop_assert!(got.ln_p_running.is_finite() && (0.0..=1.0).contains(&got.p_running));
        let text = serde_json::to_string(&got).unwrap();
        let again: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(again["ln_p_running"].is_number() && again["srm"]["p"].is_number());
    }

    #[test]
    fn extreme_but_possible_means_give_finite_results(
        n in prop::array::uniform2(100_u64..u64::MAX),
        mean in prop::array::uniform2(-150.0..150.0_f64), sd in prop::array::uniform2(-150.0..150.0_f64),
        tau in -300.0..300.0_f64, side in one_of(),
    ) {
        let ten = |exponent: f64| 10.0_f64.powf(exponent);
        let arm = |n: u64, mean: f64, sd: f64| {
            let (units, mean, sd) = (n as f64, ten(mean), ten(sd));
            ArmSums::Mean { n, sum: units * mean, sum_squares: units * (mean * mean + sd * sd) }
        };
        let (a, b) = (arm(n[0], mean[0], sd[0]), arm(n[1], mean[1], sd[1]));
        assert_finite(&test(&a, &b, ten(tau), side));
    }

    #[test]
    fn p_never_rises_and_a_repeated_poll_changes_nothing(
        steps in prop::collection::vec((50_u64..5000, 50_u64..5000, 0.0..0.3_f64, 0.0..0.3_f64), 1..12),
        mde in 0.001..0.1_f64,
    ) {
        let plan = Plan { mde_abs: Some(mde), ..Plan::default() };
        let (mut na, mut xa, mut nb, mut xb) = (0, 0, 0, 0);
        let mut state = None;
        let mut p = 1.0;
        for (day, (a, b, rate_a, rate_b)) in (1..).zip(steps) {
            (na, xa) = (na + a, xa + (a as f64 * rate_a) as u64);
            (nb, xb) = (nb + b, xb + (b as f64 * rate_b) as u64);
            let phases = [phase(
                1,
                ArmSums::Proportion { n: na, successes: xa },
                ArmSums::Proportion { n: nb, successes: xb },
            )];
            let now = evaluate(&poll(&plan, &phases, day), state.as_ref());
            prop_assert!(now.p_running <= p);
            p = now.p_running;
            let again = evaluate(&poll(&plan, &phases, day), Some(&now.running));
            prop_assert_eq!(&again, &now);
            let stored = serde_json::to_string(&now.running).unwrap();
            state = Some(serde_json::from_str(&stored).unwrap());
        }
    }

    #[test]
    fn the_mismatch_check_does_not_depend_on_the_scale_or_order_of_weights(
        n in prop::array::uniform3(0_u64..1_000_000), w in prop::array::uniform3(0.01..1.0_f64),
    ) {
        let pairs = [(n[0], w[0]), (n[1], w[1]), (n[2], w[2])];
        let turned = [(n[2], 64.0 * w[2]), (n[0], 64.0 * w[0]), (n[1], 64.0 * w[1])];
        let (one, two) = (sample_ratio_mismatch(&pairs), sample_ratio_mismatch(&turned));
        prop_assert!((one.ln_e.unwrap() - two.ln_e.unwrap()).abs() < 1e-5);
    }

    #[test]
    fn any_line_gets_an_answer_with_its_id(function in "[a-z_]{0,16}", junk in any::<i64>(), text in ".*") {
        let request = json!({ "id": junk, "fn": function, "input": { "n": junk, "p": [text] } });
        let got: Value = serde_json::from_str(&eval_line(&request.to_string())).unwrap();
        prop_assert_eq!(&got["id"], &json!(junk));
        let _ = eval_line(&text);
    }
}
