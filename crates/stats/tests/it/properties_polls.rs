//! Properties of a running experiment, poll after poll (STATS.md section 3).

use outcome_stats::{
    ArmSums, Comparison, Direction, Evaluated, Evaluation, Guardrail, GuardrailReading, HarmDirection, HealthCode,
    HealthFinding, Margin, Phase, Recommendation, RunningState, Severity, Tau, TestPlan, evaluate,
};
use proptest::prelude::*;

use crate::given::{
    Pair, amounts, any_direction, assert_storable, cases, close, covariates, pairs, phase, poll, rates, ratios,
    scalable,
};

/// An experiment: cumulative phases at each of its polls.
#[derive(Debug, Clone)]
struct History {
    plan: TestPlan,
    polls: Vec<Vec<Phase>>,
}

/// `amount` of the units and sums of an arm, in 1/256.
fn part(arm: ArmSums, amount: u64) -> ArmSums {
    let share = amount as f64 / 256.0;
    let of = |n: u64| (u128::from(n) * u128::from(amount) / 256) as u64;
    match arm {
        ArmSums::Proportion { n, successes } => ArmSums::Proportion { n: of(n), successes: of(successes).min(of(n)) },
        ArmSums::Mean { n, sum, sum_squares } => {
            let share = of(n) as f64 / n as f64;
            ArmSums::Mean { n: of(n), sum: share * sum, sum_squares: share * sum_squares }
        }
        ArmSums::Ratio { n, .. } | ArmSums::Cuped { n, .. } => {
            let share = if n > 0 { of(n) as f64 / n as f64 } else { share };
            scaled_sums(arm, of(n), share)
        }
    }
}

fn scaled_sums(arm: ArmSums, n: u64, w: f64) -> ArmSums {
    match arm {
        ArmSums::Ratio {
            numerator_sum,
            numerator_sum_squares,
            denominator_sum,
            denominator_sum_squares,
            cross_sum,
            ..
        } => ArmSums::Ratio {
            n,
            numerator_sum: w * numerator_sum,
            numerator_sum_squares: w * numerator_sum_squares,
            denominator_sum: w * denominator_sum,
            denominator_sum_squares: w * denominator_sum_squares,
            cross_sum: w * cross_sum,
        },
        ArmSums::Cuped { sum, sum_squares, covariate_sum, covariate_sum_squares, cross_sum, .. } => ArmSums::Cuped {
            n,
            sum: w * sum,
            sum_squares: w * sum_squares,
            covariate_sum: w * covariate_sum,
            covariate_sum_squares: w * covariate_sum_squares,
            cross_sum: w * cross_sum,
        },
        other => other,
    }
}

fn partial(pair: &Pair, amount: u64) -> Pair {
    Pair { control: part(pair.control, amount), treatment: part(pair.treatment, amount), ..*pair }
}

/// Histories of every kind.
fn histories() -> impl Strategy<Value = History> {
    prop_oneof![
        histories_of(rates().boxed()),
        histories_of(amounts().boxed()),
        histories_of(ratios().boxed()),
        histories_of(covariates().boxed()),
    ]
}

/// Histories in which no step mixes the arms before the last, so that swapping them is exact.
fn symmetric_histories() -> impl Strategy<Value = History> {
    prop_oneof![histories_of(rates().boxed()), histories_of(amounts().boxed()), histories_of(ratios().boxed())]
}

/// One to three phases of one kind, each growing over some polls, under a plan with thresholds of the right order.
fn histories_of(pair: BoxedStrategy<Pair>) -> impl Strategy<Value = History> {
    let phases = prop::collection::vec((pair, 1_usize..4), 1..4);
    (phases, plans()).prop_map(|(phases, plan)| {
        let scale = phases[0].0.scale;
        let mut polls = Vec::new();
        let mut done: Vec<Phase> = Vec::new();
        for (number, (pair, n_polls)) in (1..).zip(&phases) {
            for k in 1..=*n_polls {
                let now = partial(pair, 256 * k as u64 / *n_polls as u64);
                let mut phases = done.clone();
                phases.push(Phase { number, ..phase(number, &now) });
                polls.push(phases);
            }
            done.clone_from(polls.last().unwrap());
        }
        let plan = TestPlan {
            tau: plan.tau.map(|tau| Tau::try_new(tau.get() * scale).unwrap()),
            mde_abs: plan.mde_abs.map(|mde| mde * scale),
            success_threshold: plan.success_threshold * scale,
            kill_threshold: plan.kill_threshold * scale,
            ..plan
        };
        History { plan, polls }
    })
}

