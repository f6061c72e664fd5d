//! What is wrong in a file: where, what would be valid, and what to do. **Invariant**: no secret of the file reaches a
//! diagnostic; excerpts pass through [`super::redact`].

use serde::Serialize;

use super::redact::redact_line;
use super::secrets::Env;
use super::vendor::Vendors;

/// Longer lines are not shown.
const MAX_LINE_BYTES: usize = 4096;

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

/// Byte positions in the source, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A finding before its lines are looked up.
#[derive(Debug)]
#[must_use]
pub struct Problem {
    severity: Severity,
    code: &'static str,
    message: String,
    labels: Vec<(Span, String)>,
    valid: Option<String>,
    help: Option<String>,
}

impl Problem {
    pub fn error(code: &'static str, at: Span, message: impl Into<String>) -> Self {
        let labels = vec![(at, String::new())];
        Self { severity: Severity::Error, code, message: message.into(), labels, valid: None, help: None }
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

/// Collects the findings of one file, and knows what the file may name.
pub struct Reporter<'a> {
    file: &'a str,
    source: &'a str,
    line_starts: Vec<usize>,
    found: Vec<Diagnostic>,
    n_dropped: usize,
    hidden: Vec<Span>,
    vendors: &'a Vendors,
    env: Option<&'a dyn Env>,
}

impl<'a> Reporter<'a> {
    /// With `env`, references to variables and files that are not there are reported.
    pub fn new(source: &'a str, file: &'a str, vendors: &'a Vendors, env: Option<&'a dyn Env>) -> Self {
        let newlines = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(newlines).collect();
        Self { file, source, line_starts, found: Vec::new(), n_dropped: 0, hidden: Vec::new(), vendors, env }
    }

    /// What the file may name.
    pub fn vendors(&self) -> &'a Vendors {
        self.vendors
    }

    /// Where references are looked up, when they are.
    pub fn env(&self) -> Option<&'a dyn Env> {
        self.env
    }

    /// True when nothing more is shown, so that looking for suggestions is no longer worth its time.
    pub fn is_full(&self) -> bool {
        self.found.len() >= MAX_DIAGNOSTICS
    }

    pub fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.n_dropped += 1;
            return;
        }
        let labels: Vec<Label> = problem.labels.into_iter().map(|(span, text)| self.label(span, text)).collect();
        let (line, column, excerpt) =
            labels.first().map_or((1, 1, String::new()), |label| (label.line, label.column, label.excerpt.clone()));
        self.found.push(Diagnostic {
            severity: problem.severity,
            code: problem.code,
            message: problem.message,
            file: self.file.to_owned(),
            line,
            column,
            excerpt,
            labels,
            valid: problem.valid,
            help: problem.help,
        });
    }

    /// Keeps a place, which holds a secret, out of every excerpt and message.
    pub fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// True for a place that holds a secret.
    pub fn is_hidden(&self, span: Span) -> bool {
        self.hidden.iter().any(|hidden| hidden.start < span.end && span.start < hidden.end)
    }

    /// The text at a place.
    pub fn text(&self, span: Span) -> &'a str {
        self.source.get(span.start..span.end).unwrap_or("")
    }

    /// Everything found, in the order of the file.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| (d.line, d.column, d.severity));
        if self.n_dropped > 0
            && let Some(last) = self.found.last_mut()
        {
            let more = format!("{} more problems are not shown: fix these first and run it again", self.n_dropped);
            last.help = Some(last.help.take().map_or_else(|| more.clone(), |help| format!("{help}\n{more}")));
        }
        self.found
    }

    fn label(&self, span: Span, text: String) -> Label {
        let start = span.start.min(self.source.len());
        let index = self.line_starts.partition_point(|begin| *begin <= start).saturating_sub(1);
        let begin = self.line_starts.get(index).copied().unwrap_or(0);
        let rest = self.source.get(begin..).unwrap_or("");
        let line = rest.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let shown = if line.len() > MAX_LINE_BYTES {
            format!("(a line of {} bytes)", line.len())
        } else {
            redact_line(&self.without_hidden(line, begin), self.line_before(index))
        };
        let before = self.source.get(begin..start).unwrap_or(line);
        let meant = self.source.get(start..span.end.min(begin + line.len()).max(start)).unwrap_or("");
        Label {
            line: index + 1,
            column: before.chars().count() + 1,
            length: meant.trim_end().chars().count().max(1),
            excerpt: shown,
            text,
        }
    }

    /// The line that begins at `begin`, with the hidden places in it as `*`.
    fn without_hidden(&self, line: &str, begin: usize) -> String {
        let hidden: Vec<&Span> =
            self.hidden.iter().filter(|span| span.start < begin + line.len() && begin < span.end).collect();
        let is_hidden = |at: usize| hidden.iter().any(|span| (span.start..span.end).contains(&(begin + at)));
        line.char_indices().map(|(at, c)| if !c.is_whitespace() && is_hidden(at) { '*' } else { c }).collect()
    }

    /// The last line with content in front of the line with this index.
    fn line_before(&self, index: usize) -> &'a str {
        let begin = self.line_starts.get(index).copied().unwrap_or(0);
        let before = self.source.get(..begin).unwrap_or("").trim_end();
        before.rsplit('\n').next().filter(|line| line.len() <= MAX_LINE_BYTES).unwrap_or("")
    }
}
