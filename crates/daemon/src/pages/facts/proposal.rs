//! What was proposed, how it was ranked, and what was learnt before.

use serde_json::Value;

use super::super::format::{number as show, percent, signed, words};
use super::super::sections::{Section, Table};
use super::{is, list, number, strings, text, yes};

pub(super) fn hypothesis(facts: &Value) -> Section {
    let mut section = Section::new("Hypothesis");
    let Some(said) = facts.pointer("/hypothesis") else { return section };
    section.intro = Some("Quoted text is the author's. It was not checked.".to_owned());
    section.quote("Title", text(said, "/title_says"));
    section.quote("Statement", text(said, "/statement_says"));
    section.quote("Why it should work", text(said, "/mechanism_says"));
    section.quote("The change", text(said, "/intervention_says"));
    section.text("Kind of change", text(said, "/intervention").map(words));
    section.text("Expected improvement", number(said, "/expected_improvement").map(signed));
    section.text("Author's confidence", number(said, "/confidence").map(percent));
    section.codes("Paths it will change", strings(said, "/touched_paths"));
    section.code("Feature flag", text(said, "/flag_key"));
    section.text("Effort", number(said, "/effort_hours").map(|hours| format!("{} h", show(hours))));
    section.text("Risk", text(said, "/risk").map(words));
    section.text("Reversible", yes(is(said, "/is_reversible")));
    section.text("Author", text(said, "/author").map(author));
    section.text("Submitted by", said.pointer("/submitted_by").map(principal));
    section
}

fn author(kind: &str) -> String {
    match kind {
        "ai" => "a language model".to_owned(),
        "human" => "a human".to_owned(),
        other => words(other),
    }
}

pub(super) fn principal(value: &Value) -> String {
    let name = ["/name", "/client", "/component"].iter().find_map(|pointer| text(value, pointer)).unwrap_or("unknown");
    match text(value, "/kind") {
        Some("agent") => format!("{name} (agent, self-reported)"),
        Some(kind) => format!("{name} ({kind})"),
        None => name.to_owned(),
    }
}

pub(super) fn score(facts: &Value) -> Section {
    let mut section = Section::new("Score");
    let Some(score) = facts.pointer("/score").filter(|score| score.is_object()) else { return section };
    section.intro = Some("Computed by the runtime. Each term is between 0 and 1 before it is weighted.".to_owned());
    section.text("Total", number(score, "/total").map(show));
    let terms = [("/impact", "Impact"), ("/risk", "Low risk"), ("/speed", "Little effort"), ("/learning", "Undoable")];
    section.table = Some(Table {
        heads: vec!["Term", "Value"],
        lines: terms
            .iter()
            .filter_map(|(pointer, label)| Some(vec![(*label).to_owned(), show(number(score, pointer)?)]))
            .collect(),
    });
    section
}

pub(super) fn learnings(facts: &Value) -> Section {
    let mut section = Section::new("Similar learnings");
    let found = list(facts, "/similar_learnings");
    if !found.is_empty() {
        section.table = Some(Table {
            heads: vec!["Finding", "Type", "Grade", "Its hypothesis"],
            lines: found
                .iter()
                .map(|learning| {
                    let cell = |pointer: &str| text(learning, pointer).unwrap_or_default().to_owned();
                    let said = format!("“{}”", cell("/hypothesis_says"));
                    vec![cell("/finding"), words(&cell("/finding_type")), cell("/grade"), said]
                })
                .collect(),
        });
    }
    section
}
