//! `experiment correct-query`, `experiment forget-reading`: setting the data of a running experiment right.

use outcome_core::Result;
use outcome_core::domain::{Correction, SignalQuery, Surface};
use outcome_core::present::{instant, percent};
use outcome_core::usecases::{CorrectRequest, Corrected, CorrectionPreview, Wrong};

use crate::args;
use crate::cx::Cx;
use crate::output::{Page, safe};

/// Reads a signal with another query.
pub async fn query(cx: &Cx, args: args::CorrectQuery) -> Result<()> {
    let wrong = Wrong::Query { signal: args.signal.clone() };
    correct(cx, args, &wrong).await
}

/// Leaves a reading out.
pub async fn reading(cx: &Cx, args: args::ForgetReading) -> Result<()> {
    let args::ForgetReading { of, at } = args;
    let wrong = Wrong::Reading { signal: of.signal.clone(), measured_at: at };
    correct(cx, of, &wrong).await
}

async fn correct(cx: &Cx, args: args::CorrectQuery, wrong: &Wrong) -> Result<()> {
    let args::CorrectQuery { experiment, note, member, unlock, .. } = args;
    let runtime = cx.open().await?;
    let preview = runtime.experiments().correction(&experiment, wrong).await?;
    cx.out.show(|page| shown(page, &preview))?;
    let unlock = cx.terminal.unlock(&unlock, &act_of(&preview))?;
    let CorrectionPreview { experiment, correction, .. } = preview;
    let request = CorrectRequest { experiment, correction, note, member, unlock, surface: Surface::Terminal };
    let done = runtime.experiments().correct(request).await?;
    cx.out.result(&done, |page| corrected(page, &done))
}

fn act_of(preview: &CorrectionPreview) -> String {
    let signal = preview.correction.signal();
    match preview.correction {
        Correction::Query { .. } => format!("correct the query of {signal} in {}", preview.experiment),
        Correction::Reading { .. } => format!("leave a reading of {signal} out of {}", preview.experiment),
    }
}

fn shown(page: &mut Page, preview: &CorrectionPreview) {
    match &preview.correction {
        Correction::Query { signal, before, after } => {
            page.head(&format!("Query of {signal} in {}", preview.experiment));
            for (name, of) in [("level", level as Part), ("by_variant", by_variant as Part)] {
                if of(before) != of(after) {
                    page.line(&format!("{name}, so far:"));
                    page.quote(2, of(before));
                    page.line(&format!("{name}, from now on:"));
                    page.quote(2, of(after));
                }
            }
        }
        Correction::Reading { signal, measured_at } => {
            page.head(&format!("Reading of {signal} in {}", preview.experiment));
            page.field("stored", &instant(*measured_at));
        }
    }
    page.field("left out", &format!("{} readings", preview.n_left_out));
    page.field("alpha", &format!("{}, so far {}", percent(preview.alpha_after), percent(preview.alpha)));
    if let Some(unchecked) = &preview.unchecked {
        page.warning(&safe(unchecked));
    }
}

type Part = fn(&SignalQuery) -> &str;

fn level(query: &SignalQuery) -> &str {
    query.level.as_deref().unwrap_or("(none)")
}

fn by_variant(query: &SignalQuery) -> &str {
    query.by_variant.as_deref().unwrap_or("(none)")
}

fn corrected(page: &mut Page, done: &Corrected) {
    let Corrected { corrected, experiment_status, decided_by, assurance, .. } = done;
    let what = match &corrected.correction {
        Correction::Query { signal, .. } => format!("`{signal}` is read with the corrected query from now on"),
        Correction::Reading { signal, .. } => format!("a reading of `{signal}` does not count any more"),
    };
    page.line(&format!("Experiment `{}`: {}.", safe(&corrected.experiment), safe(&what)));
    page.line(&format!("Signed by {} ({assurance}); the experiment is {experiment_status}.", safe(decided_by)));
    page.hint("`outcome-runtime poll --all` reads its signals now");
}
