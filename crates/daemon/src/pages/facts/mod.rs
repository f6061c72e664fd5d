//! A context package as sections for people. What a section does not know stays visible in the raw package at the end of
//! the page: nothing that is signed is hidden.

mod build;
mod plan;
mod proposal;
mod result;
mod values;

use outcome_core::domain::ContextPackage;
use serde_json::Value;

use self::values::{interval, is, list, number, strings, text, yes};
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
