//! From one poll and a stored state to a verdict.

use outcome_stats::{
    Alpha, ArmSums, Cohorts, Comparison, DataHealth, Direction, EpochReason, Evaluated, Evaluation, Guardrail,
    GuardrailReading, HarmDirection, HealthCode, Limit, Margin, Phase, Recommendation, RunningState, Scope, Severity,
    SrmLevel, Status, Tau, TestPlan, TuningSource, UnitCheck, ValueLimit, ValueRule, evaluate,
};

const DAY: i64 = 86_400;

fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

fn phase(number: u32, control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number, control_weight: 0.5, treatment_weight: 0.5, control, treatment }
}

fn plan() -> TestPlan {
    TestPlan { mde_abs: Some(0.01), ..TestPlan::default() }
}

struct Poll<'a> {
    plan: TestPlan,
    phases: &'a [Phase],
    day: i64,
    guardrails: &'a [Guardrail<'a>],
    health: DataHealth,
    cohorts: Option<Cohorts<'a>>,
}

impl<'a> Poll<'a> {
    fn on(day: i64, phases: &'a [Phase]) -> Self {
        Self { plan: plan(), phases, day, guardrails: &[], health: DataHealth::default(), cohorts: None }
    }

    fn plan(self, plan: TestPlan) -> Self {
        Self { plan, ..self }
    }

    fn guarded(self, guardrails: &'a [Guardrail<'a>]) -> Self {
        Self { guardrails, ..self }
    }

    fn after(&self, previous: Option<&RunningState>) -> Evaluated {
        let Self { plan, phases, day, guardrails, health, cohorts } = self;
        let (as_of, elapsed_days) = (day * DAY, *day as f64);
        let input = Evaluation {
            cohorts: *cohorts,
            plan,
            phases,
            elapsed_days,
            as_of,
            guardrails,
            health: *health,
            scope: Scope::default(),
        };
        evaluate(&input, previous)
    }

    fn first(&self) -> Evaluated {
        self.after(None)
    }
}

fn decision(evaluated: &Evaluated) -> Recommendation {
    evaluated.advice.recommendation
}

#[test]
fn a_clear_gain_ships_only_after_a_full_week() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let early = Poll::on(6, &gain).first();
    assert_eq!(decision(&early), Recommendation::Continue);
    assert_eq!(early.advice.reason, "The effect is above the success threshold; waiting for the minimum of 7 days.");
    let late = Poll::on(7, &gain).first();
    assert_eq!(decision(&late), Recommendation::Ship);
    assert!(late.is_significant && late.is_success_threshold_met);
    assert!(late.advice.reason.starts_with("Even the lower bound of the improvement (+"));
}

#[test]
fn a_minimum_runtime_is_rounded_up_to_whole_weeks() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let ten = TestPlan { min_runtime_days: 10, ..plan() };
    assert_eq!(decision(&Poll::on(13, &gain).plan(ten).first()), Recommendation::Continue);
    assert_eq!(decision(&Poll::on(14, &gain).plan(ten).first()), Recommendation::Ship);
}

#[test]
fn a_ship_waits_for_the_minimum_sample() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let more = TestPlan { min_sample_size: 40_001, ..plan() };
    let got = Poll::on(14, &gain).plan(more).first();
    assert_eq!((decision(&got), got.is_min_sample_reached), (Recommendation::Continue, false));
}

#[test]
fn harm_is_called_on_the_first_day() {
    let loss = [phase(1, rate(20_000, 1300), rate(20_000, 1000))];
    let got = Poll::on(1, &loss).first();
    assert_eq!((decision(&got), got.is_kill_threshold_exceeded), (Recommendation::KillHarm, true));
}

#[test]
fn fewer_is_better_turns_the_same_data_around() {
    let arms = [phase(1, rate(20_000, 1300), rate(20_000, 1000))];
    let fewer = TestPlan { direction: Direction::Decrease, ..plan() };
    let got = Poll::on(7, &arms).plan(fewer).first();
    assert_eq!(decision(&got), Recommendation::Ship);
    assert!(got.effect.unwrap() < 0.0, "the effect is shown as measured");
    let more = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    assert_eq!(decision(&Poll::on(1, &more).plan(fewer).first()), Recommendation::KillHarm);
}

