//! `gate decide`: shows what is asked, then takes the human's signed decision.

use std::path::PathBuf;

use outcome_core::domain::{Assurance, GateStatus, GateType, Surface, Verdict};
use outcome_core::present::{HASH_PREFIX, plain};
use outcome_core::usecases::{DecideRequest, Decided, GateView, Runtime, Unlock, UnsignedAct};
use outcome_core::{Code, Error, Result};

use super::gate_view::{show, show_all, verdicts};
use crate::args;
use crate::cx::Cx;
use crate::output::{Page, safe};

/// The first choice: not a verdict.
const MORE: &str = "(show everything that is signed first)";

/// Runs it. An attempt without a passphrase is recorded like any other refusal.
pub async fn run(cx: &Cx, runtime: &Runtime, args: args::Decide) -> Result<()> {
    let view = runtime.gates().show(args.gates.first().map_or("", String::as_str)).await?;
    let verdict = args.verdict;
    let done = decide(cx, runtime, args, &view).await;
    if let Err(error) = &done
        && error.code() == Code::PassphraseNeeded
    {
        runtime.gates().refused(&view, verdict, error).await;
    }
    done
}

/// Fails for a gate that accepts no decision any more.
pub fn must_be_open(view: &GateView) -> Result<()> {
    if !view.status.is_decided() && view.status != GateStatus::Superseded {
        return Ok(());
    }
    let message = format!("gate `{}` is {} and accepts no decision", view.gate, view.status);
    Err(Error::new(Code::GateNotPending, message)
        .hint(format!("`outcome-runtime gate show {}` shows what was decided", view.gate)))
}

