//! A context package as sections for people. What a section does not know stays visible in the raw package at the end of
//! the page: nothing that is signed is hidden.

mod build;
mod plan;
mod proposal;
mod result;

use outcome_core::domain::ContextPackage;
use serde_json::Value;

use super::sections::Section;

/// The sections in the order in which they help to decide.
pub(super) fn sections(context: &ContextPackage) -> Vec<Section> {
    let facts = &context.facts;
    [
        obstacles(facts, &context.open_conditions),
        result::section(facts),
        result::guardrails(facts),
        build::section(facts),
        proposal::hypothesis(facts),
        plan::section(facts),
        plan::guardrails(facts),
        proposal::score(facts),
        proposal::learnings(facts),
        plan::outcome(facts),
    ]
    .into_iter()
    .filter_map(Section::unless_empty)
    .collect()
}

/// What speaks against a plain yes.
fn obstacles(facts: &Value, open_conditions: &[String]) -> Section {
    let mut section = Section::new("Check these first");
    section.warnings.extend(strings(facts, "/conflicts").into_iter().map(|text| format!("Conflict: {text}.")));
    if let Some(cause) = text(facts, "/pause/cause") {
        let detail = text(facts, "/pause/detail").unwrap_or_default();
        section.warnings.push(format!("Paused ({}): {detail}", super::format::words(cause).to_lowercase()));
    }
    section
        .warnings
        .extend(open_conditions.iter().map(|condition| format!("Condition of an earlier approval: “{condition}”")));
    section
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer).and_then(Value::as_f64)
}

fn is(value: &Value, pointer: &str) -> Option<bool> {
    value.pointer(pointer).and_then(Value::as_bool)
}

fn yes(flag: Option<bool>) -> Option<String> {
    flag.map(|flag| if flag { "yes" } else { "no" }.to_owned())
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn strings(value: &Value, pointer: &str) -> Vec<String> {
    list(value, pointer).iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// An interval with its open sides said.
fn interval(value: &Value, pointer: &str, show: fn(f64) -> String) -> Option<String> {
    let found = value.pointer(pointer).filter(|found| found.is_object())?;
    let side = |name: &str, open: &str| number(found, name).map_or_else(|| open.to_owned(), show);
    Some(format!("{} to {}", side("/lower", "no lower end"), side("/upper", "no upper end")))
}
