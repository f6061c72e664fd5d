//! A candidate as an agent writes it: one flat object, brought into the core's type with every problem named.

use outcome_core::domain::Hypothesis;
use outcome_core::hypotheses::{Problem, read_hypothesis};
use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};

use crate::answer::set;
use crate::args;

/// Other names of `experiment_id`.
pub(super) const EXPERIMENT_ALIASES: &[(&str, &str)] = &[
    ("id", "experiment_id"),
    ("experiment", "experiment_id"),
    ("slug", "experiment_id"),
    ("name", "experiment_id"),
    ("experiment_slug", "experiment_id"),
    ("workspace_id", ""),
];

/// Other names of a candidate's fields.
const ALIASES: &[(&str, &str)] = &[
    ("name", "title"),
    ("hypothesis", "statement"),
    ("rationale", "mechanism"),
    ("intervention_type", "intervention"),
    ("description", "intervention_description"),
    ("paths", "touched_paths"),
    ("files", "touched_paths"),
    ("flag", "flag_key"),
    ("feature_flag_key", "flag_key"),
    ("mde", "minimum_detectable_effect"),
    ("rollout_steps", "steps"),
    ("reversible", "is_reversible"),
    ("effort", "effort_hours"),
];

/// Fields that the core groups under `measurement`.
const MEASUREMENT: [&str; 5] =
    ["duration_days", "min_sample_size", "success_threshold", "kill_threshold", "minimum_detectable_effect"];

/// The schema of a candidate. All amounts are absolute, in the signal's units, positive = better.
pub(super) fn schema() -> Value {
    let text = || json!({ "type": "string" });
    let described = |kind: &str, meaning: &str| match meaning {
        "" => json!({ "type": kind }),
        _ => json!({ "type": kind, "description": meaning }),
    };
    let number = |meaning: &str| described("number", meaning);
    let whole = |meaning: &str| described("integer", meaning);
    json!({
        "type": "object",
        "properties": {
            "title": { "type": "string", "maxLength": 120 },
            "statement": text(),
            "mechanism": text(),
            "expected_improvement": number("> 0"),
            "confidence": number("0..1"),
            "intervention": { "type": "string", "enum": ["code_change", "config_change", "copy_change"] },
            "intervention_description": text(),
            "touched_paths": { "type": "array", "items": text() },
            "flag_key": text(),
            "duration_days": whole(""),
            "min_sample_size": whole("Units, all arms"),
            "success_threshold": number("Often 0"),
            "kill_threshold": number(""),
            "minimum_detectable_effect": number("> 0"),
            "initial_pct": whole("Treatment share at launch, 1..99"),
            "steps": { "type": "array", "items": { "type": "integer" }, "description": "Later shares, rising" },
            "effort_hours": number(""),
            "risk": { "type": "string", "enum": ["low", "medium", "high"] },
            "is_reversible": { "type": "boolean" },
            "tags": { "type": "array", "items": text() },
        },
        "required": REQUIRED,
    })
}

const REQUIRED: [&str; 16] = [
    "title",
    "statement",
    "mechanism",
    "expected_improvement",
    "confidence",
    "intervention_description",
    "touched_paths",
    "flag_key",
    "duration_days",
    "min_sample_size",
    "success_threshold",
    "kill_threshold",
    "minimum_detectable_effect",
    "initial_pct",
    "effort_hours",
    "risk",
];

/// A complete candidate.
pub(super) fn example() -> Value {
    json!({
        "title": "Shorter sign-up form",
        "statement": "If the form asks for two fields less, more visitors finish it",
        "mechanism": "Every field is a reason to leave",
        "expected_improvement": 0.02,
        "confidence": 0.5,
        "intervention": "code_change",
        "intervention_description": "Drop phone and company from the form",
        "touched_paths": ["web/signup/"],
        "flag_key": "signup-short-form",
        "duration_days": 28,
        "min_sample_size": 2000,
        "success_threshold": 0.0,
        "kill_threshold": -0.01,
        "minimum_detectable_effect": 0.02,
        "initial_pct": 50,
        "steps": [],
        "effort_hours": 3,
        "risk": "low",
        "is_reversible": true,
        "tags": ["signup"],
    })
}

