//! What the safety tests may spend over a rollout, through the same door as the runtime: 400 rollouts (2,000 with
//! `OUTCOME_TEST_LONG=1`) of a launch and three steps, from `OUTCOME_TEST_SEED`.

use outcome_stats::{
    Alpha, ArmSums, Cohorts, Comparison, Counts, DataHealth, Evaluated, Evaluation, Guardrail, GuardrailReading,
    HarmDirection, HealthCode, Lasting, Limit, Margin, Phase, Recommendation, RunningState, Scope, Step, TestPlan,
    assess, evaluate, rate_confidence,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _};

use super::given::is_long;

const N_LOOKS: u32 = 28;
const RATE: f64 = 0.05;
const PER_LOOK: u64 = 600;
const DAY: i64 = 86_400;

fn plan(shares_with_steps: bool) -> TestPlan {
    TestPlan { mde_abs: Some(0.005), shares_with_steps, ..TestPlan::default() }
}

/// What counts at a phase, where every phase after the launch is a step.
fn scope(phase: u32, shares_with_steps: bool) -> Scope {
    match (shares_with_steps, phase) {
        (false, from) => Scope { safety_from: from, ..Scope::default() },
        (true, 0) => Scope::default(),
        (true, from) => Scope { step: Some(Step { from, number: from }), ..Scope::default() },
    }
}

/// Shares of rollouts that were stopped by harm and by a guardrail. `harm`: what the treatment takes away in each phase.
fn stopped(harm: [f64; 4], shares_with_steps: bool) -> [f64; 2] {
    let seed = std::env::var("OUTCOME_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_105);
    let n_rollouts = if is_long() { 2_000 } else { 400 };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let arrivals = |p: f64| Binomial::new(PER_LOOK, p).unwrap();
    let plan = plan(shares_with_steps);
    let mut found = [0.0; 2];
    for _ in 0..n_rollouts {
        let (mut phases, mut guard): (Vec<Phase>, Vec<Phase>) = (Vec::new(), Vec::new());
        let mut state = RunningState::default();
        let (mut is_harmful, mut is_breached, mut day) = (false, false, 0_i64);
        for (number, harm) in (0..).zip(harm) {
            let mut sums = [0; 4];
            for look in 1..=N_LOOKS {
                for (sum, p) in sums.iter_mut().zip([RATE, RATE - harm, RATE, RATE + harm]) {
                    *sum += arrivals(p).sample(&mut rng);
                }
                let n = PER_LOOK * u64::from(look);
                let phase = |control, treatment| Phase {
                    number,
                    control_weight: 0.5,
                    treatment_weight: 0.5,
                    control: ArmSums::Proportion { n, successes: control },
                    treatment: ArmSums::Proportion { n, successes: treatment },
                };
                if look > 1 {
                    phases.pop();
                    guard.pop();
                }
                phases.push(phase(sums[0], sums[1]));
                guard.push(phase(sums[2], sums[3]));
                day += 1;
                let comparison = Comparison::new(&guard, HarmDirection::Increase, Margin::Absolute(0.0));
                let reading = GuardrailReading::RelativeToControl(comparison);
                let input = Evaluation {
                    cohorts: None,
                    plan: &plan,
                    phases: &phases,
                    elapsed_days: day as f64,
                    as_of: day * DAY,
                    guardrails: &[Guardrail { name: "refunds", must_prove: false, reading }],
                    health: DataHealth::default(),
                    scope: scope(number, shares_with_steps),
                };
                let assessed = assess(&input, &mut state);
                is_harmful |= assessed.numbers.is_kill_threshold_exceeded;
                is_breached |= assessed.recommendation == Recommendation::KillGuardrail;
            }
        }
        found[0] += f64::from(u8::from(is_harmful));
        found[1] += f64::from(u8::from(is_breached));
    }
    found.map(|count| count / f64::from(n_rollouts))
}

#[test]
fn a_rollout_in_steps_stops_no_more_often_without_a_reason_than_is_stated() {
    let [harm, breach] = stopped([0.0; 4], true);
    let [harm_before, breach_before] = stopped([0.0; 4], false);
    eprintln!("one budget: {harm} {breach}; one a step: {harm_before} {breach_before}");
    let limit = |alpha: f64| alpha + 2.0 * (alpha * (1.0 - alpha) / if is_long() { 2_000.0 } else { 400.0 }).sqrt();
    assert!(harm <= limit(0.025) && breach <= limit(0.05), "{harm} {breach}");
    // The same rollouts convict a budget for each step: this simulation is able to fail. A few hundred rollouts have too few false findings
    // to tell the two kinds apart.
    assert!(harm_before + breach_before > harm + breach, "{harm_before} {breach_before}");
    if is_long() {
        assert!(harm_before > harm && breach_before > breach, "{harm_before} {breach_before}");
    }
}

#[test]
fn a_step_that_breaks_is_found_beside_the_phases_before_it() {
    let [harm, breach] = stopped([-0.005, -0.005, 0.015, 0.015], true);
    eprintln!("{harm} {breach}");
    assert!(harm > 0.95 && breach > 0.95, "{harm} {breach}");
}

fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

fn phase(number: u32, control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number, control_weight: 1.0, treatment_weight: 1.0, control, treatment }
}

