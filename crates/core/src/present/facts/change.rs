//! What a change of the outcome file would apply.

use serde_json::Value as Json;

use super::super::section::{Section, Table};
use crate::domain::{ChangedKey, Facts};

/// A value of a file on one line, as its key shows it; whole in the JSON and in the table's cell.
pub(super) fn said(value: &Json) -> String {
    match value {
        Json::Null => "(nothing)".to_owned(),
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

fn line(changed: &ChangedKey) -> Vec<String> {
    vec![changed.field.clone(), said(&changed.from), said(&changed.to)]
}

/// What whoever approved the build did not see.
pub(super) fn since_approval(facts: &Facts) -> Section {
    let mut section = Section::new("What was changed since the build was approved");
    if !facts.changed_since_approval.is_empty() {
        section.table = Some(Table {
            heads: vec!["Key", "At the approval", "Now"],
            lines: facts.changed_since_approval.iter().map(line).collect(),
        });
    }
    section
}

pub(super) fn section(facts: &Facts) -> Section {
    let mut section = Section::new("What changes in the outcome file");
    let Some(change) = &facts.change else { return section };
    section.warnings.extend(change.touches.iter().cloned());
    if !change.origin.is_committed {
        section.warnings.push("This text of the file is not committed.".to_owned());
    }
    section.code("Commit", change.origin.commit.as_deref());
    section.code("SHA-256 of the file", Some(&change.hash));
    // What the file does not say by itself, and is signed with it.
    let places: Vec<String> = change.places.iter().map(|place| format!("{} → {}", place.of, place.leads_to)).collect();
    section.codes("Leads to", places);
    section.table = Some(Table {
        heads: vec!["Key", "Applied", "In the file"],
        lines: change.differences.iter().map(line).collect(),
    });
    section
}
