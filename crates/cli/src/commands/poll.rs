//! `poll`: one round of what the daemon does on a schedule.

use outcome_core::usecases::{PollRequest, Polled};
use outcome_core::{Code, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, Table};

/// Runs it.
pub async fn run(cx: &Cx, args: args::Poll) -> Result<Exit> {
    let runtime = cx.open().await?;
    let done = runtime.signals().poll_patiently(&request(args)).await?;
    cx.out.result(&done, |page| show(page, &done))?;
    Ok(match done.failures.is_empty() {
        _ if done.is_skipped => Exit::of(Code::PollBusy),
        _ if done.clock_problem.is_some() => Exit::of(Code::ClockDoubtful),
        true => Exit::OK,
        false => Exit::of(Code::SignalFetchFailed),
    })
}

fn request(args: args::Poll) -> PollRequest {
    PollRequest { outcome: args.outcome, is_forced: args.all, is_clock_right: args.clock_is_right }
}

fn show(page: &mut Page, done: &Polled) {
    if done.is_skipped {
        page.line("Another program has been polling for 30 seconds. Nothing was done; try again in a moment.");
        return;
    }
    if let Some(problem) = &done.clock_problem {
        let text = page.red(&crate::output::safe(problem));
        page.line(&text);
    }
    let (n_levels, n) = (done.n_levels, done.experiments.len());
    page.line(&format!("Read {n_levels} outcome signal(s) and {n} experiment(s)."));
    if n_levels == 0 && n == 0 && done.failures.is_empty() {
        page.hint("nothing is due; `--all` reads everything now");
    }
    if n > 0 {
        let mut table = Table::new(&["experiment", "status", "recommendation", "reason"]);
        for polled in &done.experiments {
            table.row(&[
                &polled.experiment,
                polled.status.as_str(),
                polled.verdict.as_deref().unwrap_or("-"),
                polled.reason.as_deref().unwrap_or("-"),
            ]);
        }
        page.table(table);
    }
    for outcome in &done.expired {
        let text = page.yellow(&format!("Outcome `{}` expired: its deadline has passed", crate::output::safe(outcome)));
        page.line(&text);
    }
    if !done.failures.is_empty() {
        let head = page.red("Failed, and will be retried:");
        page.line(&head);
        for failure in &done.failures {
            page.item(failure);
        }
    }
}
