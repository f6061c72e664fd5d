//! How long a poll round of many signals takes: `cargo bench -p outcome-tests --bench poll_round [-- <signals>]`, on SQLite with
//! a small SQLite source. It prints a round in which everything is due, one by force, and one in which nothing is due; then how
//! long a flag stays on from the beginning of a round that finds a crossed constraint while 14 sources hang.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use outcome_core::usecases::PollRequest;
use outcome_tests::held::VENDORS;
use outcome_tests::lab::{self, Lab};

fn main() -> Result<()> {
    let n_signals: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1000);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let lab = Lab::declaring(None, &lab::file_with_levels(n_signals)).await?;
        round(&lab, "everything is due", false, n_signals).await?;
        lab.clock.advance(jiff::SignedDuration::from_mins(1));
        round(&lab, "by force", true, n_signals).await?;
        lab.clock.advance(jiff::SignedDuration::from_mins(1));
        round(&lab, "nothing is due", false, 0).await?;
        for _ in 0..5 {
            stop().await?;
        }
        Ok(())
    })
}

/// From the beginning of the round to the flag service's answer, beside sources that never answer.
async fn stop() -> Result<()> {
    let lab = Lab::with_vendors(None, &lab::file_beside_held(14), &VENDORS).await?;
    lab.running("Softer level", "soft").await?;
    lab.arms("soft", (2000, 600, 8), (2000, 620, 900)).await?;
    lab.clock.advance(jiff::SignedDuration::from_hours(6));
    let runtime = lab.runtime.clone();
    let began = Instant::now();
    let round = tokio::spawn(async move {
        let request = PollRequest { is_forced: true, ..PollRequest::default() };
        runtime.signals().poll(&request).await
    });
    while !std::fs::read_to_string(lab.root().join("flags.json"))?.contains("DISABLED") {
        ensure!(!round.is_finished(), "the round is over, and the flag is on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("a crossed constraint beside 14 sources that hang: the flag is off after {:.2?}", began.elapsed());
    round.abort();
    Ok(())
}

async fn round(lab: &Lab, what: &str, is_forced: bool, n_expected: usize) -> Result<()> {
    let began = Instant::now();
    let done = lab.runtime.signals().poll(&PollRequest { is_forced, ..PollRequest::default() }).await?;
    let took = began.elapsed();
    ensure!(done.failures.is_empty(), "{:?}", done.failures.first());
    ensure!(usize::try_from(done.n_levels)? == n_expected, "{} signals were read", done.n_levels);
    println!("{what}: {n_expected} signals were read in {took:.2?}");
    Ok(())
}
