//! The figures that the project claims, measured: `cargo bench -p outcome-tests --bench figures`.
//!
//! A workspace with 1,000 experiments and 1,000,000 measurements on SQLite; every read tool is called over stdio through the
//! real server. And `validate` of a file with 200 outcomes. Build the server first: `cargo build --release`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use outcome_core::domain::{
    ArmSums, Author, Experiment, ExperimentState, Measurement, ScoreBreakdown, Variant, Window,
};
use outcome_core::ids::{ExperimentId, MeasurementId};
use outcome_tests::lab::{Lab, agent, hypothesis};
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
             by_variant: \"SELECT variant, 1 AS n, 1 AS successes FROM t WHERE at >= :from AND at < :to GROUP BY 1\"\n    \
             target: {{ direction: increase, from: 0.3, to: 0.4, confidence: 0.95 }}\n    mde: 0.01\n    horizon: 6w\n    \
             scope: {{ allowed_paths: [\"a/{n}/\"], forbidden_paths: [\"b/\"] }}\n"
        ));
    }
    text.push_str("signal_connectors:\n  - { name: shop, type: sql, config: { url: \"sqlite:shop.db\" } }\n");
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let parsed = outcome_core::config::parse(&text, "outcome.yaml", None);
        times.push(began.elapsed());
        anyhow::ensure!(parsed.config.is_some(), "{:?}", parsed.diagnostics.first());
    }
    report("validate, 200 outcomes", &mut times);
    Ok(())
}

async fn tools() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let began = Instant::now();
    let some = fill(&lab).await?;
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

/// Fills the workspace: mostly finished business, a few experiments with long series.
async fn fill(lab: &Lab) -> Result<String> {
    let some = lab.running("Measured", "measured").await?;
    let runtime = &lab.runtime;
    let outcome = runtime.experiment_show(&some).await?.experiment.outcome;
    let mut tx = runtime.db().write(runtime.workspace().id).await?;
    let mut ids = Vec::new();
    for n in 0..N_EXPERIMENTS {
        let hypothesis = hypothesis(&format!("Idea {n}"), &format!("idea-{n}"));
        let now = runtime.now();
        let experiment = Experiment {
            id: runtime.ids().next::<ExperimentId>(),
            slug: format!("idea-{n}").parse()?,
            outcome,
            state: ExperimentState::new(&hypothesis.rollout),
            hypothesis,
            author: Author::Ai,
            submitted_by: agent(),
            score: ScoreBreakdown {
                impact: 0.0,
                risk: 0.0,
                speed: 0.0,
                learning: 0.0,
                total: 0.0,
                dropped_because: None,
            },
            parent: None,
            base_commit: None,
            build: None,
            plan: None,
            running: None,
            current_result: None,
            final_result: None,
            created_at: now,
            updated_at: now,
            launched_at: None,
            concluded_at: None,
        };
        tx.experiment_insert(&experiment, "").await?;
        ids.push(experiment.id);
    }
    let start = runtime.now();
    for n in 0..N_MEASUREMENTS {
        let at = start + jiff::SignedDuration::from_secs(i64::try_from(n / N_EXPERIMENTS)? * 3600);
        let is_level = n % 10 == 0;
        let measurement = Measurement {
            id: runtime.ids().next::<MeasurementId>(),
            outcome,
            experiment: (!is_level).then(|| ids[n % ids.len()]),
            signal: "came_back".to_owned(),
            variant: (!is_level).then_some(if n % 2 == 0 { Variant::Control } else { Variant::Treatment }),
            phase: (!is_level).then_some(0),
            measured_at: at,
            window: Window { from: start, to: at + jiff::SignedDuration::from_secs(1) },
            sums: ArmSums::Proportion { n: 1000, successes: 300 },
            source: "game".to_owned(),
            query_hash: String::new(),
            raw_hash: String::new(),
        };
        tx.measurement_insert(&measurement, &format!("bench/{n}")).await?;
    }
    tx.commit().await?;
    Ok(some)
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
