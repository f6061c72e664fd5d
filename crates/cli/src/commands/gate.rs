//! `gate`: looking at gates, asking for one, and deciding one.

use outcome_core::domain::{GateStatus, GateType, Surface, Verdict};
use outcome_core::usecases::{DecideRequest, Decided, GateOpenRequest, GateView, Runtime, Unlock};
use outcome_core::{Code, Error, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, Table, absolute, left, ordered, safe, when};

/// How many characters of a hash are shown to people.
const HASH_PREFIX: usize = 12;

/// Runs it.
pub async fn run(cx: &Cx, args: args::Gate) -> Result<Exit> {
    let runtime = cx.open().await?;
    match args {
        args::Gate::List => list(cx, &runtime).await?,
        args::Gate::Show { gate } => {
            let view = runtime.gate_show(&gate).await?;
            cx.out.result(&view, |page| show(page, &view, runtime.now(), true))?;
        }
        args::Gate::Decide(args) => decide(cx, &runtime, args).await?,
        args::Gate::Open { experiment, question, details } => {
            let by = runtime.terminal_human().await?;
            let view = runtime.gate_open(GateOpenRequest { experiment, question, details }, &by).await?;
            cx.out.result(&view, |page| {
                page.line(&format!(
                    "Gate `{}` waits for {}",
                    view.gate,
                    safe(view.holder.as_deref().unwrap_or("a member"))
                ));
                page.field("review", &view.review_url);
            })?;
        }
    }
    Ok(Exit::OK)
}

async fn list(cx: &Cx, runtime: &Runtime) -> Result<()> {
    let gates = runtime.gate_list().await?;
    let now = runtime.now();
    cx.out.result(&gates, |page| {
        if gates.is_empty() {
            page.line("No gate waits for a decision.");
            return;
        }
        let mut table = Table::new(&["gate", "type", "experiment", "holder", "time"]);
        for view in &gates {
            table.row(&[
                &view.gate,
                view.gate_type.as_str(),
                view.context.experiment.as_ref().map_or("-", |slug| slug.as_str()),
                view.holder.as_deref().unwrap_or("-"),
                &left(view.due_at.duration_since(now).as_mins()),
            ]);
        }
        page.table(table);
        page.hint("`outcome-runtime gate decide GATE` shows what is asked, then asks for your decision");
    })
}

/// Everything that the human should know before deciding.
fn show(page: &mut Page, view: &GateView, now: jiff::Timestamp, has_hint: bool) {
    let context = &view.context;
    page.head(&format!("Gate {} · {} · {}", view.gate, view.gate_type, view.status));
    let question = page.bold(&safe(&context.question));
    page.line(&format!("  {question}"));
    page.field("outcome", context.outcome.as_str());
    if let Some(experiment) = &context.experiment {
        page.field("experiment", experiment.as_str());
    }
    page.field("holder", view.holder.as_deref().unwrap_or("-"));
    let is_open = view.decisions.is_empty() && !view.status.is_decided();
    let due = if is_open && view.due_at < now { "overdue since" } else { "due" };
    page.field(due, &when(now, view.due_at));
    page.field(
        "needs",
        &format!("{} ({}) or more; a refusal may be less sure", view.assurance, view.assurance.label()),
    );
    if let Some(says) = &context.agent_says {
        let label = page.yellow("In the words of whoever asked (untrusted, quoted):");
        page.line(&format!("  {label}"));
        page.quote(4, says);
    }
    if let Some(recommendation) = &context.recommendation {
        page.field("recommends", recommendation);
    }
    page.head("Facts (what is quoted was written by others)");
    if let Some(facts) = context.facts.as_object() {
        for (name, value) in ordered(facts) {
            page.outline(2, name, value);
        }
    }
    for (title, mark, lines) in [
        ("Conditions of earlier gates", "-", &context.open_conditions),
        ("To be confirmed at approval", "[ ]", &context.checklist),
    ] {
        if !lines.is_empty() {
            page.head(title);
            for line in lines {
                page.line(&format!("  {mark} {}", safe(line)));
            }
        }
    }
    for decision in &view.decisions {
        page.head(&format!("Decided: {} ({}, {})", decision.verdict, decision.assurance, decision.assurance.label()));
        page.field("at", &absolute(decision.decided_at));
        for condition in &decision.conditions {
            page.field("condition", condition);
        }
        if let Some(note) = &decision.note {
            page.quote(2, note);
        }
    }
    page.blank();
    page.field("context hash", &format!("{}  (what a decision signs)", prefix(&view.context_hash)));
    if is_open {
        page.field("verdicts", &verdicts(view).join(", "));
    }
    if is_open && has_hint {
        page.hint(&format!(
            "decide with `outcome-runtime gate decide {}`, or on {}",
            view.gate,
            safe(&view.review_url)
        ));
    }
}

async fn decide(cx: &Cx, runtime: &Runtime, args: args::Decide) -> Result<()> {
    let view = runtime.gate_show(&args.gate).await?;
    let verdict = args.verdict;
    let done = decide_on(cx, runtime, args, &view).await;
    if let Err(error) = &done
        && error.code() == Code::PassphraseNeeded
    {
        runtime.gate_refused(&view, verdict, error).await;
    }
    done
}

