//! The sentence: what it says, and what it must never say.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::{ConstraintBound, Direction, ExperimentStatus, MeasurementPlan, Pause, PauseCause};
use crate::stats::Scale;

/// What a poll found: this recommendation, these levels and bounds of the difference.
fn found(recommendation: &str, [control, treatment]: [f64; 2], [lower, upper]: [Option<f64>; 2]) -> Value {
    json!({
        "verdict": { "decision": recommendation, "reason": "The reason." },
        "status": { "code": "ok" }, "effect": treatment - control, "effect_shrunken": null, "standard_error": 0.01,
        "ci": null, "ci_running": null, "lift": null, "lift_ci": null,
        "control_level": control, "treatment_level": treatment, "ln_e": null, "ln_p_running": 0.0, "p_running": 1.0,
        "is_significant": false, "is_success_threshold_met": false, "is_kill_threshold_exceeded": false,
        "futility_upper": null, "n_control": 4000, "n_treatment": 4000, "is_min_sample_reached": true,
        "is_min_runtime_met": true, "min_runtime_days": 7,
        "srm": { "status": "ok", "ln_e": 0.0, "ln_p": 0.0, "p": 1.0, "level": "clean" },
        "tuning": null, "epoch": 1,
        "harm": { "as_of": 0, "from_phase": 0, "alpha": 0.025, "n_control": 4000, "n_treatment": 4000, "effect": 0.0, "bound": upper,
            "ln_e": 0.0 },
        "decision_ci": { "lower": lower, "upper": upper },
        "guardrails": [], "health": [], "alpha": 0.0225, "grade": "A", "polled_at": "2026-11-29T00:00:00Z",
    })
}

const PLAN: MeasurementPlan = MeasurementPlan {
    duration_days: 28,
    min_sample_size: 1000,
    success_threshold: 0.0,
    kill_threshold: 0.0,
    minimum_detectable_effect: 0.02,
};

/// What is asked, but for the result: two weeks of a plan of four.
fn asked<'a>(scale: &'a Scale, direction: Direction, result: Option<&'a Evaluation>) -> Asked<'a> {
    let values = Values {
        launched_at: "2026-11-15T00:00:00Z".parse().ok(),
        matures_after: SignedDuration::ZERO,
        is_amount: true,
        is_known_final: true,
    };
    Asked {
        metric: "activation",
        scale,
        direction,
        unit: "user",
        result,
        pause: None,
        is_over: false,
        is_going_on: false,
        measurement: &PLAN,
        is_guarded: false,
        is_planned: true,
        answer_by: "2026-12-13T00:00:00Z".parse().ok(),
        values,
        crossed: None,
    }
}

fn read(value: Value) -> Evaluation {
    serde_json::from_value(value).unwrap()
}

fn answer(scale: &Scale, direction: Direction, result: Option<Value>, pause: Option<&Pause>) -> Answer {
    let result = result.map(read);
    Answer::to(&Asked { pause, ..asked(scale, direction, result.as_ref()) }).unwrap()
}

fn of_share(recommendation: &str, levels: [f64; 2], bounds: [Option<f64>; 2]) -> Answer {
    answer(&Scale::share(), Direction::Increase, Some(found(recommendation, levels, bounds)), None)
}

#[test]
fn it_is_one_sentence_in_percent_and_people() {
    let worked = of_share("ship", [0.262, 0.294], [Some(0.009), Some(0.055)]);
    assert_eq!(
        worked.says,
        "It works: `activation` is 29.4 % with it, 26.2 % without (+3.2 points, between +0.9 and +5.5), which is 9 to 55 more of every 1,000 users."
    );
    assert_eq!(
        worked.sure.as_deref(),
        Some(
            "Of changes that do nothing, at most 2.25 % end like this, however often one looks. Evidence: grade A (A is best, D worst)."
        )
    );
    let early = of_share("continue", [0.262, 0.264], [Some(-0.03), Some(0.034)]);
    assert_eq!(early.state, AnswerState::TooEarly);
    assert_eq!(
        early.says,
        "It is too early to say (answer by 13 Dec 2026): `activation` is 26.4 % with it, 26.2 % without (+0.2 points, between -3.0 and +3.4)."
    );
    let harm = of_share("kill_harm", [0.262, 0.20], [Some(-0.11), Some(-0.02)]);
    assert_eq!(
        (harm.state, harm.says.contains("which is 20 to 110 fewer of every 1,000 users")),
        (AnswerState::DidNot, true),
        "{harm:?}"
    );
    let none = answer(&Scale::share(), Direction::Increase, None, None);
    assert_eq!(none.says, "It is too early to say (answer by 13 Dec 2026): there are no numbers yet.");
}

