use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::{ExperimentState, Pause, PauseCause, RolloutPlan};
use crate::lifecycle::{AnalysisCause, Effect, transition_experiment};
use crate::principal::Principal;
use crate::stats::{
    Alpha, ArmSums, DataHealth, Evaluated, Evaluation, HarmTest, HealthCode, HealthFinding, Phase, Recommendation,
    Scope, Severity, TestPlan, evaluate,
};

/// A healthy result with this recommendation.
fn result(recommendation: Recommendation) -> Evaluated {
    let plan = TestPlan { mde_abs: Some(0.01), ..TestPlan::default() };
    let arm = ArmSums::Proportion { n: 1000, successes: 50 };
    let phases = [Phase { number: 0, control_weight: 1.0, treatment_weight: 1.0, control: arm, treatment: arm }];
    let input = Evaluation {
        cohorts: None,
        plan: &plan,
        phases: &phases,
        elapsed_days: 1.0,
        as_of: 0,
        guardrails: &[],
        health: DataHealth::default(),
        scope: Scope::default(),
    };
    let mut evaluated = evaluate(&input, None);
    evaluated.advice.recommendation = recommendation;
    evaluated.advice.reason = "because".to_owned();
    evaluated.numbers.is_min_sample_reached = false;
    evaluated
}

fn with(mut evaluated: Evaluated, codes: &[HealthCode]) -> Evaluated {
    let finding =
        |code: &HealthCode| HealthFinding { code: *code, severity: code.severity(), message: code_text(*code) };
    evaluated.health = codes.iter().map(finding).collect();
    evaluated
}

fn code_text(code: HealthCode) -> String {
    format!("{code:?}")
}

fn of(evaluated: &Evaluated) -> PollFindings<'_> {
    PollFindings { evaluated: Some(evaluated), ..PollFindings::default() }
}

/// On day 10 of 28, with the flag on.
fn standing(status: ExperimentStatus) -> Standing<'static> {
    Standing {
        status,
        on_since: Some(day(0)),
        now: day(10),
        launched_at: Some(day(0)),
        is_guarded: false,
        duration_days: 28,
        min_sample_size: 1000,
        success_threshold: 0.0,
        keeps_flag: false,
        step_began_at: Some(day(0)),
        is_last_step: false,
        analyses: &[],
        gate: Some((GateAdvice::Ship, day(1))),
        is_gate_empty: false,
    }
}

#[test]
fn a_flag_that_went_on_in_the_future_goes_off() {
    let standing = Standing { on_since: Some(day(40)), ..standing(ExperimentStatus::Running) };
    let event = event_after_poll(&PollFindings::default(), &standing);
    assert!(matches!(event, Some(ExperimentEvent::AutoPaused { cause: PauseCause::DataHealth, .. })), "{event:?}");
}

fn day(n: i64) -> Timestamp {
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    start + SignedDuration::from_hours(24 * n)
}

const WITH_THE_FLAG_ON: [ExperimentStatus; 6] = [
    ExperimentStatus::Running,
    ExperimentStatus::Measuring,
    ExperimentStatus::Scaling,
    ExperimentStatus::AwaitingAnalysisGate,
    ExperimentStatus::AwaitingScaleGate,
    ExperimentStatus::AwaitingShipGate,
];

/// Everything that forbids a claim, one by one and together.
const HOLDS: [&[HealthCode]; 8] = [
    &[],
    &[HealthCode::EffectDrift],
    &[HealthCode::Restated],
    &[HealthCode::OutOfOrder],
    &[HealthCode::Sampled],
    &[HealthCode::Stale],
    &[HealthCode::UnitsDeleted, HealthCode::SrmSuspected],
    &[HealthCode::EffectDrift, HealthCode::Restated, HealthCode::OutOfOrder, HealthCode::Sampled],
];

