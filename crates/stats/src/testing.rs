//! The worked cases beside STATS.md, and how an answer is compared with them.

#![allow(
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "for tests, which may fail loudly and say what they leave out"
)]

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// How many there are at least.
const MIN_CASES: usize = 146;

/// One worked case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub id: Value,
    /// The line that asks for it.
    pub request: String,
    expect: Value,
    rel: f64,
    abs: f64,
}

/// All worked cases; `None`, said loudly, where they are not beside the repository.
pub fn worked_cases() -> Result<Option<Vec<Case>>> {
    // `shared/` is beside the repository; a work tree or a copy of the sources may lie deeper.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|folder| folder.join("shared/stats_vectors.json")).find(|path| path.exists());
    let Some(text) = found.and_then(|path| std::fs::read_to_string(path).ok()) else {
        eprintln!("SKIPPED: shared/stats_vectors.json is not beside the repository; no worked case was run");
        return Ok(None);
    };
    let cases = cases_of(&text)?;
    ensure!(cases.len() >= MIN_CASES, "only {} cases", cases.len());
    Ok(Some(cases))
}

/// The cases of a file of the same form.
pub fn cases_of(text: &str) -> Result<Vec<Case>> {
    let file: Value = serde_json::from_str(text)?;
    Ok(file["cases"].as_array().context("no list of cases")?.iter().map(Case::new).collect())
}

impl Case {
    fn new(case: &Value) -> Self {
        let mut expect = case["expect"].clone();
        // Without numbers only the status, p and the interval count.
        if expect.get("status").is_some_and(|status| status != "ok")
            && let Some(fields) = expect.as_object_mut()
        {
            fields.retain(|name, _| ["status", "p", "ci"].contains(&name.as_str()));
        }
        Self {
            id: case["id"].clone(),
            request: json!({ "id": case["id"], "fn": case["fn"], "input": case["input"] }).to_string(),
            expect,
            rel: case["tol"]["rel"].as_f64().unwrap_or(0.0),
            abs: case["tol"]["abs"].as_f64().unwrap_or(0.0),
        }
    }

    /// What is wrong with the line that answers it.
    fn problem(&self, answer: &str) -> Option<String> {
        let got: Value = match serde_json::from_str(answer) {
            Ok(got) => got,
            Err(error) => return Some(format!("{} is answered by what is no JSON ({error}): {answer}", self.id)),
        };
        if got["id"] != self.id {
            return Some(format!("{} is answered by {}", self.id, got["id"]));
        }
        if let Some(error) = got.get("error") {
            return Some(format!("{} error {error}", self.id));
        }
        difference("", &self.expect, &got, self.rel, self.abs).map(|text| format!("{} {text}", self.id))
    }
}

/// Holds the answers, one a case and in their order, against the cases.
pub fn check(cases: &[Case], answers: &[String]) -> Result<()> {
    ensure!(cases.len() == answers.len(), "{} cases and {} answers", cases.len(), answers.len());
    let problems: Vec<String> = cases.iter().zip(answers).filter_map(|(case, answer)| case.problem(answer)).collect();
    ensure!(problems.is_empty(), "{} of {} cases fail:\n{}", problems.len(), cases.len(), problems.join("\n"));
    Ok(())
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(x) => x.as_f64(),
        Value::String(s) if s == "inf" => Some(f64::INFINITY),
        Value::String(s) if s == "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The first place where `got` is not `want`: numbers within `abs + rel |want|`, everything else exactly.
fn difference(path: &str, want: &Value, got: &Value, rel: f64, abs: f64) -> Option<String> {
    match (want, got) {
        (Value::Array(want), Value::Array(got)) if want.len() == got.len() => {
            let pairs = want.iter().zip(got).enumerate();
            pairs.into_iter().find_map(|(i, (w, g))| difference(&format!("{path}[{i}]"), w, g, rel, abs))
        }
        (Value::Object(want), Value::Object(got)) => want.iter().find_map(|(name, w)| {
            let g = got.get(name).unwrap_or(&Value::Null);
            difference(&format!("{path}.{name}"), w, g, rel, abs)
        }),
        _ => {
            let is_same = match (as_number(want), as_number(got)) {
                (Some(w), Some(g)) if w.is_infinite() || g.is_infinite() => w.total_cmp(&g).is_eq(),
                (Some(w), Some(g)) => (g - w).abs() <= abs + rel * w.abs(),
                _ => want == got,
            };
            (!is_same).then(|| format!("{path}: want {want}, got {got}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_a_problem() {
        let case = Case::new(&json!({
            "id": "a", "fn": "core", "input": {}, "expect": { "status": "ok", "p": 0.5, "ci": [1.0, null], "l": "-inf" },
            "tol": { "rel": 1e-9, "abs": 1e-12 },
        }));
        let good = json!({ "id": "a", "status": "ok", "p": 0.5 + 1e-10, "ci": [1, null], "l": "-inf", "more": 1 });
        assert_eq!(case.problem(&good.to_string()), None);
        let with = |name: &str, value: Value| {
            let mut bad = good.clone();
            bad[name] = value;
            case.problem(&bad.to_string())
        };
        for (name, value) in [
            ("id", json!("b")),
            ("status", json!("invalid")),
            ("p", json!(0.5 + 1e-8)),
            ("p", Value::Null),
            ("ci", json!([1.0, 2.0])),
            ("ci", json!([1.0])),
            ("l", json!("inf")),
            ("error", json!("no")),
        ] {
            assert!(with(name, value.clone()).is_some(), "{name} {value}");
        }
        assert!(case.problem("{").is_some());
    }

    #[test]
    fn without_numbers_only_status_p_and_interval_count() {
        let case = Case::new(&json!({ "id": 1, "expect": { "status": "zero_variance", "p": 1, "ci": null, "z": 3 } }));
        assert_eq!(case.problem(r#"{"id": 1, "status": "zero_variance", "p": 1, "ci": null}"#), None);
        assert!(case.problem(r#"{"id": 1, "status": "zero_variance", "p": 1, "ci": [0, 0]}"#).is_some());
    }
}
