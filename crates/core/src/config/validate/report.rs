//! What the checks share: what is known about the file, and the findings that several of them report.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::reporter::SignalVendor;
use crate::config::suggest::did_you_mean;
use crate::domain::Contract;

pub(super) use crate::config::decode::At;
pub(super) use crate::config::diagnostic::Problem;
pub(super) use crate::config::node::shown;
pub(super) use crate::config::reporter::Reporter;
pub(super) use crate::config::span::Span;

/// What is known about the file as a whole while its parts are checked.
pub(in crate::config) struct Context {
    /// The declared sources by name. One that has errors of its own counts, so that its signals are not reported too.
    pub(super) sources: BTreeMap<String, SourceKind>,
    /// The kinds of channels under `notifications`.
    pub(super) channels: BTreeSet<String>,
    /// The metrics of `metrics` by name; `None` for one with errors of its own, so that its signals are not reported too.
    pub(super) metrics: BTreeMap<String, Option<DeclaredMetric>>,
    /// How many experiments with a control group the file lets run at the same time.
    pub(super) n_at_once: u32,
}

/// A metric that outcomes can name.
#[derive(Debug, Clone)]
pub(in crate::config) struct DeclaredMetric {
    /// The source of its exposures and facts.
    pub(super) source: String,
    /// For people.
    pub(super) unit: Option<String>,
    pub(super) contract: Contract,
}

/// The vendor of a declared source; `None` when its type is wrong, which is reported where it is declared.
pub(super) type SourceKind = Option<&'static SignalVendor>;

/// A text value with its place, or nothing.
pub(super) fn text(at: Option<&At<String>>) -> Option<String> {
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
pub(super) fn email(at: &At<String>, reporter: &mut Reporter<'_>) {
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
pub(super) fn near_or(typed: &str, known: &[&str], otherwise: &str) -> String {
    did_you_mean(typed, known.iter().copied())
        .map_or_else(|| otherwise.to_owned(), |name| format!("did you mean `{name}`?"))
}

/// `a`, `b`, `c`; at most 20 of them.
#[must_use]
pub fn list(names: &[&str]) -> String {
    let mut out = names.iter().take(20).map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ");
    if names.len() > 20 {
        out.push_str(", ...");
    }
    out
}

/// Reports names that stand twice, with both places.
pub(super) fn unique<'n>(
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