async fn decide(cx: &Cx, runtime: &Runtime, args: args::Decide, view: &GateView) -> Result<()> {
    must_be_open(view)?;
    if let Some(hash) = &args.context_hash
        && (hash.len() < HASH_PREFIX || !view.context_hash.starts_with(hash.as_str()))
    {
        return Err(Error::new(
            Code::ContextChanged,
            format!("gate `{}` has changed: its hash differs from --context-hash", view.gate),
        )
        .hint(format!("review it again: `outcome-runtime gate show {}`", view.gate)));
    }
    // What is certain to be refused is refused before the page is shown and the passphrase is asked for.
    let given = args.verdict.map(|given| valid(view, given, !args.condition.is_empty())).transpose()?;
    if args.unlock.unsigned {
        let verdict = given.ok_or_else(|| {
            Error::new(Code::InvalidInput, "--verdict is missing").hint("say with --verdict what you ask for")
        })?;
        let done = runtime.gates().ask(&view.gate, verdict, args.note.as_deref(), &Cx::by()).await?;
        return cx.out.result(&done, |page| unsigned(page, &done));
    }
    must_have_verdict(cx, given, view)?;
    let mut how = args.unlock.unlock;
    can_be_asked(cx, &how, view)?;
    cx.out.show(|page| show(page, view, runtime.now(), None))?;
    let verdict = match given {
        Some(verdict) => verdict,
        None => ask_verdict(cx, runtime, view, !args.condition.is_empty())?,
    };
    if matches!(verdict, Verdict::Approve | Verdict::ApproveWithConditions) {
        tick(cx, view, args.confirm_checklist)?;
    }
    let what = format!("{} {}", verdict.as_str().replace('_', " "), view.gate);
    if must_be_touched(view, verdict) && how.unlock.passphrase_fd.is_none() {
        how.touch = how.touch.or_else(|| Some(PathBuf::from(args::SSH_FOLDER)));
    }
    let unlock = cx.unlock(runtime, &how, &what).await?;
    if let Unlock::Touch(_) = unlock {
        cx.out.show(|page| page.line(&format!("Touch your key to {what}.")))?;
    }
    let done = runtime
        .gates()
        .decide(DecideRequest {
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

/// Fails before anything is shown where nobody can be asked for a verdict.
pub fn must_have_verdict(cx: &Cx, given: Option<Verdict>, view: &GateView) -> Result<()> {
    if cx.terminal.may_ask() || given.is_some() {
        return Ok(());
    }
    Err(Error::new(Code::InvalidInput, "--verdict is missing, and there is no terminal to ask for it")
        .hint(format!("pass --verdict with one of {}", verdicts(view).join(", "))))
}

/// Fails before anything is shown where nobody can be asked to sign.
pub fn can_be_asked(cx: &Cx, how: &args::UnlockOrTouch, view: &GateView) -> Result<()> {
    let done = match &how.touch {
        Some(_) => cx.terminal.must_be_own("decide"),
        None => cx.terminal.require_passphrase(&how.unlock, "decide"),
    };
    done.map_err(|error| match cx.terminal.must_be_own("decide") {
        Ok(()) => error,
        Err(error) => error.hint(format!(
            "decide in a terminal of your own, or on the gate's page where the daemon runs: {}",
            view.review_url
        )),
    })
}

/// Whether this verdict needs a key that is touched.
fn must_be_touched(view: &GateView, verdict: Verdict) -> bool {
    !verdict.is_negative() && view.assurance == Assurance::A4
}

/// Asks for the verdict. The cursor stands on none of them: a key that is pressed in haste shows more.
pub fn ask_verdict(cx: &Cx, runtime: &Runtime, view: &GateView, has_conditions: bool) -> Result<Verdict> {
    let options: Vec<String> = std::iter::once(MORE.to_owned()).chain(verdicts(view)).collect();
    let mut answer = cx.terminal.select("Your decision:", options.clone(), "--verdict")?;
    while answer == MORE {
        cx.out.show(|page| show_all(page, view, runtime.now(), None))?;
        answer = cx.terminal.select("Your decision:", options.clone(), "--verdict")?;
    }
    let verdict = answer.parse().map_err(|text: String| Error::new(Code::InvalidInput, text))?;
    valid(view, verdict, has_conditions)
}

/// The verdict, if the gate takes it. An approval with conditions is one even if only the conditions say so.
pub fn valid(view: &GateView, verdict: Verdict, has_conditions: bool) -> Result<Verdict> {
    let verdict = if verdict == Verdict::Approve && has_conditions { Verdict::ApproveWithConditions } else { verdict };
    if view.context.verdicts.contains(&verdict) {
        return Ok(verdict);
    }
    Err(Error::new(Code::InvalidInput, format!("this {} gate does not accept `{verdict}`", view.gate_type))
        .hint(format!("it accepts {}", verdicts(view).join(", "))))
}

/// Every rule of the checklist is confirmed, one by one.
fn tick(cx: &Cx, view: &GateView, is_confirmed: bool) -> Result<()> {
    if is_confirmed || view.gate_type != GateType::LaunchApproval {
        return Ok(());
    }
    for rule in &view.context.checklist {
        if !cx.terminal.confirm(&format!("Is this true? {rule}"), "--confirm-checklist")? {
            return Err(Error::new(Code::InvalidInput, format!("a rule of the checklist is not met: {rule}"))
                .hint("nothing was decided; send the build back with `--verdict rework`"));
        }
    }
    Ok(())
}

/// What came of an act without a signature.
pub fn unsigned(page: &mut Page, done: &UnsignedAct) {
    let name = safe(done.gate.as_deref().or(done.experiment.as_deref()).unwrap_or_default());
    if !done.is_done {
        page.line(&format!("{} for {} of `{name}`, and told to its holder", page.yellow("Asked"), done.verdict));
        page.hint("only a member's signature decides: without --unsigned you are asked for your passphrase");
        return;
    }
    page.line(&format!("{} {} without a signature", page.green("Done:"), done.verdict));
    if let Some(status) = done.experiment_status {
        page.field("experiment", &format!("{name} is {status}"));
    }
    for delivery in &done.deliveries {
        page.field("flag", delivery);
    }
}

/// The result of a decision.
pub fn decided(page: &mut Page, done: &Decided) {
    let word = page.green("Decided:");
    page.line(&format!(
        "{word} {} by {} ({}, {})",
        done.verdict,
        safe(&done.decided_by),
        done.assurance,
        done.assurance.label()
    ));
    if let (Some(gate), Some(status)) = (&done.gate, done.gate_status) {
        // A kill is a decision, and no rejection of anything in the reader's eyes.
        let says = if status.is_decided() { "decided".to_owned() } else { plain(status.as_str()) };
        page.field("gate", &format!("{gate} is {says}"));
    }
    if let (Some(experiment), Some(status)) = (&done.experiment, done.experiment_status) {
        page.field("experiment", &format!("{experiment} is {}", plain(status.as_str())));
    }
    for delivery in &done.deliveries {
        page.field("flag", delivery);
    }
    for unchecked in &done.unchecked {
        page.item(&page.yellow(&safe(unchecked)));
    }
    if done.gate_status == Some(GateStatus::Pending) {
        page.hint("the gate is waiting for another member to make the same decision");
    }
}
