//! A gate for the human who decides it.

use outcome_core::domain::Assurance;
use outcome_core::present::{Row, Value, glance, instant, plain, sections, short, when};
use outcome_core::usecases::GateView;

use crate::output::{Page, safe};

/// How many lines of somebody's words are shown on one screen.
const QUOTED_LINES: usize = 4;

/// The gate on one screen: the question, what must not be overlooked, a few facts, the recommendation, what is signed. `elsewhere`: where
/// it is decided besides here, where that is to be said.
pub fn show(page: &mut Page, view: &GateView, now: jiff::Timestamp, elsewhere: Option<&str>) {
    let context = &view.context;
    head(page, view, now);
    agent_says(page, view, Some(QUOTED_LINES));
    let glance = glance(context, view.answer.as_ref(), &view.context_hash);
    page.blank();
    page.facts_of(&glance.doubts, &glance.facts);
    if let Some(recommendation) = &context.recommendation {
        page.long_field("recommended", recommendation);
    }
    checklist(page, view);
    new_writers(page, view);
    decisions(page, view);
    page.blank();
    let signed: Vec<String> = glance.signed.iter().map(signed).collect();
    page.long_field(if is_open(view) { "you sign" } else { "it is about" }, &signed.join(" · "));
    if is_open(view) {
        page.long_field("verdicts", &verdicts(view).join(", "));
    }
    page.hint(&format!("  everything that is signed: `outcome-runtime gate show {} --full`", view.gate));
    last(page, view, elsewhere);
}

/// Everything that the human can know before deciding.
pub fn show_all(page: &mut Page, view: &GateView, now: jiff::Timestamp, elsewhere: Option<&str>) {
    let context = &view.context;
    head(page, view, now);
    if let Some(outcome) = &context.outcome {
        page.field("outcome", outcome.as_str());
    }
    if let Some(experiment) = &context.experiment {
        page.field("experiment", experiment.as_str());
    }
    agent_says(page, view, None);
    if let Some(recommendation) = &context.recommendation {
        page.long_field("recommends", recommendation);
    }
    for section in sections(context) {
        page.section(&section);
    }
    checklist(page, view);
    new_writers(page, view);
    decisions(page, view);
    page.blank();
    page.field("context hash", &format!("{}  (a decision signs this hash)", short(&view.context_hash)));
    page.long_field("as JSON", &format!("`outcome-runtime gate show {} --json` shows the whole package", view.gate));
    if is_open(view) {
        page.field("verdicts", &verdicts(view).join(", "));
    }
    last(page, view, elsewhere);
}

fn is_open(view: &GateView) -> bool {
    view.decisions.is_empty() && !view.status.is_decided()
}

fn head(page: &mut Page, view: &GateView, now: jiff::Timestamp) {
    page.head(&format!("Gate {} · {} · {}", view.gate, plain(view.gate_type.as_str()), plain(view.status.as_str())));
    if is_open(view) {
        let due = if view.due_at < now { "overdue since" } else { "due" };
        let holder = view.holder.as_deref().map(|holder| format!("for {holder}, ")).unwrap_or_default();
        let needs = match view.assurance {
            Assurance::A4 => format!(", needs a key that is touched ({})", view.assurance),
            Assurance::A1 | Assurance::A2 | Assurance::A3 => String::new(),
        };
        page.text("  ", &format!("{holder}{due} {}{needs}", when(now, view.due_at)));
    }
    let question = safe(&view.context.question);
    page.strong("  ", &question);
}

fn agent_says(page: &mut Page, view: &GateView, most: Option<usize>) {
    let Some(says) = &view.context.agent_says else { return };
    let label = page.yellow("In the words of the requester (untrusted, quoted):");
    page.line(&format!("  {label}"));
    let n_lines = says.lines().count();
    match most.filter(|most| n_lines > *most) {
        Some(most) => {
            let first: Vec<&str> = says.lines().take(most).collect();
            page.quote(4, &first.join("\n"));
            page.hint(&format!("    and {} more lines", n_lines - most));
        }
        None => page.quote(4, says),
    }
}

fn checklist(page: &mut Page, view: &GateView) {
    if view.context.checklist.is_empty() {
        return;
    }
    page.head("Confirm before approving");
    for line in &view.context.checklist {
        page.text("  [ ] ", line);
    }
}

fn new_writers(page: &mut Page, view: &GateView) {
    for writer in &view.new_writers {
        let says = format!(
            "{} writes the log since line {}; whoever decides here vouches for it",
            writer.place, writer.since_line
        );
        page.warning(&format!("New: {says}"));
    }
}

fn decisions(page: &mut Page, view: &GateView) {
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
}

/// What to do next.
fn last(page: &mut Page, view: &GateView, elsewhere: Option<&str>) {
    let has_result = view.gate_type.is_about_result() && is_open(view);
    if let Some(experiment) = view.context.experiment.as_ref().filter(|_| has_result) {
        page.hint(&format!("  the latest numbers: `outcome-runtime experiment show {experiment}`"));
    }
    if let Some(elsewhere) = elsewhere.filter(|_| is_open(view)) {
        page.hint(&format!("  decide: `outcome-runtime gate decide {}`, {}", view.gate, safe(elsewhere)));
    }
}

/// Something that is signed, in a few words.
fn signed(row: &Row) -> String {
    let value = match &row.value {
        Value::Code(text) | Value::Text(text) | Value::Quote(text) => text.clone(),
        Value::Codes(texts) => texts.join(" "),
    };
    format!("{} {value}", row.label.to_lowercase())
}

/// The verdicts that the gate accepts.
pub fn verdicts(view: &GateView) -> Vec<String> {
    view.context.verdicts.iter().map(|verdict| verdict.as_str().to_owned()).collect()
}
