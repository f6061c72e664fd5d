//! How long `audit verify` takes for an experiment with a long life:
//! `cargo bench -p outcome-tests --bench audit_verify [-- <polls>]`, on SQLite and, where there is a server, on PostgreSQL.

use std::time::Instant;

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::audit::NewEvent;
use outcome_core::domain::{ArmSums, Experiment, Measurement, Variant, Window};
use outcome_core::ids::MeasurementId;
use outcome_core::principal::Principal;
use outcome_core::signing::{canonical_json, sha256_hex};
use outcome_tests::lab::Lab;
use outcome_tests::postgres;
use serde_json::json;

const SIGNALS: [&str; 2] = ["came_back", "crashed"];

fn main() -> Result<()> {
    let n_polls: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        measure("SQLite", Lab::sqlite().await?, n_polls).await?;
        match postgres::server() {
            Ok(server) => measure("PostgreSQL", Lab::on(Some(server.database().await)).await?, n_polls).await,
            Err(skip) => {
                println!("{skip}");
                Ok(())
            }
        }
    })
}

async fn measure(engine: &str, lab: Lab, n_polls: usize) -> Result<()> {
    let slug = lab.running("Measured", "measured").await?;
    let experiment = lab.runtime.experiment_show(&slug).await?.experiment;
    let began = Instant::now();
    fill(&lab, &experiment, n_polls).await?;
    println!("{engine}: {n_polls} polls of one experiment were written in {:.1?}", began.elapsed());
    let began = Instant::now();
    let check = lab.runtime.audit_verify(&[]).await?;
    ensure!(check.is_intact, "{:?}", check.problems.first());
    println!("{engine}: audit verify of {} lines took {:.2?}", check.n_lines, began.elapsed());
    Ok(())
}

/// What `n_polls` hourly polls leave: four readings and a line of the log each.
async fn fill(lab: &Lab, experiment: &Experiment, n_polls: usize) -> Result<()> {
    let runtime = &lab.runtime;
    let mut tx = runtime.db().write(runtime.workspace().id).await?;
    let start = runtime.now();
    for n in 1..=n_polls {
        let at = start + SignedDuration::from_hours(i64::try_from(n)?);
        let mut lines = Vec::new();
        for signal in SIGNALS {
            for variant in [Variant::Control, Variant::Treatment] {
                let m = reading(lab, experiment, signal, variant, (start, at), i64::try_from(n)?);
                tx.measurement_insert(&m, &format!("poll/{}/{signal}/0/{variant}/{at}", experiment.id)).await?;
                lines.push(json!([m.signal, m.phase, m.variant, m.window, m.sums, m.query_hash, m.raw_hash]));
            }
        }
        let digest = sha256_hex(canonical_json(&lines)?);
        let event = NewEvent {
            kind: "experiment.measured".to_owned(),
            subject: experiment.id.into(),
            principal: Principal::system("poll"),
            payload: json!({ "key": format!("{}@{at}", experiment.id), "digest": digest, "n": lines.len() }),
        };
        tx.event_append(event, at).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn reading(
    lab: &Lab,
    experiment: &Experiment,
    signal: &str,
    variant: Variant,
    (from, at): (Timestamp, Timestamp),
    n: i64,
) -> Measurement {
    Measurement {
        id: lab.runtime.ids().next::<MeasurementId>(),
        outcome: experiment.outcome,
        experiment: Some(experiment.id),
        signal: signal.to_owned(),
        variant: Some(variant),
        phase: Some(0),
        measured_at: at,
        window: Window { from, to: at },
        sums: ArmSums::Proportion { n: 100 * n, successes: 30 * n },
        source: "game".to_owned(),
        query_hash: "0".repeat(64),
        raw_hash: "0".repeat(64),
    }
}
