//! `scope.allowed_paths` and `scope.forbidden_paths`: which paths an experiment may touch.
//!
//! Patterns are written as in `.gitignore`, seen from the repository's root:
//! - `services/payments/` is that directory and all beneath it; `infra/`, with no slash before its end, is a directory
//!   of that name at any depth; `/infra/` is only the one at the root. `*`, `?`, `[a-z]` and `**` as in git.
//! - Braces list alternatives (`src/{cart,checkout}/`), which git does not know. Brackets and braces also stand for
//!   themselves, so `app/[slug]/` covers the directory of exactly that name.
//! - **Forbidden wins over allowed.** An empty allowed list allows everything that is not forbidden.
//! - Forbidden patterns also match in any case: on a case-folding file system `Services/Payments` is
//!   `services/payments`. Allowed patterns match as written.
//! - A forbidden `dir/` also covers a file, link or submodule called `dir`, which would stand in the directory's place.
//! - Accents match composed or decomposed. Characters that cannot be seen or told from others are refused.
//! - Negated patterns (`!keep`) are refused: with two lists they could only say what the other list says better.
//!
//! **Invariant**: nothing here does I/O; adding a forbidden pattern never makes a violation go away.

use std::path::PathBuf;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::characters::deceptive;
use crate::scope::{
    error::{ScopeError, ScopeList},
    path::{composed, fold, normalised},
    territory::{NoTerritory, Territory, class_end, literal_reading},
};

const MAX_PATTERN_BYTES: usize = 1024;
const MAX_PATTERNS: usize = 1000;

/// The scope of an experiment, ready to be asked.
#[derive(Debug, Clone)]
pub struct ScopeRules {
    allowed: Patterns,
    forbidden: Patterns,
}

/// What the rules say about one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum PathVerdict {
    Allowed,
    /// `rule` is the forbidden pattern as it was written.
    Forbidden {
        rule: String,
    },
    /// No allowed pattern covers the path, or it leads out of the repository.
    Outside,
}

/// A declared path or glob that reaches a forbidden place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    pub declared: String,
    /// The forbidden pattern as it was written.
    pub rule: String,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    File,
    /// A symbolic link: it may stand in the place of a directory, and then for everything beneath it.
    Link,
    /// A directory or a submodule.
    Tree,
}

#[derive(Debug, Clone)]
struct Patterns {
    rules: Vec<Rule>,
    matcher: Gitignore,
}

#[derive(Debug, Clone)]
struct Rule {
    text: String,
    territory: Territory,
}

impl ScopeRules {
    /// Reads both lists.
    ///
    /// # Errors
    /// [`ScopeError::PatternInvalid`] names the list, the place in it and what is wrong with the pattern.
    pub fn parse(allowed: &[String], forbidden: &[String]) -> Result<Self, ScopeError> {
        Ok(Self {
            allowed: Patterns::parse(ScopeList::Allowed, allowed)?,
            forbidden: Patterns::parse(ScopeList::Forbidden, forbidden)?,
        })
    }

    /// What the rules say about a file at `path`, seen from the repository's root. With `/` at its end, a directory.
    #[must_use]
    pub fn check_path(&self, path: &str) -> PathVerdict {
        self.check_entry(path, if path.ends_with('/') { Entry::Tree } else { Entry::File })
    }

    /// What the rules say about a path, directory or glob that was declared before any change exists.
    ///
    /// `Forbidden` when it reaches a forbidden place that the texts themselves name: `services/` reaches
    /// `services/payments/`. A pattern that matches at any depth (`*.env`) does not forbid declaring a directory, only
    /// the places where it evidently matches. `Outside` when it evidently reaches no allowed place.
    #[must_use]
    pub fn check_declared(&self, declared: &str) -> PathVerdict {
        let territory = match Territory::of_declared(declared) {
            Ok(territory) => territory,
            Err(NoTerritory::LeavesRepository) => return PathVerdict::Outside,
            // Too much to be looked at: taken as the whole repository.
            Err(NoTerritory::TooManyAlternatives) => Territory::of_path(""),
        };
        if let Some(rule) = self.forbidden.rules.iter().find(|rule| territory.evidently_meets(&rule.territory)) {
            return PathVerdict::Forbidden { rule: rule.text.clone() };
        }
        let allowed = &self.allowed.rules;
        if allowed.is_empty() || allowed.iter().any(|rule| territory.evidently_meets(&rule.territory)) {
            PathVerdict::Allowed
        } else {
            PathVerdict::Outside
        }
    }

