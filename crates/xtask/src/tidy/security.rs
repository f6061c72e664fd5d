//! Every row of docs/security.md names a test that is in the tree, or says that there is none yet.
//!
//! A test is written as `` `path/to/file.rs::name_of_the_function` `` in the row's last cell. **Invariant**: the page is read as the
//! text that it is, so a table without that column is a finding and not a table that nobody checks.

use super::finding::Finding;
use super::source::{Source, Token, TokenKind};
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "security";

/// The page.
const PAGE: &str = "docs/security.md";
/// What the last column of each of its tables is called.
const COLUMN: &str = "test";
/// What a row says that no test shows.
const NONE: &str = "**no test yet**";

/// Finds rows without a test, and tests that are not there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.texts.get(PAGE) else { return vec![finding(1, "is missing".to_owned())] };
    let mut out = Vec::new();
    let mut n_rows = 0;
    let mut is_inside = false;
    for (at, line) in page.lines().enumerate() {
        let Some(cells) = cells(line) else {
            is_inside = false;
            continue;
        };
        let last = cells.last().copied().unwrap_or_default();
        if !is_inside {
            is_inside = true;
            if last != COLUMN {
                out.push(finding(at + 1, format!("the last column of a table is `{COLUMN}`, not `{last}`")));
            }
        } else if !is_rule(&cells) {
            n_rows += 1;
            out.extend(problems(tree, last).into_iter().map(|message| finding(at + 1, message)));
        }
    }
    if n_rows == 0 {
        out.push(finding(1, "has no row that names a test".to_owned()));
    }
    out
}

/// The cells of a line of a table. A `\|` is text.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut out = Vec::new();
    let mut start = 0;
    for (at, _) in inner.match_indices('|') {
        if !inner.get(..at).is_some_and(|before| before.ends_with('\\')) {
            out.push(inner.get(start..at).unwrap_or_default().trim());
            start = at + 1;
        }
    }
    out.push(inner.get(start..).unwrap_or_default().trim());
    Some(out)
}

/// Whether this is the line between head and rows.
fn is_rule(cells: &[&str]) -> bool {
    cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')))
}

/// What is wrong with the last cell of a row.
fn problems(tree: &Tree, cell: &str) -> Vec<String> {
    // What is between backticks is every second part.
    let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    if named.is_empty() && !cell.contains(NONE) {
        return vec![format!("names no test; where there is none, it says {NONE}")];
    }
    if !named.is_empty() && cell.contains(NONE) {
        return vec![format!("names a test and says {NONE}")];
    }
    let lacking = named.into_iter().filter(|name| !is_test(tree, name));
    lacking.map(|name| format!("`{name}` is no test in the tree (written `path/to/file.rs::name`)")).collect()
}

/// Whether this names a function that is run as a test.
fn is_test(tree: &Tree, reference: &str) -> bool {
    let Some((path, name)) = reference.split_once("::") else { return false };
    let source = tree.index(path).and_then(|at| tree.sources.get(at));
    source.is_some_and(|source| has_test(source, name))
}

fn has_test(source: &Source, name: &str) -> bool {
    source.tokens.windows(2).enumerate().any(|(at, pair)| {
        let is_named = matches!(pair, [word, found] if word.is_word("fn") && found.is_word(name));
        is_named && is_marked(source.tokens.get(..at).unwrap_or_default())
    })
}

/// Whether the attributes at the end of these tokens have `#[test]`, `#[tokio::test]` or `#[tokio::test(..)]`.
fn is_marked(before: &[Token]) -> bool {
    let mut rest = before;
    while let [head @ .., last] = rest
        && !last.is_mark(']')
    {
        // `pub`, `async`, `unsafe`: anything else than a word begins another item.
        if !matches!(last.kind, TokenKind::Word(_)) {
            return false;
        }
        rest = head;
    }
    while let [.., last] = rest
        && last.is_mark(']')
    {
        let Some(open) = opening(rest) else { return false };
        let inside = rest.get(open + 1..rest.len() - 1).unwrap_or_default();
        let path: Vec<&Token> = inside.iter().take_while(|token| !token.is_mark('(')).collect();
        if path.last().is_some_and(|word| word.is_word("test")) {
            return true;
        }
        // Before the bracket stands the `#`.
        rest = rest.get(..open.saturating_sub(1)).unwrap_or_default();
    }
    false
}

/// Where the bracket opens that the last token closes.
fn opening(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().rev() {
        if token.is_mark(']') {
            depth += 1;
        } else if token.is_mark('[') {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

fn finding(line: usize, message: String) -> Finding {
    Finding { rule: RULE, file: PAGE.to_owned(), line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn plain() {}\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn waits() -> R { x[0]; }\n\
                         #[test]\n#[ignore = \"by hand [alone]\"]\nfn rarely() {}\n/// Helps.\nfn helper() {}\n#[cfg(test)]\nfn cfg_only() {}\n\
                         proptest! { #[test] fn drawn(x in 0..9) {} }";

    fn found(page: &str) -> Vec<String> {
        let tree = Tree::with(&[("tests/e2e/rows.rs", TESTS), (PAGE, page)]);
        check(&tree).into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
    }

    fn row(last: &str) -> Vec<String> {
        found(&format!("| attack | result | test |\n|---|:--|---|\n| a \\| b | found | {last} |\n"))
    }

    #[test]
    fn a_row_names_a_test_of_the_tree_or_says_that_there_is_none() {
        for name in ["plain", "waits", "rarely", "drawn"] {
            assert_eq!(row(&format!("`tests/e2e/rows.rs::{name}`")), [""; 0], "{name}");
        }
        assert_eq!(row("`tests/e2e/rows.rs::plain`, `tests/e2e/rows.rs::waits`"), [""; 0]);
        assert_eq!(row("**no test yet**"), [""; 0]);
    }

    #[test]
    fn what_is_no_test_is_found_wherever_it_stands() {
        for name in [
            "tests/e2e/rows.rs::helper",
            "tests/e2e/rows.rs::cfg_only",
            "tests/e2e/rows.rs::gone",
            "tests/e2e/gone.rs::plain",
            "plain",
        ] {
            let wanted = format!("3: `{name}` is no test in the tree (written `path/to/file.rs::name`)");
            assert_eq!(row(&format!("`tests/e2e/rows.rs::plain`, `{name}`")), [wanted], "{name}");
        }
    }

    #[test]
    fn a_row_without_a_test_a_table_without_the_column_and_no_page_are_found() {
        assert_eq!(row("it is so"), ["3: names no test; where there is none, it says **no test yet**"]);
        assert_eq!(row(""), ["3: names no test; where there is none, it says **no test yet**"]);
        let both = row("`tests/e2e/rows.rs::plain`, **no test yet**");
        assert_eq!(both, ["3: names a test and says **no test yet**"]);
        let other = found("| a | b |\n|---|---|\n| x | `tests/e2e/rows.rs::plain` |\n");
        assert_eq!(other, ["1: the last column of a table is `test`, not `b`"]);
        assert_eq!(found("# Security\n"), ["1: has no row that names a test"]);
        assert_eq!(check(&Tree::with(&[])), [finding(1, "is missing".to_owned())]);
    }

    #[test]
    fn each_table_of_the_page_is_read() {
        let page = "| a | test |\n|---|---|\n| x | `tests/e2e/rows.rs::plain` |\n\nText.\n\n| b | test |\n|---|---|\n| y | - |\n";
        assert_eq!(found(page), ["9: names no test; where there is none, it says **no test yet**"]);
    }
}
