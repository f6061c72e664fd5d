//! The parser's complaints in words that help.

use crate::characters::{Deceptive, unseen};

use super::diagnostic::Problem;
use super::reporter::Reporter;
use super::span::Span;

/// Reports a text that is not YAML.
pub(super) fn report(source: &str, error: &serde_yaml::Error, reporter: &mut Reporter<'_>) {
    let start = error.location().map_or(0, |location| offset(source, &location));
    let message = plain(&error.without_snippet().to_string());
    let span = Span { start, end: start + 1 };
    if is_budget(&message) {
        reporter.push(
            Problem::error("config.too_complex", span, "the file is too large or too deeply nested")
                .valid("at most 32 levels, 250,000 values and 2,000 aliases")
                .help("remove aliases (`*name`) that repeat other aliases"),
        );
        return;
    }
    if let Some((span, found)) = unseen_near(source, start) {
        reporter.push(
            Problem::error("config.syntax", span, format!("this is not valid YAML: there is {found}"))
                .valid("`key: value` lines, indented with spaces")
                .help("replace it with a plain space, or remove it"),
        );
        return;
    }
    let (help, blamed) = hint(source, start, &message);
    let mut problem = Problem::error("config.syntax", span, reworded(&message));
    if let Some(blamed) = blamed {
        problem = problem.also(blamed, "open since here");
    }
    reporter.push(problem.valid("`key: value` lines, indented with spaces").help(help));
}

/// A character on this line or the one above that is not what it seems: the parser complains where it first matters.
fn unseen_near(source: &str, start: usize) -> Option<(Span, Deceptive)> {
    let before = |at: usize| source.get(..at).and_then(|text| text.rfind('\n'));
    let line = before(start).map_or(0, |at| at + 1);
    let above = line.checked_sub(1).and_then(before).map_or(0, |at| at + 1);
    let end = source.get(start..).and_then(|rest| rest.find('\n')).map_or(source.len(), |at| start + at);
    let found = unseen(source.get(above..end)?)?;
    let at = above + found.at;
    Some((Span { start: at, end: at + found.character.len_utf8() }, found))
}

/// Where an error is, in bytes. Errors of the parser know line and column only.
fn offset(source: &str, location: &serde_yaml::Location) -> usize {
    if let Some(at) = location.span().byte_offset() {
        return usize::try_from(at).unwrap_or(0).min(source.len());
    }
    let [line, column] =
        [location.line(), location.column()].map(|n| usize::try_from(n).unwrap_or(1).saturating_sub(1));
    let begin: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = source.get(begin..).unwrap_or("").lines().next().unwrap_or("");
    begin + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

/// Without the place, which the diagnostic says by itself.
fn plain(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let one_line: String = message.lines().next().unwrap_or("").chars().take(200).collect();
    one_line.trim_end_matches([':', ',', ' ']).to_owned()
}

fn is_budget(message: &str) -> bool {
    ["budget", "limit exceeded", "depth exceeded", "too deep", "recursion"].iter().any(|word| message.contains(word))
}

/// The parser's words, where others help more.
fn reworded(message: &str) -> String {
    if message.contains("multiple YAML documents") {
        return "the file contains more than one document".to_owned();
    }
    if message.contains("unknown anchor") {
        return "the alias has no anchor".to_owned();
    }
    format!("this is not valid YAML: {}", message.replace("`@'", "`@`").replace("``'", "a backtick"))
}

/// What to do, and a line above that is to blame.
fn hint(source: &str, start: usize, message: &str) -> (String, Option<Span>) {
    if message.contains("multiple YAML documents") {
        return ("keep one document: remove the line `---` in the middle and everything after it".to_owned(), None);
    }
    let begin = source.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = source.get(begin..).unwrap_or("").lines().next().unwrap_or("");
    if let Some(help) = hint_of_line(line, message) {
        return (help.to_owned(), None);
    }
    let above = source.get(..begin).unwrap_or("");
    if let Some((span, help)) = open_above(above) {
        return (help.to_owned(), Some(span));
    }
    let [here, before] = [line, above.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("")].map(indent);
    if here != before {
        let help = format!(
            "this line is indented by {here} spaces and the line above by {before}: the keys of a map must start in the same column"
        );
        return (help, None);
    }
    ("check for a missing `:`, quote or space on this line and the line above".to_owned(), None)
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

fn hint_of_line(line: &str, message: &str) -> Option<&'static str> {
    let value = line.split_once(": ").map_or(line.trim(), |(_, value)| value.trim());
    if message.contains("anchor") {
        return Some("write `&name` in front of what the alias repeats, or quote a text that starts with `*`");
    }
    if line.contains('\t') {
        return Some("replace the tab with spaces: YAML does not allow tabs for indentation");
    }
    if value.starts_with(['@', '`', '%', '&', '*', '!', '|', '>']) {
        return Some("quote the value: it starts with a character that has a meaning in YAML");
    }
    if has_open_quote(value) {
        return Some("close the quotes: the text starts with a quote but does not end with one");
    }
    if value.contains(": ") {
        return Some("quote the value: it contains a colon followed by a space");
    }
    if has_open_bracket(line) {
        return Some("close the bracket that is open on this line");
    }
    None
}

fn has_open_quote(value: &str) -> bool {
    ['"', '\''].iter().any(|quote| value.starts_with(*quote) && value.matches(*quote).count() == 1)
}

fn has_open_bracket(line: &str) -> bool {
    line.matches(['[', '{']).count() > line.matches([']', '}']).count()
}

/// The nearest of the lines above that leaves something open.
fn open_above(above: &str) -> Option<(Span, &'static str)> {
    let mut end = above.len();
    for line in above.split_inclusive('\n').rev().take(20) {
        let start = end - line.len();
        let text = line.trim();
        let span = Span { start: start + (line.len() - line.trim_start().len()), end };
        let value = text.split_once(": ").map_or(text, |(_, value)| value.trim());
        if has_open_quote(value) {
            return Some((span, "close the quotes that were opened above"));
        }
        if has_open_bracket(text) {
            return Some((span, "close the bracket that was opened above"));
        }
        end = start;
    }
    None
}