    /// The declared paths that reach a forbidden place, each with the rule.
    #[must_use]
    pub fn overlaps(&self, declared: &[String]) -> Vec<Overlap> {
        let overlap = |declared: &String| match self.check_declared(declared) {
            PathVerdict::Forbidden { rule } => Some(Overlap { declared: declared.clone(), rule }),
            PathVerdict::Allowed | PathVerdict::Outside => None,
        };
        declared.iter().filter_map(overlap).collect()
    }

    /// True when everything is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allowed.rules.is_empty() && self.forbidden.rules.is_empty()
    }

    /// True when only some paths are allowed.
    #[must_use]
    pub fn has_allowed(&self) -> bool {
        !self.allowed.rules.is_empty()
    }

    /// The allowed patterns as they were written.
    pub fn allowed(&self) -> impl Iterator<Item = &str> {
        self.allowed.rules.iter().map(|rule| rule.text.as_str())
    }

    /// The forbidden patterns as they were written.
    pub fn forbidden(&self) -> impl Iterator<Item = &str> {
        self.forbidden.rules.iter().map(|rule| rule.text.as_str())
    }

    pub(super) fn check_entry(&self, path: &str, entry: Entry) -> PathVerdict {
        let Some(path) = normalised(path).map(|path| composed(&path)) else {
            return PathVerdict::Outside;
        };
        if let Some(rule) = self.forbidding(&path, entry) {
            return PathVerdict::Forbidden { rule };
        }
        let is_dir = match entry {
            Entry::File | Entry::Link => false,
            Entry::Tree => true,
        };
        if self.allowed.rules.is_empty() || self.allowed.matching(&path, is_dir).is_some() {
            PathVerdict::Allowed
        } else {
            PathVerdict::Outside
        }
    }

    fn forbidding(&self, path: &str, entry: Entry) -> Option<String> {
        if let Some(rule) = self.forbidden.matching(path, true).or_else(|| self.forbidden.matching(&fold(path), true)) {
            return Some(rule);
        }
        match entry {
            Entry::File => None,
            Entry::Link | Entry::Tree => {
                let here = Territory::of_path(path);
                let beneath = self.forbidden.rules.iter().find(|rule| here.holds_shallowest(&rule.territory));
                beneath.map(|rule| rule.text.clone())
            }
        }
    }
}

/// The first pair of declared paths or globs that can touch the same file, if any; used between two experiments.
///
/// Errs on the side of a conflict: a directory conflicts with what lies beneath it, in any case. Paths that lead out of
/// the repository conflict with nothing.
#[must_use]
pub fn paths_overlap(a: &[String], b: &[String]) -> Option<(String, String)> {
    let read = |list: &[String]| -> Vec<(String, Territory)> {
        list.iter()
            .filter_map(|text| match Territory::of_declared(text) {
                Ok(territory) => Some((text.clone(), territory)),
                Err(NoTerritory::LeavesRepository) => None,
                Err(NoTerritory::TooManyAlternatives) => Some((text.clone(), Territory::of_path(""))),
            })
            .collect()
    };
    let others = read(b);
    read(a).into_iter().find_map(|(mine, territory)| {
        let (theirs, _) = others.iter().find(|(_, other)| territory.meets(other))?;
        Some((mine, theirs.clone()))
    })
}

