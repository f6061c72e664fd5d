//! `kill -9` at any point of a poll, an ingest and a decision loses nothing that was accepted and repeats nothing.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use outcome_core::domain::{ExperimentStatus, Verdict};
use outcome_tests::lab::{Lab, OUTCOME, file_with_levels, hypothesis};
use outcome_tests::sample;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::AsyncReadExt as _;

use crate::journey::{each_lab, each_lab_declaring};

/// Random points at which each operation is killed, on each engine.
fn n_points() -> usize {
    sample::count(12, 50)
}

/// Chooses the points of the test with this number.
fn rng(number: u64) -> StdRng {
    let seed = sample::seed(0).wrapping_add(number);
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

/// What became of a worker.
struct Ended {
    /// It said that it was done before it was killed.
    is_accepted: bool,
    /// How long it lived.
    lived: Duration,
}

/// Runs a worker and kills it after `life`, unless it ends before.
async fn worker(lab: &Lab, args: &[&str], life: Option<Duration>) -> Result<Ended> {
    std::fs::write(lab.root().join(".clock"), lab.runtime.now().to_string())?;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_crash_worker"));
    command.arg(lab.root()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env_remove("OUTCOME_RUNTIME_DATABASE_URL");
    if let Some(url) = lab.database() {
        command.env("OUTCOME_RUNTIME_DATABASE_URL", url);
    }
    let began = Instant::now();
    let mut child = command.spawn()?;
    let mut out = child.stdout.take().context("no output")?;
    let mut err = child.stderr.take().context("no output")?;
    match life {
        Some(life) => {
            if tokio::time::timeout(life, child.wait()).await.is_err() {
                child.kill().await?;
            }
        }
        None => {
            child.wait().await?;
        }
    }
    let (mut text, mut errors) = (String::new(), String::new());
    out.read_to_string(&mut text).await?;
    err.read_to_string(&mut errors).await?;
    let is_accepted = text.contains("done");
    assert!(life.is_some() || is_accepted, "the worker failed by itself: {errors}");
    Ok(Ended { is_accepted, lived: began.elapsed() })
}

/// Runs workers that do the same thing and kills them at random points of it, but for the first.
struct Killer {
    rng: StdRng,
    /// How long one takes that nobody kills: the shortest so far, since a machine may be busy at first.
    whole: Option<Duration>,
    n_killed: usize,
}

impl Killer {
    /// Chooses the points of the test with this number.
    fn new(number: u64) -> Self {
        Self { rng: rng(number), whole: None, n_killed: 0 }
    }

    /// A point is from the beginning to a little after the end.
    async fn run(&mut self, lab: &Lab, args: &[&str]) -> Result<Ended> {
        let life = self.whole.map(|whole| whole.mul_f64(self.rng.random_range(0.05..1.2)));
        let ended = worker(lab, args, life).await?;
        if ended.is_accepted {
            self.whole = Some(self.whole.map_or(ended.lived, |whole| whole.min(ended.lived)));
        } else {
            self.n_killed += 1;
        }
        Ok(ended)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_poll_stores_all_of_a_reading_or_nothing_and_never_twice() -> Result<()> {
    each_lab(async |lab| {
        let mut killer = Killer::new(1);
        let experiment = lab.running("Polled", "polled").await?;
        lab.arms("polled", (400, 120, 1), (400, 121, 1)).await?;
        lab.clock.advance(jiff::SignedDuration::from_hours(1));
        killer.run(&lab, &["poll"]).await?;
        let mut n_before = lab.runtime.experiments().series(&experiment, 10_000).await?.len();
        for n in 0..n_points() {
            let count = 400 + i64::try_from(n)? * 10;
            lab.arms("polled", (count, count / 3, 1), (count, count / 3, 1)).await?;
            // Beyond the lease of a poller that died.
            lab.clock.advance(jiff::SignedDuration::from_mins(10));
            let ended = killer.run(&lab, &["poll"]).await?;
            let series = lab.runtime.experiments().series(&experiment, 10_000).await?;
            let n_new = series.len() - n_before;
            assert!(n_new == 0 || n_new == 2, "{n_new} arms of a poll were stored");
            assert!(n_new == 2 || !ended.is_accepted, "an accepted poll is gone");
            n_before = series.len();
            // The same instant again: what is there stays, what is not there comes.
            if n % 5 == 0 {
                lab.clock.advance(jiff::SignedDuration::from_mins(6));
                worker(&lab, &["poll"], None).await?;
                n_before = lab.runtime.experiments().series(&experiment, 10_000).await?.len();
                assert_eq!(lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
            }
        }
        assert!(killer.n_killed > 0, "no worker was ever killed in time");
        assert_eq!(lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

/// The signals of the outcome whose newest reading was made now. A reading and its signal's health belong together.
async fn read_now(lab: &Lab, n_signals: usize) -> Result<usize> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let outcome = tx.outcome_by_slug(OUTCOME).await?.context("no outcome")?;
    let healths = tx.signal_health_list(outcome.id.0).await?;
    let mut n_read = 0;
    for n in 0..n_signals {
        let signal = if n == 0 { "came_back".to_owned() } else { format!("level_{n}") };
        let read_at = tx.measurement_latest_level(outcome.id, &signal).await?.map(|reading| reading.measured_at);
        let well_at = healths.iter().find(|health| health.signal == signal).and_then(|health| health.last_ok_at);
        assert_eq!(read_at, well_at.map(|at| at.0), "`{signal}` and its health were not stored together");
        n_read += usize::from(read_at == Some(lab.runtime.now()));
    }
    Ok(n_read)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_round_of_many_levels_loses_only_what_was_not_stored_yet() -> Result<()> {
    // More than are written in one transaction.
    const N_SIGNALS: usize = 250;
    each_lab_declaring(&file_with_levels(N_SIGNALS), async |lab| {
        let mut killer = Killer::new(4);
        lab.clock.advance(jiff::SignedDuration::from_hours(1));
        killer.run(&lab, &["poll"]).await?;
        assert_eq!(read_now(&lab, N_SIGNALS).await?, N_SIGNALS);
        for _ in 0..n_points() {
            // Beyond the lease of a poller that died.
            lab.clock.advance(jiff::SignedDuration::from_mins(10));
            let ended = killer.run(&lab, &["poll"]).await?;
            let n_read = read_now(&lab, N_SIGNALS).await?;
            assert!(n_read == N_SIGNALS || !ended.is_accepted, "{n_read} readings of an accepted round");
        }
        assert!(killer.n_killed > 0, "no worker was ever killed in time");
        lab.clock.advance(jiff::SignedDuration::from_mins(10));
        worker(&lab, &["poll"], None).await?;
        assert_eq!(read_now(&lab, N_SIGNALS).await?, N_SIGNALS);
        assert_eq!(lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_ingest_is_taken_once_when_it_is_sent_until_it_is_accepted() -> Result<()> {
    each_lab(async |lab| {
        let mut killer = Killer::new(2);
        let body = lab.root().join("body.json");
        for n in 0..n_points() {
            lab.clock.advance(jiff::SignedDuration::from_mins(1));
            let now = lab.runtime.now();
            let from = now - jiff::SignedDuration::from_hours(24);
            std::fs::write(
                &body,
                serde_json::json!({
                    "schema_version": 1, "source": "push", "signal": "orders", "outcome": "retention",
                    "window": { "from": from, "to": now },
                    "readings": [{ "n": 1000 + n, "successes": 10 + n }],
                })
                .to_string(),
            )?;
            let id = format!("msg_{n}");
            let path = body.display().to_string();
            let args = ["ingest", id.as_str(), path.as_str()];
            let ended = killer.run(&lab, &args).await?;
            let count = count_pushed(&lab).await?;
            assert!(count == n + 1 || (count == n && !ended.is_accepted), "{count} readings after message {n}");
            // The sender did not hear an answer, or is not sure: it sends again, and again.
            worker(&lab, &args, None).await?;
            worker(&lab, &args, None).await?;
            assert_eq!(count_pushed(&lab).await?, n + 1, "message {n} was taken more or less than once");
        }
        assert!(killer.n_killed > 0, "no worker was ever killed in time");
        assert_eq!(lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

async fn count_pushed(lab: &Lab) -> Result<usize> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let outcome = tx.outcome_by_slug("retention").await?.context("no outcome")?;
    Ok(tx.measurement_levels(outcome.id, "orders", 10_000).await?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_decision_is_made_whole_or_not_at_all_and_its_flag_follows() -> Result<()> {
    each_lab(async |lab| {
        let mut killer = Killer::new(3);
        for n in 0..n_points() {
            let flag = format!("decided-{n}");
            let experiment = lab.submit(hypothesis(&format!("Decided {n}"), &flag)).await?;
            let gate = lab.runtime.experiments().show(&experiment).await?.gates.remove(0);
            let verdict = if n % 2 == 0 { Verdict::Approve } else { Verdict::Reject };
            let args = ["decide", gate.as_str(), verdict.as_str()];
            let ended = killer.run(&lab, &args).await?;
            let shown = lab.runtime.gates().show(&gate).await?;
            let status = lab.runtime.experiments().show(&experiment).await?.experiment.state.status;
            let moved = status != ExperimentStatus::AwaitingPortfolioGate;
            assert_eq!(shown.status.is_decided(), moved, "gate {} and experiment {status} disagree", shown.status);
            assert_eq!(shown.decisions.len(), usize::from(moved), "a decision was kept more or less than once");
            assert!(moved || !ended.is_accepted, "an accepted decision is gone");
            if moved && verdict == Verdict::Approve {
                // Room for the next one.
                lab.runtime.builds().failed(&experiment, "not today", &outcome_tests::lab::agent()).await?;
            } else if !moved {
                lab.decide(&experiment, Verdict::Reject).await?;
            }
        }
        assert!(killer.n_killed > 0, "no worker was ever killed in time");
        assert_eq!(lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

/// How many lines of this kind the log has about all experiments.
async fn n_lines(lab: &Lab, kind: &str) -> Result<usize> {
    Ok(lab.log().await?.iter().filter(|line| line.kind == kind).count())
}

/// Random points at which each of stop, pause and resume is killed: 30 of the three together.
fn n_points_of_each() -> usize {
    sample::count(10, 40)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stop_ends_with_the_flag_off_and_is_taken_once() -> Result<()> {
    each_lab(async |lab| {
        let mut killer = Killer::new(5);
        for n in 0..n_points_of_each() {
            let flag = format!("stopped-{n}");
            let experiment = lab.running(&format!("Stopped {n}"), &flag).await?;
            // Half of the players leave.
            lab.arms(&flag, (4000, 1200, 8), (4000, 600, 8)).await?;
            lab.clock.advance(jiff::SignedDuration::from_hours(6));
            let ended = killer.run(&lab, &["poll"]).await?;
            assert!(!ended.is_accepted || !lab.is_on(&flag)?, "an accepted stop left the flag on");
            lab.clock.advance(jiff::SignedDuration::from_mins(10));
            worker(&lab, &["poll"], None).await?;
            let view = lab.runtime.experiments().show(&experiment).await?;
            assert_eq!(view.experiment.state.status, ExperimentStatus::Paused);
            assert_eq!(view.gates.len(), 1, "{:?}", view.gates);
            assert!(!lab.is_on(&flag)?, "point {n}: the flag is on after the next poll");
            assert_eq!(
                n_lines(&lab, "experiment.auto_paused").await?,
                n + 1,
                "a stop was taken more or less than once"
            );
            // Room for the next one.
            lab.act(&experiment, Verdict::Kill).await?;
        }
        assert!(killer.n_killed > 0, "no worker was ever killed in time");
        assert_eq!(lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_pause_or_resume_is_taken_whole_or_not_at_all_and_its_flag_follows() -> Result<()> {
    each_lab(async |lab| {
        let mut killer = Killer::new(6);
        let experiment = lab.running("Paused", "paused").await?;
        for n in 0..2 * n_points_of_each() {
            let (verdict, kind) =
                if n % 2 == 0 { (Verdict::Pause, "paused_by_hand") } else { (Verdict::Resume, "resumed") };
            let n_before = n_lines(&lab, &format!("experiment.{kind}")).await?;
            lab.clock.advance(jiff::SignedDuration::from_mins(1));
            let args = ["act", experiment.as_str(), verdict.as_str()];
            let ended = killer.run(&lab, &args).await?;
            let status = async || -> Result<ExperimentStatus> {
                Ok(lab.runtime.experiments().show(&experiment).await?.experiment.state.status)
            };
            let is_taken = (status().await? == ExperimentStatus::Paused) == (verdict == Verdict::Pause);
            assert!(is_taken || !ended.is_accepted, "an accepted {verdict} is gone");
            if !is_taken {
                // Whoever got no answer looks, and does it again.
                lab.act(&experiment, verdict).await?;
            }
            // A flag that was decided and not delivered yet follows with the next delivery.
            lab.clock.advance(jiff::SignedDuration::from_mins(10));
            lab.runtime.outbox().deliver().await?;
            assert_eq!(lab.is_on("paused")?, verdict == Verdict::Resume, "after {verdict} at point {n}");
            assert_eq!(n_lines(&lab, &format!("experiment.{kind}")).await?, n_before + 1);
        }
        assert!(killer.n_killed > 0, "no worker was ever killed in time");
        assert_eq!(lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}
