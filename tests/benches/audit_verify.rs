//! How long `audit verify` takes for an experiment with a long life:
//! `cargo bench -p outcome-tests --bench audit_verify [-- <polls>]`, on SQLite and, where there is a server, on PostgreSQL.

use std::time::Instant;

use anyhow::{Result, ensure};
use outcome_tests::lab::Lab;
use outcome_tests::polls::store_polls;
use outcome_tests::postgres;

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
    let experiment = lab.runtime.experiments().show(&slug).await?.experiment;
    let began = Instant::now();
    store_polls(&lab, &experiment, lab.runtime.now(), n_polls).await?;
    println!("{engine}: {n_polls} polls of one experiment were written in {:.1?}", began.elapsed());
    let began = Instant::now();
    let check = lab.runtime.audit_log().verify(&[]).await?;
    ensure!(check.is_intact, "{:?}", check.problems.first());
    println!("{engine}: audit verify of {} lines took {:.2?}", check.n_lines, began.elapsed());
    Ok(())
}
