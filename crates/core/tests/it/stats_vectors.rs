//! The worked cases beside STATS.md, through the same door as `outcome-runtime stats eval`.

use std::path::PathBuf;

use outcome_core::stats::eval_line;
use serde_json::{Value, json};

/// `shared/` stands beside the repository; a worktree may sit beside it as well.
fn vectors() -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("../shared/stats_vectors.json");
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("stats_vectors.json is JSON"))
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(x) => x.as_f64(),
        Value::String(s) if s == "inf" => Some(f64::INFINITY),
        Value::String(s) if s == "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The first place where `got` is not `want`.
fn difference(path: &str, want: &Value, got: &Value, rel: f64, abs: f64) -> Option<String> {
    let differs = || Some(format!("{path}: want {want}, got {got}"));
    match (want, got) {
        (Value::Array(want), Value::Array(got)) if want.len() == got.len() => {
            let pairs = want.iter().zip(got).enumerate();
            pairs.into_iter().find_map(|(i, (w, g))| difference(&format!("{path}[{i}]"), w, g, rel, abs))
        }
        (Value::Object(want), Value::Object(got)) => want.iter().find_map(|(name, w)| {
            let g = got.get(name).unwrap_or(&Value::Null);
            difference(&format!("{path}.{name}"), w, g, rel, abs)
        }),
        _ => match (as_number(want), as_number(got)) {
            (Some(w), Some(g)) if w.is_infinite() || g.is_infinite() => {
                if w == g {
                    None
                } else {
                    differs()
                }
            }
            (Some(w), Some(g)) => {
                if (g - w).abs() <= abs + rel * w.abs() {
                    None
                } else {
                    differs()
                }
            }
            _ => {
                if want == got {
                    None
                } else {
                    differs()
                }
            }
        },
    }
}

/// How many of the worked cases whose function `is_wanted` were reproduced; `None` without the file.
fn reproduced(is_wanted: fn(&str) -> bool) -> Option<usize> {
    let Some(vectors) = vectors() else {
        eprintln!("SKIPPED: shared/stats_vectors.json is not beside the repository; no worked case was run");
        return None;
    };
    let cases = vectors["cases"].as_array().expect("a list of cases");
    assert!(cases.len() >= 146, "only {} cases", cases.len());
    let cases: Vec<&Value> = cases.iter().filter(|case| is_wanted(case["fn"].as_str().unwrap())).collect();
    let mut failures = Vec::new();
    for case in &cases {
        let request = json!({ "id": case["id"], "fn": case["fn"], "input": case["input"] });
        let got: Value = serde_json::from_str(&eval_line(&request.to_string())).unwrap();
        let rel = case["tol"]["rel"].as_f64().unwrap_or(0.0);
        let abs = case["tol"]["abs"].as_f64().unwrap_or(0.0);
        let mut want = case["expect"].clone();
        if let Some(status) = want.get("status").filter(|s| **s != "ok").cloned() {
            let counts = ["status", "p", "ci"];
            want.as_object_mut().unwrap().retain(|name, _| counts.contains(&name.as_str()));
            want["status"] = status;
        }
        assert_eq!(got["id"], case["id"]);
        if let Some(error) = got.get("error") {
            failures.push(format!("{} error {error}", case["id"]));
        } else if let Some(text) = difference("", &want, &got, rel, abs) {
            failures.push(format!("{} {text}", case["id"]));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
    Some(cases.len())
}

/// Functions that take a second without optimisation.
fn is_plan(function: &str) -> bool {
    matches!(function, "plan_constant" | "sample_size")
}

#[test]
fn every_worked_case_is_reproduced_within_its_tolerance() {
    if let Some(n_cases) = reproduced(|function| !is_plan(function)) {
        assert!(n_cases >= 141, "only {n_cases} cases");
    }
}

#[test]
fn every_worked_plan_is_reproduced_within_its_tolerance() {
    if let Some(n_cases) = reproduced(is_plan) {
        assert!(n_cases >= 5, "only {n_cases} cases");
    }
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
