//! A candidate as an agent writes it: one flat object, brought into the core's type with every problem named.

use std::sync::LazyLock;

use outcome_core::domain::{Hypothesis, InterventionKind, MeasurementPlan, Risk, RolloutPlan};
use outcome_core::hypotheses::{CandidateSchema, Problem};
use outcome_core::usecases::WorkOrder;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::input::{schema_of, undescribed};
use crate::answer::set;
use crate::args::{self, ArgProblem, Shaped};

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

/// A candidate in one level. All amounts are absolute, in the signal's units, positive = better.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FlatHypothesis {
    #[schemars(length(max = 120))]
    title: String,
    statement: String,
    mechanism: String,
    /// > 0
    expected_improvement: f64,
    /// 0..1
    confidence: f64,
    #[serde(default = "usual_intervention")]
    #[schemars(transform = undescribed)]
    intervention: InterventionKind,
    intervention_description: String,
    touched_paths: Vec<String>,
    flag_key: String,
    duration_days: u32,
    /// Units, all arms
    min_sample_size: u32,
    /// Often 0
    success_threshold: f64,
    kill_threshold: f64,
    /// > 0
    minimum_detectable_effect: f64,
    /// Treatment share at launch, 1..99
    initial_pct: u8,
    /// Later shares, rising
    #[serde(default)]
    steps: Vec<u8>,
    effort_hours: f64,
    #[schemars(transform = undescribed)]
    risk: Risk,
    #[serde(default = "usually_reversible")]
    is_reversible: bool,
    #[serde(default)]
    tags: Vec<String>,
}

fn usual_intervention() -> InterventionKind {
    InterventionKind::CodeChange
}

fn usually_reversible() -> bool {
    true
}

impl From<FlatHypothesis> for Hypothesis {
    fn from(flat: FlatHypothesis) -> Self {
        Self {
            title: flat.title,
            statement: flat.statement,
            mechanism: flat.mechanism,
            expected_improvement: flat.expected_improvement,
            confidence: flat.confidence,
            intervention: flat.intervention,
            intervention_description: flat.intervention_description,
            touched_paths: flat.touched_paths,
            flag_key: flat.flag_key,
            measurement: MeasurementPlan {
                duration_days: flat.duration_days,
                min_sample_size: flat.min_sample_size,
                success_threshold: flat.success_threshold,
                kill_threshold: flat.kill_threshold,
                minimum_detectable_effect: flat.minimum_detectable_effect,
            },
            rollout: RolloutPlan { initial_pct: flat.initial_pct, steps: flat.steps },
            effort_hours: flat.effort_hours,
            risk: flat.risk,
            is_reversible: flat.is_reversible,
            tags: flat.tags,
        }
    }
}

/// The same schema for the shape of what arrives: names, spellings, types.
static SHAPE: LazyLock<Value> = LazyLock::new(schema_of::<FlatHypothesis>);
/// Compiled at the first candidate.
static SCHEMA: LazyLock<CandidateSchema<FlatHypothesis>> = LazyLock::new(CandidateSchema::new);

/// A candidate whose texts are open.
pub(super) fn example() -> Value {
    json!({
        "title": "<one line>",
        "statement": "<if we do this, then that will happen>",
        "mechanism": "<why it should work>",
        "expected_improvement": 0.02,
        "confidence": 0.5,
        "intervention": "code_change",
        "intervention_description": "<what will be done>",
        "touched_paths": ["<paths within the scope>"],
        "flag_key": "<a key of its own>",
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
    })
}

/// The same with the numbers that this outcome's test can find.
pub(super) fn example_for(order: &WorkOrder) -> Value {
    let mut candidate = example();
    let effect = json!(order.suggested.minimum_detectable_effect);
    set(&mut candidate, "minimum_detectable_effect", effect.clone());
    set(&mut candidate, "expected_improvement", effect);
    set(&mut candidate, "duration_days", json!(order.suggested.duration_days));
    candidate
}

/// The candidate with what is given, and `example` for what is missing.
pub(super) fn completed(example: &Value, raw: &Value) -> Value {
    let mut candidate = example.clone();
    if let (Value::Object(fields), Value::Object(given)) = (&mut candidate, raw) {
        let is_field = |key: &str| SHAPE.get("properties").is_some_and(|known| known.get(key).is_some());
        let known = given.iter().filter(|(key, value)| !value.is_null() && is_field(key));
        fields.extend(known.map(|(key, value)| (key.clone(), value.clone())));
    }
    candidate
}

