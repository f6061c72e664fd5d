//! The figures that the project claims, measured: `cargo bench -p outcome-tests --bench figures`.
//!
//! A workspace with 1,000 experiments and 1,000,000 measurements on SQLite; every read tool is called over stdio through the
//! real server. And `validate` of a file with 200 outcomes. Build the server first: `cargo build --release`.

mod filled;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use outcome_tests::lab::Lab;
use outcome_tests::programs::Cli;
use serde_json::json;

const N_EXPERIMENTS: usize = 1_000;
const N_MEASUREMENTS: usize = 1_000_000;
const N_CALLS: usize = 200;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        validate()?;
        tools().await
    })
}

/// Reads and checks a file with 200 outcomes.
fn validate() -> Result<()> {
    let mut text = String::from("version: 1\noutcomes:\n");
    for n in 0..200 {
        text.push_str(&format!(
            "  - id: outcome-{n}\n    title: \"Outcome {n}\"\n    signal:\n      source: shop\n      metric: metric_{n}\n      method: custom\n      \
             query:\n        level: \"SELECT count(*) AS n, 1 AS successes FROM t WHERE at >= :from AND at < :to\"\n        \
             by_variant: \"SELECT variant, 1 AS n, 1 AS successes FROM t WHERE flag = :flag AND at >= :from AND at < :to GROUP BY 1\"\n    \
             target: {{ direction: increase, from: 0.3, to: 0.4, confidence: 0.95 }}\n    mde: 0.01\n    horizon: 6w\n    \
             scope: {{ allowed_paths: [\"a/{n}/\"], forbidden_paths: [\"b/\"] }}\n"
        ));
    }
    text.push_str("signal_connectors:\n  - { name: shop, type: sql, config: { url: \"sqlite:shop.db\" } }\n");
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let parsed = outcome_core::config::parse(&text, "outcome.yaml", &outcome_integrations::VENDORS, None);
        times.push(began.elapsed());
        anyhow::ensure!(parsed.config.is_some(), "{:?}", parsed.diagnostics.first());
    }
    report("validate, 200 outcomes", &mut times);
    Ok(())
}

async fn tools() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let began = Instant::now();
    let some = lab.running("Measured", "measured").await?;
    filled::fill(&lab, &some, N_EXPERIMENTS, N_MEASUREMENTS, false).await?;
    println!("filled {N_EXPERIMENTS} experiments and {N_MEASUREMENTS} measurements in {:.0?}", began.elapsed());
    std::fs::write(lab.root().join(".clock"), lab.runtime.now().to_string())?;
    let clock = lab.root().join(".clock").display().to_string();
    let home = tempfile::tempdir()?;
    let cli = Cli::new(&lab.root(), home.path(), "unused", &[("OUTCOME_RUNTIME_CLOCK_FILE", &clock)])?;
    let client = cli.agent().await?;
    for (tool, arguments) in [
        ("get_active_outcomes", json!({})),
        ("get_active_outcomes", json!({ "detail": "full" })),
        ("get_work_order", json!({ "outcome": "retention" })),
        ("get_experiment_brief", json!({ "experiment_id": some })),
        ("query_learnings", json!({ "query": "levels players" })),
    ] {
        let mut times = Vec::new();
        for _ in 0..N_CALLS {
            let began = Instant::now();
            client.call(tool, arguments.clone()).await.with_context(|| tool.to_owned())?;
            times.push(began.elapsed());
        }
        report(&format!("{tool} {arguments}"), &mut times);
    }
    client.stop().await
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into a small list")]
        let index = ((times.len() - 1) as f64 * share) as usize;
        times[index]
    };
    println!("{what}: median {:.2?}, p99 {:.2?}, max {:.2?}", at(0.5), at(0.99), at(1.0));
}