/// How a poll comes to have a finding.
type Change = Box<dyn Fn(&mut PollFindings<'static>, &mut Evaluated)>;

/// Each finding that turns the flag off, with its cause.
fn dangers() -> Vec<(&'static str, PauseCause, Change)> {
    let recommends = |recommendation| -> Change {
        Box::new(move |_: &mut PollFindings<'static>, evaluated: &mut Evaluated| {
            evaluated.advice.recommendation = recommendation;
        })
    };
    let found = |change: fn(&mut PollFindings<'static>)| -> Change { Box::new(move |found, _| change(found)) };
    vec![
        ("harm", PauseCause::KillThreshold, recommends(Recommendation::KillHarm)),
        ("breach", PauseCause::Constraint, recommends(Recommendation::KillGuardrail)),
        ("alert", PauseCause::Constraint, recommends(Recommendation::HoldAlert)),
        ("mismatch", PauseCause::SampleRatio, recommends(Recommendation::HoldSrm)),
        (
            "empty arm",
            PauseCause::ArmWithoutExposure,
            Box::new(|_, evaluated| {
                let empty = with(evaluated.clone(), &[HealthCode::ArmWithoutExposure]);
                evaluated.health.extend(empty.health);
            }),
        ),
        (
            "impossible data",
            PauseCause::DataHealth,
            Box::new(|_, evaluated| {
                let invalid = with(evaluated.clone(), &[HealthCode::Invalid]);
                evaluated.health.extend(invalid.health);
            }),
        ),
        ("flag drift", PauseCause::FlagDrift, found(|found| found.flag_drift = Some("it is on"))),
        (
            "failing query",
            PauseCause::QueryFailing,
            found(|found| found.failing = Some(Failing { detail: "no such column", n_attempts: 3, since: day(9) })),
        ),
        ("stale signal", PauseCause::StaleSignal, found(|found| found.stale_signal = Some("late"))),
        (
            "nobody exposed",
            PauseCause::NobodyExposed,
            found(|found| {
                found.silence = Some(Silence { since: day(0), n_expected: Some(1000.0), detail: "nobody" });
            }),
        ),
    ]
}

#[test]
fn in_every_state_with_the_flag_on_every_danger_turns_it_off_under_every_hold() {
    let by = Principal::system("poll");
    for status in WITH_THE_FLAG_ON {
        for hold in HOLDS {
            for (name, cause, change) in dangers() {
                let mut evaluated = with(result(Recommendation::Ship), hold);
                let mut found = PollFindings::default();
                change(&mut found, &mut evaluated);
                let found = PollFindings { evaluated: Some(&evaluated), ..found };
                let what = format!("{status}, {name}, {hold:?}");
                let event = event_after_poll(&found, &standing(status)).expect(&what);
                let ExperimentEvent::AutoPaused { cause: got, .. } = &event else { panic!("{what}: {event:?}") };
                assert_eq!(*got, cause, "{what}");
                let (next, effects) = transition_experiment(&state(status), &event, &by).expect(&what);
                assert_eq!(next.status, ExperimentStatus::Paused, "{what}");
                assert_eq!(effects.first(), Some(&Effect::FlagOff), "{what}");
                assert!(effects.iter().any(|effect| matches!(effect, Effect::OpenGate(_))), "{what}");
                assert!(effects.contains(&Effect::Notify), "{what}");
                assert_eq!(effects.contains(&Effect::SupersedeGates), status.is_waiting(), "{what}");
                // With the flag off there is nothing left to turn off.
                let off = Standing { on_since: None, ..standing(status) };
                let after = event_after_poll(&found, &off);
                assert!(!matches!(after, Some(ExperimentEvent::AutoPaused { .. })), "{what}: {after:?}");
            }
        }
    }
}

#[test]
fn a_kill_by_rule_needs_data_that_can_be_trusted() {
    for status in WITH_THE_FLAG_ON {
        for hold in HOLDS {
            let evaluated = with(result(Recommendation::KillGuardrail), hold);
            let found = PollFindings { is_kill_by_rule: true, ..of(&evaluated) };
            let is_trusted = evaluated.health.iter().all(|finding| finding.severity < Severity::Block);
            let event = event_after_poll(&found, &standing(status)).unwrap();
            let is_killed = matches!(event, ExperimentEvent::KilledByRule { .. });
            assert_eq!(is_killed, is_trusted, "{status} {hold:?}");
            let (next, effects) = transition_experiment(&state(status), &event, &Principal::system("poll")).unwrap();
            assert_eq!(next.status == ExperimentStatus::Killed, is_killed);
            assert!(effects.contains(&Effect::FlagOff) && effects.contains(&Effect::Notify));
            let drifted = PollFindings { flag_drift: Some("elsewhere"), ..found };
            let event = event_after_poll(&drifted, &standing(status)).unwrap();
            assert!(matches!(event, ExperimentEvent::AutoPaused { cause: PauseCause::FlagDrift, .. }), "{event:?}");
            let failing = Failing { detail: "no such column", n_attempts: 1, since: day(10) };
            let event = event_after_poll(&PollFindings { failing: Some(failing), ..found }, &standing(status)).unwrap();
            assert!(matches!(event, ExperimentEvent::AutoPaused { cause: PauseCause::Constraint, .. }), "{event:?}");
        }
    }
    // An alert claims nothing, so it never kills.
    let alert = result(Recommendation::HoldAlert);
    let found = PollFindings { is_kill_by_rule: true, ..of(&alert) };
    let event = event_after_poll(&found, &standing(ExperimentStatus::Measuring)).unwrap();
    assert!(matches!(event, ExperimentEvent::AutoPaused { .. }), "{event:?}");
}

#[test]
fn what_only_forbids_a_claim_never_turns_a_flag_off() {
    for status in WITH_THE_FLAG_ON {
        for hold in HOLDS {
            let held = with(result(Recommendation::HoldDataQuality), hold);
            let event = event_after_poll(&of(&held), &standing(status));
            let is_off = matches!(
                event,
                Some(
                    ExperimentEvent::AutoPaused { .. }
                        | ExperimentEvent::KilledByRule { .. }
                        | ExperimentEvent::Concluded { .. }
                )
            );
            assert!(!is_off, "{status} {hold:?}: {event:?}");
        }
    }
}

#[test]
fn a_failure_counts_after_three_attempts_and_two_hours() {
    let event = |n_attempts, since| {
        let found = PollFindings {
            failing: Some(Failing { detail: "no such column", n_attempts, since }),
            ..PollFindings::default()
        };
        event_after_poll(&found, &standing(ExperimentStatus::Measuring))
    };
    let minutes_ago = |n| day(10) - SignedDuration::from_mins(n);
    assert_eq!(event(2, minutes_ago(600)), None);
    assert_eq!(event(30, minutes_ago(119)), None);
    assert!(matches!(event(3, minutes_ago(120)), Some(ExperimentEvent::AutoPaused { .. })));
}

#[test]
fn silence_is_said_after_a_day_and_ends_the_wait_after_three_or_a_hundred_units() {
    let at = |hours, n_expected| Silence { since: day(10) - SignedDuration::from_hours(hours), n_expected, detail: "" };
    let said = |hours, n_expected| at(hours, n_expected).is_said(day(10));
    let over = |hours, n_expected| at(hours, n_expected).is_over_limit(day(10));
    assert_eq!((said(23, Some(500.0)), said(24, Some(500.0)), said(24, Some(19.0))), (false, true, false));
    assert_eq!((over(24, Some(99.0)), over(24, Some(100.0)), over(23, Some(100.0))), (false, true, false));
    assert_eq!((over(71, Some(20.0)), over(72, Some(20.0)), over(72, Some(19.0))), (false, true, false));
    assert_eq!((said(24, None), over(71, None), over(72, None)), (true, false, true));
}

#[test]
fn the_sample_comes_before_the_analysis() {
    let mut ship = result(Recommendation::Ship);
    ship.numbers.is_min_sample_reached = true;
    let event = |status| event_after_poll(&of(&ship), &standing(status));
    assert_eq!(event(ExperimentStatus::Running), Some(ExperimentEvent::SampleReached));
    assert_eq!(cause(event(ExperimentStatus::Measuring)), Some(AnalysisCause::Ship));
    assert_eq!(event(ExperimentStatus::AwaitingAnalysisGate), None);
    let going_on = result(Recommendation::Continue);
    assert_eq!(event_after_poll(&of(&going_on), &standing(ExperimentStatus::Measuring)), None);
}

#[test]
fn a_success_keeps_the_flag_on_and_every_other_end_turns_it_off() {
    for status in [ExperimentStatus::Running, ExperimentStatus::Measuring] {
        let event = |recommendation| event_after_poll(&of(&result(recommendation)), &standing(status));
        assert!(matches!(event(Recommendation::Ship), Some(ExperimentEvent::AnalysisDue { .. })));
        for end in [
            Recommendation::KillFutility,
            Recommendation::IterateInconclusive,
            Recommendation::IterateGuardrailUnproven,
        ] {
            let concluded = event(end).unwrap();
            assert!(matches!(concluded, ExperimentEvent::Concluded { .. }), "{concluded:?}");
            let (_, effects) = transition_experiment(&state(status), &concluded, &Principal::system("poll")).unwrap();
            assert!(effects.contains(&Effect::FlagOff));
            let held = Standing { keeps_flag: true, ..standing(status) };
            assert!(matches!(event_after_poll(&of(&result(end)), &held), Some(ExperimentEvent::AnalysisDue { .. })));
        }
    }
}

#[test]
fn an_analysis_is_due_again_after_a_week_and_futility_at_the_end() {
    let measuring = |analyses| Standing { analyses, ..standing(ExperimentStatus::Measuring) };
    let (ship, futile) = (result(Recommendation::Ship), result(Recommendation::KillFutility));
    let recent = [(AnalysisCause::Ship, day(4)), (AnalysisCause::Ship, day(1)), (AnalysisCause::KillFutility, day(1))];
    assert_eq!(event_after_poll(&of(&ship), &measuring(&recent)), None);
    let past = [(AnalysisCause::Ship, day(3))];
    assert_eq!(cause(event_after_poll(&of(&ship), &measuring(&past))), Some(AnalysisCause::Ship));
    assert_eq!(cause(event_after_poll(&of(&futile), &measuring(&past))), Some(AnalysisCause::KillFutility));
    assert_eq!(event_after_poll(&of(&futile), &measuring(&recent)), None);
    let at_the_end = Standing { now: day(28), ..measuring(&recent) };
    assert_eq!(cause(event_after_poll(&of(&futile), &at_the_end)), Some(AnalysisCause::EndOfPlan));
}

#[test]
fn a_plan_ends_although_nothing_could_be_judged() {
    let nothing = PollFindings::default();
    for status in [ExperimentStatus::Running, ExperimentStatus::Measuring, ExperimentStatus::Scaling] {
        assert_eq!(event_after_poll(&nothing, &standing(status)), None);
        let over = Standing { now: day(28), ..standing(status) };
        assert_eq!(cause(event_after_poll(&nothing, &over)), Some(AnalysisCause::IterateInconclusive), "{status}");
    }
}

/// On the step alone: so many units of each arm, and this upper bound of the improvement.
fn on_step(recommendation: Recommendation, n: u64, bound: f64) -> Evaluated {
    let mut evaluated = result(recommendation);
    evaluated.numbers.harm = Some(HarmTest {
        as_of: 0,
        from_phase: 1,
        alpha: Alpha::HARM,
        n_control: n,
        n_treatment: n,
        effect: 0.0,
        bound: Some(bound),
        ln_e: 0.0,
    });
    evaluated
}

#[test]
fn a_rollout_step_is_measured_on_its_own_data() {
    let scaling = standing(ExperimentStatus::Scaling);
    let event = |evaluated: &Evaluated, standing: &Standing<'_>| event_after_poll(&of(evaluated), standing);
    let fine = on_step(Recommendation::Ship, 500, 0.02);
    assert_eq!(event(&fine, &scaling), Some(ExperimentEvent::StepMeasured));
    let early = Standing { step_began_at: Some(day(4)), ..scaling };
    assert_eq!(event(&fine, &early), None, "a week is not over");
    assert_eq!(event(&on_step(Recommendation::Ship, 499, 0.02), &scaling), None, "too few units on the step");
    let unhealthy = with(fine.clone(), &[HealthCode::EffectDrift]);
    assert_eq!(event(&unhealthy, &scaling), None);
    let too_small = on_step(Recommendation::Ship, 500, -0.001);
    assert_eq!(cause(event(&too_small, &scaling)), Some(AnalysisCause::StepTooSmall));
    // It need not prove success again, unless it is the last one.
    let undecided = on_step(Recommendation::Continue, 500, 0.02);
    assert_eq!(event(&undecided, &scaling), Some(ExperimentEvent::StepMeasured));
    let last = Standing { is_last_step: true, ..scaling };
    assert_eq!(event(&undecided, &last), None);
    assert_eq!(event(&fine, &last), Some(ExperimentEvent::StepMeasured));
    let futile = on_step(Recommendation::KillFutility, 500, 0.02);
    assert_eq!(cause(event(&futile, &last)), Some(AnalysisCause::KillFutility));
}

#[test]
fn an_open_gate_is_replaced_when_its_recommendation_does_not_hold_any_more() {
    let waiting = standing(ExperimentStatus::AwaitingAnalysisGate);
    let event = |recommendation, standing: &Standing<'_>| event_after_poll(&of(&result(recommendation)), standing);
    assert_eq!(event(Recommendation::Ship, &waiting), None);
    for changed in [Recommendation::Continue, Recommendation::HoldDataQuality] {
        assert!(matches!(event(changed, &waiting), Some(ExperimentEvent::Rejudged { .. })), "{changed:?}");
    }
    assert!(matches!(event(Recommendation::KillFutility, &waiting), Some(ExperimentEvent::Concluded { .. })));
    let fresh = Standing { gate: Some((GateAdvice::Ship, day(10))), ..waiting };
    assert_eq!(event(Recommendation::Continue, &fresh), None, "at most once a day");
    assert!(event(Recommendation::KillHarm, &fresh).is_some(), "danger does not wait");
    let concluded = Standing { on_since: None, ..waiting };
    assert_eq!(event(Recommendation::Continue, &concluded), None, "what was concluded stays as it was");
    let empty = Standing { is_gate_empty: true, ..concluded };
    assert!(event(Recommendation::Continue, &empty).is_some(), "a gate without figures gets them");
}

#[test]
fn a_ship_gate_falls_with_the_success_it_rests_on_and_an_overruled_one_does_not() {
    let waiting = |advice| Standing { gate: Some((advice, day(1))), ..standing(ExperimentStatus::AwaitingShipGate) };
    let event = |evaluated: &Evaluated, advice| event_after_poll(&of(evaluated), &waiting(advice));
    let (ship, going_on) = (result(Recommendation::Ship), result(Recommendation::Continue));
    assert_eq!(event(&ship, GateAdvice::Ship), None);
    assert!(event(&going_on, GateAdvice::Ship).is_some());
    assert_eq!(event(&going_on, GateAdvice::Iterate), None);
    let unhealthy = with(ship, &[HealthCode::EffectDrift]);
    assert!(event(&unhealthy, GateAdvice::Iterate).is_some());
}

#[test]
fn a_correction_that_removes_a_finding_recommends_to_resume() {
    let paused =
        |advice| Standing { on_since: None, gate: Some((advice, day(1))), ..standing(ExperimentStatus::Paused) };
    let event = |recommendation, advice| event_after_poll(&of(&result(recommendation)), &paused(advice));
    assert_eq!(event(Recommendation::KillHarm, GateAdvice::Kill), None);
    assert!(matches!(event(Recommendation::Continue, GateAdvice::Kill), Some(ExperimentEvent::Rejudged { .. })));
    assert_eq!(event(Recommendation::Continue, GateAdvice::Resume), None);
    assert!(matches!(event(Recommendation::KillHarm, GateAdvice::Resume), Some(ExperimentEvent::Rejudged { .. })));
    let again = event(Recommendation::Continue, GateAdvice::Kill).unwrap();
    let (next, _) = transition_experiment(&paused_state(), &again, &Principal::system("poll")).unwrap();
    assert_eq!(next, paused_state(), "it stays paused, for the same reason");
}

#[test]
fn the_gate_reads_the_advice_as_one_word() {
    let said = |evaluated: &Evaluated, pause| {
        let advice = GateAdvice::of(Some((&evaluated.advice, &evaluated.health)), pause);
        advice.in_words(Some(&evaluated.advice), pause)
    };
    assert_eq!(said(&result(Recommendation::KillFutility), None), "kill: because");
    let held = |codes| said(&with(result(Recommendation::HoldDataQuality), codes), None);
    assert_eq!(held(&[]), "extend: because");
    assert_eq!(held(&[HealthCode::EffectDrift]), "iterate: because", "more data do not change it");
    assert_eq!(held(&[HealthCode::EffectDrift, HealthCode::Stale]), "extend: because");
    assert_eq!(said(&result(Recommendation::KillHarm), Some(PauseCause::KillThreshold)), "kill: because");
    assert_eq!(said(&result(Recommendation::HoldSrm), Some(PauseCause::SampleRatio)), "iterate: because");
    assert_eq!(
        said(&result(Recommendation::Continue), Some(PauseCause::KillThreshold)),
        "resume: the correction removed the finding. because"
    );
    assert_eq!(
        said(&result(Recommendation::Continue), Some(PauseCause::StaleSignal)),
        "resume: once the cause of the pause is removed. because"
    );
}

#[test]
fn a_resume_leads_back_to_measuring_or_to_the_same_step() {
    use crate::lifecycle::experiment::after_pause;
    let from = |from, step| {
        let pause = Some(Pause { cause: PauseCause::Manual, detail: String::new(), from });
        after_pause(&ExperimentState { pause, step, ..paused_state() })
    };
    assert_eq!(from(ExperimentStatus::Running, 0), ExperimentStatus::Running);
    assert_eq!(from(ExperimentStatus::Scaling, 1), ExperimentStatus::Scaling);
    assert_eq!(from(ExperimentStatus::AwaitingAnalysisGate, 0), ExperimentStatus::Measuring);
    assert_eq!(from(ExperimentStatus::AwaitingAnalysisGate, 1), ExperimentStatus::Scaling);
    assert_eq!(from(ExperimentStatus::AwaitingScaleGate, 1), ExperimentStatus::Scaling);
    assert_eq!(from(ExperimentStatus::AwaitingShipGate, 0), ExperimentStatus::Measuring);
}

fn cause(event: Option<ExperimentEvent>) -> Option<AnalysisCause> {
    match event {
        Some(ExperimentEvent::AnalysisDue { cause, .. } | ExperimentEvent::Concluded { cause, .. }) => Some(cause),
        _ => None,
    }
}

fn state(status: ExperimentStatus) -> ExperimentState {
    let rollout = RolloutPlan { initial_pct: 50, steps: vec![80] };
    ExperimentState { status, ..ExperimentState::new(&rollout) }
}

fn paused_state() -> ExperimentState {
    let pause =
        Pause { cause: PauseCause::KillThreshold, detail: "because".to_owned(), from: ExperimentStatus::Measuring };
    ExperimentState { pause: Some(pause), ..state(ExperimentStatus::Paused) }
}
