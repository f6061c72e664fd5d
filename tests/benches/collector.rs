//! What the collector costs: `cargo bench -p outcome-tests --bench collector [-- <signals>...]`, with the store and the source on one local
//! PostgreSQL. For each number of signals (1,000, 2,000, 5,000 and 10,000 unless said): how long until everything that is due is read; the same
//! beside a source that hangs and one that is dead; and what a collector that finds nothing due takes of a core, of memory, and writes.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::SignedDuration;
use outcome_tests::lab::{FILE, Lab};
use outcome_tests::postgres;

const SIZES: [usize; 4] = [1_000, 2_000, 5_000, 10_000];
/// How long an idle collector is watched.
const IDLE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let asked_sizes = if asked.is_empty() { SIZES.to_vec() } else { asked };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let server = match postgres::server() {
            Ok(server) => server,
            Err(skip) => {
                println!("skipped: {skip}");
                return Ok(());
            }
        };
        for n in asked_sizes {
            let source = server.database().await;
            let plain = Lab::declaring(Some(server.database().await), &file(n, &source, None)?).await?;
            round(&plain, n, "alone").await?;
            idle(&plain, n).await?;
            sizes(&plain).await?;
            // It answers nobody who connects.
            let hangs = TcpListener::bind("127.0.0.1:0")?;
            let beside = file(n, &source, Some(hangs.local_addr()?.port()))?;
            round(
                &Lab::declaring(Some(server.database().await), &beside).await?,
                n,
                "beside one that hangs and one that is dead",
            )
            .await?;
        }
        Ok(())
    })
}

/// An outcome whose levels are read from PostgreSQL, and with `hangs` also 20 from a source that hangs and 20 from one that is dead.
fn file(n: usize, source: &str, hangs: Option<u16>) -> Result<String> {
    let one = "      - { source: push, metric: orders, method: event }\n";
    let level = |source: &str, n: usize| {
        format!(
            "      - {{ source: {source}, metric: {source}_{n}, method: custom, query: {{ level: \"SELECT count(*) AS n, 9 AS successes FROM \
             pg_class WHERE :from::timestamptz < :to::timestamptz\" }} }}\n"
        )
    };
    let mut levels: String = (1..n).map(|n| level("shop", n)).collect();
    let mut connectors = format!("  - {{ name: shop, type: sql, config: {{ url: \"{source}\" }} }}\n");
    if let Some(port) = hangs {
        let dead = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        for (name, port) in [("hangs", port), ("dead", dead)] {
            levels.extend((0..20).map(|n| level(name, n)));
            let url = format!("postgres://reader@127.0.0.1:{port}/shop");
            connectors.push_str(&format!("  - {{ name: {name}, type: sql, config: {{ url: \"{url}\" }} }}\n"));
        }
    }
    Ok(FILE.replace(one, &levels).replace("signal_connectors:\n", &format!("signal_connectors:\n{connectors}")))
}

/// From the moment that everything is due until all that answers is read.
async fn round(lab: &Lab, n: usize, what: &str) -> Result<()> {
    lab.clock.advance(SignedDuration::from_hours(7));
    let (began, runtime) = (Instant::now(), lab.runtime.clone());
    let n_read = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&n_read);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let told = Box::new(move |looked: outcome_core::Result<outcome_core::usecases::Polled>| {
        if let Ok(polled) = looked {
            counted.fetch_add(polled.n_levels, Ordering::Relaxed);
        }
    });
    let collecting = tokio::spawn(async move {
        let stop = Box::pin(async move { stopped.await.unwrap_or_default() });
        runtime.signals().collect(Duration::from_secs(1), stop, told).await;
    });
    while usize::try_from(n_read.load(Ordering::Relaxed))? < n {
        ensure!(!collecting.is_finished(), "the collector ended");
        ensure!(began.elapsed() < Duration::from_mins(10), "{} of {n} were read", n_read.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{n} signals, {what}: read in {:.2?}", began.elapsed());
    drop(stop);
    collecting.abort();
    Ok(())
}

/// A collector that finds nothing due.
async fn idle(lab: &Lab, n: usize) -> Result<()> {
    lab.runtime.signals().poll(&outcome_core::usecases::PollRequest::default()).await?;
    let n_writes = writes(lab).await?;
    let runtime = lab.runtime.clone();
    let (cpu, began) = (cpu_seconds()?, Instant::now());
    let collecting = tokio::spawn(async move {
        runtime.signals().collect(Duration::from_secs(1), Box::pin(std::future::pending()), Box::new(|_| {})).await;
    });
    tokio::time::sleep(IDLE).await;
    let share = (cpu_seconds()? - cpu) / began.elapsed().as_secs_f64();
    collecting.abort();
    println!(
        "{n} signals, none of them due, a tick of 1 s: {:.2} % of a core, {} MiB, {} rows written",
        share * 100.0,
        resident_mib()?,
        writes(lab).await? - n_writes
    );
    Ok(())
}

/// What the store takes of the disk, with its indexes.
async fn sizes(lab: &Lab) -> Result<()> {
    let mut other = postgres::ours(lab.database().context("not on PostgreSQL")?).await?;
    for table in ["measurement", "event", "job", "signal_health"] {
        let sql = format!("SELECT pg_total_relation_size('{table}'), (SELECT count(*) FROM {table})");
        let (bytes, rows): (i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(&mut other).await?;
        println!("  `{table}`: {rows} rows, {} bytes a row", bytes.checked_div(rows).unwrap_or_default());
    }
    Ok(())
}

/// Rows that were written in the store so far.
async fn writes(lab: &Lab) -> Result<i64> {
    let mut other = postgres::ours(lab.database().context("not on PostgreSQL")?).await?;
    // A connection that has nothing more to do says within ten seconds what it wrote.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (n,): (i64,) = sqlx::query_as(
        "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&mut other)
    .await?;
    Ok(n)
}

/// Processor time of this program so far.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().context("no fields")?.split(' ').collect();
    let ticks: f64 =
        fields.get(11).context("no time")?.parse::<f64>()? + fields.get(12).context("no time")?.parse::<f64>()?;
    Ok(ticks / 100.0)
}

fn resident_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib / 1024)
}