#[test]
fn a_dead_treatment_arm_is_killed_and_not_taken_for_missing_data() {
    let broken = [phase(1, rate(100_000, 51), rate(100_000, 0))];
    let small = TestPlan { mde_abs: Some(0.0005), ..TestPlan::default() };
    let got = Poll::on(1, &broken).plan(small).first();
    assert_eq!(decision(&got), Recommendation::KillHarm);
    assert_eq!((got.lift, got.lift_ci), (Some(-1.0), None));
}

#[test]
fn an_effect_too_small_to_matter_is_futile() {
    let flat = [phase(1, rate(200_000, 10_000), rate(200_000, 10_020))];
    let got = Poll::on(14, &flat).first();
    assert_eq!(decision(&got), Recommendation::KillFutility);
    assert!(got.futility_upper.unwrap() < 0.01);
    assert_eq!(decision(&Poll::on(3, &flat).first()), Recommendation::Continue);
}

#[test]
fn the_end_of_the_plan_without_an_answer_is_inconclusive() {
    let vague = [phase(1, rate(2000, 100), rate(2000, 112))];
    let by_days = TestPlan { max_days: Some(28), ..plan() };
    let got = Poll::on(28, &vague).plan(by_days).first();
    assert_eq!(decision(&got), Recommendation::IterateInconclusive);
    assert!(got.advice.reason.contains("maximum number of days"), "{}", got.advice.reason);
    let by_units = TestPlan { max_sample_size: Some(4000), ..plan() };
    let got = Poll::on(14, &vague).plan(by_units).first();
    assert_eq!(decision(&got), Recommendation::IterateInconclusive);
}

#[test]
fn too_little_data_say_what_is_missing() {
    let few = [phase(1, rate(99, 5), rate(150, 9))];
    let got = Poll::on(1, &few).first();
    assert_eq!(decision(&got), Recommendation::Continue);
    assert!(matches!(got.status, Status::InsufficientSample { .. }));
    assert_eq!(got.advice.reason, "Too early to test: 99 of 100 units in the smaller arm.");
    assert_eq!((got.p_running, got.ci, got.ci_running), (1.0, None, None));
}

#[test]
fn no_variance_has_no_interval() {
    let silent = [phase(1, rate(1000, 0), rate(1000, 0))];
    let got = Poll::on(1, &silent).first();
    assert_eq!((got.status, got.ci, got.effect), (Status::ZeroVariance, None, None));
    assert!(got.health.iter().any(|f| f.code == HealthCode::ZeroEvents));
}

#[test]
fn impossible_data_hold_everything() {
    let wrong = [phase(1, rate(1000, 1001), rate(1000, 5))];
    let got = Poll::on(9, &wrong).first();
    assert_eq!(decision(&got), Recommendation::HoldDataQuality);
    assert_eq!(got.advice.reason, "No claim: the reading is impossible: more successes than units.");
}

#[test]
fn shrinking_units_start_the_evidence_anew_and_are_judged_in_the_same_poll() {
    let before = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let first = Poll::on(8, &before).first();
    assert!(first.p_running < 0.05 && first.running.first_crossing.is_some());

    let after = [phase(1, rate(19_700, 1250), rate(20_100, 1260))];
    let restated = Poll::on(9, &after).after(Some(&first.running));
    assert_eq!((restated.epoch, restated.p_running, decision(&restated)), (2, 1.0, Recommendation::KillFutility));
    assert_eq!(restated.running.epoch_start.unwrap().reason, EpochReason::Restatement);
    assert!(restated.health.iter().any(|found| found.message.contains("corrected its past")));
    assert_eq!(restated.tuning, first.tuning, "the tuning belongs to the plan");

    let repeated = Poll::on(9, &after).after(Some(&restated.running));
    assert_eq!(repeated, restated);

    let next = [phase(1, rate(21_000, 1050), rate(21_000, 1365))];
    let next = Poll::on(10, &next).after(Some(&repeated.running));
    assert_eq!((next.epoch, next.running.epoch_start), (2, restated.running.epoch_start));
}

