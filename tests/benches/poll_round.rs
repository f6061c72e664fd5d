//! How long a poll round of many signals takes: `cargo bench -p outcome-tests --bench poll_round [-- <signals>]`, on SQLite with
//! a small SQLite source. It prints a round in which everything is due, one by force, and one in which nothing is due.

use std::time::Instant;

use anyhow::{Result, ensure};
use outcome_core::usecases::PollRequest;
use outcome_tests::lab::{self, Lab};

fn main() -> Result<()> {
    let n_signals: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1000);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let lab = Lab::declaring(None, &lab::file_with_levels(n_signals)).await?;
        round(&lab, "everything is due", false, n_signals).await?;
        lab.clock.advance(jiff::SignedDuration::from_mins(1));
        round(&lab, "by force", true, n_signals).await?;
        lab.clock.advance(jiff::SignedDuration::from_mins(1));
        round(&lab, "nothing is due", false, 0).await
    })
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
