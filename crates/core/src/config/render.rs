//! Diagnostics for people, in the look of rustc.

use std::fmt::Write as _;

use super::diagnostic::{Diagnostic, Label, Severity};

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const GREEN: &str = "\x1b[1;32m";

/// The most characters of a line that are shown.
const MAX_WIDTH: usize = 140;

impl Diagnostic {
    /// The finding with its lines of the file; ends with a newline.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let paint = |code: &str, text: &str| if colour { format!("{code}{text}{RESET}") } else { text.to_owned() };
        let (word, tint) = match self.severity {
            Severity::Error => ("error", RED),
            Severity::Warning => ("warning", YELLOW),
        };
        let widest = self.labels.iter().map(|label| label.line).max().unwrap_or(self.line);
        let gutter = " ".repeat(widest.to_string().len());
        let bar = paint(BLUE, "|");
        let mut out = String::new();
        let head = paint(tint, &format!("{word}[{}]", self.code));
        let _ = writeln!(out, "{head}{}", paint(BOLD, &format!(": {}", self.message)));
        let _ = writeln!(out, "{gutter}{} {}:{}:{}", paint(BLUE, "-->"), self.file, self.line, self.column);
        let _ = writeln!(out, "{gutter} {bar}");
        let mut next = None;
        for (line, labels) in by_line(&self.labels) {
            if next.is_some_and(|next| line > next) {
                let _ = writeln!(out, "{}", paint(BLUE, "..."));
            }
            next = Some(line + 1);
            let number = paint(BLUE, &format!("{line:>width$}", width = gutter.len()));
            let (excerpt, shift) = window(labels.as_slice());
            let _ = writeln!(out, "{}", format!("{number} {bar} {}", excerpt.trim_end()).trim_end());
            for (is_main, label) in labels {
                let column = label.column.saturating_sub(1).saturating_sub(shift).min(excerpt.chars().count());
                let mark = if is_main { "^" } else { "-" };
                let length = label.length.min(MAX_WIDTH.saturating_sub(column)).max(1);
                let tint = if is_main { tint } else { BLUE };
                let text = if label.text.is_empty() { String::new() } else { format!(" {}", label.text) };
                let marks = paint(tint, &format!("{}{text}", mark.repeat(length)));
                let _ = writeln!(out, "{gutter} {bar} {}{marks}", " ".repeat(column));
            }
        }
        let _ = writeln!(out, "{gutter} {bar}");
        for (name, text) in [("valid", &self.valid), ("help", &self.help)] {
            for (i, line) in text.iter().flat_map(|text| text.lines()).enumerate() {
                let equals = if i == 0 { paint(BLUE, "=") } else { " ".to_owned() };
                let name = if i == 0 { paint(GREEN, &format!("{name}:")) } else { " ".repeat(name.len() + 1) };
                let _ = writeln!(out, "{gutter} {equals} {name} {line}");
            }
        }
        out
    }
}

/// The labels of each line, lines in order; the first label of the diagnostic is the main one.
fn by_line(labels: &[Label]) -> Vec<(usize, Vec<(bool, &Label)>)> {
    let mut lines: std::collections::BTreeMap<usize, Vec<(bool, &Label)>> = std::collections::BTreeMap::new();
    for (i, label) in labels.iter().enumerate() {
        lines.entry(label.line).or_default().push((i == 0, label));
    }
    lines.into_iter().collect()
}

/// The part of a long line around its first label, and how many characters were cut in front.
fn window(labels: &[(bool, &Label)]) -> (String, usize) {
    let Some((_, label)) = labels.first() else { return (String::new(), 0) };
    let n = label.excerpt.chars().count();
    if n <= MAX_WIDTH {
        return (label.excerpt.clone(), 0);
    }
    let shift = label.column.saturating_sub(1).saturating_sub(MAX_WIDTH / 2);
    let mut shown: String = label.excerpt.chars().skip(shift).take(MAX_WIDTH).collect();
    if shift + MAX_WIDTH < n {
        shown.push_str("...");
    }
    (shown, shift)
}

/// All findings, then one line that counts them; empty when nothing was found.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], colour: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&diagnostic.render(colour));
        out.push('\n');
    }
    let n_errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let n_warnings = diagnostics.len() - n_errors;
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (n_errors, n_warnings) {
        (0, 0) => {}
        (n, 0) => out.push_str(&format!("{}\n", count(n, "error"))),
        (0, n) => out.push_str(&format!("{}\n", count(n, "warning"))),
        (e, w) => out.push_str(&format!("{}, {}\n", count(e, "error"), count(w, "warning"))),
    }
    out
}