#[test]
fn a_correction_that_shows_harm_is_acted_on_in_the_same_poll() {
    let first = Poll::on(8, &[phase(1, rate(20_000, 1000), rate(20_000, 1300))]).first();
    let corrected = [phase(1, rate(20_000, 1300), rate(19_000, 900))];
    assert_eq!(decision(&Poll::on(9, &corrected).after(Some(&first.running))), Recommendation::KillHarm);
}

#[test]
fn a_few_deleted_units_of_both_arms_are_a_note_and_the_evidence_stays() {
    let first = Poll::on(8, &[phase(1, rate(20_000, 1000), rate(20_000, 1300))]).first();
    let fewer = [phase(1, rate(19_995, 1000), rate(19_996, 1300))];
    let got = Poll::on(9, &fewer).after(Some(&first.running));
    let codes: Vec<_> = got.health.iter().map(|found| (found.code, found.severity)).collect();
    assert_eq!((decision(&got), got.epoch), (Recommendation::Ship, 1));
    assert_eq!(codes, [(HealthCode::UnitsDeleted, Severity::Note)]);
    // Drop by drop they add up, and count from the most that was ever there.
    let drops = [phase(1, rate(19_950, 1000), rate(19_849, 1300))];
    let got = Poll::on(10, &drops).after(Some(&got.running));
    assert_eq!((got.epoch, got.running.phases[0].n_control), (2, 19_950));
}

#[test]
fn a_phase_that_disappears_is_a_restatement() {
    let both = [phase(1, rate(2000, 100), rate(2000, 110)), phase(2, rate(3000, 150), rate(3000, 160))];
    let first = Poll::on(2, &both).first();
    let got = Poll::on(3, &both[1..]).after(Some(&first.running));
    assert_eq!((decision(&got), got.epoch), (Recommendation::Continue, 2));
}

#[test]
fn an_older_reading_is_held_and_forgotten() {
    let newer = [phase(1, rate(3000, 150), rate(3000, 170))];
    let older = [phase(1, rate(2000, 100), rate(2000, 120))];
    let state = Poll::on(3, &newer).first().running;
    let late = Poll::on(2, &older).after(Some(&state));
    assert_eq!(decision(&late), Recommendation::HoldDataQuality);
    assert_eq!(late.running, state);
    assert!(late.health.iter().any(|f| f.code == HealthCode::OutOfOrder));
}

#[test]
fn phases_are_combined_by_information_and_never_pooled() {
    // The base rate doubles while the split goes from 9:1 to 1:1; there is no effect in either phase.
    let ramp = [
        Phase { control_weight: 9.0, treatment_weight: 1.0, ..phase(1, rate(90_000, 4500), rate(10_000, 500)) },
        phase(2, rate(50_000, 5000), rate(50_000, 5000)),
    ];
    let got = Poll::on(10, &ramp).first();
    assert!(got.effect.unwrap().abs() < 1e-12, "{:?}", got.effect);
    assert_eq!((got.n_control, got.n_treatment), (140_000, 60_000));
    assert_eq!(got.srm.level, SrmLevel::Clean);
}

#[test]
fn a_phase_below_the_gate_contributes_nothing() {
    let good = phase(1, rate(20_000, 1000), rate(20_000, 1300));
    let tiny = phase(2, rate(50, 50), rate(50, 0));
    let alone = Poll::on(10, &[good]).first();
    let with_tiny = Poll::on(10, &[good, tiny]).first();
    assert_eq!((alone.effect, alone.ci), (with_tiny.effect, with_tiny.ci));
    assert_eq!(with_tiny.n_control, 20_050);
}

#[test]
fn a_mismatch_of_traffic_blocks_and_stays_blocked() {
    let skewed = [phase(1, rate(50_000, 2500), rate(52_500, 3500))];
    let got = Poll::on(8, &skewed).first();
    assert_eq!((decision(&got), got.srm.level), (Recommendation::HoldSrm, SrmLevel::Block));
    // Later traffic that hides the imbalance does not take the proof back.
    let hidden = [phase(1, rate(99_000, 5000), rate(99_200, 6900))];
    let later = Poll::on(20, &hidden).after(Some(&got.running));
    assert!(later.srm.ln_e.unwrap() < 1.0);
    assert_eq!(decision(&later), Recommendation::HoldSrm);
}

