//! What was built: the difference as git has it, and how it compares with what was claimed.

use super::super::section::{Section, Table};
use super::values::{text, unreadable};
use crate::domain::{BuildScope, Change, ChangeKind, DefaultBranch, Facts, Nullable};
use crate::stats::figures::count;

/// Most changed paths that are listed before "and more".
const MAX_LINES: usize = 40;

pub(super) fn section(facts: &Facts) -> Section {
    let mut section = Section::new("Build");
    let Some(build) = Nullable::of(facts.build.as_ref()) else { return section };
    let build = match build.shown() {
        Ok(shown) => shown,
        Err(problem) => return unreadable("Build", &problem, build.json()),
    };
    section.intro =
        Some("The diff was computed from git; it is not the builder's claim. Quoted text is the builder's.".to_owned());
    section.quote("Summary", text(&build.summary_says));
    section.quote("Notes", build.notes_say.as_deref().and_then(text));
    section.text("Reported by", Some(build.reported_by.to_string()));
    section.code("Commit", text(&build.commit));
    section.code("Built on", text(&build.base));
    let compared = build.default_branch.as_ref().map(DefaultBranch::in_words);
    section.text("Default branch", compared);
    section.code("Branch", build.branch.as_deref().and_then(text));
    let verdict = if build.scope.is_clean { "within the scope" } else { "violated" };
    section.text("Scope", Some(verdict.to_owned()));
    warn(&mut section, &build.scope);
    let changes = &build.scope.changes;
    section.text("Changed paths", Some(count(changes.len() as u64)));
    let mut lines: Vec<Vec<String>> = changes.iter().take(MAX_LINES).map(change).collect();
    if changes.len() > MAX_LINES {
        lines.push(vec!["…".to_owned(), format!("and {} more, in the JSON", changes.len() - MAX_LINES)]);
    }
    if !lines.is_empty() {
        section.table = Some(Table { heads: vec!["Change", "Path"], lines });
    }
    section
}

fn warn(section: &mut Section, scope: &BuildScope) {
    section.warnings.extend(scope.doubt().map(|doubt| doubt.to_owned()));
    let watched = scope.instrumentation.iter();
    section
        .warnings
        .extend(watched.map(|flag| format!("{} changes what measures the experiment: {}", flag.path, flag.watch.text)));
    if let Some(claim) = &scope.claim {
        let missing = claim.missing_from_claim.iter().take(MAX_LINES);
        section.warnings.extend(missing.map(|path| format!("Changed but not claimed: {path}")));
        let unchanged = claim.claimed_but_unchanged.iter().take(MAX_LINES);
        section.warnings.extend(unchanged.map(|path| format!("Claimed but not changed: {path}")));
    }
    section.warnings.extend(scope.notes.iter().map(|note| note.message.clone()));
}

fn change(change: &Change) -> Vec<String> {
    let path = &change.path;
    let mut shown = match &change.old_path {
        Some(old) => format!("{old} → {path}"),
        None => path.clone(),
    };
    // A path does not show what leads out of the scope or runs.
    if change.is_symlink {
        let target = change.symlink_target.as_deref().unwrap_or("?");
        shown.push_str(&format!(" (link to {target})"));
    }
    if change.is_submodule {
        shown.push_str(" (submodule: its content was not checked)");
    }
    if let (Some(old), Some(new)) = (&change.old_mode, &change.new_mode)
        && old != new
    {
        shown.push_str(&format!(" (mode {old} → {new})"));
    }
    vec![kind(change.kind).to_owned(), shown]
}

fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "Added",
        ChangeKind::Modified => "Modified",
        ChangeKind::Deleted => "Deleted",
        ChangeKind::Renamed => "Renamed",
        ChangeKind::Copied => "Copied",
        ChangeKind::TypeChanged => "Type changed",
        ChangeKind::ModeChanged => "Mode changed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_where_a_link_leads_and_what_became_executable() {
        let link = Change {
            kind: ChangeKind::Renamed,
            path: "src/link".to_owned(),
            old_path: Some("src/file".to_owned()),
            is_utf8: true,
            old_mode: Some("100644".to_owned()),
            new_mode: Some("120000".to_owned()),
            old_object: None,
            new_object: None,
            is_symlink: true,
            symlink_target: Some("../secrets".to_owned()),
            is_submodule: false,
        };
        let said = "src/file → src/link (link to ../secrets) (mode 100644 → 120000)";
        assert_eq!(change(&link), ["Renamed", said]);
        let submodule = Change { kind: ChangeKind::Added, old_path: None, old_mode: None, is_submodule: true, ..link };
        let said = "src/link (link to ../secrets) (submodule: its content was not checked)";
        assert_eq!(change(&submodule), ["Added", said]);
    }
}
