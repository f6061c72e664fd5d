//! How long the check takes that comes before each step of an experiment: the chain of its lines, the writer's signature, its
//! decisions with their gates, and the state that follows from them, for the experiment and for its outcome.
//! `cargo bench -p outcome-tests --bench step_check`, on SQLite and, where there is a server, on PostgreSQL.
//!
//! It is measured through a public door: the report that a build has failed, about an experiment that is paused. The whole check comes
//! before the refusal, and nothing is written. So the figure holds the transaction and the reading of the rows, too.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jiff::SignedDuration;
use outcome_core::Code;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, agent, hypothesis, local};
use outcome_tests::postgres;

const N_LINES: usize = 200;
const N_DECISIONS: usize = 8;
const N_CHECKS: usize = 500;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        measure("SQLite", Lab::sqlite().await?).await?;
        match postgres::server() {
            Ok(server) => measure("PostgreSQL", Lab::on(Some(server.database().await)).await?).await,
            Err(skip) => {
                println!("{skip}");
                Ok(())
            }
        }
    })
}

async fn measure(engine: &str, lab: Lab) -> Result<()> {
    let slug = long_lived(&lab).await?;
    let (n_lines, n_decisions) = chain_of(&lab, &slug).await?;
    ensure!((n_lines, n_decisions) == (N_LINES, N_DECISIONS), "{n_lines} lines with {n_decisions} decisions");
    let mut times = Vec::with_capacity(N_CHECKS);
    for _ in 0..N_CHECKS {
        let began = Instant::now();
        let refused = lab.runtime.builds().failed(&slug, "it does not compile", &agent()).await;
        times.push(began.elapsed());
        // A step that the table does not allow is refused after the check, and a log that does not hold in it.
        let code = refused.err().map(|error| error.code());
        ensure!(code == Some(Code::Conflict), "{code:?}");
    }
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(Duration::MAX);
    println!(
        "{engine}: a step check with {n_lines} lines and {n_decisions} decisions: median {:.2?}, p99 {:.2?}",
        at(50),
        at(99)
    );
    Ok(())
}

/// An experiment whose build has failed many times, and that was launched, paused and resumed.
async fn long_lived(lab: &Lab) -> Result<String> {
    let slug = lab.submit(hypothesis("Measured", "measured")).await?;
    lab.decide(&slug, Verdict::Approve).await?;
    // What comes below: a build and its launch, four pauses and three resumes.
    let n_after = 2 + 7;
    while chain_of(lab, &slug).await?.0 + n_after < N_LINES {
        lab.runtime.builds().failed(&slug, "it does not compile", &agent()).await?;
        lab.runtime.builds().retry(&slug, &local()).await?;
    }
    lab.build(&slug).await?;
    lab.decide(&slug, Verdict::Approve).await?;
    for _ in 0..2 {
        lab.act(&slug, Verdict::Pause).await?;
        lab.act(&slug, Verdict::Resume).await?;
    }
    lab.clock.advance(SignedDuration::from_hours(25));
    lab.runtime.experiments().act_unsigned(&slug, Verdict::Pause, Some("a look at it"), &local()).await?;
    lab.act(&slug, Verdict::Resume).await?;
    lab.act(&slug, Verdict::Pause).await?;
    Ok(slug)
}

/// How many lines of the log changed the experiment's state, and how many of them are decisions.
async fn chain_of(lab: &Lab, slug: &str) -> Result<(usize, usize)> {
    let id = lab.runtime.experiments().show(slug).await?.experiment.id;
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let lines = tx.event_steps_of_subject(id.0, 10_000).await?;
    let lines = lines.iter().filter(|line| line.event_kind().is_ok_and(|kind| kind.is_step()));
    let (mut n, mut n_decisions) = (0, 0);
    for line in lines {
        n += 1;
        n_decisions += usize::from(line.payload.get("decision").is_some());
    }
    Ok((n, n_decisions))
}
