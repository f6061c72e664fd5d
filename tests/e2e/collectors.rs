//! Several daemons on one database: everything that is due is read, nothing twice, whoever is killed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::ExperimentStatus;
use outcome_tests::lab::{FILE, Lab, OUTCOME, file_with_levels, pushed_level};
use outcome_tests::sample;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::process::Child;

use crate::daemons::{daemon, write_clock};
use crate::journey::each_database;

const N_SIGNALS: usize = 30;
/// How long all daemons together may take to read what is due.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often each level was read since `since`.
async fn readings(lab: &Lab, since: Timestamp) -> Result<BTreeMap<String, usize>> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let outcome = tx.outcome_by_slug(OUTCOME).await?.context("no outcome")?;
    let mut found = BTreeMap::new();
    for n in 0..N_SIGNALS {
        let signal = if n == 0 { "came_back".to_owned() } else { format!("level_{n}") };
        let levels = tx.measurement_levels(outcome.id, &signal, 1000).await?;
        // A day of the metric is kept beside its levels.
        let n_read = levels.iter().filter(|level| level.measured_at >= since && level.phase.is_none()).count();
        found.insert(signal, n_read);
    }
    Ok(found)
}

/// How often the experiment was read since `since`.
async fn polls(lab: &Lab, experiment: &str, since: Timestamp) -> Result<usize> {
    let series = lab.runtime.experiments().series(experiment, 10_000).await?;
    let mut times: Vec<_> = series.iter().map(|reading| reading.measured_at).filter(|at| *at >= since).collect();
    times.sort_unstable();
    times.dedup();
    Ok(times.len())
}

/// Reads once each, whatever happens to `n_daemons` of them.
async fn killed(n_daemons: usize) -> Result<()> {
    each_database(async |database| {
        let lab = Lab::declaring(database, &file_with_levels(N_SIGNALS)).await?;
        let experiment = lab.running("Softer level", "soft").await?;
        lab.arms("soft", (400, 120, 1), (400, 121, 1)).await?;
        write_clock(&lab)?;
        let mut rng = StdRng::seed_from_u64(sample::seed(0).wrapping_add(u64::try_from(n_daemons)?));
        let mut daemons = Vec::new();
        for _ in 0..n_daemons {
            daemons.push(daemon(&lab)?);
        }
        for _ in 0..sample::count(5, 30) {
            lab.clock.advance(SignedDuration::from_hours(7));
            let since = lab.runtime.now();
            write_clock(&lab)?;
            // From before anything was taken to after all of it was written.
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..1500))).await;
            let victim = rng.random_range(0..daemons.len());
            daemons[victim].kill().await?;
            // What a program held that died is read by another one soon.
            lab.clock.advance(SignedDuration::from_secs(20));
            write_clock(&lab)?;
            daemons[victim] = daemon(&lab)?;
            let until = Instant::now() + PATIENCE;
            loop {
                let read = readings(&lab, since).await?;
                let n_polls = polls(&lab, &experiment, since).await?;
                ensure!(
                    read.values().all(|n| *n <= 1) && n_polls <= 1,
                    "something was read twice: {read:?}, {n_polls}"
                );
                if read.values().all(|n| *n == 1) && n_polls == 1 {
                    break;
                }
                if Instant::now() > until {
                    let log = std::fs::read_to_string(lab.root().join(".outcome/daemons.log")).unwrap_or_default();
                    anyhow::bail!("not everything was read: {read:?}, {n_polls}\n{log}");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        stopped_once(&lab, &experiment, &mut daemons, &mut rng).await?;
        ensure!(lab.runtime.audit_log().verify(&[]).await?.problems.is_empty());
        Ok(())
    })
    .await
}

/// Harm stops the experiment once: one step, one gate, the flag off.
async fn stopped_once(lab: &Lab, experiment: &str, daemons: &mut [Child], rng: &mut StdRng) -> Result<()> {
    lab.arms("soft", (4000, 1200, 8), (4000, 1210, 900)).await?;
    lab.clock.advance(SignedDuration::from_hours(7));
    write_clock(lab)?;
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..1500))).await;
    let victim = rng.random_range(0..daemons.len());
    daemons[victim].kill().await?;
    lab.clock.advance(SignedDuration::from_secs(30));
    write_clock(lab)?;
    let until = Instant::now() + PATIENCE;
    while lab.is_on("soft")? {
        ensure!(Instant::now() < until, "the flag is still on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = lab.runtime.experiments().show(experiment).await?.experiment.state.status;
    ensure!(status == ExperimentStatus::Paused, "{status}");
    let log = lab.log().await?;
    let n = |kind: &str| log.iter().filter(|line| line.kind.as_str() == kind).count();
    ensure!(n("experiment.auto_paused") == 1, "paused {} times", n("experiment.auto_paused"));
    let off = log
        .iter()
        .filter(|line| line.kind.as_str() == "flag.set" && line.payload.to_string().contains("\"treatment_pct\":0"));
    ensure!(off.count() <= 1, "the flag was turned off twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_of_which_one_is_killed_read_everything_once() -> Result<()> {
    killed(2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_daemons_of_which_one_is_killed_read_everything_once() -> Result<()> {
    killed(5).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_judged_within_seconds() -> Result<()> {
    let file = FILE.replace(
        "      - rule:",
        "      - { signal: complaints, source: push, metric: complaints, method: event, not_worse: { direction: decrease, margin: 0.005 } }\n      \
         - rule:",
    );
    let lab = Lab::declaring(None, &file).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (400, 120, 1), (400, 121, 1)).await?;
    lab.poll_after(6).await?;
    let stop = tokio::sync::oneshot::channel::<()>();
    let runtime = lab.runtime.clone();
    let collecting = tokio::spawn(async move {
        let stopped = Box::pin(async move {
            let _ = stop.1.await;
        });
        // An hour: only what is pushed brings a look at the queue.
        runtime.signals().collect(Duration::from_hours(1), stopped, Box::new(|_| {})).await;
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    lab.clock.advance(SignedDuration::from_mins(1));
    let now = lab.runtime.now();
    let slug = experiment.as_str();
    let body = serde_json::json!({ "schema_version": 1, "source": "push", "signal": "complaints", "outcome": OUTCOME,
        "experiment": slug, "phase": 0, "window": { "from": now - SignedDuration::from_hours(6), "to": now },
        "readings": [{ "variant": "control", "n": 4000, "successes": 8 }, { "variant": "treatment", "n": 4000, "successes": 900 }] });
    lab.push("harm", &body).await?;
    lab.clock.advance(SignedDuration::from_secs(2));
    let until = Instant::now() + Duration::from_secs(30);
    while lab.runtime.experiments().show(slug).await?.experiment.state.status != ExperimentStatus::Paused {
        ensure!(Instant::now() < until, "nobody looked at what was pushed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A level that is pushed wakes its own signal alone, and is no reason to read anything else.
    lab.push("level", &pushed_level(lab.runtime.now(), "orders", 100, 5)).await?;
    drop(stop.0);
    collecting.await?;
    Ok(())
}
