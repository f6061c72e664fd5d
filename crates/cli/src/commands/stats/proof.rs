//! `stats proof`: the proof pack of an experiment.

use outcome_core::{Code, Error, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use outcome_core::present::count;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::StatsProof) -> Result<Exit> {
    let proof = cx.open().await?.audit_log().proof(&args.experiment).await?;
    let Some(path) = &args.output else {
        cx.out.json(&proof)?;
        return Ok(Exit::OK);
    };
    let mut text = serde_json::to_string_pretty(&proof)
        .map_err(|e| Error::new(Code::Internal, "the proof cannot be written as JSON").because(e))?;
    text.push('\n');
    std::fs::write(path, text)
        .map_err(|e| Error::new(Code::Io, format!("{} cannot be written", path.display())).because(e))?;
    let summary = serde_json::json!({
        "file": path.display().to_string(), "experiment": proof.experiment.slug, "hash": proof.hash,
        "n_polls": proof.path.len(), "verdict": proof.verdict, "limits": proof.limits,
    });
    cx.out.result(&summary, |page| {
        let polls = count(proof.path.len() as u64);
        page.line(&format!("{} {}", page.green("Written"), crate::output::safe(&path.display().to_string())));
        page.field("polls", &polls);
        page.field("result", &proof.verdict.reason);
        page.field("plan", &proof.plan_hash);
        for limit in &proof.limits {
            page.item(limit);
        }
        page.hint("`python3 docs/verify_proof.py FILE` recomputes it and uses none of our code");
    })?;
    Ok(Exit::OK)
}
