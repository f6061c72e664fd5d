//! Which parts of the tree two patterns can both reach, decided from their text alone.
//!
//! Errs on the side of "they meet": a character class stands for any character, and names are compared folded.
//!
//! **Invariant**: nothing here does I/O or looks at real files.

use crate::scope::path::fold;

/// More alternatives than this in the braces of one pattern are refused.
const MAX_ALTERNATIVES: usize = 256;

/// The places that a pattern or a path names, as one list of segments per reading of its braces.
#[derive(Debug, Clone)]
pub(super) struct Territory {
    readings: Vec<Vec<Segment>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of directories.
    AnyDepth,
    /// Some directory whose name is not known; see [`Territory::evidently_meets`].
    Unknown,
    Name(Vec<Glyph>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Glyph {
    One(char),
    AnyOne,
    AnyRun,
}

/// Why a pattern has no territory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoTerritory {
    LeavesRepository,
    TooManyAlternatives,
}

impl Territory {
    /// The territory of a gitignore pattern: without a slash before its end it floats, that is, matches at any depth.
    pub(super) fn of_rule(pattern: &str) -> Result<Self, NoTerritory> {
        let floats = !pattern.trim_end_matches('/').contains('/');
        let mut readings = Vec::new();
        for text in alternatives(pattern)?.iter().map(String::as_str).chain(literal_reading(pattern).as_deref()) {
            let mut segments = segments(text).ok_or(NoTerritory::LeavesRepository)?;
            if floats {
                segments.insert(0, Segment::AnyDepth);
            }
            // What lies beneath a match always belongs to it.
            while segments.len() > 1 && segments.last() == Some(&Segment::AnyDepth) {
                segments.pop();
            }
            readings.push(segments);
        }
        Ok(Self { readings })
    }

    /// The territory of a path or glob that somebody declared, counted from the root. Only a wildcard without a slash
    /// floats. A backslash before an ordinary character is read as the separator of another system. Blanks around the
    /// text may be part of a name or not, so it is read both ways.
    pub(super) fn of_declared(declared: &str) -> Result<Self, NoTerritory> {
        let mut readings = Vec::new();
        let trimmed = declared.trim();
        for declared in [Some(declared), (trimmed != declared).then_some(trimmed)].into_iter().flatten() {
            let declared = with_slashes(declared);
            let floats = !declared.trim_end_matches('/').contains('/') && declared.contains(['*', '?', '[', '{']);
            for text in alternatives(&declared)?.iter().map(String::as_str).chain(literal_reading(&declared).as_deref())
            {
                let mut segments = segments(text).ok_or(NoTerritory::LeavesRepository)?;
                if floats {
                    segments.insert(0, Segment::AnyDepth);
                }
                readings.push(segments);
            }
        }
        Ok(Self { readings })
    }

    /// Exactly `path`, in which no character has a special meaning.
    pub(super) fn of_path(path: &str) -> Self {
        let name = |part: &str| Segment::Name(fold(part).chars().map(Glyph::One).collect());
        Self { readings: vec![path.split('/').filter(|part| !part.is_empty()).map(name).collect()] }
    }

    /// Whether some path can be at or beneath a place of both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.any_pair(other, overlap)
    }

    /// Whether this declared territory meets `rule` in a place that the texts themselves name.
    ///
    /// A rule that matches at any depth (`secrets/`, `services/**/secrets/`) could match below every directory. It
    /// counts only where it matches the declared text, reading the text's bare wildcards as unknown names, or at the
    /// shallowest place that the rule can match. Otherwise nobody could declare a directory.
    pub(super) fn evidently_meets(&self, rule: &Self) -> bool {
        self.any_pair(rule, |declared, rule| {
            let shallowest: Vec<Segment> = rule.iter().filter(|s| **s != Segment::AnyDepth).cloned().collect();
            if overlap(declared, &shallowest) {
                return true;
            }
            let known: Vec<Segment> = declared.iter().map(Segment::or_unknown).collect();
            shallowest.len() != rule.len() && reach(&known, &with_everything_beneath(rule))
        })
    }

    /// Whether the shallowest place that `rule` can match lies at or beneath a place of this territory.
    pub(super) fn holds_shallowest(&self, rule: &Self) -> bool {
        self.any_pair(rule, |a, b| {
            let shallowest: Vec<Segment> = b.iter().filter(|s| **s != Segment::AnyDepth).cloned().collect();
            reach(&with_everything_beneath(a), &shallowest)
        })
    }

    fn any_pair(&self, other: &Self, holds: impl Fn(&[Segment], &[Segment]) -> bool) -> bool {
        self.readings.iter().any(|a| other.readings.iter().any(|b| holds(a, b)))
    }
}

impl Segment {
    fn or_unknown(&self) -> Self {
        match self {
            Self::Name(glyphs) if !is_bare_wildcard(glyphs) => self.clone(),
            Self::Name(_) | Self::AnyDepth | Self::Unknown => Self::Unknown,
        }
    }
}

