//! `stats recompute`: recomputes the stored results from the stored readings.

use outcome_core::present::count;
use outcome_core::usecases::{RecomputeRequest, Recomputed};
use outcome_core::{Code, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::Page;

/// Changes and failures that people are shown; `--json` has all.
const SHOWN: usize = 20;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::StatsRecompute) -> Result<Exit> {
    let runtime = cx.open().await?;
    let by = Cx::by();
    let request = RecomputeRequest { experiment: args.experiment.clone(), is_check: args.check };
    let done = runtime.audit_log().recompute(&request, &by).await?;
    cx.out.result(&done, |page| show(page, &done))?;
    Ok(match done {
        Recomputed { ref failures, .. } if !failures.is_empty() => Exit::of(Code::StateTampered),
        Recomputed { is_check: true, ref changes, .. } if !changes.is_empty() => Exit::of(Code::Conflict),
        _ => Exit::OK,
    })
}

fn show(page: &mut Page, done: &Recomputed) {
    let (n, n_changed) = (count(done.n_measured), count(done.changes.len() as u64));
    let what = if done.is_check { "would change" } else { "changed" };
    page.line(&format!("Recomputed {n} experiment(s) from their readings; {n_changed} {what}."));
    for change in done.changes.iter().take(SHOWN) {
        let fields =
            if change.fields.is_empty() { "no result was stored".to_owned() } else { change.fields.join(", ") };
        page.item(&format!("{}: {fields}", change.experiment));
    }
    for skipped in done.skipped.iter().take(SHOWN) {
        page.item(&format!("skipped: {skipped}"));
    }
    if !done.failures.is_empty() {
        let head = page.red("Could not be recomputed and were left unchanged:");
        page.line(&head);
        for failure in done.failures.iter().take(SHOWN) {
            page.item(failure);
        }
    }
    if done.changes.len().max(done.failures.len()).max(done.skipped.len()) > SHOWN {
        page.hint("`--json` lists all of them");
    }
    if done.is_check && !done.changes.is_empty() {
        page.hint("without `--check` the recomputed results are stored");
    }
}