/// Plans whose effects are in standard errors of the first phase.
fn plans() -> impl Strategy<Value = TestPlan> {
    let effects = (
        prop::option::of(0.01..100.0_f64),
        prop::option::of(0.01..100.0_f64),
        prop_oneof![Just(0.0), -3.0..3.0_f64],
        prop_oneof![Just(0.0), -3.0..0.0_f64],
    );
    let limits = (prop::option::of(1_u64..1_000_000), prop::option::of(1_u32..30), 0_u32..15, 1_u32..4);
    (effects, limits, any_direction(), any::<bool>()).prop_map(|(effects, limits, direction, is_signed)| {
        let (tau, mde_abs, success_threshold, kill_threshold) = effects;
        let (max_sample_size, max_days, min_runtime_days, n_treatments) = limits;
        TestPlan {
            tau: tau.map(|tau| Tau::try_new(tau).unwrap()),
            mde_abs,
            success_threshold,
            kill_threshold,
            max_sample_size,
            max_days,
            min_runtime_days,
            n_treatments,
            direction,
            is_signed,
            ..TestPlan::default()
        }
    })
}

fn run(history: &History) -> Vec<Evaluated> {
    let mut state: Option<RunningState> = None;
    let mut results = Vec::new();
    for (day, phases) in (1..).zip(&history.polls) {
        let now = evaluate(&poll(&history.plan, phases, day), state.as_ref());
        state = Some(now.running.clone());
        results.push(now);
    }
    results
}