#[test]
fn traffic_on_an_arm_that_should_get_none_blocks_at_once() {
    let off = Phase { treatment_weight: 0.0, ..phase(1, rate(1000, 50), rate(1, 0)) };
    let got = Poll::on(1, &[off]).first();
    assert_eq!((decision(&got), got.srm.p), (Recommendation::HoldSrm, 0.0));
}

#[test]
fn an_arm_without_any_unit_allows_no_claim() {
    let empty = [phase(1, rate(500, 25), rate(0, 0))];
    let got = Poll::on(1, &empty).first();
    assert_eq!(decision(&got), Recommendation::HoldSrm);
    let few = [phase(1, rate(20, 1), rate(0, 0))];
    let got = Poll::on(1, &few).first();
    assert_eq!(decision(&got), Recommendation::HoldDataQuality);
    assert_eq!(got.advice.reason, "No claim: the treatment arm has no exposed units.");
    let other = [phase(1, rate(0, 0), rate(20, 1))];
    assert_eq!(Poll::on(1, &other).first().advice.reason, "No claim: the control arm has no exposed units.");
}

#[test]
fn shares_of_units_that_saw_another_arm_weaken_a_claim_and_then_forbid_it() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    for (both_share, other_share, code, is_claimed) in [
        (0.01, 0.005, None, true),
        (0.011, 0.0, Some(HealthCode::BothArms), true),
        (0.05, 0.0, Some(HealthCode::BothArms), true),
        (0.051, 0.0, Some(HealthCode::BothArmsOften), false),
        (0.0, 0.006, Some(HealthCode::UnknownVariants), false),
        (0.0, 0.05, Some(HealthCode::UnknownVariants), false),
        (0.0, 0.051, Some(HealthCode::UnknownVariantsOften), false),
    ] {
        let cohorts = Some(Cohorts { claimed: &gain, judges_so_far: false, both_share, other_share });
        let got = Poll { cohorts, ..Poll::on(8, &gain) }.first();
        let codes: Vec<_> = got.health.iter().map(|found| found.code).collect();
        assert_eq!(codes, code.into_iter().collect::<Vec<_>>(), "{both_share} {other_share}");
        assert_eq!(decision(&got) == Recommendation::Ship, is_claimed, "{both_share} {other_share}");
    }
}

#[test]
fn unhealthy_readings_leave_the_evidence_as_it_was() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let health = [
        DataHealth { is_stale: true, ..DataHealth::default() },
        DataHealth { is_sampled: true, ..DataHealth::default() },
        DataHealth { has_flag_drift: true, ..DataHealth::default() },
    ];
    for health in health {
        let got = Poll { health, ..Poll::on(8, &gain) }.first();
        assert_eq!((decision(&got), got.p_running), (Recommendation::HoldDataQuality, 1.0));
    }
}

#[test]
fn what_is_known_of_the_units_decides_what_is_claimed() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let with = |health| Poll { health, ..Poll::on(8, &gain) }.first();
    let counted = |n, n_units| DataHealth { units: UnitCheck::Counted { n, n_units }, ..DataHealth::default() };
    let both = |n_both| DataHealth { n_both, n_both_of: 40_000, ..DataHealth::default() };
    for (health, code, is_claimed) in [
        (counted(40_000, 40_000), None, true),
        (counted(40_000, 5_000), Some(HealthCode::RowsCountedAsUnits), false),
        (counted(40_000, 40_001), Some(HealthCode::RowsCountedAsUnits), false),
        (DataHealth { units: UnitCheck::Unchecked, ..DataHealth::default() }, Some(HealthCode::UnitsUnchecked), true),
        (both(400), None, true),
        (both(401), Some(HealthCode::BothArms), true),
        (both(2000), Some(HealthCode::BothArms), true),
        (both(2001), Some(HealthCode::BothArmsOften), false),
        (
            DataHealth { has_numbers_of_another: true, ..DataHealth::default() },
            Some(HealthCode::NumbersOfAnother),
            false,
        ),
    ] {
        let got = with(health);
        assert_eq!(got.health.first().map(|found| found.code), code, "{health:?}");
        let expected = if is_claimed { Recommendation::Ship } else { Recommendation::HoldDataQuality };
        assert_eq!(decision(&got), expected, "{health:?}");
    }
    let words = with(counted(40_000, 5_000)).health.remove(0).message;
    assert!(words.contains("40,000") && words.contains("5,000"), "{words}");
}