#[test]
fn less_of_something_bad_is_an_improvement() {
    let money = Scale::new(Some("EUR"), 400.0);
    let result = found("ship", [412.0, 391.0], [Some(-38.0), Some(-4.0)]);
    let worked = answer(&money, Direction::Decrease, Some(result), None);
    assert_eq!(
        worked.says,
        "It works: `activation` is 391 EUR with it, 412 EUR without (-21 EUR, between -38 and -4), which is 4,000 to 38,000 EUR less from every 1,000 users."
    );
    let plain =
        answer(&Scale::default(), Direction::Decrease, Some(found("ship", [2.0, 1.0], [Some(-1.5), Some(-0.5)])), None);
    assert!(!plain.says.contains("1,000"), "what has no unit cannot be counted: {}", plain.says);
}

#[test]
fn a_crossed_limit_comes_with_its_value_and_what_is_allowed() {
    let mut result = found("kill_guardrail", [0.33, 0.328], [Some(-0.055), Some(0.039)]);
    result["guardrails"] = json!([{ "name": "failures", "status": { "code": "ok" }, "value": 0.0145, "lower": 0.01, "upper": null, "bound": 0.002,
        "ln_e_breached": 3.0, "deteriorated": true, "breached": true, "non_inferior": false, "must_prove": false, "is_alerting": false,
        "n_consecutive": 0 }]);
    let limit = ConstraintBound::NotWorse { direction: Direction::Decrease, margin: 0.002, must_prove: false };
    let (result, share, crossed) = (read(result), Scale::share(), (Scale::share(), limit));
    let broken =
        Answer::to(&Asked { crossed: Some(&crossed), ..asked(&share, Direction::Increase, Some(&result)) }).unwrap();
    assert_eq!(broken.state, AnswerState::DidNot);
    assert!(
        broken.says.starts_with("It breaks a limit, `failures` is 1.45 points worse and at most 0.2 points may be: "),
        "{broken:?}"
    );
}

#[test]
fn what_cannot_be_measured_claims_nothing() {
    let pause = |cause| Pause { cause, detail: "The source is silent.".to_owned(), from: ExperimentStatus::Running };
    let silent = pause(PauseCause::StaleSignal);
    let result = || Some(found("ship", [0.262, 0.294], [Some(0.009), Some(0.055)]));
    let broken = answer(&Scale::share(), Direction::Increase, result(), Some(&silent));
    assert_eq!(
        (broken.state, broken.says.as_str()),
        (AnswerState::Broken, "It cannot be measured: The source is silent.")
    );
    assert_eq!(broken.sure, None);
    let by_hand = pause(PauseCause::Manual);
    let paused = answer(&Scale::share(), Direction::Increase, result(), Some(&by_hand));
    assert_eq!(paused.state, AnswerState::Worked, "what is proven stays proven while it is paused by hand");
    let mut unequal = found("hold_srm", [0.262, 0.294], [Some(0.009), Some(0.055)]);
    unequal["health"] =
        json!([{ "code": "srm_proven", "severity": "block", "message": "units do not arrive in the declared shares" }]);
    let broken = answer(&Scale::share(), Direction::Increase, Some(unequal), None);
    assert_eq!((broken.state, broken.says.contains("29.4 %")), (AnswerState::Broken, false), "{broken:?}");
}

proptest! {
    /// Only the engine's recommendation says that something worked; no number of people contradicts the range; the estimate lies in its range.
    #[test]
    fn only_a_proven_improvement_works(control in 0.01..0.9_f64, change in -0.3..0.3_f64, half in 0.001..0.3_f64, which in 0..9_usize) {
        const ALL: [&str; 9] = ["hold_data_quality", "hold_srm", "kill_guardrail", "kill_harm", "hold_alert", "ship", "kill_futility",
            "iterate_inconclusive", "continue"];
        let (lower, upper) = (change - half, change + half);
        let answer = of_share(ALL[which], [control, control + change], [Some(lower), Some(upper)]);
        prop_assert_eq!(answer.state == AnswerState::Worked, ALL[which] == "ship");
        prop_assert_eq!(answer.says.matches('\n').count(), 0);
        prop_assert!(answer.says.ends_with('.') && !answer.says.contains(".."), "{}", answer.says);
        prop_assert!(!answer.says.contains("more of every") || lower > 0.0, "{}", answer.says);
        prop_assert!(!answer.says.contains("fewer of every") || upper < 0.0, "{}", answer.says);
    }
}

