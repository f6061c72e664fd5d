//! Our own results are types: no JSON pointer and no key as text reads them back, where a misspelt one would be a silent
//! default.
//!
//! What others say (a vendor's answer, a client's file, JSON Schema, frames of JSON-RPC) has no type of ours; the files that read it
//! are listed here with what they read.

use super::finding::{Exception, Finding, is_excepted, unused_exceptions};
use super::source::{Source, Token, TokenKind};
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "pointer";

/// Where results of ours are made and shown.
const WATCHED: &[&str] = &["crates/core/src/", "crates/mcp/src/", "crates/daemon/src/", "crates/cli/src/"];

/// Files, or folders with a slash at the end, that read what is not ours.
const EXCEPTIONS: &[Exception] = &[
    ("crates/cli/src/clients/", "configuration files of editors and agents"),
    ("crates/cli/src/guard/input.rs", "what an editor's hook sends"),
    ("crates/cli/src/commands/demo/shop.rs", "a flagd file, read as the shop's own program would read it"),
    ("crates/cli/src/commands/demo/agent.rs", "an answer over MCP, as an agent gets it"),
    ("crates/core/src/config/file.rs", "JSON Schema"),
    ("crates/core/src/config/map.rs", "JSON Schema"),
    ("crates/mcp/src/args.rs", "JSON Schema, and a model's arguments before they are checked against it"),
    ("crates/mcp/src/courtesy.rs", "state that the protocol carries from one call to the next"),
    ("crates/mcp/src/suspicion.rs", "the address of a text in an answer, which is a JSON pointer"),
    ("crates/mcp/src/tools/input.rs", "JSON Schema"),
    ("crates/mcp/src/tools/hypothesis.rs", "a model's arguments before they are checked"),
];

/// Finds pointers and keys as text outside of tests.
pub fn check(tree: &Tree) -> Vec<Finding> {
    look(tree, EXCEPTIONS)
}

fn look(tree: &Tree, exceptions: &[Exception]) -> Vec<Finding> {
    let watched = |source: &&Source| WATCHED.iter().any(|folder| source.path.starts_with(folder));
    let all: Vec<Finding> =
        tree.sources.iter().filter(watched).filter(|source| !source.is_test).flat_map(in_source).collect();
    let unused = unused_exceptions(RULE, exceptions, &all);
    let mut out: Vec<Finding> = all.into_iter().filter(|finding| !is_excepted(exceptions, &finding.file)).collect();
    out.extend(unused);
    out
}

fn in_source(source: &Source) -> Vec<Finding> {
    let mut out = Vec::new();
    for (i, token) in source.tokens.iter().enumerate() {
        if source.is_test_line(token.line) {
            continue;
        }
        let after = source.tokens.get(i..).unwrap_or_default();
        let before = source.tokens.get(..i).unwrap_or_default();
        if let Some(what) = pointer(before, after).or_else(|| key(before, after)) {
            let message = format!("{what}: read our own results through their types");
            out.push(Finding { rule: RULE, file: source.path.clone(), line: token.line, message });
        }
    }
    out
}

/// `.pointer(..)`, whatever it is given.
fn pointer(before: &[Token], after: &[Token]) -> Option<String> {
    let [name, open, argument, ..] = after else { return None };
    let is_call = before.last().is_some_and(|dot| dot.is_mark('.')) && open.is_mark('(');
    let is_pointer = name.is_word("pointer") || name.is_word("pointer_mut");
    (is_call && is_pointer).then(|| format!(".pointer({})", argument.string().map_or("..".to_owned(), quoted)))
}

/// What a map of JSON is asked with.
const ASKS: &[&str] = &["get", "get_mut", "contains_key", "remove"];

