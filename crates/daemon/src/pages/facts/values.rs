//! How one value is said, or that it is not there.

use super::super::sections::Section;

/// A text unless it is empty.
pub(super) fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `yes` or `no`.
pub(super) fn yes(flag: bool) -> Option<String> {
    Some(if flag { "yes" } else { "no" }.to_owned())
}

/// What is stored and cannot be shown in parts.
pub(super) fn unreadable(title: &'static str, problem: String) -> Section {
    let mut section = Section::new(title);
    section.warnings.push(format!("{problem}. See the JSON below."));
    section
}
