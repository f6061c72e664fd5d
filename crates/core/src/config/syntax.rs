//! The parser's complaints in words that help.

use super::diagnostic::{Problem, Reporter, Span};

/// Reports a text that is not YAML.
pub(super) fn report(source: &str, error: &serde_yaml::Error, reporter: &mut Reporter<'_>) {
    let offset = error.location().and_then(|location| location.span().byte_offset());
    let start = offset.and_then(|at| usize::try_from(at).ok()).unwrap_or(0).min(source.len());
    let message = plain(&error.without_snippet().to_string());
    let span = Span { start, end: start + 1 };
    if is_budget(&message) {
        reporter.push(
            Problem::error("config.too_complex", span, format!("the file is too large or too nested: {message}"))
                .valid("at most 32 levels, 250,000 values and 2,000 aliases")
                .help("an outcome file needs none of that: remove aliases (`*name`) that repeat other aliases"),
        );
        return;
    }
    reporter.push(
        Problem::error("config.syntax", span, format!("this is not valid YAML: {message}"))
            .valid("`key: value` lines, indented with spaces")
            .help(hint(source, start, &message)),
    );
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

fn hint(source: &str, start: usize, message: &str) -> String {
    let begin = source.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = source.get(begin..).unwrap_or("").lines().next().unwrap_or("");
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let value = line.split_once(": ").map_or(line.trim(), |(_, value)| value.trim());
    if message.contains("multiple documents") {
        return "keep one document: remove the line `---` in the middle and what follows it".to_owned();
    }
    if message.contains("anchor") {
        return "an alias `*name` needs an anchor `&name` above it; a text that begins with `*` needs quotes"
            .to_owned();
    }
    if indent.contains('\t') || line.contains('\t') {
        return "replace the tab by spaces: YAML does not indent with tabs".to_owned();
    }
    if value.starts_with(['@', '`', '%', '&', '*', '!', '|', '>']) {
        return "put the value in quotes: it begins with a character that means something to YAML".to_owned();
    }
    for quote in ['"', '\''] {
        if value.starts_with(quote) && value.matches(quote).count() == 1 {
            return format!("close the quotation: the text begins with {quote} and does not end with it");
        }
    }
    if value.contains(": ") {
        return "put the value in quotes: it contains a colon followed by a space".to_owned();
    }
    if line.matches(['[', '{']).count() != line.matches([']', '}']).count() {
        return "close the bracket that is open on this line".to_owned();
    }
    "compare the indentation of this line with the lines above it, and look for a missing `:` or quote".to_owned()
}