/// `value["key"]`, and `.get("key")` and the like where it is not a header that is asked for.
fn key(before: &[Token], after: &[Token]) -> Option<String> {
    match after {
        [open, key, close, ..] if open.is_mark('[') && close.is_mark(']') && is_value(before.last()?) => {
            Some(format!("[{}]", quoted(key.string()?)))
        }
        [name, open, key, close, ..] if open.is_mark('(') && close.is_mark(')') => {
            let [.., owner, dot] = before else { return None };
            let ask = ASKS.iter().find(|ask| name.is_word(ask)).filter(|_| dot.is_mark('.'))?;
            // `headers.get(..)` and `response.headers().get(..)`.
            let words = before.iter().rev().skip(1).take(3);
            let is_header = owner.is_word("headers") || words.into_iter().any(|token| token.is_word("headers"));
            if is_header { None } else { Some(format!(".{ask}({})", quoted(key.string()?))) }
        }
        _ => None,
    }
}

/// Whether a bracket after this token is an index and not a list.
fn is_value(token: &Token) -> bool {
    match &token.kind {
        TokenKind::Word(word) => {
            !["in", "return", "mut", "else", "match", "if", "break", "move"].contains(&word.as_str())
        }
        TokenKind::Mark(mark) => [')', ']', '?'].contains(mark),
        TokenKind::Literal(_) => false,
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let found = look(&Tree::with(&[(path, text)]), &[]);
        found.iter().filter_map(|finding| finding.message.split(": read").next()).map(ToOwned::to_owned).collect()
    }

    const FILE: &str = "crates/core/src/usecases/status.rs";

    #[test]
    fn pointers_and_keys_are_found_in_code_and_in_macros() {
        for (code, wanted) in [
            ("v.pointer(\"/verdict/next\")", ".pointer(\"/verdict/next\")"),
            ("v.pointer(path)", ".pointer(..)"),
            ("v[\"verdict\"].clone()", "[\"verdict\"]"),
            ("v()?[\"verdict\"].clone()", "[\"verdict\"]"),
            ("v.get(\"verdict\")", ".get(\"verdict\")"),
            ("v.get_mut(\"verdict\")", ".get_mut(\"verdict\")"),
            ("fields.contains_key(\"is_symlink\")", ".contains_key(\"is_symlink\")"),
            ("fields.remove(\"hash\")", ".remove(\"hash\")"),
            ("json!({ \"a\": v[\"verdict\"] })", "[\"verdict\"]"),
        ] {
            assert_eq!(found(FILE, &format!("fn f() {{ {code}; }}")), [wanted], "{code}");
        }
        assert_eq!(found(FILE, "fn f() { v[\"a\"][\"b\"]; }"), ["[\"a\"]", "[\"b\"]"]);
    }

    #[test]
    fn lists_headers_tests_and_other_crates_are_fine() {
        for code in [
            "g(&[\"a\"])",
            "vec![\"a\"]",
            "for x in [\"a\"] {}",
            "headers.get(\"host\")",
            "headers.remove(\"host\")",
            "v.get(key)",
            "v[key]",
            "v.remove(0)",
        ] {
            assert_eq!(found(FILE, &format!("fn f() {{ {code}; }}")), [""; 0], "{code}");
        }
        assert_eq!(found(FILE, "#[cfg(test)] mod tests { fn f() { v[\"a\"]; } }"), [""; 0]);
        assert_eq!(found("crates/integrations/src/flags/flagd.rs", "fn f() { v[\"a\"]; }"), [""; 0]);
    }

    #[test]
    fn what_others_say_is_listed_and_an_exception_for_nothing_is_found() {
        let messages = |code: &str| -> Vec<String> {
            let tree = Tree::with(&[("crates/cli/src/guard/input.rs", code)]);
            let listed: &[Exception] = &[("crates/cli/src/guard/", "what an editor sends")];
            look(&tree, listed).into_iter().map(|finding| finding.message).collect()
        };
        assert_eq!(messages("fn f() { v[\"a\"]; }"), [""; 0]);
        assert_eq!(messages("fn f() {}"), ["this exception is no longer needed"]);
    }
}
