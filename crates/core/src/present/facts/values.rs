//! How one value is said, or that it is not there.

use serde_json::Value as Json;

use super::super::section::Section;
use crate::domain::Facts;
use crate::stats::Scale;

/// How values of the outcome's signal are written; facts of earlier versions do not say, and show the numbers as they are.
pub(super) fn scale(facts: &Facts) -> Scale {
    facts.outcome.as_ref().and_then(|outcome| outcome.scale.clone()).unwrap_or_default()
}

/// A text unless it is empty.
pub(super) fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `yes` or `no`.
pub(super) fn yes(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

/// What is stored and cannot be shown in parts.
pub(super) fn unreadable(title: &'static str, problem: &str, json: &Json) -> Section {
    let mut section = Section::new(title);
    section.warnings.push(format!("{problem}. See the JSON."));
    section.unread = Some(json.clone());
    section
}
