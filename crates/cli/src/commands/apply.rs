//! `apply`: makes the outcome file count, or asks a member to approve it.

use outcome_core::usecases::{Applied, PlannedAction, Runtime, Workspaces};
use outcome_core::{Code, Result};

use super::plan;
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Apply) -> Result<Exit> {
    let runtime = match cx.open().await {
        Err(error) if error.code() == Code::DatabaseOlder => {
            Workspaces::migrate(cx.settings()?).await?;
            cx.open().await?
        }
        opened => opened?,
    };
    let done = apply(cx, args, &runtime).await?;
    cx.out.result(&done, |page| show(page, &done))?;
    Ok(Exit::OK)
}

/// Applies; asks for the passphrase only where something has to be signed, after it was shown.
async fn apply(cx: &Cx, args: &args::Apply, runtime: &Runtime) -> Result<Applied> {
    let by = Cx::by();
    if args.unlock.passphrase_fd.is_some() {
        let unlock = cx.terminal.unlock(&args.unlock, "apply")?;
        return runtime.outcomes().apply(&by, Some(&unlock)).await;
    }
    let done = runtime.outcomes().apply(&by, None).await?;
    if done.is_applied || !cx.terminal.may_ask() {
        return Ok(done);
    }
    cx.out.show(|page| plan::show(page, &done.plan))?;
    let unlock = cx.terminal.unlock(&args.unlock, "approve this change")?;
    runtime.outcomes().apply(&by, Some(&unlock)).await
}

/// What applying did.
fn show(page: &mut Page, done: &Applied) {
    plan::show(page, &done.plan);
    for unchecked in &done.unchecked {
        page.item(&page.yellow(&safe(unchecked)));
    }
    if let (false, Some(gate)) = (done.is_applied, &done.gate) {
        let waits = page.yellow("Waits for a member's signature.");
        page.line(&format!("{waits} What was applied before counts until then."));
        page.hint(&format!("next: `outcome-runtime gate decide {}`", safe(gate)));
        return;
    }
    if !done.plan.is_change() {
        page.line("Nothing to change: what is applied matches the file.");
        return;
    }
    let n = done.plan.outcomes.iter().filter(|plan| plan::is_change(plan)).count();
    let word = page.green("Applied");
    page.line(&format!("{word}: {n} outcome{}", if n == 1 { "" } else { "s" }));
    if let Some(new) = done.plan.outcomes.iter().find(|plan| plan.action == PlannedAction::Create) {
        page.hint(&format!("next: `outcome-runtime activate {}` measures the baseline", safe(&new.outcome)));
    }
}
