//! Why an edit is refused, in words on which an agent can act.

use outcome_core::scope::{PathVerdict, ScopeRules};
use outcome_core::usecases::Refusal;

use super::kept::Kept;
use crate::output::safe;

/// Most patterns of a list, and characters of a path.
const MAX_LISTED: usize = 20;
const MAX_CHARS: usize = 200;

/// For a file of the runtime itself.
pub(super) fn own_file(path: &str) -> String {
    format!(
        "Outcome Runtime refuses to edit `{}`: `.outcome/` and the account's folders of the runtime hold its database, keys and \
         log, which only the runtime writes. \
         Do not change it; the outcome-runtime tools (get_active_outcomes) give you what you need from it.",
        shown(path)
    )
}

/// For a file that stays as it is while `experiment` is being built.
pub(super) fn kept(path: &str, kept: Kept, experiment: &str) -> String {
    let path = shown(path);
    let (why, instead) = match kept {
        Kept::OutcomeFile => (
            "says how the experiment is measured and what it may touch".to_owned(),
            "Leave it as it is. If it has to change",
        ),
        Kept::Client(client) => (
            format!(
                "holds settings of the client {} (servers, permissions, hooks), which decide what you may do",
                client.id()
            ),
            "Leave it to the person at the client. If the work needs another setting",
        ),
        Kept::Git => (
            "belongs to git, and can make it run programs or show another history".to_owned(),
            "Use git's own commands for commits and branches. If the work needs another setting of git",
        ),
    };
    format!(
        "Outcome Runtime refuses to edit `{path}`: it {why}, so no agent edits it while experiment `{experiment}` is being \
         built. {instead}, call request_human_gate with experiment_id \"{experiment}\", gate_type \"escalation\" and what \
         should be in it, and wait: a person can make the change."
    )
}

/// For a path outside the scope.
pub(super) fn outside(path: &str, in_repository: bool, refusal: &Refusal<'_>) -> String {
    let slug = refusal.by.experiment.as_str();
    let path = shown(path);
    let why = match &refusal.verdict {
        PathVerdict::Forbidden { rule } => format!("forbidden by the rule `{}` (scope.forbidden_paths)", shown(rule)),
        PathVerdict::Outside if !in_repository => "outside the repository".to_owned(),
        PathVerdict::Outside | PathVerdict::Allowed => {
            "not covered by an allowed path (scope.allowed_paths)".to_owned()
        }
    };
    format!(
        "Outcome Runtime refuses to edit `{path}`: while experiment `{slug}` is being built, it is {why}. {} \
         Do the work within these paths. If that is not possible, do not work around this refusal (the build report recomputes \
         the diff from git and refuses it too): call request_human_gate with experiment_id \"{slug}\", gate_type \"escalation\" \
         and your question, and wait for the human.",
        scope(&refusal.by.rules)
    )
}

fn scope(rules: &ScopeRules) -> String {
    let allowed = match list(rules.allowed()) {
        None => "Allowed: everything in the repository that is not forbidden.".to_owned(),
        Some(list) => format!("Allowed: {list}."),
    };
    match list(rules.forbidden()) {
        None => allowed,
        Some(list) => format!("{allowed} Forbidden: {list}."),
    }
}

fn list<'a>(patterns: impl Iterator<Item = &'a str>) -> Option<String> {
    let all: Vec<&str> = patterns.collect();
    let mut out: Vec<String> = all.iter().take(MAX_LISTED).map(|pattern| format!("`{}`", shown(pattern))).collect();
    if all.len() > MAX_LISTED {
        out.push(format!("and {} more", all.len() - MAX_LISTED));
    }
    (!out.is_empty()).then(|| out.join(", "))
}

fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MAX_CHARS).collect();
    let mark = if cut.len() < text.len() { "..." } else { "" };
    format!("{}{mark}", safe(&cut).replace('`', "'"))
}