/// A guardrail on the same data as the primary metric.
fn guard(phases: &[Phase], harm_direction: HarmDirection, margin: Margin) -> Guardrail<'_> {
    let reading = GuardrailReading::RelativeToControl(Comparison::new(phases, harm_direction, margin));
    Guardrail { name: "guard", must_prove: true, reading }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn p_never_rises_and_a_repeated_poll_changes_nothing(history in histories()) {
        let mut state: Option<RunningState> = None;
        let mut p = 1.0;
        for (day, phases) in (1..).zip(&history.polls) {
            let now = evaluate(&poll(&history.plan, phases, day), state.as_ref());
            assert_storable(&now);
            prop_assert_eq!(now.epoch, 1, "{:?}", now.health);
            prop_assert!(now.p_running <= p && now.ln_p_running <= 0.0);
            p = now.p_running;
            let again = evaluate(&poll(&history.plan, phases, day), Some(&now.running));
            prop_assert_eq!(&again, &now);
            let stored = serde_json::to_string(&now.running).unwrap();
            state = Some(serde_json::from_str(&stored).unwrap());
        }
    }

    #[test]
    fn every_number_of_a_poll_follows_from_the_same_interval(history in histories()) {
        let alpha = history.plan.alpha.get() / f64::from(history.plan.n_treatments);
        let mut has_crossed = false;
        for now in run(&history) {
            let (Some(ci), Some(ln_e), Some(effect)) = (now.ci, now.ln_e, now.effect) else {
                prop_assert!(!now.is_significant && !now.is_success_threshold_met);
                continue;
            };
            let z = effect / now.standard_error.unwrap();
            let half_width = (ci.upper.unwrap() - ci.lower.unwrap()) / 2.0 / now.standard_error.unwrap();
            let is_held = now.advice.recommendation == Recommendation::HoldDataQuality;
            if (z.abs() - half_width).abs() > 1e-6 * half_width {
                prop_assert_eq!(ci.excludes(0.0), ln_e >= -alpha.ln(), "{:?}", now);
                has_crossed |= ln_e >= -alpha.ln();
            } else {
                has_crossed = now.running.first_crossing.is_some();
            }
            if !is_held {
                prop_assert_eq!(now.is_significant, has_crossed && ci.excludes(0.0), "{:?}", now);
                prop_assert!(now.ln_p_running <= -ln_e.max(0.0));
            }
            if let Some(lift) = now.lift_ci {
                prop_assert_eq!(lift.excludes(0.0), ci.excludes(0.0));
            }
            let shrunken = now.effect_shrunken.unwrap();
            prop_assert!(shrunken.abs() <= effect.abs() && shrunken * effect >= 0.0);
            let oriented = history.plan.direction.orient(ci);
            let is_success = oriented.lower.unwrap() > history.plan.success_threshold;
            prop_assert_eq!(now.is_success_threshold_met, is_success);
            if let Some(decides) = now.decision_ci.map(|ci| history.plan.direction.orient(ci)) {
                prop_assert_eq!(decides.lower, oriented.lower);
                prop_assert_eq!(decides.upper, now.harm.unwrap().bound);
            }
            match now.advice.recommendation {
                Recommendation::Ship => prop_assert!(is_success && now.is_min_runtime_met),
                Recommendation::KillHarm => {
                    let harm = now.harm.unwrap();
                    prop_assert!(harm.bound.unwrap() < history.plan.kill_threshold && harm.alpha.rejects(harm.ln_e));
                }
                Recommendation::KillFutility => {
                    prop_assert!(now.futility_upper.unwrap() < history.plan.mde_abs.unwrap() && !is_success);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn snapshots_of_different_experiments_do_not_meet(
        histories in prop::collection::vec(histories(), 2..4), order in any::<u64>(),
    ) {
        let alone: Vec<_> = histories.iter().map(run).collect();
        // The same polls in an order drawn at random, each with the state of its own experiment.
        let mut states: Vec<Option<RunningState>> = vec![None; histories.len()];
        let mut done = vec![0; histories.len()];
        let mut order = order;
        while let Some(first) = (0..histories.len()).find(|i| done[*i] < histories[*i].polls.len()) {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let drawn = (order >> 33) as usize % histories.len();
            let i = if done[drawn] < histories[drawn].polls.len() { drawn } else { first };
            let (history, k) = (&histories[i], done[i]);
            let now = evaluate(&poll(&history.plan, &history.polls[k], k as i64 + 1), states[i].as_ref());
            prop_assert_eq!(&now, &alone[i][k]);
            states[i] = Some(now.running);
            done[i] += 1;
        }
    }

    #[test]
    fn fewer_is_better_is_more_is_better_with_the_arms_swapped(history in symmetric_histories()) {
        let flip = |direction| match direction {
            Direction::Increase => Direction::Decrease,
            Direction::Decrease => Direction::Increase,
        };
        let swapped = |phase: &Phase| Phase {
            control: phase.treatment,
            treatment: phase.control,
            control_weight: phase.treatment_weight,
            treatment_weight: phase.control_weight,
            ..*phase
        };
        let mirror = History {
            plan: TestPlan { direction: flip(history.plan.direction), ..history.plan },
            polls: history.polls.iter().map(|phases| phases.iter().map(swapped).collect()).collect(),
        };
        for (one, other) in run(&history).iter().zip(run(&mirror)) {
            prop_assert_eq!(one.advice.recommendation, other.advice.recommendation);
            prop_assert_eq!(one.effect, other.effect.map(|x| -x));
            prop_assert_eq!((one.ln_e, one.p_running, one.futility_upper), (other.ln_e, other.p_running, other.futility_upper));
            prop_assert_eq!((one.srm.level, one.is_significant), (other.srm.level, other.is_significant));
        }
    }

    #[test]
    fn the_unit_of_the_metric_does_not_change_a_verdict(
        pair in scalable(), plan in plans(), power in -20_i32..20, margin in 0.0..5.0_f64, relative in 0.0..0.2_f64,
        day in 1_i64..30, is_relative in any::<bool>(),
    ) {
        let c = 2.0_f64.powi(power);
        let at = |c: f64| {
            let effect = |x: f64| c * pair.scale * x;
            let plan = TestPlan {
                tau: plan.tau.map(|tau| Tau::try_new(effect(tau.get())).unwrap()),
                mde_abs: plan.mde_abs.map(effect),
                success_threshold: effect(plan.success_threshold),
                kill_threshold: effect(plan.kill_threshold),
                ..plan
            };
            let phases = [phase(1, &pair.scaled(c))];
            let margin = if is_relative { Margin::RelativeToControl(relative) } else { Margin::Absolute(effect(margin)) };
            let guardrails = [guard(&phases, HarmDirection::Increase, margin)];
            evaluate(&Evaluation { guardrails: &guardrails, ..poll(&plan, &phases, day) }, None)
        };
        let (small, large) = (at(1.0), at(c));
        prop_assert_eq!(small.advice.recommendation, large.advice.recommendation);
        prop_assert_eq!((small.status, small.ln_e, small.lift), (large.status, large.ln_e, large.lift));
        prop_assert_eq!(small.ci.and_then(|ci| ci.lower).map(|x| c * x), large.ci.and_then(|ci| ci.lower));
        let flags = |e: &Evaluated| (e.guardrails[0].deteriorated, e.guardrails[0].breached, e.guardrails[0].non_inferior);
        prop_assert_eq!(flags(&small), flags(&large));
    }

    #[test]
    fn a_guardrail_is_never_both_breached_and_safe(
        pair in pairs(), margin in prop_oneof![Just(0.0), 0.0..12.0_f64], relative in 0.0..0.9_f64,
        is_relative in any::<bool>(), is_more_harm in any::<bool>(),
    ) {
        let phases = [phase(1, &pair)];
        let margin = if is_relative { Margin::RelativeToControl(relative) } else { Margin::Absolute(margin * pair.scale) };
        let harm = if is_more_harm { HarmDirection::Increase } else { HarmDirection::Decrease };
        let plan = TestPlan { mde_abs: Some(pair.scale), ..TestPlan::default() };
        let guardrails = [guard(&phases, harm, margin)];
        let got = evaluate(&Evaluation { guardrails: &guardrails, ..poll(&plan, &phases, 1) }, None);
        assert_storable(&got);
        let g = &got.guardrails[0];
        prop_assert!(!(g.breached && g.non_inferior), "{:?}", g);
        if let (Some(lower), Some(upper), Some(bound)) = (g.lower, g.upper, g.bound) {
            prop_assert!(lower < upper && bound >= 0.0);
            prop_assert!(!g.breached || g.deteriorated, "beyond a margin is worse than control: {:?}", g);
            let edge = 1e-6 * (upper - lower);
            if lower.abs() > edge {
                prop_assert_eq!(g.deteriorated, lower > 0.0, "{:?}", g);
            }
            if !is_relative && (upper - bound).abs() > edge {
                prop_assert_eq!(g.non_inferior, upper < bound, "{:?}", g);
            }
            let sign = if is_more_harm { 1.0 } else { -1.0 };
            prop_assert_eq!(g.value, got.effect.map(|x| sign * x));
        }
        if g.breached && got.srm.level < outcome_stats::SrmLevel::Block {
            prop_assert!(matches!(got.advice.recommendation, Recommendation::KillGuardrail | Recommendation::HoldDataQuality));
        }
    }

    #[test]
    fn fewer_units_than_before_start_the_evidence_anew(history in histories(), percent in 1_u64..20) {
        let results = run(&history);
        let last = results.last().unwrap();
        let mut phases = history.polls.last().unwrap().clone();
        // More than deletions take, of the larger arm.
        let lost = phases[0].n_units() / 100 * percent + 1;
        let is_control = phases[0].control.n() >= phases[0].treatment.n();
        let arm = if is_control { &mut phases[0].control } else { &mut phases[0].treatment };
        prop_assume!(arm.n() > lost);
        *arm = match part(*arm, 256) {
            ArmSums::Proportion { n, successes } => {
                ArmSums::Proportion { n: n - lost, successes: successes.min(n - lost) }
            }
            ArmSums::Mean { n, sum, sum_squares } => ArmSums::Mean { n: n - lost, sum, sum_squares },
            other => scaled_sums(other, other.n() - lost, 1.0),
        };
        let day = history.polls.len() as i64 + 1;
        let got = evaluate(&poll(&history.plan, &phases, day), Some(&last.running));
        prop_assert_eq!(got.epoch, 2);
        prop_assert!(got.health.iter().any(|found| found.code == HealthCode::Restated));
        // The evidence is that of this poll alone; none, where the data forbid it. A mismatch is found beside the evidence.
        let forbids = |found: &HealthFinding| found.severity == Severity::Block && found.code != HealthCode::SrmProven;
        let ln_e = got.ln_e.filter(|_| !got.health.iter().any(forbids)).unwrap_or(0.0);
        prop_assert_eq!(got.p_running, (-ln_e.max(0.0)).exp(), "{:?}", got.health);
        prop_assert_eq!(evaluate(&poll(&history.plan, &phases, day), Some(&got.running)), got);
    }

    #[test]
    fn the_order_of_phases_does_not_matter(history in histories()) {
        let phases = history.polls.last().unwrap();
        let turned: Vec<Phase> = phases.iter().rev().copied().collect();
        // With a tau of its own, since otherwise the first gated phase chooses it.
        let plan = TestPlan { mde_abs: Some(history.plan.mde_abs.unwrap_or(1.0)), ..history.plan };
        let (one, other) = (evaluate(&poll(&plan, phases, 9), None), evaluate(&poll(&plan, &turned, 9), None));
        if let (Some(a), Some(b), Some(se)) = (one.effect, other.effect, one.standard_error) {
            prop_assert!(close(a, b, 0.0, 1e-9 * se), "{} {}", a, b);
            prop_assert!(close(se, other.standard_error.unwrap(), 1e-9, 0.0));
            prop_assert!(close(one.ln_e.unwrap(), other.ln_e.unwrap(), 1e-6, 1e-6));
        } else {
            prop_assert_eq!(one.effect, other.effect);
        }
        prop_assert_eq!((one.n_control, one.n_treatment), (other.n_control, other.n_treatment));
    }
}
