//! How long a metric of the contract takes to read from a large PostgreSQL: an experiment of 200,000 units among other flags' exposures and
//! everybody's events. `cargo bench -p outcome-tests --bench contract_read [-- EXPOSURES EVENTS]`; 10,000,000 and 50,000,000 take about
//! 10 GB and some minutes to make.
//!
//! Conversion, and a mean with a cap and a covariate, over three allocation phases: the first read, five more as polls make them, and five
//! where the days whose values are final were sealed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use outcome_core::config::parse;
use outcome_core::domain::{SignalSpec, Slug, Window};
use outcome_core::ports::{Opening, PartRequest, SignalSource, VariantRequest};
use outcome_integrations::VENDORS;
use outcome_tests::postgres;
use secrecy::SecretString;
use sqlx::{Connection as _, PgConnection};

const FILE: &str = r#"version: 1
outcomes:
  - { id: buyers, title: Buyers, horizon: 8w, target: { direction: increase, from: 0.1, to: 0.2 }, signal: { metric: bought } }
  - { id: money, title: Money, horizon: 8w, target: { direction: increase, from: 10, to: 20 }, signal: { metric: revenue } }
signal_connectors:
  - name: shop
    type: sql
    config: { url: "${URL}", statement_timeout: 10m }
    exposures: { table: exposures, unit: user_id, is: user, experiment: flag, variant: variant, at: seen_at }
    population: { fact: orders }
facts:
  orders: { source: shop, table: events, at: at, units: { user: user_id } }
metrics:
  - { name: bought, kind: conversion, of: orders, window: 7d, better: up }
  - { name: revenue, kind: mean, of: orders, value: amount, window: 7d, cap: 90, covariate: 14d, better: up }
"#;

const UNITS: i64 = 200_000;

fn main() -> Result<()> {
    let mut given = std::env::args().filter_map(|argument| argument.parse::<i64>().ok());
    let (exposures, events) = (given.next().unwrap_or(200_000), given.next().unwrap_or(1_000_000));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match postgres::server() {
            Ok(server) => measure(&server.database().await, exposures, events).await,
            Err(skip) => {
                println!("{skip}");
                Ok(())
            }
        }
    })
}

fn launch() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000)
}

/// A fifth of the exposures is of the experiment's flag, over three weeks; events are of ten times as many people, over six weeks.
async fn make(url: &str, exposures: i64, events: i64) -> Result<()> {
    let mut conn = PgConnection::connect(url).await?;
    let launch = launch().strftime("%Y-%m-%d %H:%M:%S+00").to_string();
    for sql in [
        "CREATE TABLE exposures (user_id bigint, flag text, variant text, seen_at timestamptz)".to_owned(),
        "CREATE TABLE events (user_id bigint, at timestamptz, amount numeric)".to_owned(),
        format!(
            "INSERT INTO exposures SELECT user_id, CASE WHEN i % 5 = 0 THEN 'fast' ELSE 'other' || i % 5 END,
               CASE WHEN hashint8(user_id) % 2 = 0 THEN 'control' ELSE 'treatment' END,
               timestamptz '{launch}' + random() * interval '21 days'
             FROM (SELECT i, (i / 5) % {UNITS} AS user_id FROM generate_series(1, {exposures}) i) e"
        ),
        format!(
            "INSERT INTO events SELECT (random() * {UNITS} * 10)::bigint, timestamptz '{launch}' + (random() * 42 - 21) * interval '1 day',
               (random() * 100)::numeric(10, 2) FROM generate_series(1, {events})"
        ),
        "CREATE INDEX ON exposures (flag, seen_at)".to_owned(),
        "CREATE INDEX ON events (user_id, at)".to_owned(),
        "ANALYZE".to_owned(),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await?;
    }
    Ok(())
}

async fn measure(url: &str, exposures: i64, events: i64) -> Result<()> {
    let config = parse(FILE, "outcome.yaml", &VENDORS, None).config.context("the file does not hold")?;
    let began = Instant::now();
    make(url, exposures, events).await?;
    println!("{exposures} exposures and {events} events were made in {:.0?}", began.elapsed());
    let resolve = |_: &str| Ok(SecretString::from(url));
    let connector = config.connector("shop").context("no connector")?;
    let source = connector.settings.open("shop", &Opening { root: Path::new("/"), resolve: &resolve })?;
    for outcome in &config.outcomes {
        let signal = &outcome.signal;
        let mut times = Vec::new();
        for hours in 0..6 {
            times.push(read(&*source, signal, hours).await?);
        }
        let (first, polls) = times.split_first().context("no times")?;
        let slowest = polls.iter().max().context("no polls")?;
        let mut rest = Vec::new();
        for hours in 0..6 {
            rest.push(read_rest(&*source, signal, hours).await?);
        }
        let of_sealed = rest.iter().skip(1).max().context("no polls")?;
        println!(
            "`{}`: the first read took {first:.2?}, the slowest of five polls {slowest:.2?}, of five beside sealed cohorts {of_sealed:.2?}",
            signal.metric
        );
    }
    Ok(())
}

fn day(days: i64) -> Timestamp {
    launch() + SignedDuration::from_hours(24 * days)
}

/// Three phases, so many hours after the end of the third week.
fn requests(hours: i64) -> [VariantRequest; 3] {
    let as_of = day(21) + SignedDuration::from_hours(hours);
    let phases = [(day(0), day(7)), (day(7), day(14)), (day(14), as_of)];
    phases.map(|(from, to)| VariantRequest {
        experiment: Slug::from_title("fast"),
        flag_key: "fast".to_owned(),
        window: Window { from, to },
        launched_at: day(0),
        as_of,
        on_until: (to < as_of).then_some(to),
    })
}

/// Reads what can still change: units that were exposed in the last seven days, and those of the day before them.
async fn read_rest(source: &dyn SignalSource, signal: &SignalSpec, hours: i64) -> Result<Duration> {
    let parts = requests(hours)
        .map(|of| PartRequest { part: Window { from: of.window.from.max(day(13)), to: of.window.to }, of });
    let open: Vec<PartRequest> = parts.into_iter().filter(|asked| asked.part.from < asked.part.to).collect();
    let began = Instant::now();
    let readings = source.by_part(signal, &open).await?;
    let took = began.elapsed();
    anyhow::ensure!(readings.len() == 2, "two phases have units that are not final");
    Ok(took)
}

/// Reads all of it.
async fn read(source: &dyn SignalSource, signal: &SignalSpec, hours: i64) -> Result<Duration> {
    let requests = requests(hours);
    let began = Instant::now();
    let readings = source.by_phase(signal, &requests).await?;
    let took = began.elapsed();
    let n: i64 = readings.iter().flat_map(|reading| &reading.data).filter_map(|arm| arm.sums.n()).sum();
    anyhow::ensure!(n > 0, "nobody was exposed");
    Ok(took)
}
