//! A note that something is left to do names the issue where it is discussed: `#123` on its line.

use super::finding::Finding;
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "note";

/// Words of notes, put together so that this file has none.
const WORDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
/// Macros that take the place of code.
const MACROS: &[&str] = &[concat!("to", "do!"), concat!("unimple", "mented!")];

/// Finds notes without an issue. A page may speak of them.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "the names are ours")]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.sources.iter().map(|source| (source.path.as_str(), source.text.as_str()));
    let others = tree.texts.iter().filter(|(path, _)| !path.ends_with(".md"));
    rust.chain(others.map(|(path, text)| (path.as_str(), text.as_str())))
        .flat_map(|(path, text)| in_text(path, text))
        .collect()
}

fn in_text(path: &str, text: &str) -> Vec<Finding> {
    let words = || WORDS.iter().chain(MACROS);
    if !words().any(|word| text.contains(word)) {
        return Vec::new();
    }
    let lines = text.lines().zip(1..);
    let notes = lines.filter_map(|(line, number)| {
        let word = words().find(|word| has_word(line, word))?;
        (!names_an_issue(line)).then_some((word, number))
    });
    notes
        .map(|(word, line)| Finding {
            rule: RULE,
            file: path.to_owned(),
            line,
            message: format!("`{word}` without the number of an issue"),
        })
        .collect()
}

/// Whether the line has the word, and not only as a part of another one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        let after = line.get(at + word.len()..).unwrap_or_default().chars().next();
        !is_part(before) && !is_part(after)
    })
}

fn names_an_issue(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::with(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_note_names_an_issue() {
        for word in WORDS {
            assert_eq!(lines("crates/a.rs", &format!("fn f() {{}}\n// {word}: later\n")), [2]);
            assert_eq!(lines("migrations/sqlite/1.sql", &format!("-- {word} later\n")), [1]);
            assert_eq!(lines("crates/a.rs", &format!("// {word}(#12): later\n")), [0; 0]);
        }
        for call in MACROS {
            assert_eq!(lines("crates/a.rs", &format!("fn f() {{ {call}() }}\n")), [1]);
        }
    }

    #[test]
    fn a_word_that_contains_one_is_none() {
        let [first, ..] = WORDS else { return };
        assert_eq!(lines("crates/a.rs", &format!("const A{first}S: u8 = 1;\n")), [0; 0]);
        assert_eq!(lines("docs/a.md", &format!("{first} lists\n")), [0; 0]);
    }
}