async fn decide_on(cx: &Cx, runtime: &Runtime, args: args::Decide, view: &GateView) -> Result<()> {
    if args.unlock.unverified {
        cx.terminal.require_for_unverified()?;
    }
    if view.status.is_decided() || view.status == GateStatus::Superseded {
        return Err(Error::new(
            Code::GateNotPending,
            format!("gate `{}` is {}: it takes no decision", view.gate, view.status),
        )
        .hint(format!("`outcome-runtime gate show {}` shows what was decided", view.gate)));
    }
    if let Some(hash) = &args.context_hash
        && (hash.len() < HASH_PREFIX || !view.context_hash.starts_with(hash.as_str()))
    {
        return Err(Error::new(
            Code::ContextChanged,
            format!("gate `{}` does not show what --context-hash says", view.gate),
        )
        .hint(format!("look at it again: `outcome-runtime gate show {}`", view.gate)));
    }
    // What is certain to be refused is refused before the page is shown and the passphrase is asked for.
    let given = args.verdict.map(|given| valid(view, given, !args.condition.is_empty())).transpose()?;
    if !cx.terminal.may_ask() {
        if given.is_none() {
            return Err(Error::new(Code::InvalidInput, "--verdict is missing and there is no terminal to ask on")
                .hint(format!("give --verdict with one of {}", verdicts(view).join(", "))));
        }
        cx.terminal.require_passphrase(&args.unlock.unlock, "decide")?;
    }
    cx.out.show(|page| show(page, view, runtime.now(), false))?;
    let verdict = match given {
        Some(verdict) => verdict,
        None => ask_verdict(cx, view, !args.condition.is_empty())?,
    };
    if matches!(verdict, Verdict::Approve | Verdict::ApproveWithConditions) {
        tick(cx, view, args.confirm_checklist)?;
    }
    let what = format!("{} {}", verdict.as_str().replace('_', " "), view.gate);
    let unlock: Unlock = cx.terminal.unlock_or_local(&args.unlock, &what, &view.gate)?;
    let done = runtime
        .gate_decide(DecideRequest {
            gate: view.id.to_string(),
            verdict,
            conditions: args.condition,
            note: args.note,
            context_hash: Some(view.context_hash.clone()),
            member: args.member,
            unlock,
            surface: Surface::Terminal,
        })
        .await?;
    cx.out.result(&done, |page| decided(page, &done))
}

fn ask_verdict(cx: &Cx, view: &GateView, has_conditions: bool) -> Result<Verdict> {
    let answer = cx.terminal.select("Your decision:", verdicts(view), "--verdict")?;
    let verdict = answer.parse().map_err(|text: String| Error::new(Code::InvalidInput, text))?;
    valid(view, verdict, has_conditions)
}

/// The verdict, if the gate takes it. An approval with conditions is one even if only the conditions say so.
fn valid(view: &GateView, verdict: Verdict, has_conditions: bool) -> Result<Verdict> {
    let verdict = if verdict == Verdict::Approve && has_conditions { Verdict::ApproveWithConditions } else { verdict };
    if view.context.verdicts.contains(&verdict) {
        return Ok(verdict);
    }
    Err(Error::new(Code::InvalidInput, format!("this {} gate does not take `{verdict}`", view.gate_type))
        .hint(format!("it takes {}", verdicts(view).join(", "))))
}

/// Every rule of the checklist is confirmed, one by one.
fn tick(cx: &Cx, view: &GateView, is_confirmed: bool) -> Result<()> {
    if is_confirmed || view.gate_type != GateType::LaunchApproval {
        return Ok(());
    }
    for rule in &view.context.checklist {
        if !cx.terminal.confirm(&format!("Is this so? {rule}"), "--confirm-checklist")? {
            return Err(Error::new(Code::InvalidInput, format!("a rule of the checklist does not hold: {rule}"))
                .hint("nothing was decided; send the build back with `--verdict rework`"));
        }
    }
    Ok(())
}

fn decided(page: &mut Page, done: &Decided) {
    let word = page.green("Decided:");
    page.line(&format!(
        "{word} {} by {} ({}, {})",
        done.verdict,
        safe(&done.decided_by),
        done.assurance,
        done.assurance.label()
    ));
    if let (Some(gate), Some(status)) = (&done.gate, done.gate_status) {
        page.field("gate", &format!("{gate} is {status}"));
    }
    if let (Some(experiment), Some(status)) = (&done.experiment, done.experiment_status) {
        page.field("experiment", &format!("{experiment} is {status}"));
    }
    for delivery in &done.deliveries {
        page.field("flag", delivery);
    }
    if done.gate_status == Some(GateStatus::Pending) {
        page.hint("the gate waits for another member to decide the same");
    }
}

/// Shows what came of pausing, resuming or killing.
pub fn show_act(page: &mut Page, done: &Decided) {
    decided(page, done);
}

fn verdicts(view: &GateView) -> Vec<String> {
    view.context.verdicts.iter().map(|verdict| verdict.as_str().to_owned()).collect()
}

fn prefix(hash: &str) -> String {
    hash.chars().take(HASH_PREFIX).collect()
}