fn at(
    as_of: i64,
    phases: &[Phase],
    guardrails: &[Guardrail<'_>],
    scope: Scope,
    state: Option<&RunningState>,
) -> Evaluated {
    let (elapsed_days, health) = (as_of as f64 / DAY as f64, DataHealth::default());
    let plan = TestPlan { mde_abs: Some(0.01), ..plan(true) };
    evaluate(&Evaluation { cohorts: None, plan: &plan, phases, elapsed_days, as_of, guardrails, health, scope }, state)
}

#[test]
fn a_step_has_a_process_of_its_own_and_the_one_before_goes_on() {
    let good = phase(0, rate(40_000, 2000), rate(40_000, 2600));
    let launch = at(20 * DAY, &[good], &[], scope(0, true), None);
    assert!((launch.harm.unwrap().alpha.get() - 0.02).abs() < 1e-12, "a fifth is kept");
    let phases = [good, phase(1, rate(4000, 200), rate(4000, 60))];
    let alone = Scope::default();
    assert_ne!(at(21 * DAY, &phases, &[], alone, None).advice.recommendation, Recommendation::KillHarm);
    let step = at(21 * DAY, &phases, &[], scope(1, true), Some(&launch.running));
    assert_eq!(step.advice.recommendation, Recommendation::KillHarm);
    let harm = step.harm.unwrap();
    assert_eq!((harm.from_phase, harm.n_control), (1, 4000));
    assert!((harm.alpha.get() - 0.0025).abs() < 1e-12, "half of what is kept");
    // The next step begins with its own data, and the harm of the step before stays in what goes on.
    let next = [good, phases[1], phase(2, rate(0, 0), rate(0, 0))];
    let later = at(22 * DAY, &next, &[], scope(2, true), Some(&step.running));
    assert_eq!((later.running.harm_of_step, later.running.harm.unwrap().n_control), (None, 44_000));
}

#[test]
fn a_rate_of_a_step_is_not_outweighed_by_the_phases_before_it() {
    let phases = [phase(0, rate(40_000, 2000), rate(40_000, 2000)), phase(1, rate(4000, 200), rate(4000, 200))];
    let of = |of_step| {
        let reading = GuardrailReading::RateLimit { successes: 600, n: 44_000, of_step, limit: Limit::Max(0.02) };
        let guardrails = [Guardrail { name: "refunds", must_prove: false, reading }];
        at(21 * DAY, &phases, &guardrails, scope(1, true), None).guardrails.remove(0)
    };
    assert!(!of(None).breached && !of(Some(Counts { successes: 80, n: 4000 })).breached);
    let broken = of(Some(Counts { successes: 400, n: 4000 }));
    assert!(broken.breached && broken.value == Some(0.1), "{broken:?}");
    // What is beyond the limit with the whole budget, and not with that of a step.
    let lower = |alpha| rate_confidence(118, 4000, 0.02, Alpha::try_new(alpha).unwrap()).unwrap().ci.lower.unwrap();
    assert!(lower(0.05 * 0.8) > 0.02 && lower(0.05 * 0.2 / 2.0) < 0.02, "{} {}", lower(0.04), lower(0.005));
    assert!(!of(Some(Counts { successes: 118, n: 4000 })).breached);
    assert!(broken.non_inferior, "of all phases: 600 of 44,000 are below the limit");
}

#[test]
fn values_so_far_have_four_fifths_of_the_budget_and_mature_ones_the_rest() {
    let phases = [phase(0, rate(4000, 200), rate(4000, 200))];
    let budgets = |judges_so_far| {
        let cohorts = Cohorts { claimed: &phases, judges_so_far, both_share: 0.0, other_share: 0.0 };
        let input = Evaluation {
            cohorts: Some(cohorts),
            plan: &plan(false),
            phases: &phases,
            elapsed_days: 8.0,
            as_of: 8 * DAY,
            guardrails: &[],
            health: DataHealth::default(),
            scope: Scope::default(),
        };
        let running = evaluate(&input, None).running;
        [running.harm, running.harm_of_mature].map(|look| look.map_or(0.0, |look| look.alpha.get()))
    };
    for (found, wanted) in [(budgets(true), [0.02, 0.005]), (budgets(false), [0.0, 0.025])] {
        assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{found:?}");
    }
}

#[test]
fn what_lasts_is_counted_once_a_reading() {
    let phases = [phase(0, rate(4000, 200), rate(4000, 200)), phase(1, rate(400, 20), rate(400, 20))];
    let after = |health, as_of, state: Option<&RunningState>| {
        let input = Evaluation {
            cohorts: None,
            plan: &plan(false),
            phases: &phases,
            elapsed_days: 8.0,
            as_of,
            guardrails: &[],
            health,
            scope: Scope::default(),
        };
        evaluate(&input, state).running
    };
    let [both, unknown] = [(true, false), (false, true)].map(|(is_both_now, is_unknown_now)| DataHealth {
        is_both_now,
        is_unknown_now,
        ..DataHealth::default()
    });
    for (health, code) in [(both, HealthCode::BothArmsOften), (unknown, HealthCode::UnknownVariantsOften)] {
        let first = after(health, DAY, None);
        assert_eq!(first.lasting, [Lasting { code, phase: 1, n: 1, since: DAY, until: DAY }]);
        assert_eq!(after(health, DAY, Some(&first)).lasting, first.lasting, "the same reading again");
        assert_eq!(after(health, 2 * DAY, Some(&first)).lasting[0].n, 2);
        assert!(after(DataHealth::default(), 2 * DAY, Some(&first)).lasting.is_empty());
    }
}

#[test]
fn findings_without_words_are_the_same_findings() {
    let phases = [phase(0, rate(4000, 200), rate(4000, 200))];
    let input = Evaluation {
        cohorts: None,
        plan: &plan(false),
        phases: &phases,
        elapsed_days: 8.0,
        as_of: 8 * DAY,
        guardrails: &[],
        health: DataHealth { is_stale: true, is_sampled: true, ..DataHealth::default() },
        scope: Scope::default(),
    };
    let mut state = RunningState::default();
    let assessed = assess(&input, &mut state);
    let codes = |evaluated: Evaluated| evaluated.health.iter().map(|found| found.code).collect::<Vec<_>>();
    assert_eq!(codes(assessed.without_words(state)), [HealthCode::Stale, HealthCode::Sampled]);
}
