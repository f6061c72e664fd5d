//! Bare values against absolute limits: what counts, what does not, and what follows.

use outcome_stats::{
    DataHealth, Evaluated, Evaluation, Guardrail, GuardrailReading, HealthCode, Limit, Recommendation, RunningState,
    Scope, TestPlan, ValueLimit, ValueRule, evaluate,
};

/// One reading, judged after those before.
fn judge(value: Option<f64>, n: u64, rule: ValueRule, scope: Scope, day: i64, state: &mut RunningState) -> Evaluated {
    let must_prove = rule == ValueRule::OfTreatment;
    let limit = Limit::Max(300.0);
    let reading = GuardrailReading::ValueLimit(ValueLimit { value, n: Some(n), limit, consecutive: 3, rule });
    let guardrails = [Guardrail { name: "delay", must_prove, reading }];
    let input = Evaluation {
        cohorts: None,
        plan: &TestPlan::default(),
        phases: &[],
        elapsed_days: day as f64,
        as_of: day * 86_400,
        guardrails: &guardrails,
        health: DataHealth::default(),
        scope,
    };
    let got = evaluate(&input, Some(state));
    *state = got.running.clone();
    got
}

/// How many readings in a row there are after each of these.
fn rows(readings: &[(Option<f64>, u64, bool)], rule: ValueRule) -> (Vec<u32>, Evaluated) {
    let mut state = RunningState::default();
    let mut last = None;
    let rows = (1..)
        .zip(readings)
        .map(|(day, (value, n, is_off))| {
            let got = judge(*value, *n, rule, Scope { is_off: *is_off, ..Scope::default() }, day, &mut state);
            let row = got.guardrails[0].n_consecutive;
            last = Some(got);
            row
        })
        .collect();
    (rows, last.unwrap())
}

#[test]
fn what_says_nothing_about_the_treatment_neither_accuses_nor_acquits() {
    let far = Some(900.0);
    for rule in [ValueRule::OfTreatment, ValueRule::OfEverybody { pauses: true, is_full_day: true }] {
        // A missing value, too few units, and days without the treatment, good and bad ones.
        let readings = [
            (far, 500, false),
            (None, 500, false),
            (Some(1.0), 99, false),
            (far, 99, false),
            (far, 500, false),
            (Some(1.0), 500, true),
            (far, 500, true),
            (far, 500, false),
        ];
        let (rows, last) = rows(&readings, rule);
        assert_eq!(rows, [1, 1, 1, 1, 2, 2, 2, 3]);
        assert_eq!(last.advice.recommendation, Recommendation::HoldAlert);
    }
    let part = ValueRule::OfEverybody { pauses: true, is_full_day: false };
    assert_eq!(rows(&[(far, 500, false); 4], part).0, [0; 4], "the day before the launch is not the treatment's");
    assert_eq!(rows(&[(far, 500, false), (Some(1.0), 500, false)], ValueRule::OfTreatment).0, [1, 0]);
}

#[test]
fn an_alert_stays_while_its_value_cannot_be_read_or_the_flag_is_off() {
    let alert = [(Some(900.0), 500, false); 3];
    for after in [(None, 500, false), (Some(1.0), 500, true), (Some(1.0), 20, false)] {
        let (_, last) = rows(&[&alert[..], &[after]].concat(), ValueRule::OfTreatment);
        assert_eq!(last.advice.recommendation, Recommendation::HoldAlert, "{after:?}");
    }
    let (_, over) = rows(&[&alert[..], &[(Some(1.0), 500, false)]].concat(), ValueRule::OfTreatment);
    assert_eq!(over.advice.recommendation, Recommendation::Continue);
}

#[test]
fn a_value_of_everybody_is_an_incident_and_pauses_only_where_the_plan_says_so() {
    for (pauses, want) in [(false, Recommendation::HoldDataQuality), (true, Recommendation::HoldAlert)] {
        let rule = ValueRule::OfEverybody { pauses, is_full_day: true };
        let (_, got) = rows(&[(Some(900.0), 500, false); 3], rule);
        assert_eq!(got.advice.recommendation, want);
        assert_eq!((got.guardrails[0].is_alerting, got.guardrails[0].is_incident), (pauses, !pauses));
        let is_told = got.health.iter().any(|finding| finding.code == HealthCode::Incident);
        assert_eq!(is_told, !pauses);
        assert!(!got.guardrails[0].breached, "it proves nothing about the treatment");
    }
}

#[test]
fn in_plans_that_do_not_say_more_every_reading_counts_whoever_it_is_of() {
    let far = Some(900.0);
    // A row goes on without the treatment, and ends with a reading of too few units.
    let readings = [(far, 500, false), (far, 500, true), (far, 99, false), (far, 500, false)];
    let (rows, _) = rows(&readings, ValueRule::InARow);
    assert_eq!(rows, [1, 2, 0, 1]);
}

#[test]
fn a_stored_guardrail_names_an_incident_only_where_there_is_one() {
    let far = (Some(900.0), 500, false);
    let stored = |n_days: usize| {
        let rule = ValueRule::OfEverybody { pauses: false, is_full_day: true };
        let (_, last) = rows(&vec![far; n_days], rule);
        serde_json::to_value(&last.guardrails[0]).unwrap()
    };
    assert_eq!((stored(2).get("is_incident"), stored(2).get("is_exact")), (None, None));
    assert_eq!(stored(3)["is_incident"], true);
}

#[test]
fn a_proof_that_is_asked_of_a_bare_value_stays_asked() {
    let asked = |rule| rows(&[(Some(1.0), 500, false)], rule).1.guardrails[0].must_prove;
    assert!(asked(ValueRule::OfTreatment) && !asked(ValueRule::InARow));
}
