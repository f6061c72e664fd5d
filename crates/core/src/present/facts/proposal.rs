//! What was proposed, how it was ranked, and what was learnt before.

use super::super::section::{Section, Table};
use super::super::words::words;
use super::values::{scale, text, yes};
use crate::domain::{Author, Facts, FlagFacts, FlagFound, ScoreBreakdown};
use crate::stats::figures::{number as show, percent};

pub(super) fn hypothesis(facts: &Facts) -> Section {
    let mut section = Section::new("Hypothesis");
    let Some(said) = &facts.hypothesis else { return section };
    section.intro = Some("Quoted text is the author's. It was not checked.".to_owned());
    section.quote("Title", text(&said.title_says));
    section.quote("Statement", text(&said.statement_says));
    section.quote("Why it should work", text(&said.mechanism_says));
    section.quote("The change", text(&said.intervention_says));
    section.text("Kind of change", Some(words(said.intervention.as_str())));
    section.text("Expected improvement", Some(scale(facts).change(said.expected_improvement)));
    section.text("Author's confidence", Some(percent(said.confidence)));
    section.codes("Paths it will change", said.touched_paths.clone());
    section.code("Feature flag", text(&said.flag_key));
    section.text("Flag now", facts.flag.as_ref().map(flag));
    section.text("Effort", Some(format!("{} h", show(said.effort_hours))));
    section.text("Risk", Some(words(said.risk.as_str())));
    section.text("Reversible", Some(yes(said.is_reversible)));
    section.text("Author", Some(author(said.author)));
    section.text("Submitted by", Some(said.submitted_by.to_string()));
    section
}

fn flag(FlagFacts { service, found }: &FlagFacts) -> String {
    match found {
        FlagFound::Nothing => format!("not in {service} yet: the launch makes it"),
        FlagFound::Off => {
            format!(
                "in {service} already, and off: approving takes it over, if it is set up as the runtime does it, and off is where it goes back to"
            )
        }
        FlagFound::On { treatment_pct } => {
            format!("on at {treatment_pct} % in {service} already: it cannot be launched before it is off there")
        }
        FlagFound::Otherwise { problem } => {
            format!("in {service} already, and not set up as the runtime does it ({problem}): it cannot be launched so")
        }
        FlagFound::NotRead { problem } => format!("not read when this opened ({problem}); the launch reads it again"),
    }
}

fn author(author: Author) -> String {
    match author {
        Author::Ai => "a language model".to_owned(),
        Author::Human => "a human".to_owned(),
        Author::Hybrid => words(author.as_str()),
    }
}

/// Why a candidate ranks where it does.
#[must_use]
pub fn score(score: &ScoreBreakdown) -> Section {
    let mut section = Section::new("Score");
    section.intro = Some("Computed by the runtime. Each term is between 0 and 1 before it is weighted.".to_owned());
    section.text("Total", Some(show(score.total)));
    let terms = [
        ("Impact", score.impact),
        ("Low risk", score.risk),
        ("Little effort", score.speed),
        ("Reversible", score.learning),
    ];
    section.table = Some(Table {
        heads: vec!["Term", "Value"],
        lines: terms.iter().map(|(label, value)| vec![(*label).to_owned(), show(*value)]).collect(),
    });
    section
}

pub(super) fn learnings(facts: &Facts) -> Section {
    let mut section = Section::new("Similar learnings");
    let found = facts.similar_learnings.as_deref().unwrap_or_default();
    if !found.is_empty() {
        section.table = Some(Table {
            heads: vec!["Finding", "Type", "Grade", "Its hypothesis"],
            lines: found
                .iter()
                .map(|learning| {
                    let said = format!("“{}”", learning.hypothesis_says);
                    let kind = words(learning.finding_type.as_str());
                    vec![learning.finding.clone(), kind, learning.grade.to_string(), said]
                })
                .collect(),
        });
    }
    section
}
