//! Paths as text: relative to the repository's root, with `/`, without `.` and `..`.
//!
//! **Invariant**: nothing here does I/O; the file system of this machine has no say.

use std::path::{Component, Path};

use unicode_normalization::UnicodeNormalization as _;

/// Longest text that [`shown`] returns, in characters.
const SHOWN_CHARS: usize = 300;

/// `path` without `.`, `..` and doubled slashes; the root is `""`. `None` when it leads out of the repository or into
/// its `.git`.
pub(super) fn normalised(path: &str) -> Option<String> {
    if path.starts_with('/') || is_drive(path) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    if parts.first().is_some_and(|first| fold(first) == ".git") {
        return None;
    }
    Some(parts.join("/"))
}

/// Where a link at `link` with the text `target` leads; `None` when that is outside the repository.
pub(super) fn link_destination(link: &str, target: &str) -> Option<String> {
    if target.starts_with('/') || is_drive(target) || target.contains('\0') {
        return None;
    }
    match link.rsplit_once('/') {
        Some((parent, _)) => normalised(&format!("{parent}/{target}")),
        None => normalised(target),
    }
}

/// A path as an agent reports it (perhaps absolute, perhaps with `./`), from the repository's root.
pub(super) fn from_claim(claimed: &str, root: &Path) -> Option<String> {
    let relative = Path::new(claimed).strip_prefix(root).ok().and_then(Path::to_str).unwrap_or(claimed);
    normalised(relative)
}

/// `text` in the form in which a case-folding file system compares names: letters by Unicode's simple mappings, without
/// the code points that HFS+ ignores. Accents are composed.
#[must_use]
pub fn fold(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_ignorable(*c));
    composed(&seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect::<String>())
}

/// `text` with its accents composed: macOS decomposes the names that others compose, and both are the same name.
pub(super) fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Text from a repository for a message: control and direction characters escaped, cut at a bearable length.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(SHOWN_CHARS));
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN_CHARS {
            out.push('…');
            break;
        }
        if c.is_control() || is_ignorable(c) || matches!(c, '\u{2066}'..='\u{2069}' | '`') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// `path` from `root`, both absolute, compared name by name without asking the file system (so resolve links first).
/// `None` when it lies outside.
#[must_use]
pub fn relative_to(root: &Path, path: &Path) -> Option<String> {
    let mut rest = path.components();
    for part in root.components() {
        if rest.next()? != part {
            return None;
        }
    }
    let mut parts = Vec::new();
    for part in rest {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

fn is_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic())
}

fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_path_that_climbs_out_has_no_normal_form() {
        assert_eq!(normalised("a/./b//c/../d").as_deref(), Some("a/b/d"));
        assert_eq!(normalised("").as_deref(), Some(""));
        for path in ["..", "a/../..", "/etc/passwd", "C:/Windows", ".git/hooks/pre-push", "a/../.GIT/config"] {
            assert_eq!(normalised(path), None, "{path}");
        }
    }

    #[test]
    fn a_link_is_followed_from_its_own_directory() {
        assert_eq!(link_destination("a/b/link", "../c").as_deref(), Some("a/c"));
        assert_eq!(link_destination("link", "x/y").as_deref(), Some("x/y"));
        assert_eq!(link_destination("a/link", "../../etc"), None);
        assert_eq!(link_destination("a/link", "/etc"), None);
    }

    #[test]
    fn an_absolute_claim_below_the_root_is_understood() {
        let root = Path::new("/home/kim/shop");
        assert_eq!(from_claim("/home/kim/shop/src/a.rs", root).as_deref(), Some("src/a.rs"));
        assert_eq!(from_claim("./src/a.rs", root).as_deref(), Some("src/a.rs"));
        assert_eq!(from_claim("/home/kim/shop2/a.rs", root), None);
    }

    #[test]
    fn an_editor_path_is_placed_below_the_root() {
        let root = Path::new("/home/kim/shop");
        assert_eq!(relative_to(root, Path::new("/home/kim/shop/a/../b.rs")).as_deref(), Some("b.rs"));
        assert_eq!(relative_to(root, Path::new("/home/kim/shop/../other/b.rs")), None);
        assert_eq!(relative_to(root, Path::new("/home/kim/shopping/b.rs")), None);
    }

    #[test]
    fn folding_sees_through_case_and_invisible_characters() {
        assert_eq!(fold("Services/ΣΊΣΥΦΟΣ"), fold("services/σίσυφος"));
        assert_eq!(fold("in\u{200c}fra"), "infra");
        assert_eq!(fold("\u{212a}ey"), "key");
    }

    #[test]
    fn a_name_with_control_characters_is_shown_escaped() {
        assert_eq!(shown("a\nb\u{1b}[31m\u{202e}`"), "a\\u{a}b\\u{1b}[31m\\u{202e}\\u{60}");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), SHOWN_CHARS + 1);
    }
}
