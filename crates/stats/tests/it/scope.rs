//! Which phases count for what: a rollout step and a resume begin a safety process of their own.

use outcome_stats::{
    Alpha, ArmSums, Comparison, DataHealth, EpochReason, Evaluated, Evaluation, Guardrail, GuardrailReading,
    GuardrailResult, HarmDirection, HealthCode, Margin, Phase, Recommendation, RunningState, Scope, SrmLevel, Step,
    Tau, TestPlan, evaluate,
};

const DAY: i64 = 86_400;

fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

fn phase(number: u32, control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number, control_weight: 1.0, treatment_weight: 1.0, control, treatment }
}

fn at(as_of: i64, phases: &[Phase], scope: Scope, previous: Option<&RunningState>) -> Evaluated {
    guarded(as_of, phases, &[], scope, previous)
}

fn guarded(
    as_of: i64,
    phases: &[Phase],
    guardrails: &[Guardrail<'_>],
    scope: Scope,
    previous: Option<&RunningState>,
) -> Evaluated {
    let plan = TestPlan { mde_abs: Some(0.01), ..TestPlan::default() };
    let (elapsed_days, health) = (as_of as f64 / DAY as f64, DataHealth::default());
    evaluate(
        &Evaluation { cohorts: None, plan: &plan, phases, elapsed_days, as_of, guardrails, health, scope },
        previous,
    )
}

fn from_step(safety_from: u32) -> Scope {
    Scope { safety_from, ..Scope::default() }
}

/// A gain over many units, then a loss over fewer.
fn good_then_broken() -> [Phase; 2] {
    [phase(0, rate(40_000, 2000), rate(40_000, 2600)), phase(1, rate(4000, 200), rate(4000, 60))]
}

#[test]
fn a_step_that_breaks_is_not_outweighed_by_the_phases_before_it() {
    let phases = good_then_broken();
    let pooled = at(20 * DAY, &phases, Scope::default(), None);
    assert_ne!(pooled.advice.recommendation, Recommendation::KillHarm);
    let own = at(20 * DAY, &phases, from_step(1), None);
    assert_eq!(own.advice.recommendation, Recommendation::KillHarm);
    let harm = own.harm.unwrap();
    assert_eq!((harm.from_phase, harm.n_control, harm.n_treatment), (1, 4000, 4000));
    assert_eq!(own.decision_ci, None, "the two ends rest on different units");
}

#[test]
fn a_guardrail_that_breaks_on_a_step_is_not_outweighed_either() {
    let clean = [phase(0, rate(40_000, 2000), rate(40_000, 2000)), phase(1, rate(4000, 200), rate(4000, 200))];
    let refunds = [phase(0, rate(40_000, 2000), rate(40_000, 800)), phase(1, rate(4000, 200), rate(4000, 600))];
    let reading =
        GuardrailReading::RelativeToControl(Comparison::new(&refunds, HarmDirection::Increase, Margin::Absolute(0.0)));
    let guardrails = [Guardrail { name: "refunds", must_prove: true, reading }];
    let of = |scope| guarded(20 * DAY, &clean, &guardrails, scope, None);
    assert!(!of(Scope::default()).guardrails[0].breached);
    assert!(of(from_step(1)).guardrails[0].breached);
}

#[test]
fn the_proof_of_safety_stays_while_the_step_has_too_few_units() {
    let before = phase(0, rate(40_000, 2000), rate(40_000, 2000));
    let phases = [before, phase(1, rate(40, 2), rate(40, 2))];
    let reading =
        GuardrailReading::RelativeToControl(Comparison::new(&phases, HarmDirection::Increase, Margin::Absolute(0.02)));
    let guardrails = [Guardrail { name: "refunds", must_prove: true, reading }];
    let found = guarded(20 * DAY, &phases, &guardrails, from_step(1), None).guardrails.remove(0);
    assert!(found.non_inferior && !found.breached && found.upper.is_some(), "{found:?}");
    assert_eq!((found.lower, found.ln_e_breached), (None, Some(0.0)));
}

#[test]
fn a_proof_of_safety_waits_for_units_whose_window_is_over_and_harm_does_not() {
    let of = |all: &[Phase], claimed: &[Phase]| {
        let reading = GuardrailReading::RelativeToControl(Comparison {
            claimed: Some(claimed),
            ..Comparison::new(all, HarmDirection::Increase, Margin::Absolute(0.02))
        });
        let guardrails = [Guardrail { name: "refunds", must_prove: true, reading }];
        guarded(20 * DAY, all, &guardrails, Scope::default(), None).guardrails.remove(0)
    };
    let same = phase(0, rate(40_000, 2000), rate(40_000, 2000));
    let nobody = phase(0, rate(0, 0), rate(0, 0));
    let early = of(&[same], &[nobody]);
    assert!(!early.non_inferior && !early.breached && early.upper.is_none() && early.lower.is_some(), "{early:?}");
    assert!(of(&[same], &[same]).non_inferior);
    let harmful = phase(0, rate(40_000, 2000), rate(40_000, 4000));
    assert!(of(&[harmful], &[nobody]).breached);
}

#[test]
fn a_phase_with_many_units_does_not_hide_the_crashes_of_one_with_few() {
    let clean = phase(0, rate(10_000, 60), rate(10_000, 60));
    let crashing = phase(1, rate(2_000, 0), rate(2_000, 40));
    let polled = |phases: &[Phase], counts_rare| {
        let reading = GuardrailReading::RelativeToControl(Comparison {
            counts_rare,
            ..Comparison::new(phases, HarmDirection::Increase, Margin::Absolute(0.0))
        });
        let guardrails = [Guardrail { name: "crashes", must_prove: false, reading }];
        guarded(20 * DAY, phases, &guardrails, Scope::default(), None)
    };
    let of = |phases: &[Phase], counts_rare| polled(phases, counts_rare).guardrails.remove(0);
    let found = of(&[clean, crashing], true);
    assert!(found.breached && found.is_exact, "{found:?}");
    // The width of the mixture is fixed by the first poll that could have one, whatever was counted beside it.
    let tuning = |counts_rare| polled(&[clean, crashing], counts_rare).running.guardrails[0].tuning;
    assert!(tuning(true).is_some() && tuning(true) == tuning(false));
    assert!(!of(&[clean, crashing], false).breached, "plans of before wait");
    // A phase in which nothing happens at all hides nothing either.
    assert!(of(&[crashing, phase(2, rate(3, 0), rate(3, 0))], true).breached);
}

/// A guardrail of refunds with a width of its own, so that its numbers depend on its units alone.
fn refunds<'a>(phases: &'a [Phase], claimed: Option<&'a [Phase]>, margin: f64) -> Comparison<'a> {
    let tau = Some(Tau::try_new(0.01).unwrap());
    Comparison { tau, claimed, ..Comparison::new(phases, HarmDirection::Increase, Margin::Absolute(margin)) }
}

fn judged(comparison: Comparison<'_>, plan: &TestPlan, scope: Scope) -> GuardrailResult {
    let reading = GuardrailReading::RelativeToControl(comparison);
    let clean = [phase(0, rate(40_000, 2000), rate(40_000, 2000))];
    let input = Evaluation {
        cohorts: None,
        plan,
        phases: &clean,
        elapsed_days: 20.0,
        as_of: 20 * DAY,
        guardrails: &[Guardrail { name: "refunds", must_prove: true, reading }],
        health: DataHealth::default(),
        scope,
    };
    evaluate(&input, None).guardrails.remove(0)
}

#[test]
fn harm_is_of_the_phases_of_the_safety_process_and_the_proof_of_those_that_are_claimed() {
    let before = phase(0, rate(40_000, 2000), rate(40_000, 2000));
    let after = phase(1, rate(4000, 200), rate(4000, 600));
    let alone = |of: Phase| judged(refunds(&[of], None, 0.02), &TestPlan::default(), Scope::default());
    let (harm, proof) = (alone(after), alone(before));
    let both = judged(refunds(&[before, after], Some(&[before]), 0.02), &TestPlan::default(), from_step(1));
    assert!(both.breached && both.deteriorated && both.non_inferior, "{both:?}");
    assert_eq!((both.lower, both.ln_e_breached), (harm.lower, harm.ln_e_breached));
    assert_eq!(both.upper, proof.upper);
    // What was found before a human resumed is no finding of the process that began then.
    let few = phase(1, rate(40, 2), rate(40, 2));
    let broken = phase(0, rate(40_000, 2000), rate(40_000, 6000));
    let resumed = judged(refunds(&[broken, few], None, 0.02), &TestPlan::default(), from_step(1));
    assert!(!resumed.breached && !resumed.deteriorated && resumed.upper.is_some(), "{resumed:?}");
}

#[test]
fn a_step_by_itself_only_adds_what_all_phases_do_not_find() {
    let plan = TestPlan { shares_with_steps: true, ..TestPlan::default() };
    let step = Scope { step: Some(Step { from: 1, number: 1 }), ..Scope::default() };
    let before = phase(0, rate(40_000, 2000), rate(40_000, 1900));
    let of = |after, scope| judged(refunds(&[before, after], None, 0.02), &plan, scope);
    let (fine, broken) = (phase(1, rate(4000, 200), rate(4000, 210)), phase(1, rate(4000, 200), rate(4000, 600)));
    assert_eq!(of(fine, step), of(fine, Scope::default()), "nothing is wrong with the step");
    let (found, all) = (of(broken, step), of(broken, Scope::default()));
    assert!(found.breached && !all.breached, "{found:?}");
    assert_eq!((found.upper, found.non_inferior), (all.upper, all.non_inferior));
    // Its budget is half of the fifth that is kept for steps.
    let own_plan = TestPlan { guardrail_alpha: Alpha::try_new(0.05 * 0.2 / 2.0).unwrap(), ..TestPlan::default() };
    let own = judged(refunds(&[broken], None, 0.02), &own_plan, Scope::default());
    assert!((found.lower.unwrap() - own.lower.unwrap()).abs() < 1e-12, "{found:?} {own:?}");
    // Where all phases find it as well, theirs are the numbers.
    let worse = phase(0, rate(40_000, 2000), rate(40_000, 6000));
    let both = |scope| judged(refunds(&[worse, broken], None, 0.02), &plan, scope);
    assert!(both(step).breached);
    assert_eq!(both(step), both(Scope::default()));
}

#[test]
fn crashes_of_a_step_that_those_of_another_outweigh_are_counted_by_themselves() {
    let plan = TestPlan { shares_with_steps: true, ..TestPlan::default() };
    let phases = [
        phase(0, rate(40_000, 240), rate(40_000, 240)),
        phase(1, rate(2000, 40), rate(2000, 0)),
        phase(2, rate(2000, 0), rate(2000, 40)),
    ];
    let of = |scope| judged(Comparison { counts_rare: true, ..refunds(&phases, None, 0.0) }, &plan, scope);
    let all = of(Scope::default());
    assert!(!all.breached && !all.is_exact, "{all:?}");
    let step = of(Scope { step: Some(Step { from: 2, number: 2 }), ..Scope::default() });
    assert!(step.breached && step.is_exact, "{step:?}");
}

#[test]
fn counted_events_are_held_against_zero_and_against_a_margin_of_their_rate() {
    let of = |events, margin| {
        let phases = [phase(0, rate(2000, 2), rate(2000, events))];
        let comparison = Comparison::new(&phases, HarmDirection::Increase, margin);
        judged(Comparison { counts_rare: true, ..comparison }, &TestPlan::default(), Scope::default())
    };
    let counted = of(22, Margin::RelativeToControl(0.5));
    // Half of the rate of both arms together.
    assert!(counted.is_exact && (counted.bound.unwrap() - 0.5 * 24.0 / 4000.0).abs() < 1e-12, "{counted:?}");
    let flags = |found: GuardrailResult| (found.deteriorated, found.breached);
    let margin = Margin::Absolute(0.004);
    assert_eq!([3, 22, 60].map(|n| flags(of(n, margin))), [(false, false), (true, false), (true, true)]);
}

#[test]
fn a_restart_forgets_the_evidence_and_halves_the_budget() {
    let before = [phase(0, rate(20_000, 1300), rate(20_000, 1000))];
    let stopped = at(2 * DAY, &before, Scope::default(), None);
    assert_eq!(stopped.advice.recommendation, Recommendation::KillHarm);
    let after = [before[0], phase(1, rate(2000, 100), rate(2000, 101))];
    let resumed = Scope { safety_from: 1, n_restarts: 1, ..Scope::default() };
    let got = at(3 * DAY, &after, resumed, Some(&stopped.running));
    assert_eq!(got.advice.recommendation, Recommendation::Continue, "what paused it does not pause it again");
    assert!((got.harm.unwrap().alpha.get() - 0.0125).abs() < 1e-15);
    // What claims rest on goes on over the phases.
    assert_eq!((got.epoch, got.n_control), (1, 22_000));
}

#[test]
fn units_before_a_mismatch_count_no_longer_once_it_was_resumed() {
    let mismatch = [phase(0, rate(20_000, 1000), rate(15_000, 1200))];
    let stopped = at(2 * DAY, &mismatch, Scope::default(), None);
    assert_eq!(stopped.advice.recommendation, Recommendation::HoldSrm);
    let found = stopped.health.iter().map(|found| found.code).collect::<Vec<_>>();
    assert_eq!(found, [HealthCode::SrmProven]);
    let after = [mismatch[0], phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let resumed = Scope { safety_from: 1, claims_from: 1, n_restarts: 1, ..Scope::default() };
    let got = at(9 * DAY, &after, resumed, Some(&stopped.running));
    assert_eq!((got.advice.recommendation, got.srm.level), (Recommendation::Ship, SrmLevel::Clean));
    assert_eq!((got.n_control, got.n_treatment, got.epoch), (20_000, 20_000, 2));
    assert_eq!(got.running.epoch_start.unwrap().reason, EpochReason::PhasesLeftOut);
    // The next poll belongs to the same epoch.
    let next = at(10 * DAY, &after, resumed, Some(&got.running));
    assert_eq!((next.epoch, next.health.len()), (2, 0));
}

#[test]
fn harm_is_looked_for_once_an_hour() {
    let fine = [phase(0, rate(20_000, 1000), rate(20_000, 1000))];
    let broken = [phase(0, rate(20_000, 1300), rate(20_000, 1000))];
    let first = at(DAY, &fine, Scope::default(), None);
    let soon = at(DAY + 3599, &broken, Scope::default(), Some(&first.running));
    assert_eq!(soon.harm, first.harm);
    assert_ne!(soon.advice.recommendation, Recommendation::KillHarm);
    let later = at(DAY + 3600, &broken, Scope::default(), Some(&soon.running));
    assert_eq!(later.advice.recommendation, Recommendation::KillHarm);
    // Of what is off, a correction counts at once.
    let off = Scope { is_off: true, ..Scope::default() };
    assert_eq!(at(DAY + 60, &broken, off, Some(&first.running)).advice.recommendation, Recommendation::KillHarm);
    // Asked again about the same poll, the answer is the same.
    assert_eq!(at(DAY + 3600, &broken, Scope::default(), Some(&later.running)), later);
}

#[test]
fn a_budget_is_halved_as_often_as_it_is_asked() {
    let of = |n| Alpha::HARM.halved(n).get();
    assert_eq!((of(0), of(1), of(3)), (0.025, 0.0125, 0.003_125));
    assert!(of(u32::MAX) > 0.0);
}
