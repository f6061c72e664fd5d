//! A context package as sections for people. What a section does not know stays in the package, which every front end shows
//! as JSON too: nothing that is signed is hidden.

mod build;
mod change;
mod dry_run;
mod elsewhere;
mod glance;
mod plan;
mod proposal;
mod result;
mod values;

use self::values::unreadable;
use super::section::Section;
use super::words::plain;
use crate::domain::{ContextPackage, Facts, Nullable};

pub use self::dry_run::false_stops;
pub use self::glance::{Glance, glance};
pub use self::plan::{bound, thresholds};
pub use self::proposal::score;
pub use self::result::{capped, health, measured_constraints};

/// The sections in the order in which they help to decide.
#[must_use]
pub fn sections(context: &ContextPackage) -> Vec<Section> {
    let facts = match context.facts.shown() {
        Ok(facts) => facts,
        Err(problem) => return vec![unreadable("Facts", &problem, context.facts.json())],
    };
    [
        obstacles(facts, &context.open_conditions),
        change::section(facts),
        change::since_approval(facts),
        result::section(facts),
        result::guardrails(facts),
        build::section(facts),
        elsewhere::section(facts),
        proposal::hypothesis(facts),
        plan::section(facts),
        plan::guardrails(facts),
        dry_run::section(facts),
        facts.score.as_ref().map_or_else(|| Section::new("Score"), score),
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
