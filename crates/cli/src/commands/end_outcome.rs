//! `abandon` and `confirm`: the ends of an outcome that a human sets.

use outcome_core::Result;
use outcome_core::domain::OutcomeStatus;
use serde::Serialize;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::safe;

/// Where the outcome stands now.
#[derive(Debug, Serialize)]
struct Ended {
    outcome: String,
    status: OutcomeStatus,
}

/// Gives an outcome up.
pub async fn abandon(cx: &Cx, args: &args::Abandon) -> Result<Exit> {
    let runtime = cx.open().await?;
    runtime.outcomes().require(&args.outcome).await?;
    let unlock = cx.terminal.unlock(&args.unlock, &format!("abandon {}", args.outcome))?;
    let status = runtime.outcomes().abandon(&args.outcome, &unlock).await?;
    show(cx, &args.outcome, status)
}

/// Confirms that an outcome is achieved.
pub async fn confirm(cx: &Cx, args: &args::Confirm) -> Result<Exit> {
    let runtime = cx.open().await?;
    runtime.outcomes().require(&args.outcome).await?;
    let unlock = cx.terminal.unlock(&args.unlock, &format!("confirm {}", args.outcome))?;
    let status = runtime.outcomes().confirm(&args.outcome, &unlock).await?;
    show(cx, &args.outcome, status)
}

fn show(cx: &Cx, outcome: &str, status: OutcomeStatus) -> Result<Exit> {
    let done = Ended { outcome: outcome.to_owned(), status };
    cx.out.result(&done, |page| page.line(&format!("Outcome `{}` is {status}", safe(outcome))))?;
    Ok(Exit::OK)
}
