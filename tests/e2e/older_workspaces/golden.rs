//! What programs say about a workspace, written into a folder: once by those that made it, then by every later version.

use std::path::Path;

use anyhow::{Context as _, Result};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::opened::Opened;

/// The audit log as it is exported.
pub const LOG: &str = "log.jsonl";
/// Folder of the proof packs.
pub const PROOFS: &str = "proofs";
/// Hours from where the workspace stopped to its next poll.
pub const LATER_HOURS: i64 = 13;

/// Writes everything that a workspace says now, and then once more after another poll.
pub async fn write(opened: &Opened, folder: &Path) -> Result<()> {
    let cli = &opened.cli;
    put(folder, "verify.json", &cli.json(&["audit", "verify"])?)?;
    put(folder, "status.json", &cli.json(&["status"])?)?;
    put(folder, "learnings.json", &cli.json(&["learnings", "--limit", "100"])?)?;
    put(folder, "found.json", &cli.json(&["learnings", "refunds"])?)?;
    put(folder, "recompute.json", &cli.json(&["stats", "recompute", "--check"])?)?;
    // Programs of before said what happens to each outcome, and nothing beside it.
    let plan = cli.json(&["plan"])?;
    put(folder, "plan.json", plan.get("outcomes").unwrap_or(&plan))?;
    for gate in opened.column("SELECT slug FROM gate ORDER BY slug").await? {
        put(folder, &format!("gates/{gate}.json"), &cli.json(&["gate", "show", &gate])?)?;
    }
    let experiments = opened.column("SELECT slug FROM experiment ORDER BY slug").await?;
    for slug in &experiments {
        let shown = cli.json(&["experiment", "show", slug])?;
        put(folder, &format!("experiments/{slug}.json"), &shown)?;
        if shown["state"]["status"] == "building" {
            put(folder, &format!("briefs/{slug}.json"), &cli.json(&["experiment", "brief", slug])?)?;
        }
        if !shown["current_result"].is_null() {
            let file = folder.join(PROOFS).join(format!("{slug}.json"));
            std::fs::create_dir_all(file.parent().context("no folder")?)?;
            // Without a control group there is none.
            let args = ["stats", "proof", slug.as_str(), "-o", &file.display().to_string()];
            if shown["plan"]["design"] == "randomised" {
                cli.run(&args).map(drop)?;
            }
        }
    }
    std::fs::write(folder.join(LOG), cli.run(&["audit", "export"])?)?;

    opened.advance(SignedDuration::from_hours(LATER_HOURS))?;
    put(folder, "later/poll.json", &opened.poll()?)?;
    for slug in &experiments {
        put(folder, &format!("later/experiments/{slug}.json"), &cli.json(&["experiment", "show", slug])?)?;
    }
    put(folder, "later/status.json", &cli.json(&["status"])?)?;
    let check = cli.json(&["audit", "verify"])?;
    // Its head depends on ids and signatures that are new each time.
    put(folder, "later/verify.json", &json!({ "is_intact": check["is_intact"], "problems": check["problems"] }))
}

fn put(folder: &Path, name: &str, value: &Value) -> Result<()> {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().context("no folder")?)?;
    Ok(std::fs::write(file, serde_json::to_string_pretty(value)? + "\n")?)
}
