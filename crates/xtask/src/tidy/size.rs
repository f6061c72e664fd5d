//! A file above 500 lines of code deserves a second look: it is split, or listed here with the reason why it stays whole.

use std::collections::BTreeSet;

use super::finding::{Exception, Finding, is_excepted, unused_exceptions};
use super::source::Source;
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "size";

/// Lines of code, without tests, comments and empty lines, above which a file is looked at again.
const LIMIT: usize = 500;

/// Files that were looked at, and why they stay.
const EXCEPTIONS: &[Exception] = &[];

/// Finds long files.
pub fn check(tree: &Tree) -> Vec<Finding> {
    look(tree, EXCEPTIONS)
}

fn look(tree: &Tree, exceptions: &[Exception]) -> Vec<Finding> {
    let watched = |source: &&Source| source.path.starts_with("crates/") && !source.is_test;
    let all: Vec<Finding> = tree
        .sources
        .iter()
        .filter(watched)
        .map(|source| (source, n_lines(source)))
        .filter(|(_, n_lines)| *n_lines > LIMIT)
        .map(|(source, n_lines)| {
            let message = format!("{n_lines} lines of code, more than {LIMIT}: split it or say why it stays whole");
            Finding { rule: RULE, file: source.path.clone(), line: 1, message }
        })
        .collect();
    let unused = unused_exceptions(RULE, exceptions, &all);
    let mut out: Vec<Finding> = all.into_iter().filter(|finding| !is_excepted(exceptions, &finding.file)).collect();
    out.extend(unused);
    out
}

/// Lines with a token that is compiled for users. A doc comment is an attribute with a text, and no code.
fn n_lines(source: &Source) -> usize {
    let lines: BTreeSet<usize> = source.tokens.iter().flat_map(|token| token.line..=token.end).collect();
    let texts: Vec<&str> = source.text.lines().collect();
    let is_comment =
        |line: usize| texts.get(line.saturating_sub(1)).is_some_and(|text| text.trim_start().starts_with("//"));
    lines.into_iter().filter(|line| !source.is_test_line(*line) && !is_comment(*line)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "crates/core/src/a.rs";

    fn messages(text: &str, exceptions: &[Exception]) -> Vec<String> {
        look(&Tree::with(&[(FILE, text)]), exceptions).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_long_file_is_found() {
        let found = messages(&"const A: u8 = 1;\n".repeat(LIMIT + 1), &[]);
        assert_eq!(found, ["501 lines of code, more than 500: split it or say why it stays whole"]);
        assert_eq!(messages(&"const A: u8 = 1;\n".repeat(LIMIT), &[]), [""; 0]);
    }

    #[test]
    fn comments_empty_lines_and_tests_do_not_count() {
        let code = "const A: u8 = 1;\n".repeat(LIMIT);
        let text = format!("//! About.\n\n/// A.\n{code}// Why.\n#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(messages(&text, &[]), [""; 0]);
    }

    #[test]
    fn a_file_may_be_listed_while_it_is_long() {
        let listed: &[Exception] = &[(FILE, "a table")];
        assert_eq!(messages(&"const A: u8 = 1;\n".repeat(LIMIT + 1), listed), [""; 0]);
        assert_eq!(messages("const A: u8 = 1;\n", listed), ["this exception is no longer needed"]);
    }
}