/// The candidate in the core's type, or its problems as `{ field, message }`.
pub(super) fn parse(raw: &Value) -> Result<Hypothesis, Vec<Value>> {
    let problem = |field: &str, message: &str| vec![json!({ "field": field, "message": message })];
    let Value::Object(raw) = raw else { return Err(problem("hypotheses", "each one must be an object")) };
    let (flat, mut problems) = lifted(raw);
    let Shaped { given, problems: more, ignored } = args::shape(&flat, &SHAPE, ALIASES);
    problems.extend(more);
    // A candidate is signed as it is: nothing of it is dropped.
    problems.extend(
        ignored.into_iter().map(|name| ArgProblem { text: format!("there is no field `{name}`"), argument: name }),
    );
    if !problems.is_empty() {
        let as_object = |problem: &ArgProblem| json!({ "field": problem.argument, "message": problem.text });
        return Err(problems.iter().take(12).map(as_object).collect());
    }
    SCHEMA.read(&Value::Object(given)).map(Hypothesis::from).map_err(|problems| {
        let named = |problem: &Problem| json!({ "field": problem.field, "message": problem.message });
        problems.iter().map(named).collect()
    })
}

/// Groups that some agents write, `measurement` and `rollout`, taken apart. What is said twice must be said alike.
fn lifted(raw: &JsonObject) -> (JsonObject, Vec<ArgProblem>) {
    let (mut flat, mut problems) = (Map::new(), Vec::new());
    let mut groups = Vec::new();
    for (key, value) in raw {
        match (key.as_str(), value) {
            (
                "measurement" | "measurement_plan" | "measurementPlan" | "rollout" | "rollout_plan",
                Value::Object(group),
            ) => groups.push(group),
            _ => {
                flat.insert(key.clone(), value.clone());
            }
        }
    }
    for (key, value) in groups.into_iter().flatten() {
        if flat.get(key).is_some_and(|known| known != value) {
            let text = format!("`{key}` is given twice, with different values: give it once, beside `title`");
            problems.push(ArgProblem { argument: key.clone(), text });
        } else {
            flat.insert(key.clone(), value.clone());
        }
    }
    (flat, problems)
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

    /// The example with its texts.
    fn complete() -> Value {
        let mut candidate = example();
        for text in ["title", "statement", "mechanism", "intervention_description", "flag_key"] {
            set(&mut candidate, text, text.replace('_', "-"));
        }
        set(&mut candidate, "touched_paths", json!(["web/signup/"]));
        candidate
    }

    #[test]
    fn the_example_is_a_candidate_once_its_texts_are_there() {
        let hypothesis = parse(&complete()).unwrap();
        assert_eq!(hypothesis.measurement.duration_days, 28);
        assert_eq!(hypothesis.rollout.initial_pct, 50);
    }

    #[test]
    fn groups_and_other_spellings_are_understood() {
        let mut raw = complete();
        let map = raw.as_object_mut().unwrap();
        let days = map.remove("duration_days").unwrap();
        let pct = map.remove("initial_pct").unwrap();
        map.insert("measurement".to_owned(), json!({ "durationDays": days }));
        map.insert("rollout".to_owned(), json!({ "initialPct": pct }));
        let flag = map.remove("flag_key").unwrap();
        map.insert("featureFlagKey".to_owned(), flag);
        assert_eq!(parse(&raw).unwrap(), parse(&complete()).unwrap());
    }

    #[test]
    fn what_is_said_twice_must_be_said_alike() {
        let mut raw = complete();
        raw["rollout"] = json!({ "initial_pct": 50 });
        assert!(parse(&raw).is_ok());
        raw["rollout"] = json!({ "initial_pct": 40 });
        assert_eq!(parse(&raw).unwrap_err()[0]["field"], "initial_pct");
    }

    #[test]
    fn every_missing_field_is_named() {
        let problems = parse(&json!({})).unwrap_err();
        assert_eq!(problems.len(), 12);
        assert_eq!(problems[0], json!({ "field": "title", "message": "`title` is missing" }));
    }
}
