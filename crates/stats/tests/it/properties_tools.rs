//! Properties of the parts of the statistics: boundaries, phases, counts, rates, series, several tests, plans.

use outcome_stats::{
    Alpha, Alternative, Contrast, Direction, Estimate, Interval, PlannedTest, SampleSizeInput, SeriesVerdict, Srm,
    SrmStatus, Tau, Variance, adjust_running_max, benjamini_hochberg, bonferroni, boundary, combine_phases, count_test,
    e_benjamini_hochberg, guardrail_test, holm, level_vs_target, ln_e_one_sided, ln_e_two_sided, mixture_test,
    plan_constant, pre_post, r_star, rate_confidence, sample_ratio_mismatch, sample_size,
};
use proptest::prelude::*;

use crate::given::{any_alpha, any_side, cases, close, settings, ten};

fn alpha(value: f64) -> Alpha {
    Alpha::try_new(value).unwrap()
}

fn p_values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0_f64, (-12.0..0.0_f64).prop_map(ten)], 0..12)
}

fn evidence(srm: &Srm) -> f64 {
    srm.ln_e.unwrap()
}

/// Weekly values around a level.
fn blocks(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    (prop::collection::vec(-3.0..3.0_f64, n), -50.0..50.0_f64)
        .prop_map(|(noise, level)| noise.into_iter().map(|e| level + e).collect())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn an_estimate_at_the_boundary_carries_exactly_the_evidence_to_reject(
        r in -6.0..12.0_f64, level in any_alpha(), side in any_side(),
    ) {
        let (r, level) = (ten(r), alpha(level));
        let z = boundary(r, level, side);
        let ln_e = match side {
            Alternative::TwoSided => ln_e_two_sided(z, r),
            Alternative::Greater | Alternative::Less => ln_e_one_sided(z, r),
        };
        prop_assert!(close(ln_e, level.ln_inverse(), 1e-9, 1e-9), "{} {}", ln_e, level.ln_inverse());
        let star = r_star(if side == Alternative::TwoSided { level } else { alpha(2.0 * level.get()) });
        if side == Alternative::TwoSided {
            prop_assert!(z >= star.min_boundary * (1.0 - 1e-9), "nothing is narrower than at r*");
        }
    }

    #[test]
    fn the_unit_of_an_estimate_does_not_matter(
        z in -1e6..1e6_f64, se in -100.0..100.0_f64, r in -6.0..6.0_f64, null in -5.0..5.0_f64, c in -40.0..40.0_f64,
        level in any_alpha(), side in any_side(),
    ) {
        let at = |unit: f64| {
            let se = ten(se) * unit;
            let estimate = Estimate { delta: z * se, variance: Variance::try_new(se * se).unwrap() };
            mixture_test(&estimate, &settings(level, se * ten(r / 2.0), side, null * se)).unwrap()
        };
        let (one, other) = (at(1.0), at(ten(c)));
        prop_assert!(close(one.ln_e, other.ln_e, 1e-9, 1e-9), "{:?} {:?}", one, other);
        prop_assert!(close(one.boundary.unwrap(), other.boundary.unwrap(), 1e-12, 0.0));
        // z up to a million is a number, not an overflow; p may underflow to 0.
        prop_assert!(one.ln_e.is_finite() && (0.0..=1.0).contains(&one.p()) && one.ln_p() <= 0.0);
    }

    #[test]
    fn phases_add_their_information(
        phases in prop::collection::vec((-10.0..10.0_f64, 0.1..100.0_f64, -3.0..3.0_f64, -3.0..3.0_f64), 1..6),
    ) {
        let contrasts: Vec<Contrast> = phases
            .iter()
            .map(|(effect, control, a, b)| Contrast {
                treatment: control + effect,
                control: *control,
                var_treatment: ten(*a),
                var_control: ten(*b),
                covariance: 0.0,
            })
            .collect();
        let combined = combine_phases(&contrasts, 1.0).unwrap();
        let information: f64 = contrasts.iter().map(|c| 1.0 / c.variance_against(1.0)).sum();
        let score: f64 = contrasts.iter().map(|c| (c.treatment - c.control) / c.variance_against(1.0)).sum();
        let effect = combined.treatment - combined.control;
        prop_assert!(close(combined.variance_against(1.0), 1.0 / information, 1e-9, 0.0));
        prop_assert!(close(effect, score / information, 1e-9, 1e-9), "{} {}", effect, score / information);
        // The same phase twice is half the variance and the same levels.
        let first = contrasts[0];
        let twice = combine_phases(&[first, first], 1.0).unwrap();
        prop_assert!(close(twice.control, first.control, 1e-12, 0.0) && close(twice.treatment, first.treatment, 1e-12, 1e-12));
        prop_assert!(close(twice.var_control, first.var_control / 2.0, 1e-12, 0.0));
    }

    #[test]
    fn counts_seen_in_the_mirror(
        (a, b) in (0_u64..5000, 0_u64..5000), w in (-3.0..3.0_f64, -3.0..3.0_f64), level in any_alpha(),
    ) {
        let (wa, wb) = (ten(w.0), ten(w.1));
        let there = count_test(a, b, wa, wb, alpha(level)).unwrap();
        let back = count_test(b, a, wb, wa, alpha(level)).unwrap();
        prop_assert!(close(there.ln_e, back.ln_e, 1e-9, 1e-7), "{:?} {:?}", there, back);
        let (lower, upper) = (there.rate_ratio_ci.lower.unwrap(), there.rate_ratio_ci.upper);
        match upper {
            Some(upper) => {
                prop_assert!(lower < upper);
                prop_assert!(close(back.rate_ratio_ci.lower.unwrap(), 1.0 / upper, 1e-5, 1e-12));
            }
            None => prop_assert!(back.rate_ratio_ci.lower.unwrap() <= 1e-290),
        }
        if let Some(ratio) = there.rate_ratio {
            prop_assert!(lower <= ratio && upper.is_none_or(|upper| ratio <= upper), "{:?}", there);
        }
        // Equal rates lie outside exactly when the evidence rejects them.
        if (there.ln_e + level.ln()).abs() > 1e-6 {
            prop_assert_eq!(there.rate_ratio_ci.excludes(1.0), there.ln_e >= -level.ln(), "{:?}", there);
        }
    }

    #[test]
    fn a_rate_seen_from_its_failures(n in 0_u64..100_000, share in 0.0..=1.0_f64, target in 0.001..0.999_f64, level in any_alpha()) {
        let x = (n as f64 * share) as u64;
        let rate = rate_confidence(x, n, target, alpha(level)).unwrap();
        let failures = rate_confidence(n - x, n, 1.0 - target, alpha(level)).unwrap();
        prop_assert!(close(rate.ln_e, failures.ln_e, 1e-9, 1e-6), "{:?} {:?}", rate, failures);
        let (lower, upper) = (rate.ci.lower.unwrap(), rate.ci.upper.unwrap());
        prop_assert!(0.0 <= lower && lower < upper && upper <= 1.0, "{:?}", rate);
        prop_assert!(close(lower, 1.0 - failures.ci.upper.unwrap(), 1e-6, 1e-9));
        if let Some(rate) = rate.rate {
            prop_assert!(lower <= rate && rate <= upper);
        }
        if (rate.ln_e + level.ln()).abs() > 1e-6 {
            prop_assert_eq!(rate.ci.excludes(target), rate.ln_e >= -level.ln(), "{:?}", rate);
        }
    }

    #[test]
    fn the_mismatch_check_does_not_depend_on_the_scale_or_order_of_weights(
        n in prop::array::uniform3(0_u64..1_000_000_000), w in prop::array::uniform3(0.01..1.0_f64), scale in -100.0..100.0_f64,
    ) {
        let pairs = [(n[0], w[0]), (n[1], w[1]), (n[2], w[2])];
        let c = ten(scale);
        let turned = [(n[2], c * w[2]), (n[0], c * w[0]), (n[1], c * w[1])];
        let (one, two) = (sample_ratio_mismatch(&pairs), sample_ratio_mismatch(&turned));
        prop_assert!(close(evidence(&one), evidence(&two), 1e-10, 1e-4), "{:?} {:?}", one, two);
        // An arm that gets nothing and should get nothing is not there.
        let with_empty = [pairs[0], (0, 0.0), pairs[1], pairs[2]];
        prop_assert_eq!(sample_ratio_mismatch(&with_empty), one);
        let with_traffic = [pairs[0], (1, 0.0), pairs[1], pairs[2]];
        prop_assert_eq!(sample_ratio_mismatch(&with_traffic).status, SrmStatus::TrafficOnZeroWeightArm);
    }

    #[test]
    fn traffic_as_declared_is_never_a_mismatch(n in 1_u64..1_000_000_000, k in 1_u64..50) {
        // Counts that fit the weights exactly carry evidence for them.
        let srm = sample_ratio_mismatch(&[(n, 1.0), (k * n, k as f64)]);
        prop_assert!(evidence(&srm) <= 1e-4 && srm.p > 0.999, "{:?}", srm);
    }

    #[test]
    fn adjusting_for_several_tests_is_ordered_and_knows_no_order(p in p_values(), turn in 0_usize..12) {
        let (bonferroni, holm, bh) = (bonferroni(&p), holm(&p), benjamini_hochberg(&p));
        for i in 0..p.len() {
            prop_assert!(p[i] <= bh[i] && bh[i] <= holm[i] && holm[i] <= bonferroni[i] && bonferroni[i] <= 1.0);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || (bh[i] <= bh[j] && holm[i] <= holm[j]), "monotone in p");
            }
        }
        let mut turned = p.clone();
        let turn = if p.is_empty() { 0 } else { turn % p.len() };
        turned.rotate_left(turn);
        for (adjusted, method) in [(holm, outcome_stats::holm as fn(&[f64]) -> Vec<f64>), (bh, benjamini_hochberg)] {
            let mut adjusted = adjusted;
            adjusted.rotate_left(turn);
            prop_assert_eq!(adjusted, method(&turned));
        }
    }

    #[test]
    fn e_bh_rejects_the_largest_and_only_by_its_rule(
        ln_e in prop::collection::vec(-5.0..15.0_f64, 0..12), level in 0.001..0.5_f64,
    ) {
        let got = e_benjamini_hochberg(&ln_e, alpha(level));
        let total = ln_e.len() as f64;
        let n = got.rejected.iter().filter(|r| **r).count();
        prop_assert_eq!(n, got.n_rejected);
        for (e, is_rejected) in ln_e.iter().zip(&got.rejected) {
            let as_strong = ln_e.iter().filter(|other| *other > e).count();
            prop_assert!(!is_rejected || as_strong < got.n_rejected);
        }
        // By definition: k are at or above ln(K / (k alpha)), and no larger k is.
        let holds = |k: usize| {
            let threshold = (total / k as f64).ln() - level.ln();
            ln_e.iter().filter(|e| **e >= threshold + 1e-9).count() >= k
        };
        prop_assert!((got.n_rejected + 1..=ln_e.len()).all(|k| !holds(k)), "{:?}", got);
    }

    #[test]
    fn an_adjusted_running_maximum_is_less_than_it_was(l in -10.0..700.0_f64, more in 0.001..10.0_f64) {
        let adjusted = adjust_running_max(l);
        let is_right = if l > 0.0 { adjusted < l && adjusted.is_finite() } else { adjusted == f64::NEG_INFINITY };
        prop_assert!(is_right, "{} {}", l, adjusted);
        prop_assert!(adjust_running_max(l + more) >= adjusted);
        // (e - 1 - ln e) / (ln e)^2, where that can be calculated as it is written.
        if (0.1..600.0).contains(&l) {
            let written = ((l.exp() - 1.0 - l) / (l * l)).ln();
            prop_assert!(close(adjusted, written, 1e-11, 1e-11), "{} {}", adjusted, written);
        }
    }

    #[test]
    fn the_one_sided_pair_of_a_guardrail_is_consistent(
        harm in -10.0..10.0_f64, margin in 0.0..10.0_f64, r in -3.0..4.0_f64, level in any_alpha(), scale in -20.0..20.0_f64,
    ) {
        let se = ten(scale);
        let estimate = Estimate { delta: harm * se, variance: Variance::try_new(se * se).unwrap() };
        let tau = Tau::try_new(se * ten(r / 2.0)).unwrap();
        let test = guardrail_test(&estimate, margin * se, tau, alpha(level), alpha(level)).unwrap();
        prop_assert!(!test.breached || (test.deteriorated && !test.non_inferior));
        prop_assert!(test.ln_e_breached <= test.ln_e_deteriorated);
        let (lower, upper) = (test.harm_lower.unwrap() / se, test.harm_upper.unwrap() / se);
        if lower.abs() > 1e-6 && (lower - margin).abs() > 1e-6 && (upper - margin).abs() > 1e-6 {
            prop_assert_eq!(test.deteriorated, lower > 0.0);
            prop_assert_eq!(test.breached, lower > margin);
            prop_assert_eq!(test.non_inferior, upper < margin);
        }
    }

    #[test]
    fn a_series_may_be_shifted_scaled_and_turned_over(
        y in blocks(4..12), target in -50.0..50.0_f64, c in prop_oneof![0.1..10.0_f64, -10.0..-0.1_f64], shift in -10.0..10.0_f64,
        level in any_alpha(),
    ) {
        let one = level_vs_target(&y, target, alpha(level));
        let moved: Vec<f64> = y.iter().map(|y| c * y + shift).collect();
        let other = level_vs_target(&moved, c * target + shift, alpha(level));
        prop_assert_eq!(one.status, other.status);
        if let (Some(a), Some(b)) = (one.ln_e, other.ln_e) {
            prop_assert!(close(a, b, 1e-6, 1e-6), "{:?} {:?}", one, other);
        }
        if let (Some(ci), Some(ln_e)) = (one.ci, one.ln_e) && (ln_e + level.ln()).abs() > 1e-6 {
            prop_assert_eq!(ci.excludes(target), ln_e >= -level.ln(), "{:?}", one);
            let met = one.verdict(target, Direction::Increase) == SeriesVerdict::TargetMet;
            let missed = one.verdict(target, Direction::Decrease) == SeriesVerdict::TargetMissed;
            prop_assert_eq!(met, missed);
            prop_assert_eq!(met, ci.lower.unwrap() > target);
        }
    }

    #[test]
    fn before_and_after_may_be_shifted_together(
        pre in blocks(4..10), post in blocks(2..8), shift in -10.0..10.0_f64, level in any_alpha(),
    ) {
        let one = pre_post(&pre, &post, alpha(level));
        let moved = |run: &[f64]| run.iter().map(|y| -2.0 * y + shift).collect::<Vec<f64>>();
        let other = pre_post(&moved(&pre), &moved(&post), alpha(level));
        let (a, b) = (one.ln_e.unwrap(), other.ln_e.unwrap());
        prop_assert!(close(a, b, 1e-6, 1e-6), "{:?} {:?}", one, other);
        prop_assert!(close(one.difference.unwrap(), other.difference.unwrap() / -2.0, 1e-9, 1e-9));
        if let Some(ci) = one.ci && (a + level.ln()).abs() > 1e-6 {
            prop_assert_eq!(ci.excludes(0.0), a >= -level.ln());
            prop_assert_eq!(one.verdict() == SeriesVerdict::Moved, ci.excludes(0.0));
        }
    }

    #[test]
    fn intervals_intersect_in_any_order(ends in prop::array::uniform6(prop::option::of(-10.0..10.0_f64))) {
        let [a, b, c] = [(ends[0], ends[1]), (ends[2], ends[3]), (ends[4], ends[5])].map(|(lower, upper)| Interval { lower, upper });
        prop_assert_eq!(a.intersect(b), b.intersect(a));
        prop_assert_eq!(a.intersect(b).intersect(c), a.intersect(b.intersect(c)));
        prop_assert_eq!(a.intersect(a), a);
        prop_assert_eq!(a.intersect(Interval::UNBOUNDED), a);
        prop_assert_eq!(a.negated().negated(), a);
        prop_assert_eq!(a.negated().intersect(b.negated()), a.intersect(b).negated());
    }

    #[test]
    fn a_plan_scales_with_its_unit_and_its_weights(
        variances in prop::array::uniform2(0.01..10.0_f64), weights in prop::array::uniform2(0.05..1.0_f64), mde in 0.001..1.0_f64,
        power in 0.3..0.95_f64, looks in prop_oneof![99 => Just(1_u32), 1 => Just(3)],
    ) {
        let input = SampleSizeInput {
            unit_variance_control: variances[0],
            unit_variance_treatment: variances[1],
            weight_control: weights[0],
            weight_treatment: weights[1],
            mde_abs: mde,
            alpha: alpha(0.05),
            power,
            test: PlannedTest::TwoSided { n_looks: looks },
        };
        let size = sample_size(&input).unwrap();
        let constant = plan_constant(input.alpha, power, looks).unwrap();
        let total = weights[0] + weights[1];
        let unit = (variances[0] * total / weights[0] + variances[1] * total / weights[1]) / mde / mde;
        prop_assert!((size.n_max as f64 - (constant.c * unit).ceil()).abs() <= 1.0);
        prop_assert!(size.n_fixed <= size.n_max, "{:?}", size);
        prop_assert!(size.n_expected_at_mde > 0.0 && size.n_expected_at_mde <= size.n_max as f64);
        // In another unit, with the effect turned and the weights in another scale: the same plan.
        let other = sample_size(&SampleSizeInput {
            unit_variance_control: 64.0 * variances[0],
            unit_variance_treatment: 64.0 * variances[1],
            weight_control: 4.0 * weights[0],
            weight_treatment: 4.0 * weights[1],
            mde_abs: -8.0 * mde,
            ..input
        })
        .unwrap();
        prop_assert_eq!((other.n_max, other.n_fixed, other.tau), (size.n_max, size.n_fixed, 8.0 * size.tau));
    }
}
