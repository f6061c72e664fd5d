//! What the keys of the file mean together. Everything is checked before anything is refused: a part that cannot be used
//! is left out, and its error keeps the file from being used.

mod channel;
mod connectors;
mod constraint;
mod flags;
mod gates;
mod llm;
mod mde;
mod outcome;
mod references;
mod scope;
mod settings;
mod signal;
mod sql;
mod target;

/// What a vendor's file checks its keys with.
pub(super) mod vendor_checks {
    pub use super::references::{no_inline_password, references, secret};
    pub use super::settings::http_address;
    pub use super::{at_least_one, list};
}

use std::collections::{BTreeMap, BTreeSet};

use super::decode::At;
use super::diagnostic::{Problem, Reporter, Span};
use super::file::RootFile;
use super::suggest::did_you_mean;
use super::vendor::Asked;
use super::yaml::{Node, Value, shown};
use super::{Config, VERSION};

/// What is known about the file as a whole while its parts are checked.
pub(super) struct Context {
    /// The declared sources by name. One that has errors of its own counts, so that its signals are not reported too.
    sources: BTreeMap<String, SourceKind>,
    /// The kinds of channels under `notifications`.
    channels: BTreeSet<String>,
}

/// How a declared source is asked; `None` when its type is wrong, which is reported where it is declared.
type SourceKind = Option<Asked>;

/// A file of another version is refused before its keys are looked at: they may mean something else there.
pub(super) fn unsupported_version(root: &Node) -> Option<Problem> {
    let Value::Map(entries) = &root.value else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.text == "version")?;
    let found = match &node.value {
        Value::Number(number) if (*number - f64::from(VERSION)).abs() > f64::EPSILON => number.to_string(),
        Value::Text(text) => {
            let problem = Problem::error("config.wrong_type", node.span, "the version is a number without quotes");
            return (text.trim() == VERSION.to_string())
                .then(|| problem.valid("1").help("write `version: 1`"))
                .or_else(|| {
                    let message = format!("`{}` is not a version of this format", shown(text));
                    Some(Problem::error("config.version", node.span, message).valid("1").help("write `version: 1`"))
                });
        }
        _ => return None,
    };
    let is_newer = found.parse::<f64>().is_ok_and(|found| found > f64::from(VERSION));
    let help = if is_newer {
        "install a newer outcome-runtime, or write the file in version 1 (docs/outcome-yaml.md)"
    } else {
        "write `version: 1`; docs/outcome-yaml.md has the keys of this version"
    };
    let message = format!("this program does not read version {} of the file", shown(&found));
    Some(Problem::error("config.version", node.span, message).valid(VERSION.to_string()).help(help))
}

/// The checked file; `None`, or something unusable, after an error.
pub(super) fn config(file: &RootFile, reporter: &mut Reporter<'_>) -> Option<Config> {
    let mut context = Context { sources: BTreeMap::new(), channels: BTreeSet::new() };
    let connectors = connectors::connectors(file, &mut context, reporter);
    let flags = flags::flags(file.feature_flags.as_ref(), reporter);
    let notifications = settings::notifications(file.notifications.as_ref(), &mut context, reporter);
    let llm = llm::llm(file.llm.as_ref(), reporter);
    let limits = settings::limits(file.limits.as_ref(), reporter);
    let outcomes = outcome::outcomes(file, &context, reporter);
    Some(Config { outcomes, connectors, flags, llm, notifications, limits })
}

/// A text value with its place, or nothing.
fn text(at: Option<&At<String>>) -> Option<String> {
    at.map(|at| at.value.clone())
}

/// Reports a number that must be 1 or more.
pub fn at_least_one(at: Option<&At<u32>>, what: &str, help: &str, reporter: &mut Reporter<'_>) -> Option<u32> {
    let at = at?;
    if at.value == 0 {
        let problem = Problem::error("config.out_of_range", at.span, format!("{what} must be at least 1"));
        reporter.push(problem.valid("1 or more").help(help));
        return None;
    }
    Some(at.value)
}

/// Reports a text that is no e-mail address.
fn email(at: &At<String>, reporter: &mut Reporter<'_>) {
    let is_valid = at.value.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty()
            && domain.contains('.')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !domain.contains("..")
            && !at.value.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '"'))
            && !domain.contains('@')
    });
    if !is_valid {
        let message = format!("`{}` is not an e-mail address", shown(&at.value));
        let problem = Problem::error("config.invalid_email", at.span, message);
        reporter.push(problem.valid("one address, as in `sam@example.com`").help("write the member's e-mail address"));
    }
}

/// The help for a wrong name: the nearest known one, or another sentence.
fn near_or(typed: &str, known: &[&str], otherwise: &str) -> String {
    did_you_mean(typed, known.iter().copied())
        .map_or_else(|| otherwise.to_owned(), |name| format!("did you mean `{name}`?"))
}

/// `a`, `b`, `c`; at most 20 of them.
pub fn list(names: &[&str]) -> String {
    let mut out = names.iter().take(20).map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ");
    if names.len() > 20 {
        out.push_str(", ...");
    }
    out
}

/// Reports names that stand twice, with both places.
fn unique<'n>(
    names: impl IntoIterator<Item = (&'n str, Span)>,
    code: &'static str,
    what: &str,
    help: &str,
    reporter: &mut Reporter<'_>,
) {
    let mut seen = std::collections::HashMap::new();
    for (name, span) in names {
        if let Some(first) = seen.get(name) {
            let message = format!("{what} `{}` is declared twice", shown(name));
            let problem = Problem::error(code, span, message).here("again here").also(*first, "first here");
            reporter.push(problem.valid(format!("each {what} once")).help(help));
        } else {
            seen.insert(name, span);
        }
    }
}