/// The pattern with its brackets and braces taken as plain characters: `app/[slug]/` is also a directory of that name.
/// `None` when that changes nothing, or when the pattern escapes on its own.
pub(super) fn literal_reading(pattern: &str) -> Option<String> {
    if pattern.contains('\\') || !pattern.contains(['[', ']', '{', '}']) {
        return None;
    }
    let escape = |c: char| match c {
        '[' | ']' | '{' | '}' => vec!['\\', c],
        c => vec![c],
    };
    Some(pattern.chars().flat_map(escape).collect())
}

fn overlap(a: &[Segment], b: &[Segment]) -> bool {
    reach(a, &with_everything_beneath(b)) || reach(&with_everything_beneath(a), b)
}

fn with_everything_beneath(segments: &[Segment]) -> Vec<Segment> {
    segments.iter().cloned().chain([Segment::AnyDepth]).collect()
}

/// Whether one path fits both lists of segments.
fn reach(a: &[Segment], b: &[Segment]) -> bool {
    share(
        a,
        b,
        |s| *s == Segment::AnyDepth,
        |x, y| match (x, y) {
            (Segment::Name(x), Segment::Name(y)) => {
                share(x, y, |g| *g == Glyph::AnyRun, |g, h| g == h || *g == Glyph::AnyOne || *h == Glyph::AnyOne)
            }
            (Segment::Unknown, Segment::Unknown) => true,
            (Segment::Unknown, Segment::Name(name)) | (Segment::Name(name), Segment::Unknown) => is_bare_wildcard(name),
            (Segment::AnyDepth, _) | (_, Segment::AnyDepth) => true,
        },
    )
}

fn is_bare_wildcard(glyphs: &[Glyph]) -> bool {
    glyphs == [Glyph::AnyRun]
}

/// Whether two sequences can stand for the same text. An item for which `is_run` holds stands for any number of items.
///
/// `row[j]` after round `i`: the first `i` items of `a` and the first `j` of `b` can stand for the same text.
fn share<T>(a: &[T], b: &[T], is_run: impl Fn(&T) -> bool, same: impl Fn(&T, &T) -> bool) -> bool {
    let run = |items: &[T], k: Option<usize>| k.and_then(|k| items.get(k)).is_some_and(&is_run);
    let mut above: Vec<bool> = Vec::new();
    for i in 0..=a.len() {
        let mut row: Vec<bool> = Vec::with_capacity(b.len() + 1);
        for j in 0..=b.len() {
            let (i_before, j_before) = (i.checked_sub(1), j.checked_sub(1));
            let was = |row: &[bool], k: Option<usize>| k.and_then(|k| row.get(k)).is_some_and(|reached| *reached);
            let start = i == 0 && j == 0;
            let down = was(&above, Some(j)) && (run(a, i_before) || run(b, Some(j)));
            let across = was(&row, j_before) && (run(b, j_before) || run(a, Some(i)));
            let both = was(&above, j_before)
                && match (i_before.and_then(|k| a.get(k)), j_before.and_then(|k| b.get(k))) {
                    (Some(x), Some(y)) => !is_run(x) && !is_run(y) && same(x, y),
                    _ => false,
                };
            row.push(start || down || across || both);
        }
        above = row;
    }
    above.last().is_some_and(|reached| *reached)
}

/// The segments of a pattern without braces; `None` when `..` leads out of the repository.
fn segments(pattern: &str) -> Option<Vec<Segment>> {
    let mut out = Vec::new();
    for text in split_unescaped(pattern, '/') {
        match text.as_str() {
            "" | "." => {}
            "**" => out.push(Segment::AnyDepth),
            ".." => match out.pop()? {
                // How deep `**` went is unknown, so `..` after it may be anywhere.
                Segment::AnyDepth => return Some(vec![Segment::AnyDepth]),
                Segment::Name(_) | Segment::Unknown => {}
            },
            name => out.push(Segment::Name(glyphs(name))),
        }
    }
    Some(out)
}

fn glyphs(name: &str) -> Vec<Glyph> {
    let folded = fold(name);
    let mut rest = folded.chars();
    let mut out = Vec::new();
    while let Some(c) = rest.next() {
        match c {
            '*' => {
                if out.last() != Some(&Glyph::AnyRun) {
                    out.push(Glyph::AnyRun);
                }
            }
            '?' => out.push(Glyph::AnyOne),
            '[' => match class_end(rest.as_str()) {
                Some(after) => {
                    rest = after.chars();
                    out.push(Glyph::AnyOne);
                }
                None => out.push(Glyph::One('[')),
            },
            '\\' => out.push(Glyph::One(rest.next().unwrap_or('\\'))),
            c => out.push(Glyph::One(c)),
        }
    }
    out
}

/// What follows a character class, given what follows its `[`.
pub(super) fn class_end(after_bracket: &str) -> Option<&str> {
    let body = after_bracket.strip_prefix(['!', '^']).unwrap_or(after_bracket);
    let body = body.strip_prefix(']').unwrap_or(body);
    body.split_once(']').map(|(_, rest)| rest)
}

