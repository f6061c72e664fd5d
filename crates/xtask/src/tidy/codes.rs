//! Every error code has its line in docs/errors.md: those of the table in the core, and the texts that an error's `code` says.

use super::finding::Finding;
use super::source::{Source, TokenKind};
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "code";

/// Where users read about codes.
const PAGE: &str = "docs/errors.md";

/// Finds codes without a line.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let page = tree.texts.get(PAGE).map(String::as_str).unwrap_or_default();
    let sources = tree.sources.iter().filter(|source| source.path.starts_with("crates/") && !source.is_test);
    let codes =
        sources.flat_map(|source| table(source).into_iter().chain(said(source)).map(move |code| (source, code)));
    codes
        .filter(|(source, (_, line))| !source.is_test_line(*line))
        .filter(|(_, (code, _))| !page.contains(&format!("| `{code}` |")))
        .map(|(source, (code, line))| Finding {
            rule: RULE,
            file: source.path.clone(),
            line,
            message: format!("`{code}` has no line in {PAGE}"),
        })
        .collect()
}

/// The first text of each row of `codes! { Variant "text" 400 2 "meaning"; .. }`.
fn table(source: &Source) -> Vec<(String, usize)> {
    let tokens = &source.tokens;
    let calls = tokens.windows(3).enumerate().filter(|(_, window)| match window {
        [name, bang, open] => name.is_word("codes") && bang.is_mark('!') && open.is_mark('{'),
        _ => false,
    });
    let mut out = Vec::new();
    for (start, _) in calls {
        let rows = tokens.get(start + 3..).unwrap_or_default();
        let rows = rows.iter().take_while(|token| !token.is_mark('}'));
        let mut is_first = true;
        for token in rows {
            match &token.kind {
                TokenKind::Mark(';') => is_first = true,
                TokenKind::Literal(_) if is_first => {
                    out.extend(token.string().map(|code| (code.to_owned(), token.line)));
                    is_first = false;
                }
                TokenKind::Word(_) | TokenKind::Mark(_) | TokenKind::Literal(_) => {}
            }
        }
    }
    out
}

/// Texts in `fn code(..) -> &'static str` of an error. The type that an `impl` is for ends with `Error`.
fn said(source: &Source) -> Vec<(String, usize)> {
    let tokens = &source.tokens;
    let mut out = Vec::new();
    let mut is_error = false;
    for (i, token) in tokens.iter().enumerate() {
        if token.is_word("impl") {
            let head = tokens.get(i + 1..).unwrap_or_default().iter().take_while(|token| !token.is_mark('{'));
            is_error = head.last().is_some_and(|last| match &last.kind {
                TokenKind::Word(name) => name.ends_with("Error"),
                TokenKind::Mark(_) | TokenKind::Literal(_) => false,
            });
        }
        let after = tokens.get(i + 1..).unwrap_or_default();
        if !(is_error && token.is_word("fn") && after.first().is_some_and(|name| name.is_word("code"))) {
            continue;
        }
        let n_head = after.iter().take_while(|token| !token.is_mark('{')).count();
        if !after.get(..n_head).unwrap_or_default().iter().any(|token| token.is_word("str")) {
            continue;
        }
        let mut depth = 0;
        for token in after.get(n_head..).unwrap_or_default() {
            match &token.kind {
                TokenKind::Mark('{') => depth += 1,
                TokenKind::Mark('}') => depth -= 1,
                TokenKind::Literal(_) => out.extend(token.string().map(|code| (code.to_owned(), token.line))),
                TokenKind::Word(_) | TokenKind::Mark(_) => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(code: &str, page: &str) -> Vec<String> {
        let tree = Tree::with(&[("crates/core/src/error.rs", code), (PAGE, page)]);
        check(&tree).into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
    }

    #[test]
    fn each_row_of_the_table_has_a_line() {
        let code = "codes! {\n NotFound \"not_found\" 404 3 \"Nothing.\";\n Io \"io\" 500 8 \"A file.\";\n}";
        assert_eq!(lacking(code, "| `not_found` | 404 |\n"), ["3: `io` has no line in docs/errors.md"]);
        assert_eq!(lacking(code, "| `not_found` | 404 |\n| `io` | 500 |\n"), [""; 0]);
    }

    #[test]
    fn so_has_each_text_that_an_error_gives_as_its_code() {
        let code = "impl ReadError { fn code(&self) -> &'static str { match self {\n Self::A { .. } => \"lost\" } }
                    fn hint(&self) -> &'static str { \"look again\" } }";
        assert_eq!(lacking(code, ""), ["2: `lost` has no line in docs/errors.md"]);
        assert_eq!(lacking(code, "| `lost` | 404 |"), [""; 0]);
    }

    #[test]
    fn a_status_is_no_error() {
        assert_eq!(lacking("impl Status { fn code(self) -> &'static str { \"ok\" } }", ""), [""; 0]);
    }
}
