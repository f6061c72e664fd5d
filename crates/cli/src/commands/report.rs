//! `report`: a build, reported by the human at the terminal.

use outcome_core::Result;
use outcome_core::domain::ExperimentStatus;
use outcome_core::usecases::BuildReport;
use serde::Serialize;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::safe;

/// The experiment's status now.
#[derive(Debug, Serialize)]
pub struct Stands {
    /// Slug.
    pub experiment: String,
    /// Where it stands.
    pub status: ExperimentStatus,
}

/// Runs it.
pub async fn run(cx: &Cx, args: args::Report) -> Result<Exit> {
    let runtime = cx.open().await?;
    let by = Cx::by();
    if let Some(reason) = &args.failed {
        let status = runtime.builds().failed(&args.experiment, reason, &by).await?;
        let done = Stands { experiment: args.experiment, status };
        cx.out.result(&done, |page| {
            page.line(&format!("Experiment `{}` is {status}", safe(&done.experiment)));
            page.hint(&format!("`outcome-runtime experiment retry {}` allows another attempt", safe(&done.experiment)));
        })?;
        return Ok(Exit::OK);
    }
    let report = BuildReport {
        experiment: args.experiment,
        summary: args.summary.unwrap_or_default(),
        head: args.head,
        notes: args.notes,
        ..BuildReport::default()
    };
    let done = runtime.builds().report(report, &by).await?;
    cx.out.result(&done, |page| {
        let n = done.n_changes;
        page.line(&format!("Experiment `{}` is {}", done.experiment, done.status));
        page.field("commit", &done.commit);
        page.field("changes", &format!("{n} path(s), all within the scope"));
        for difference in done.claim_differences.iter().chain(&done.instrumentation).chain(&done.notes) {
            page.item(difference);
        }
        if let Some(gate) = &done.gate {
            page.hint(&format!(
                "next: `outcome-runtime gate decide {gate}`, or {}",
                done.review_url.as_deref().unwrap_or("")
            ));
        }
    })?;
    Ok(Exit::OK)
}
