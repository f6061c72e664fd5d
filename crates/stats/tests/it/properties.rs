//! Properties of one comparison that must hold for every input (STATS.md section 3).

use outcome_stats::{
    Alternative, ArmSums, Contrast, Status, TwoArmResult, boundary, fieller_lift, ln_e_one_sided, ln_e_two_sided,
    mixture_test, two_arm_test,
};
use proptest::prelude::*;

use crate::given::{
    Pair, any_alpha, any_side, assert_finite, cases, close, pairs, rates, scalable, settings, ten, test, with_tau,
};

fn mirrored(side: Alternative) -> Alternative {
    match side {
        Alternative::TwoSided => Alternative::TwoSided,
        Alternative::Greater => Alternative::Less,
        Alternative::Less => Alternative::Greater,
    }
}

fn both_close(a: Option<f64>, b: Option<f64>, rel: f64, abs: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => close(a, b, rel, abs),
        (a, b) => a == b,
    }
}

/// Only CUPED mixes the arms, so only there may the last digits differ.
fn assert_negated(there: &TwoArmResult, back: &TwoArmResult, is_exact: bool) {
    if is_exact {
        assert_eq!(there.status.code(), back.status.code());
        assert_eq!(there.effect, back.effect.map(|x| -x));
        assert_eq!((there.ln_e, there.variance, there.p), (back.ln_e, back.variance, back.p));
        assert_eq!(there.ci, back.ci.map(|ci| ci.negated()));
    } else if there.status.is_ok() && back.status.is_ok() {
        let error = there.variance.unwrap().sqrt();
        assert!(both_close(there.effect, back.effect.map(|x| -x), 0.0, 1e-6 * error), "{there:?} {back:?}");
        assert!(both_close(there.ln_e, back.ln_e, 1e-5, 1e-5), "{there:?} {back:?}");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn swapping_the_arms_negates_the_effect((pair, tau) in with_tau(pairs()), side in any_side()) {
        let there = test(&pair, tau, side);
        let back = test(&pair.swapped(), tau, mirrored(side));
        let is_exact = !matches!(pair.control, ArmSums::Cuped { .. });
        assert_negated(&there, &back, is_exact);
    }

    #[test]
    fn the_unit_of_the_metric_does_not_matter(
        (pair, tau) in with_tau(scalable()), side in any_side(), power in -20_i32..20,
    ) {
        // A power of two scales without rounding.
        let c = 2.0_f64.powi(power);
        let small = test(&pair, tau, side);
        let large = test(&pair.scaled(c), c * tau, side);
        prop_assert_eq!(small.status, large.status);
        prop_assert_eq!((small.ln_e, small.p, small.z, small.r), (large.ln_e, large.p, large.z, large.r));
        prop_assert_eq!(small.effect.map(|x| c * x), large.effect);
        prop_assert_eq!(small.lift, large.lift);
        prop_assert_eq!(small.lift_ci, large.lift_ci);
    }

    #[test]
    fn a_proportion_is_a_mean_of_zeros_and_ones_and_a_ratio_over_one(
        (pair, tau) in with_tau(rates()), side in any_side(),
    ) {
        let as_rate = test(&pair, tau, side);
        // The proportion alone has the gate on failures.
        if as_rate.status.is_ok() {
            prop_assert_eq!(as_rate, test(&as_mean(&pair), tau, side));
            let as_ratio = test(&as_ratio(&pair), tau, side);
            let variance = as_rate.variance.unwrap();
            prop_assert!(close(variance, as_ratio.variance.unwrap(), 1e-12, 0.0), "{as_rate:?} {as_ratio:?}");
            prop_assert!(both_close(as_rate.effect, as_ratio.effect, 0.0, 1e-12 * variance.sqrt()));
            prop_assert!(both_close(as_rate.ln_e, as_ratio.ln_e, 1e-11, 1e-11), "{as_rate:?} {as_ratio:?}");
        }
    }

    #[test]
    fn a_covariate_that_says_nothing_changes_nothing((pair, tau) in with_tau(rates()), x in 0.5..2.0_f64) {
        let plain = test(&as_mean(&pair), tau, Alternative::TwoSided);
        let constant = test(&with_constant_covariate(&pair, x), tau, Alternative::TwoSided);
        prop_assert_eq!(plain.status, constant.status);
        prop_assert_eq!((plain.effect, plain.variance, plain.ln_e), (constant.effect, constant.variance, constant.ln_e));
        if plain.status.is_ok() {
            prop_assert_eq!(constant.cuped.unwrap().theta, 0.0);
        }
    }

    #[test]
    fn the_interval_excludes_the_null_exactly_when_the_evidence_rejects(
        (pair, tau) in with_tau(pairs()), side in any_side(), alpha in any_alpha(),
        null in prop_oneof![Just(0.0), -12.0..12.0_f64],
    ) {
        let settings = settings(alpha, tau, side, null * pair.scale);
        let result = two_arm_test(&pair.control, &pair.treatment, false, &settings);
        assert_finite(&result);
        if let (Some(ln_e), Some(ci), Some(boundary), Some(z)) = (result.ln_e, result.ci, result.boundary, result.z) {
            // On the boundary itself the last bit decides.
            if (z.abs() - boundary).abs() > 1e-9 * boundary {
                prop_assert_eq!(ci.excludes(settings.null), ln_e >= -alpha.ln(), "{:?}", result);
                prop_assert_eq!(ci.excludes(settings.null), result.ln_p <= alpha.ln());
            }
            // The relative interval follows the absolute one everywhere, as long as it exists.
            if let Some(lift_ci) = result.lift_ci {
                prop_assert_eq!(lift_ci.excludes(0.0), ci.excludes(0.0), "{:?}", result);
            }
        }
    }

    #[test]
    fn relative_and_absolute_interval_agree_near_the_boundary(
        level in -3.0..6.0_f64, relative_se in -9.0..-1.5_f64, r in -2.0..4.0_f64,
        distance in prop_oneof![Just(1.0), Just(-1.0), -2.0..2.0_f64],
        is_negative in any::<bool>(), side in any_side(), correlation in prop_oneof![Just(0.0), -0.9..0.9_f64],
        uneven in -2.0..2.0_f64,
    ) {
        let control = if is_negative { -ten(level) } else { ten(level) };
        let (var_control, var_treatment) = (ten(2.0 * (level + relative_se)), ten(2.0 * (level + relative_se) + uneven));
        let covariance = correlation * var_control.sqrt() * var_treatment.sqrt();
        let variance = var_treatment + var_control - 2.0 * covariance;
        let settings = settings(0.05, (variance * ten(r)).sqrt(), side, 0.0);
        let b = boundary(ten(r), settings.alpha, side);
        let treatment = control + distance * b * variance.sqrt();
        let contrast = Contrast { treatment, control, var_treatment, var_control, covariance };
        let test = mixture_test(&contrast.against(1.0).unwrap(), &settings).unwrap();
        if let Some(lift) = fieller_lift(&contrast, test.boundary.unwrap(), side) {
            prop_assert_eq!(test.ci.excludes(0.0), lift.excludes(0.0), "{:?} {:?}", test, lift);
            if let (Some(lower), Some(upper)) = (lift.lower, lift.upper) {
                prop_assert!(lower < upper, "{:?}", lift);
            }
        }
    }

    #[test]
    fn the_relative_interval_holds_every_lift_that_is_not_rejected(
        control in 0.5..2.0_f64, p in 0.2..3.0_f64, errors in prop::array::uniform2(0.01..0.1_f64),
        correlation in -0.9..0.9_f64, lift in -0.9..2.0_f64,
    ) {
        let b = 3.0;
        let [var_treatment, var_control] = errors.map(|se| se * se);
        let covariance = correlation * errors[0] * errors[1];
        let contrast = Contrast { treatment: p, control, var_treatment, var_control, covariance };
        let ci = fieller_lift(&contrast, b, Alternative::TwoSided).unwrap();
        // Fieller's set by its definition: the k for which P - kQ is within b standard errors of 0.
        let k = 1.0 + lift;
        let z = (p - k * control) / contrast.variance_against(k).sqrt();
        if (z.abs() - b).abs() > 1e-6 {
            prop_assert_eq!(ci.excludes(lift), z.abs() > b, "{:?} {} {}", ci, lift, z);
        }
    }

    #[test]
    fn more_confidence_is_a_wider_interval((pair, tau) in with_tau(pairs()), side in any_side(), alpha in any_alpha()) {
        let at = |alpha| two_arm_test(&pair.control, &pair.treatment, false, &settings(alpha, tau, side, 0.0));
        let (wide, narrow) = (at(alpha), at(2.0 * alpha));
        // The evidence itself does not know alpha.
        prop_assert_eq!((wide.status, wide.ln_e, wide.p), (narrow.status, narrow.ln_e, narrow.p));
        if let (Some(wide), Some(narrow)) = (wide.boundary, narrow.boundary) {
            prop_assert!(wide > narrow);
        }
    }

    #[test]
    fn a_one_sided_test_never_finds_the_other_side((pair, tau) in with_tau(pairs())) {
        let up = test(&pair, tau, Alternative::Greater);
        let down = test(&pair, tau, Alternative::Less);
        if let (Some(effect), Some(one), Some(other)) = (up.effect, up.ln_e, down.ln_e) {
            prop_assert_eq!(effect > 0.0, one > other);
            let wrong_side = if effect > 0.0 { other } else { one };
            prop_assert!(wrong_side <= 0.0, "{} {} {}", effect, one, other);
            let up = up.ci.unwrap();
            prop_assert_eq!((up.upper, down.ci.unwrap().lower), (None, None));
        }
    }

    #[test]
    fn both_sides_together_are_the_two_sided_evidence(z in -40.0..40.0_f64, r in -8.0..8.0_f64) {
        // The two-sided mixture is the mean of the two halves.
        let (r, halves) = (ten(r), [ln_e_one_sided(z, ten(r)), ln_e_one_sided(-z, ten(r))]);
        let high = halves[0].max(halves[1]);
        let mean = high + ((halves[0] - high).exp() + (halves[1] - high).exp()).ln() - std::f64::consts::LN_2;
        prop_assert!(close(mean, ln_e_two_sided(z, r), 1e-12, 1e-12), "{} {}", mean, ln_e_two_sided(z, r));
    }

    #[test]
    fn the_same_kind_in_both_arms_or_nothing(
        (a, b) in (pairs(), pairs()),
    ) {
        let mixed = Pair { treatment: b.treatment, ..a };
        let is_same = std::mem::discriminant(&mixed.control) == std::mem::discriminant(&mixed.treatment);
        let got = test(&mixed, a.scale, Alternative::TwoSided);
        assert_finite(&got);
        prop_assert_eq!(matches!(got.status, Status::Invalid { .. }), !is_same, "{:?}", got);
    }
}

fn counted(arm: ArmSums) -> (u64, f64) {
    match arm {
        ArmSums::Proportion { n, successes } => (n, successes as f64),
        other => unreachable!("{other:?}"),
    }
}

fn converted(pair: &Pair, arm: impl Fn(u64, f64) -> ArmSums) -> Pair {
    let [control, treatment] = [pair.control, pair.treatment].map(|sums| {
        let (n, x) = counted(sums);
        arm(n, x)
    });
    Pair { control, treatment, ..*pair }
}

fn as_mean(pair: &Pair) -> Pair {
    converted(pair, |n, x| ArmSums::Mean { n, sum: x, sum_squares: x })
}

fn as_ratio(pair: &Pair) -> Pair {
    converted(pair, |n, x| ArmSums::Ratio {
        n,
        numerator_sum: x,
        numerator_sum_squares: x,
        denominator_sum: n as f64,
        denominator_sum_squares: n as f64,
        cross_sum: x,
    })
}

fn with_constant_covariate(pair: &Pair, value: f64) -> Pair {
    converted(pair, |n, x| ArmSums::Cuped {
        n,
        sum: x,
        sum_squares: x,
        covariate_sum: value * n as f64,
        covariate_sum_squares: value * value * n as f64,
        cross_sum: value * x,
    })
}
