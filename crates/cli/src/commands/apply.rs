//! `apply`: stores what the outcome file declares.

use outcome_core::usecases::{Applied, OutcomePlan, PlannedAction, Runtime, Workspaces};
use outcome_core::{Code, Result};

use super::plan;
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::safe;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Apply) -> Result<Exit> {
    let runtime = match cx.open().await {
        Err(error) if error.code() == Code::DatabaseOlder => {
            Workspaces::migrate(cx.settings()?).await?;
            cx.open().await?
        }
        opened => opened?,
    };
    let plans = runtime.outcomes().plan().await?;
    let done = apply(cx, args, &runtime, plans).await?;
    cx.out.result(&done, |page| {
        plan::show(page, &done.outcomes);
        for unchecked in &done.unchecked {
            page.item(&page.yellow(&safe(unchecked)));
        }
        let changed: Vec<_> = done.outcomes.iter().filter(|plan| plan::is_change(plan)).collect();
        if changed.is_empty() {
            page.line("Nothing to change: the stored outcomes match the file.");
            return;
        }
        let n = changed.len();
        let word = page.green("Applied");
        page.line(&format!("{word}: {n} outcome{}", if n == 1 { "" } else { "s" }));
        if let Some(new) = changed.iter().find(|plan| plan.action == PlannedAction::Create) {
            page.hint(&format!("next: `outcome-runtime activate {}` measures the baseline", safe(&new.outcome)));
        }
    })?;
    Ok(Exit::OK)
}

/// Applies; asks for the passphrase only where the file needs it.
async fn apply(cx: &Cx, args: &args::Apply, runtime: &Runtime, plans: Vec<OutcomePlan>) -> Result<Applied> {
    let by = Cx::by();
    if args.unlock.passphrase_fd.is_some() {
        let unlock = cx.terminal.unlock(&args.unlock, "apply")?;
        return runtime.outcomes().apply(&by, Some(&unlock)).await;
    }
    match runtime.outcomes().apply(&by, None).await {
        Err(error) if error.code() == Code::PassphraseNeeded && cx.terminal.may_ask() => {
            cx.out.show(|page| page.line(&safe(error.message())))?;
            let unlock = cx.terminal.unlock(&args.unlock, "accept it")?;
            let applied = runtime.outcomes().apply(&by, Some(&unlock)).await?;
            // The first try may have stored some outcomes already: what was planned before it is what was done.
            Ok(Applied { outcomes: plans, unchecked: applied.unchecked })
        }
        done => done,
    }
}
