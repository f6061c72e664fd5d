//! The worked cases beside STATS.md, through the same door as `outcome-runtime stats eval`.

use outcome_stats::eval_line;
use outcome_stats::testing;
use serde_json::{Value, json};

/// Holds the answers to the worked plans, or to all other cases, against them. A plan takes a second without optimisation.
fn check(is_plan: bool) {
    let Some(mut cases) = testing::worked_cases().unwrap() else { return };
    let names_a_plan = |line: &str| line.contains(r#""fn":"plan_constant""#) || line.contains(r#""fn":"sample_size""#);
    cases.retain(|case| names_a_plan(&case.request) == is_plan);
    assert!(cases.len() >= if is_plan { 5 } else { 141 }, "only {} cases", cases.len());
    let answers: Vec<String> = cases.iter().map(|case| eval_line(&case.request)).collect();
    testing::check(&cases, &answers).unwrap();
}

#[test]
fn every_worked_case_is_reproduced_within_its_tolerance() {
    check(false);
}

#[test]
fn every_worked_plan_is_reproduced_within_its_tolerance() {
    check(true);
}

/// Written by `vectors/make.py`, which shares no code with the engine: negative baselines, empty intersections, one-sided extremes,
/// the mixture around the MDE, and known ends.
#[test]
fn our_own_cases_are_those_of_another_computation() {
    let cases = testing::cases_of(include_str!("../vectors/own.json")).unwrap();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let answers: Vec<String> = cases.iter().map(|case| eval_line(&case.request)).collect();
    testing::check(&cases, &answers).unwrap();
}

#[test]
fn a_line_that_cannot_be_answered_says_so() {
    let error = |line: &str| {
        let got: Value = serde_json::from_str(&eval_line(line)).unwrap();
        (got["id"].clone(), got["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(error(r#"{"id": 7, "fn": "nope"}"#), (json!(7), "unknown function `nope`".to_owned()));
    let no_tau = r#"{"id": "a", "fn": "core", "input": {"delta": 1, "var": 1}}"#;
    assert_eq!(error(no_tau), (json!("a"), "`tau` must be a number".to_owned()));
    assert!(error("{").1.starts_with("not a JSON line"));
}
