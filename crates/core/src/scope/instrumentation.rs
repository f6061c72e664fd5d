//! The instrumentation guard: an experiment can be "won" by editing the event that judges it.
//!
//! Flags lines that were added or removed and mention a watched text, and any change of a watched file. A flag is a
//! question for the humans at the gate and never a verdict: an experiment may well add its own events, and who builds a
//! name from pieces is not caught.
//!
//! **Invariant**: reads a bounded amount; what was not read is listed, never passed over.

use std::collections::HashMap;

use crate::domain::{Change, InstrumentationFlag, Tampering, Watch, WatchKind};
use crate::scope::{
    error::ScopeError,
    git::{Blobs, GitRepo},
    path::{fold, normalised, shown},
};

/// Largest file whose lines are compared.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Most bytes that are read for one check.
const MAX_TOTAL_BYTES: u64 = 32 * 1024 * 1024;

/// What the guard found, and what it could not look at.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    pub(super) flags: Vec<InstrumentationFlag>,
    pub(super) not_inspected: Vec<String>,
}

impl Watch {
    pub fn event(name: impl Into<String>) -> Self {
        Self { kind: WatchKind::Event, text: name.into() }
    }

    pub fn table(name: impl Into<String>) -> Self {
        Self { kind: WatchKind::Table, text: name.into() }
    }

    pub fn metric(name: impl Into<String>) -> Self {
        Self { kind: WatchKind::Metric, text: name.into() }
    }

    pub fn flag(key: impl Into<String>) -> Self {
        Self { kind: WatchKind::Flag, text: key.into() }
    }

    pub fn file(path: impl Into<String>) -> Self {
        Self { kind: WatchKind::File, text: path.into() }
    }

    /// The text to look for in lines, in lower case.
    pub(super) fn needle(&self) -> Option<String> {
        let text = self.text.trim();
        let text = match self.kind {
            WatchKind::Table => text.rsplit('.').next().unwrap_or(text).trim_matches(['"', '`', '[', ']']),
            WatchKind::Event | WatchKind::Metric | WatchKind::Flag => text,
            WatchKind::File => return None,
        };
        (!text.is_empty()).then(|| text.to_lowercase())
    }

    /// The watched path, folded.
    fn watched_path(&self) -> Option<String> {
        match self.kind {
            WatchKind::File => normalised(&self.text).map(|path| fold(&path)),
            WatchKind::Event | WatchKind::Table | WatchKind::Metric | WatchKind::Flag => None,
        }
    }
}

/// # Errors
/// When git fails.
pub(super) async fn inspect(repo: &GitRepo, changes: &[Change], watched: &[Watch]) -> Result<Inspection, ScopeError> {
    let mut found = Inspection::default();
    for change in changes {
        for watch in watched {
            let Some(path) = watch.watched_path() else {
                continue;
            };
            if change.touched().any(|touched| fold(touched) == path) {
                found.flags.push(InstrumentationFlag {
                    path: change.path.clone(),
                    watch: watch.clone(),
                    tampering: Tampering::FileTouched,
                    n_lines: 0,
                    line: None,
                });
            }
        }
    }
    let needles: Vec<(&Watch, String)> =
        watched.iter().filter_map(|watch| watch.needle().map(|needle| (watch, needle))).collect();
    if needles.is_empty() {
        return Ok(found);
    }
    // Lists, not lazy chains: closures that live across an await make the future unusable on other threads.
    let edited: Vec<&Change> = changes.iter().filter(|change| change.old_object != change.new_object).collect();
    let contents = edited.iter().filter(|c| !c.is_submodule).flat_map(|c| [&c.old_object, &c.new_object]);
    let ids = contents.flatten().map(String::as_str).collect();
    let blobs = repo.blobs(ids, MAX_FILE_BYTES, MAX_TOTAL_BYTES).await?;
    for change in edited {
        match compared(change, &blobs) {
            Some(lines) => found.flags.extend(needles.iter().filter_map(|(w, needle)| lines.flag(change, w, needle))),
            None => found.not_inspected.push(change.path.clone()),
        }
        // Files are up to a megabyte: let other tasks have their turn.
        tokio::task::yield_now().await;
    }
    Ok(found)
}

/// Whether a changed file mentions `text` after the change; `None` when none does and some could not be read.
///
/// # Errors
/// When git fails.
pub async fn mentions(repo: &GitRepo, changes: &[Change], text: &str) -> Result<Option<bool>, ScopeError> {
    let now: Vec<&str> =
        changes.iter().filter(|c| !c.is_submodule).filter_map(|change| change.new_object.as_deref()).collect();
    let blobs = repo.blobs(now.clone(), MAX_FILE_BYTES, MAX_TOTAL_BYTES).await?;
    let is_mentioned = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(text);
    if blobs.values().any(is_mentioned) {
        return Ok(Some(true));
    }
    let is_all_read = now.iter().all(|id| blobs.contains_key(*id)) && !changes.iter().any(|c| c.is_submodule);
    Ok(is_all_read.then_some(false))
}

/// Lines that only one side has, or has more often.
struct ChangedLines {
    added: Vec<String>,
    removed: Vec<String>,
}

impl ChangedLines {
    fn flag(&self, change: &Change, watch: &Watch, needle: &str) -> Option<InstrumentationFlag> {
        let mentions = |line: &&String| line.to_lowercase().contains(needle);
        let added: Vec<&String> = self.added.iter().filter(mentions).collect();
        let removed: Vec<&String> = self.removed.iter().filter(mentions).collect();
        let tampering = match (added.is_empty(), removed.is_empty()) {
            (true, true) => return None,
            (false, true) => Tampering::LinesAdded,
            (true, false) => Tampering::LinesRemoved,
            (false, false) => Tampering::LinesChanged,
        };
        Some(InstrumentationFlag {
            path: change.path.clone(),
            watch: watch.clone(),
            tampering,
            n_lines: added.len() + removed.len(),
            line: removed.first().or(added.first()).map(|line| shown(line.trim())),
        })
    }
}

/// `None` when one side was not read.
fn compared(change: &Change, blobs: &Blobs) -> Option<ChangedLines> {
    if change.is_submodule {
        return None;
    }
    let read = |object: &Option<String>| match object {
        Some(id) => blobs.get(id).map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        None => Some(String::new()),
    };
    Some(changed_lines(&read(&change.old_object)?, &read(&change.new_object)?))
}

/// Counts each line instead of aligning the files: a second copy of a tracking call shows, a moved line does not.
fn changed_lines(old: &str, new: &str) -> ChangedLines {
    let surplus = |of: &str, over: &str| {
        let mut known: HashMap<&str, usize> = HashMap::new();
        for line in over.lines() {
            *known.entry(line).or_default() += 1;
        }
        let is_surplus = |line: &&str| match known.get_mut(*line) {
            Some(n) if *n > 0 => {
                *n -= 1;
                false
            }
            _ => true,
        };
        of.lines().filter(is_surplus).map(str::to_owned).collect()
    };
    ChangedLines { added: surplus(new, old), removed: surplus(old, new) }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_line_that_appears_twice_was_added_once() {
        let lines = changed_lines("a\nb\n", "b\na\na\nc\n");
        assert_eq!((lines.added, lines.removed), (vec!["a".to_owned(), "c".to_owned()], Vec::<String>::new()));
    }

    #[test]
    fn the_schema_of_a_table_is_left_out() {
        assert_eq!(Watch::table("public.\"Orders\"").needle().as_deref(), Some("orders"));
        assert_eq!(Watch::event("  ").needle(), None);
    }
}