#[test]
fn intervals_that_contradict_each_other_hold_automation() {
    let up = [phase(1, rate(20_000, 1000), rate(20_000, 1400))];
    let first = Poll::on(8, &up).first();
    let down = [phase(1, rate(400_000, 20_000), rate(400_000, 20_000))];
    let got = Poll::on(60, &down).after(Some(&first.running));
    assert_eq!(decision(&got), Recommendation::HoldDataQuality);
    assert!(got.health.iter().any(|f| f.code == HealthCode::EffectDrift));
}

#[test]
fn tau_comes_from_the_plan_and_else_from_the_first_gated_poll_only() {
    let arms = [phase(1, rate(5000, 250), rate(5000, 260))];
    let source = |plan: TestPlan| Poll::on(1, &arms).plan(plan).first().tuning.unwrap().source;
    let bare = TestPlan::default();
    let explicit = TestPlan { tau: Some(Tau::try_new(0.02).unwrap()), ..plan() };
    assert_eq!(source(explicit), TuningSource::Explicit);
    assert_eq!(source(plan()), TuningSource::MinimumDetectableEffect);
    assert_eq!(source(TestPlan { success_threshold: 0.01, ..bare }), TuningSource::SuccessThreshold);
    let planned = TestPlan { max_sample_size: Some(50_000), ..bare };
    assert_eq!(source(planned), TuningSource::PlannedSampleSize);
    assert_eq!(source(bare), TuningSource::Fallback);

    let first = Poll::on(1, &arms).plan(bare).first();
    let more = [phase(1, rate(50_000, 2500), rate(50_000, 2600))];
    let later = Poll::on(9, &more).plan(bare).after(Some(&first.running));
    assert_eq!((first.tuning, first.epoch), (later.tuning, later.epoch));
}

#[test]
fn a_relative_effect_without_a_baseline_is_frozen_at_the_first_control_level() {
    let arms = [phase(1, rate(5000, 250), rate(5000, 300))];
    let relative = TestPlan { mde_relative: Some(0.1), ..TestPlan::default() };
    let first = Poll::on(1, &arms).plan(relative).first();
    assert!((first.tuning.unwrap().tau.get() - 0.005).abs() < 1e-12);
    let more = [phase(1, rate(50_000, 5000), rate(50_000, 5000))];
    let later = Poll::on(9, &more).plan(relative).after(Some(&first.running));
    assert_eq!((later.tuning, later.epoch), (first.tuning, 1));
}

#[test]
fn a_changed_plan_starts_the_evidence_anew_and_says_so() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let first = Poll::on(8, &gain).first();
    let other = TestPlan { alpha: Alpha::try_new(0.01).unwrap(), ..plan() };
    let got = Poll::on(9, &gain).plan(other).after(Some(&first.running));
    assert_eq!(got.epoch, 2);
    assert!(got.health.iter().any(|f| f.code == HealthCode::PlanChanged));
    assert_eq!(Poll::on(9, &gain).plan(other).after(Some(&got.running)), got);
}

#[test]
fn alpha_is_shared_by_several_treatments() {
    let arms = [phase(1, rate(20_000, 1000), rate(20_000, 1100))];
    let one = Poll::on(8, &arms).first().ci.unwrap();
    let three = Poll::on(8, &arms).plan(TestPlan { n_treatments: 3, ..plan() }).first().ci.unwrap();
    assert!(three.lower < one.lower && three.upper > one.upper);
}