/// Splits at each `separator` that is not escaped, keeping the escapes.
fn split_unescaped(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// `declared` with `/` for each backslash that does not escape a special character.
fn with_slashes(declared: &str) -> String {
    let mut out = String::with_capacity(declared.len());
    let mut rest = declared.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some('*' | '?' | '[' | ']' | '{' | '}')) => {
                out.push('\\');
                out.extend(rest.next());
            }
            ('\\', _) => out.push('/'),
            (c, _) => out.push(c),
        }
    }
    out
}

/// All readings of the braces of `pattern`: `a/{b,c}` is `a/b` or `a/c`.
fn alternatives(pattern: &str) -> Result<Vec<String>, NoTerritory> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(text) = open.pop() {
        match first_group(&text) {
            Some(group) => {
                open.extend(group.choices.iter().map(|choice| format!("{}{choice}{}", group.before, group.after)));
            }
            None => done.push(text),
        }
        if done.len() + open.len() > MAX_ALTERNATIVES {
            return Err(NoTerritory::TooManyAlternatives);
        }
    }
    Ok(done)
}

struct Group<'a> {
    before: &'a str,
    choices: Vec<&'a str>,
    after: &'a str,
}

/// The first `{...}` that is closed, outside escapes.
fn first_group(text: &str) -> Option<Group<'_>> {
    let mut depth = 0_usize;
    let mut escaped = false;
    let mut from = 0;
    let mut before = "";
    let mut choices = Vec::new();
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '{' => {
                if depth == 0 {
                    before = text.get(..at)?;
                    from = at + 1;
                }
                depth += 1;
            }
            ',' if depth == 1 => {
                choices.push(text.get(from..at)?);
                from = at + 1;
            }
            '}' if depth == 1 => {
                choices.push(text.get(from..at)?);
                return Some(Group { before, choices, after: text.get(at + 1..)? });
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(text: &str) -> Territory {
        Territory::of_declared(text).unwrap()
    }

    fn rule(text: &str) -> Territory {
        Territory::of_rule(text).unwrap()
    }

    #[test]
    fn a_directory_meets_what_lies_above_and_beneath_it() {
        for (a, b) in [
            ("src/", "src/a.rs"),
            ("src/a.rs", "src"),
            ("src/**/*.rs", "src/deep/er/a.rs"),
            ("src/*.rs", "src/a*"),
            ("*.sql", "db/schema.sql"),
            ("src/{a,b}/x", "src/b/"),
            ("Src/A.rs", "src/a.rs"),
            ("./src//a.rs", "src/b/../a.rs"),
            ("src\\a.rs", "src/a.rs"),
            ("app/[slug]/page.tsx", "app/[slug]/"),
            ("a/**/../b", "z"),
            (" src/", "src/a.rs"),
            ("src/ ", "src/ /a.rs"),
        ] {
            assert!(declared(a).meets(&declared(b)), "{a} {b}");
            assert!(declared(b).meets(&declared(a)), "{b} {a}");
        }
    }

    #[test]
    fn separate_places_do_not_meet() {
        for (a, b) in [
            ("src/a", "src/ab"),
            ("src/*.rs", "src/a.ts"),
            ("src/*.rs", "lib/a.rs"),
            ("src/*/x", "src/y/z"),
            ("README.md", "docs/README.md"),
            ("src/{a,b}/x", "src/c/"),
        ] {
            assert!(!declared(a).meets(&declared(b)), "{a} {b}");
            assert!(!declared(b).meets(&declared(a)), "{b} {a}");
        }
    }

    #[test]
    fn a_rule_that_matches_at_any_depth_does_not_forbid_declaring_a_directory() {
        for (path, pattern) in [
            ("frontend/checkout/", "infra/"),
            ("frontend/checkout/**", "infra/"),
            ("frontend/checkout/*", "*.env"),
            ("frontend/**/*.ts", "infra/"),
            ("services/checkout/main.rs", "services/**/secrets/"),
        ] {
            assert!(!declared(path).evidently_meets(&rule(pattern)), "{path} {pattern}");
        }
        for (path, pattern) in [
            ("frontend/infra/x.tf", "infra/"),
            ("infra", "infra/"),
            ("**", "infra/"),
            ("*", "infra/"),
            ("**/*.tf", "infra/"),
            ("config/prod.env", "*.env"),
            ("config/**/*.env", "*.env"),
            ("services/", "services/payments/"),
            ("services/", "services/**/secrets/"),
            ("services/a/secrets/b", "services/**/secrets/"),
            ("services/*/main.rs", "services/payments/"),
            ("Services/Payments/a.rs", "services/payments/**"),
            ("anything", "*"),
        ] {
            assert!(declared(path).evidently_meets(&rule(pattern)), "{path} {pattern}");
        }
    }

    #[test]
    fn a_pattern_with_too_many_alternatives_is_refused() {
        let bomb = "{a,b}".repeat(12);
        assert_eq!(Territory::of_rule(&bomb).unwrap_err(), NoTerritory::TooManyAlternatives);
    }

    #[test]
    fn a_declared_path_that_climbs_out_has_no_territory() {
        assert_eq!(Territory::of_declared("src/../../etc").unwrap_err(), NoTerritory::LeavesRepository);
    }
}
