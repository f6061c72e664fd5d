//! What was built: the difference as git has it, and how it compares with what was claimed.

use serde_json::Value;

use super::super::format::words;
use super::super::sections::{Section, Table};
use super::proposal::principal;
use super::{is, list, strings, text};

/// Most changed paths that are listed before "and more".
const MAX_LINES: usize = 40;

pub(super) fn section(facts: &Value) -> Section {
    let mut section = Section::new("Build");
    let Some(build) = facts.pointer("/build").filter(|build| build.is_object()) else { return section };
    section.intro =
        Some("The diff was computed from git; it is not the builder's claim. Quoted text is the builder's.".to_owned());
    section.quote("Summary", text(build, "/summary_says"));
    section.quote("Notes", text(build, "/notes_say"));
    section.text("Reported by", build.pointer("/reported_by").map(principal));
    section.code("Commit", text(build, "/commit"));
    section.code("Built on", text(build, "/base"));
    section.code("Branch", text(build, "/branch"));
    let verdict =
        is(build, "/scope/is_clean").map(|clean| if clean { "within the scope" } else { "violated" }.to_owned());
    section.text("Scope", verdict);
    warn(&mut section, build);
    let changes = list(build, "/scope/changes");
    section.text("Changed paths", Some(changes.len().to_string()));
    let mut lines: Vec<Vec<String>> = changes.iter().take(MAX_LINES).map(change).collect();
    if changes.len() > MAX_LINES {
        lines.push(vec!["…".to_owned(), format!("and {} more, in the JSON below", changes.len() - MAX_LINES)]);
    }
    if !lines.is_empty() {
        section.table = Some(Table { heads: vec!["Change", "Path"], lines });
    }
    section
}

fn warn(section: &mut Section, build: &Value) {
    for flag in list(build, "/scope/instrumentation") {
        let (path, watched) = (text(flag, "/path").unwrap_or("?"), text(flag, "/watch/text").unwrap_or("?"));
        section.warnings.push(format!("{path} changes what measures the experiment: {watched}"));
    }
    let missing = strings(build, "/scope/claim/missing_from_claim");
    section.warnings.extend(missing.into_iter().take(MAX_LINES).map(|path| format!("Changed but not claimed: {path}")));
    let unchanged = strings(build, "/scope/claim/claimed_but_unchanged");
    section
        .warnings
        .extend(unchanged.into_iter().take(MAX_LINES).map(|path| format!("Claimed but not changed: {path}")));
    let notes = list(build, "/scope/notes").iter().filter_map(|note| text(note, "/message"));
    section.warnings.extend(notes.map(ToOwned::to_owned));
}

fn change(change: &Value) -> Vec<String> {
    let path = text(change, "/path").unwrap_or("?");
    let shown = match text(change, "/old_path") {
        Some(old) => format!("{old} → {path}"),
        None => path.to_owned(),
    };
    vec![words(text(change, "/kind").unwrap_or("changed")), shown]
}