fn errors(phases: &[Phase], margin: Margin, must_prove: bool) -> Guardrail<'_> {
    let reading = GuardrailReading::RelativeToControl(Comparison::new(phases, HarmDirection::Increase, margin));
    Guardrail { name: "error_rate", must_prove, reading }
}

#[test]
fn a_breached_guardrail_kills_before_a_success_ships() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let worse = [phase(1, rate(20_000, 400), rate(20_000, 900))];
    for margin in [Margin::Absolute(0.005), Margin::RelativeToControl(0.25)] {
        let guardrails = [errors(&worse, margin, false)];
        let got = Poll::on(9, &gain).guarded(&guardrails).first();
        assert_eq!(decision(&got), Recommendation::KillGuardrail, "{margin:?}");
        assert!(got.advice.reason.starts_with("Guardrail `error_rate` is beyond its bound"));
    }
}

#[test]
fn a_required_proof_of_safety_delays_the_ship() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let unclear = [phase(1, rate(2000, 40), rate(2000, 41))];
    let safe = [phase(1, rate(200_000, 4000), rate(200_000, 3990))];
    let margin = Margin::RelativeToControl(0.1);
    let waiting = [errors(&unclear, margin, true)];
    let got = Poll::on(9, &gain).guarded(&waiting).first();
    assert_eq!(decision(&got), Recommendation::Continue);
    assert!(got.advice.reason.contains("proof that every required guardrail is met"));
    let at_end = TestPlan { max_days: Some(9), ..plan() };
    let got = Poll::on(9, &gain).plan(at_end).guarded(&waiting).first();
    assert_eq!(decision(&got), Recommendation::IterateGuardrailUnproven);
    let proven = [errors(&safe, margin, true)];
    let got = Poll::on(9, &gain).guarded(&proven).first();
    assert_eq!((decision(&got), got.guardrails[0].non_inferior), (Recommendation::Ship, true));
}

#[test]
fn a_rate_beyond_its_absolute_limit_breaches_only_with_evidence() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let limited = |successes, n, limit| {
        let reading = GuardrailReading::RateLimit { successes, n, of_step: None, limit };
        let guardrails = [Guardrail { name: "payment_success", must_prove: false, reading }];
        Poll::on(9, &gain).guarded(&guardrails).first().guardrails.remove(0)
    };
    assert!(!limited(9, 10, Limit::Min(0.97)).breached, "a point estimate never kills");
    assert!(limited(18_000, 20_000, Limit::Min(0.97)).breached);
    assert!(limited(19_800, 20_000, Limit::Min(0.97)).non_inferior);
    assert!(limited(2000, 20_000, Limit::Max(0.05)).breached);
}

#[test]
fn a_bare_value_alerts_after_consecutive_polls_and_a_repeat_does_not_count() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let slow = |value| {
        let limit = Limit::Max(800.0);
        let reading = GuardrailReading::ValueLimit(ValueLimit {
            value: Some(value),
            n: Some(500),
            limit,
            consecutive: 3,
            rule: ValueRule::InARow,
        });
        [Guardrail { name: "p95_latency_ms", must_prove: false, reading }]
    };
    let mut state = None;
    let mut counts = Vec::new();
    for (day, value) in [(8, 900.0), (9, 910.0), (9, 910.0), (10, 700.0), (11, 900.0), (12, 900.0), (13, 900.0)] {
        let guardrails = slow(value);
        let got = Poll::on(day, &gain).guarded(&guardrails).after(state.as_ref());
        counts.push((got.guardrails[0].n_consecutive, decision(&got) == Recommendation::HoldAlert));
        state = Some(got.running);
    }
    let want = [(1, false), (2, false), (2, false), (0, false), (1, false), (2, false), (3, true)];
    assert_eq!(counts, want);
}

#[test]
fn a_result_survives_storage_as_json() {
    let gain = [phase(1, rate(20_000, 1000), rate(20_000, 1300))];
    let margin = Margin::Absolute(0.005);
    let guardrails = [errors(&gain, margin, false)];
    let got = Poll::on(9, &gain).guarded(&guardrails).first();
    let text = serde_json::to_string(&got).unwrap();
    assert_eq!(serde_json::from_str::<Evaluated>(&text).unwrap(), got);
}
