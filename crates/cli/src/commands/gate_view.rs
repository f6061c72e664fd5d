//! A gate for the human who decides it.

use outcome_core::present::{instant, sections, when};
use outcome_core::usecases::GateView;

use crate::output::{Page, safe};

/// How many characters of a hash are shown to people.
pub const HASH_PREFIX: usize = 12;

/// Everything that the human should know before deciding. `elsewhere`: where it is decided besides here, where that is to be said.
pub fn show(page: &mut Page, view: &GateView, now: jiff::Timestamp, elsewhere: Option<&str>) {
    let context = &view.context;
    page.head(&format!("Gate {} · {} · {}", view.gate, view.gate_type, view.status));
    let question = page.bold(&safe(&context.question));
    page.line(&format!("  {question}"));
    if let Some(outcome) = &context.outcome {
        page.field("outcome", outcome.as_str());
    }
    if let Some(experiment) = &context.experiment {
        page.field("experiment", experiment.as_str());
    }
    page.field("holder", view.holder.as_deref().unwrap_or("-"));
    let is_open = view.decisions.is_empty() && !view.status.is_decided();
    let due = if is_open && view.due_at < now { "overdue since" } else { "due" };
    page.field(due, &when(now, view.due_at));
    page.long_field("needs", &format!("{} ({}) or higher", view.assurance, view.assurance.label()));
    if let Some(says) = &context.agent_says {
        let label = page.yellow("In the words of the requester (untrusted, quoted):");
        page.line(&format!("  {label}"));
        page.quote(4, says);
    }
    if let Some(recommendation) = &context.recommendation {
        page.long_field("recommends", recommendation);
    }
    for section in sections(context) {
        page.section(&section);
    }
    if !context.checklist.is_empty() {
        page.head("Confirm before approving");
        for line in &context.checklist {
            page.line(&format!("  [ ] {}", safe(line)));
        }
    }
    for writer in &view.new_writers {
        let label = page.yellow("New:");
        page.line(&format!(
            "  {label} {} writes the log since line {}; whoever decides here vouches for it",
            safe(&writer.place),
            writer.since_line
        ));
    }
    for decision in &view.decisions {
        page.head(&format!("Decided: {} ({}, {})", decision.verdict, decision.assurance, decision.assurance.label()));
        page.field("at", &instant(decision.decided_at));
        for condition in &decision.conditions {
            page.long_field("condition", condition);
        }
        if let Some(note) = &decision.note {
            page.quote(2, note);
        }
    }
    page.blank();
    page.field("context hash", &format!("{}  (a decision signs this hash)", prefix(&view.context_hash)));
    page.long_field("everything", &format!("`outcome-runtime gate show {} --json` shows the whole package", view.gate));
    if is_open {
        page.field("verdicts", &verdicts(view).join(", "));
    }
    let has_result = view.gate_type.is_about_result();
    if let Some(experiment) = context.experiment.as_ref().filter(|_| is_open && has_result) {
        page.hint(&format!(
            "these numbers are from when the gate opened; `outcome-runtime experiment show {experiment}` shows the latest"
        ));
    }
    if let Some(elsewhere) = elsewhere.filter(|_| is_open) {
        page.hint(&format!("decide with `outcome-runtime gate decide {}`, {}", view.gate, safe(elsewhere)));
    }
}

/// The verdicts that the gate accepts.
pub fn verdicts(view: &GateView) -> Vec<String> {
    view.context.verdicts.iter().map(|verdict| verdict.as_str().to_owned()).collect()
}

fn prefix(hash: &str) -> String {
    hash.chars().take(HASH_PREFIX).collect()
}
