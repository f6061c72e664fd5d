//! A context package as sections for people. What a section does not know stays visible in the raw package at the end of
//! the page: nothing that is signed is hidden.

mod build;
mod plan;
mod proposal;
mod result;
mod values;

use outcome_core::domain::{ContextPackage, Facts, Nullable};
use outcome_core::present::plain;

use self::values::unreadable;
use super::sections::Section;

/// The sections in the order in which they help to decide.
pub(super) fn sections(context: &ContextPackage) -> Vec<Section> {
    let facts = match context.facts.shown() {
        Ok(facts) => facts,
        Err(problem) => return vec![unreadable("Facts", problem)],
    };
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
fn obstacles(facts: &Facts, open_conditions: &[String]) -> Section {
    let mut section = Section::new("Check these first");
    section.warnings.extend(facts.conflicts.iter().flatten().map(|text| format!("Conflict: {text}.")));
    if let Some(pause) = Nullable::of(facts.pause.as_ref()) {
        let cause = plain(pause.cause.as_str());
        section.warnings.push(format!("Paused ({cause}): {}", pause.detail));
    }
    section
        .warnings
        .extend(open_conditions.iter().map(|condition| format!("Condition of an earlier approval: “{condition}”")));
    section
}
