//! What is wrong in a file: where, what would be valid, and what to do. **Invariant**: no secret of the file reaches a
//! diagnostic; excerpts pass through `redact`.

use serde::Serialize;

use super::span::Span;

/// The most diagnostics of one file.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Does it stop the file from being used?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is used; the author should know.
    Warning,
}

/// A place in the file with a remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub length: usize,
    /// The line, with secrets blanked.
    pub excerpt: String,
    /// The remark; may be empty.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Does it stop the file?
    pub severity: Severity,
    /// Stable name, `config.unknown_key`.
    pub code: &'static str,
    /// What is wrong, one sentence.
    pub message: String,
    /// The file as the caller named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, with secrets blanked.
    pub excerpt: String,
    /// Where, the main place first.
    pub labels: Vec<Label>,
    /// What would be valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// True when the file is refused because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A finding before its lines are looked up.
#[derive(Debug)]
#[must_use]
pub struct Problem {
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) labels: Vec<(Span, String)>,
    pub(super) valid: Option<String>,
    pub(super) help: Option<String>,
    pub(super) is_for_proposals: bool,
}

impl Problem {
    pub fn error(code: &'static str, at: Span, message: impl Into<String>) -> Self {
        let labels = vec![(at, String::new())];
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            labels,
            valid: None,
            help: None,
            is_for_proposals: false,
        }
    }
    /// An error in a file that is proposed, and a warning in one that counts already: what runs by it goes on.
    pub fn error_in_proposal(code: &'static str, at: Span, message: impl Into<String>) -> Self {
        Self { is_for_proposals: true, ..Self::error(code, at, message) }
    }
    pub fn warning(code: &'static str, at: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, message) }
    }
    /// A remark at the main place.
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.1 = text.into();
        }
        self
    }
    /// A remark elsewhere.
    pub fn also(mut self, at: Span, text: impl Into<String>) -> Self {
        self.labels.push((at, text.into()));
        self
    }
    pub fn valid(mut self, valid: impl Into<String>) -> Self {
        self.valid = Some(valid.into());
        self
    }
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