impl Patterns {
    fn parse(list: ScopeList, patterns: &[String]) -> Result<Self, ScopeError> {
        if patterns.len() > MAX_PATTERNS {
            return Err(ScopeError::PatternsTooLarge { list });
        }
        let mut builder = GitignoreBuilder::new("");
        builder.allow_unclosed_class(false);
        let mut rules = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let invalid =
                |problem: String| ScopeError::PatternInvalid { list, index, pattern: pattern.clone(), problem };
            let text = trimmed(pattern).to_owned();
            if let Some(problem) = refusal(&text) {
                return Err(invalid(problem));
            }
            if let Some(found) = deceptive(&text) {
                return Err(invalid(format!("contains {found}")));
            }
            let territory = Territory::of_rule(&text).map_err(|e| match e {
                NoTerritory::LeavesRepository => invalid("leads out of the repository".to_owned()),
                NoTerritory::TooManyAlternatives => invalid("has too many alternatives in its braces".to_owned()),
            })?;
            add(&mut builder, list, &text).map_err(|e| invalid(format!("is not a valid glob ({})", reason(&e))))?;
            rules.push(Rule { text, territory });
        }
        let matcher = builder.build().map_err(|_| ScopeError::PatternsTooLarge { list })?;
        Ok(Self { rules, matcher })
    }

    /// The pattern, as written, that covers `path` (in normal form) or a directory above it.
    fn matching(&self, path: &str, is_dir: bool) -> Option<String> {
        let found = self.matcher.matched_path_or_any_parents(path, is_dir);
        let glob = found.inner()?;
        Some(glob.from().map_or_else(|| glob.original().to_owned(), |text| text.to_string_lossy().into_owned()))
    }
}

/// Adds every reading of the pattern. The glob's "file it came from" carries the pattern as it was written.
fn add(builder: &mut GitignoreBuilder, list: ScopeList, text: &str) -> Result<(), ignore::Error> {
    let written = || Some(PathBuf::from(text));
    let text = composed(text);
    let text = text.as_str();
    let literal = literal_reading(text);
    builder.add_line(written(), text)?;
    if let Some(literal) = &literal {
        builder.add_line(written(), literal)?;
    }
    match list {
        ScopeList::Allowed => {}
        ScopeList::Forbidden => {
            builder.case_insensitive(true)?;
            builder.add_line(written(), text)?;
            // Folding may turn a class such as `[Z-a]` inside out; the readings above still hold then.
            for reading in [Some(text), literal.as_deref()].into_iter().flatten() {
                let _ = builder.add_line(written(), &fold(reading));
            }
            builder.case_insensitive(false)?;
        }
    }
    Ok(())
}

/// Trailing blanks say nothing, as in git, unless they are escaped.
fn trimmed(pattern: &str) -> &str {
    let cut = pattern.trim_end();
    if cut.ends_with('\\') && pattern.len() > cut.len() { pattern } else { cut }
}

/// Why a pattern that the glob library would take is refused: it would silently match nothing, or not what it seems to.
fn refusal(text: &str) -> Option<String> {
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > MAX_PATTERN_BYTES {
        "is longer than 1024 bytes"
    } else if text.starts_with('!') {
        "is negated, which is not supported: list what may be changed in `allowed_paths` (write `\\!` for a name that \
         starts with `!`)"
    } else if text.starts_with('#') {
        "would be a comment (write `\\#` for a name that starts with `#`)"
    } else if text.starts_with(char::is_whitespace) {
        "starts with a space (write `\\ ` for a name that starts with one)"
    } else if text.contains('\0') {
        "contains a NUL character"
    } else if text.split('/').all(str::is_empty) {
        "matches nothing (write `**` for the whole repository)"
    } else if text.split('/').any(|part| part == "." || part == "..") {
        "contains `.` or `..` as a name, which never matches: write it from the repository's root"
    } else if text.contains("//") {
        "contains `//`, which never matches"
    } else if has_wide_class(text) {
        "has a character other than ASCII in brackets, which never matches: list alternatives in braces, `{ä,ö}`"
    } else {
        return None;
    };
    Some(problem.to_owned())
}

fn has_wide_class(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('[') {
        let Some(end) = class_end(after) else {
            return false;
        };
        let body = after.len() - end.len();
        if !after.get(..body).is_some_and(str::is_ascii) {
            return true;
        }
        rest = end;
    }
    false
}

fn reason(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