/// The candidate in the core's type, or its problems as `{ field, message }`.
pub(super) fn parse(raw: &Value) -> Result<Hypothesis, Vec<Value>> {
    let problem = |field: &str, message: &str| vec![json!({ "field": field, "message": message })];
    let Value::Object(raw) = raw else { return Err(problem("hypotheses", "each one must be an object")) };
    let (given, problems) = args::shape(&lifted(raw), &schema(), ALIASES);
    if !problems.is_empty() {
        let as_object = |text: &String| {
            let field = text.split('`').nth(1).unwrap_or_default();
            json!({ "field": field, "message": text })
        };
        return Err(problems.iter().take(12).map(as_object).collect());
    }
    read_hypothesis(&grouped(given)).map_err(|problems| {
        let flat = |problem: &Problem| json!({ "field": flat_field(&problem.field), "message": problem.message });
        problems.iter().map(flat).collect()
    })
}

/// Groups that some agents write, `measurement` and `rollout`, taken apart.
fn lifted(raw: &JsonObject) -> JsonObject {
    let mut flat = Map::new();
    for (key, value) in raw {
        match (key.as_str(), value) {
            (
                "measurement" | "measurement_plan" | "measurementPlan" | "rollout" | "rollout_plan",
                Value::Object(group),
            ) => {
                flat.extend(group.clone());
            }
            _ => {
                flat.insert(key.clone(), value.clone());
            }
        }
    }
    flat
}

fn grouped(mut flat: JsonObject) -> Value {
    let mut take = |names: &[&str]| -> Value {
        names
            .iter()
            .filter_map(|name| flat.remove(*name).map(|value| ((*name).to_owned(), value)))
            .collect::<Map<_, _>>()
            .into()
    };
    let measurement = take(&MEASUREMENT);
    let mut rollout = take(&["initial_pct", "steps"]);
    if rollout.get("steps").is_none() {
        set(&mut rollout, "steps", json!([]));
    }
    for (name, default) in [("intervention", json!("code_change")), ("is_reversible", json!(true)), ("tags", json!([]))]
    {
        flat.entry(name).or_insert(default);
    }
    flat.insert("measurement".to_owned(), measurement);
    flat.insert("rollout".to_owned(), rollout);
    Value::Object(flat)
}

/// The title of a candidate that was not accepted.
pub(super) fn title(raw: &Value) -> String {
    short_title(raw.get("title").and_then(Value::as_str).unwrap_or("(no title)"))
}

/// A title that is no essay.
pub(super) fn short_title(title: &str) -> String {
    title.chars().take(80).collect()
}

/// The core's field names without their groups.
pub(super) fn flat_field(field: &str) -> &str {
    field.strip_prefix("measurement.").or_else(|| field.strip_prefix("rollout.")).unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_candidate() {
        let hypothesis = parse(&example()).unwrap();
        assert_eq!(hypothesis.measurement.duration_days, 28);
        assert_eq!(hypothesis.rollout.initial_pct, 50);
    }

    #[test]
    fn groups_and_other_spellings_are_understood() {
        let mut raw = example();
        let map = raw.as_object_mut().unwrap();
        let days = map.remove("duration_days").unwrap();
        let pct = map.remove("initial_pct").unwrap();
        map.insert("measurement".to_owned(), json!({ "durationDays": days }));
        map.insert("rollout".to_owned(), json!({ "initialPct": pct }));
        let flag = map.remove("flag_key").unwrap();
        map.insert("featureFlagKey".to_owned(), flag);
        assert_eq!(parse(&raw).unwrap(), parse(&example()).unwrap());
    }

    #[test]
    fn every_missing_field_is_named() {
        let problems = parse(&json!({})).unwrap_err();
        assert_eq!(problems.len(), 12);
        assert_eq!(problems[0], json!({ "field": "title", "message": "`title` is missing" }));
    }
}
