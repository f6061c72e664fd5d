//! Characters that a person cannot tell from others, or cannot see: in a path, a rule or a file they say something else than
//! what is read.

use std::fmt;

use unicode_security::skeleton;

/// A character that deceives the eye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deceptive {
    /// Which one.
    pub character: char,
    /// Where, in bytes.
    pub at: usize,
    /// How it deceives.
    pub how: Deception,
}

/// How a character deceives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deception {
    /// It is not to be seen, or changes the direction of what follows.
    Invisible,
    /// It looks like a space and is none.
    Space,
    /// It looks like these, among letters of another script: one character, or those that a ligature draws together.
    LooksLike(String),
}

impl fmt::Display for Deceptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = u32::from(self.character);
        match &self.how {
            Deception::Invisible => write!(f, "the invisible character U+{code:04X}"),
            Deception::Space => write!(f, "the character U+{code:04X}, which looks like a space and is none"),
            Deception::LooksLike(other) => {
                write!(f, "`{}` (U+{code:04X}), which looks like `{other}`", self.character)
            }
        }
    }
}

/// The beginning of a text by somebody else, for a sentence that quotes it: without control characters, at most `max` long.
#[must_use]
pub fn quotable(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max).collect()
}

/// The first deceptive character of a path or a rule.
#[must_use]
pub fn deceptive(text: &str) -> Option<Deceptive> {
    unseen(text).into_iter().chain(look_alike(text)).min_by_key(|found| found.at)
}

/// The first character that is not to be seen, or is no space although it looks like one.
#[must_use]
pub fn unseen(text: &str) -> Option<Deceptive> {
    text.char_indices().find_map(|(at, character)| {
        let how = if is_invisible(character) {
            Deception::Invisible
        } else if character != ' ' && character.is_whitespace() && !character.is_control() {
            Deception::Space
        } else {
            return None;
        };
        Some(Deceptive { character, at, how })
    })
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        // Only sequences of bytes in C1: tabs and line ends are seen as what they are.
        || matches!(c, '\u{80}'..='\u{9f}')
}

/// A word in one script is a word; one letter of another script among others is not seen as what it is. A sign that looks
/// like a slash or a dot builds a path that is none, and one that looks like a star a rule that matches nothing.
fn look_alike(text: &str) -> Option<Deceptive> {
    let mut begin = 0;
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let has_latin = word.contains(|c: char| c.is_ascii_alphabetic());
        for (at, character) in word.char_indices().filter(|(_, c)| !c.is_ascii()) {
            let other: String = skeleton(word.get(at..at + character.len_utf8()).unwrap_or_default()).collect();
            let is_plain = !other.is_empty() && other.chars().all(|c| c.is_ascii_alphanumeric());
            let is_letter = is_plain && character.is_alphabetic() && !is_latin(character);
            let is_sign = !character.is_alphanumeric()
                && match other.as_str() {
                    "/" | "\\" | "." | "*" => true,
                    // Dashes between words are longer than the hyphen, and seen as that.
                    "-" => !matches!(character, '\u{2012}' | '\u{2013}'),
                    _ => false,
                };
            if (is_letter && has_latin) || is_sign {
                return Some(Deceptive { character, at: begin + at, how: Deception::LooksLike(other) });
            }
        }
        begin += word.len();
    }
    None
}

/// Letters of the Latin script beyond ASCII: of the alphabets of many languages, next to plain ones.
fn is_latin(c: char) -> bool {
    matches!(c, '\u{aa}' | '\u{ba}' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_cannot_be_seen_or_told_apart_is_named_with_its_code_point() {
        let mut missed = Vec::new();
        for (text, code) in [
            ("services/pay\u{200b}ments/", "U+200B"),
            ("services/payments\u{a0}/", "U+00A0"),
            ("services/\u{202e}stnemyap/", "U+202E"),
            ("services/p\u{430}yments/", "U+0430"),
            ("services\u{2215}payments/", "U+2215"),
            ("src/bc\u{3bf}de", "U+03BF"),
            ("src/a\u{ad}b", "U+00AD"),
            ("src/a\u{3164}", "U+3164"),
            ("src/\u{e0041}a", "U+E0041"),
            ("src/\u{fb01}nance/", "U+FB01"),
            ("src/\u{ff50}ay/", "U+FF50"),
            ("src/pay\u{2011}out/", "U+2011"),
            ("src/pay\u{2010}out/", "U+2010"),
            ("infra/\u{2217}\u{2217}", "U+2217"),
            ("src/\u{1d429}ay", "U+1D429"),
            ("src/a\u{2028}b", "U+2028"),
            ("src/a\u{85}b", "U+0085"),
            ("src/a\u{1d173}b", "U+1D173"),
            ("src\u{2044}pay", "U+2044"),
            ("src/\u{2024}\u{2024}/x", "U+2024"),
        ] {
            let found = deceptive(text).map(|found| found.to_string()).unwrap_or_default();
            if !found.contains(code) {
                missed.push(code);
            }
        }
        assert_eq!(missed, Vec::<&str>::new());
        assert_eq!(deceptive("src/p\u{430}").map(|found| found.at), Some(5));
    }

    #[test]
    fn names_of_other_languages_are_names() {
        for text in [
            "src/größe/übung.rs",
            "docs/sınav.md",
            "docs/инструкция.md",
            "docs/Οδηγός.md",
            "docs/日本語 guide.md",
            "docs/e\u{301}te\u{301}.md",
            "docs/don’t – really.md",
            "src/[slug]/{a,b}/*.ts",
            "docs/안내.md",
            "docs/ノート.md",
            "docs/٢٠٢٦.md",
            "docs/मार्ग.md",
            "docs/œuvre–1.md",
            "docs/報告書（最終）.md",
            "docs/なぜ？.md",
            "docs/wait….md",
            "docs/№ 5.md",
        ] {
            assert_eq!(deceptive(text), None, "{text}");
        }
    }
}
