//! How many pushed readings are taken in a second: `cargo bench -p outcome-tests --bench ingest [-- <messages>]`, on both engines, each
//! message signed, checked and on the disk before it is answered; one sender, and 64 at once, with none and with 100,000 live nonces.
//! Beside it what this disk and the engine do at most: commits of one row.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use outcome_tests::lab::{self, Lab};
use outcome_tests::postgres;
use tokio::task::JoinSet;

const SENDERS: usize = 64;
const N_NONCES: usize = 100_000;

fn main() -> Result<()> {
    let n: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(4000);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        engine("SQLite", None, n).await?;
        match postgres::server() {
            Ok(server) => engine("PostgreSQL", Some(server.database().await), n).await,
            Err(skip) => {
                println!("PostgreSQL is skipped: {skip}");
                Ok(())
            }
        }
    })
}

async fn engine(name: &str, database: Option<String>, n: usize) -> Result<()> {
    let lab = Arc::new(Lab::declaring(database, &lab::file_with_pushed(SENDERS)).await?);
    commits(name, &lab, n / 8).await?;
    pushed(name, "one after the other", &lab, 1, n / 8, "a").await?;
    pushed(name, "64 at once", &lab, SENDERS, n, "b").await?;
    lists(name, &lab, n / SENDERS).await?;
    nonces(&lab).await?;
    pushed(name, "one after the other, 100,000 live nonces", &lab, 1, n / 8, "c").await?;
    pushed(name, "64 at once, 100,000 live nonces", &lab, SENDERS, n, "d").await
}

async fn pushed(
    engine: &str,
    what: &str,
    lab: &Arc<Lab>,
    senders: usize,
    n: usize,
    prefix: &'static str,
) -> Result<()> {
    let began = Instant::now();
    let mut sent = JoinSet::new();
    for sender in 0..senders {
        let lab = Arc::clone(lab);
        sent.spawn(async move {
            for i in 0..n / senders {
                let body = lab::pushed_level(lab.runtime.now(), &format!("pushed_{sender}"), 1000, 300);
                lab.push(&format!("{prefix}_{sender}_{i}"), &body).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = sent.join_next().await {
        done??;
    }
    println!(
        "{engine}, {what}: {:.0} readings a second",
        (n / senders * senders) as f64 / began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Lists of 64 readings, eight lists at once.
async fn lists(engine: &str, lab: &Arc<Lab>, n: usize) -> Result<()> {
    const AT_ONCE: usize = 8;
    let began = Instant::now();
    let mut sent = JoinSet::new();
    for sender in 0..AT_ONCE {
        let lab = Arc::clone(lab);
        sent.spawn(async move {
            for i in 0..n / AT_ONCE {
                let of = |signal: usize| lab::pushed_level(lab.runtime.now(), &format!("pushed_{signal}"), 1000, 300);
                let list = serde_json::Value::Array((0..SENDERS).map(of).collect());
                lab.push(&format!("list_{sender}_{i}"), &list).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = sent.join_next().await {
        done??;
    }
    let n_readings = n / AT_ONCE * AT_ONCE * SENDERS;
    println!("{engine}, lists of 64: {:.0} readings a second", n_readings as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

/// Transactions with one new row each.
async fn commits(engine: &str, lab: &Lab, n: usize) -> Result<()> {
    let began = Instant::now();
    let later = lab.runtime.now() + jiff::SignedDuration::from_hours(1);
    for i in 0..n {
        let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await?;
        tx.nonce_use("bench", &format!("commit_{i}"), later).await?;
        tx.commit().await?;
    }
    println!("{engine}, a row and a commit: {:.0} a second", n as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

async fn nonces(lab: &Lab) -> Result<()> {
    let later = lab.runtime.now() + jiff::SignedDuration::from_hours(1);
    let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await?;
    for i in 0..N_NONCES {
        tx.nonce_use("bench", &format!("live_{i}"), later).await?;
    }
    tx.commit().await?;
    Ok(())
}