#[test]
fn danger_outranks_a_silent_source_and_doubt_ends_probabilities() {
    let silent = Pause {
        cause: PauseCause::StaleSignal,
        detail: "The source is silent.".to_owned(),
        from: ExperimentStatus::Running,
    };
    let mut harm = found("kill_harm", [0.262, 0.20], [Some(-0.11), Some(-0.02)]);
    let said = answer(&Scale::share(), Direction::Increase, Some(harm.clone()), Some(&silent));
    assert_eq!((said.state, said.says.starts_with("It does harm: ")), (AnswerState::DidNot, true), "{said:?}");
    harm["health"] =
        json!([{ "code": "srm_proven", "severity": "block", "message": "units do not arrive as declared" }]);
    let doubted = answer(&Scale::share(), Direction::Increase, Some(harm), None);
    assert!(
        doubted.says.ends_with("; but units do not arrive as declared.") && !doubted.says.contains("1,000"),
        "{doubted:?}"
    );
    assert_eq!(doubted.sure, None);
    let mut end = found("iterate_inconclusive", [0.262, 0.294], [Some(0.009), Some(0.055)]);
    end["health"] = json!([{ "code": "stale", "severity": "block", "message": "the reading is too old" }]);
    assert_eq!(answer(&Scale::share(), Direction::Increase, Some(end), None).state, AnswerState::Broken);
}

/// While values still come, harm is found on those so far: its bound is no end of a range around the final ones.
#[test]
fn a_bound_of_young_values_stands_beside_no_final_estimate() {
    let mut result = found("continue", [0.26, 0.30], [Some(0.028), Some(0.033)]);
    result["ci"] = json!({ "lower": 0.02, "upper": 0.06 });
    let result = read(result);
    let share = Scale::share();
    let at_once = asked(&share, Direction::Increase, Some(&result));
    let late = Asked { values: Values { matures_after: SignedDuration::from_hours(168), ..at_once.values }, ..at_once };
    let says = Answer::to(&late).unwrap().says;
    assert!(says.contains("between +2.0 and +6.0"), "{says}");
    let mut harm = found("kill_harm", [0.26, 0.262], [Some(-0.01), Some(-0.003)]);
    harm["harm"]["effect"] = json!(-0.03);
    let harm = read(harm);
    let late = Asked { result: Some(&harm), ..late };
    let said = Answer::to(&late).unwrap().says;
    assert_eq!(said, "It does harm: `activation` changed by -3.0 points, at most -0.3.");
}

#[test]
fn thresholds_corrections_and_extensions_are_said() {
    let result = read(found("ship", [0.262, 0.266], [Some(-0.004), Some(0.012)]));
    let share = Scale::share();
    let plain = asked(&share, Direction::Increase, Some(&result));
    let said =
        Answer::to(&Asked { measurement: &MeasurementPlan { success_threshold: -0.005, ..PLAN }, ..plain }).unwrap();
    assert!(said.says.starts_with("It is proven not to be worse than -0.5 points: "), "{said:?}");
    assert!(said.sure.unwrap().starts_with("Of changes that bring no more than -0.5 points, at most 2.25 %"));
    let mut corrected = found("ship", [0.262, 0.294], [Some(0.009), Some(0.055)]);
    corrected["error_budget"] = json!({ "alpha": 0.05, "part": 0, "planned": 3, "corrections": 1 });
    let said = answer(&share, Direction::Increase, Some(corrected), None);
    assert!(said.sure.unwrap().contains("at most 6.75 % end like this"), "with what it could claim before");
    let futile = read(found("kill_futility", [0.262, 0.263], [Some(-0.008), Some(0.021)]));
    let at_gate = asked(&share, Direction::Increase, Some(&futile));
    let said = Answer::to(&at_gate).unwrap();
    assert!(said.sure.unwrap().starts_with("Of changes that bring 2 points, at most 10 % end like this"));
    let extended = Answer::to(&Asked { is_going_on: true, ..at_gate }).unwrap();
    assert_eq!(extended.state, AnswerState::TooEarly, "{extended:?}");
    assert!(extended.says.contains("and a member has extended it"), "{extended:?}");
}
