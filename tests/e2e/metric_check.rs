//! `metrics check` and `metrics show`: planted faults are found and named, and what is right is left alone.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::usecases::{MetricCheckRequest, MetricChecked, MetricDoubt};
use outcome_tests::lab::{Lab, write};

const FILE: &str = r#"version: 1
outcomes:
  - id: retention
    title: "Players spend more"
    signal: { metric: spent }
    target: { direction: increase, from: 25.5, to: 30 }
    horizon: 8w
    scope: { allowed_paths: ["game/"] }
signal_connectors:
  - name: game
    type: sql
    config: { url: "sqlite:game.db" }
    lag: 1h
    exposures: { table: seen, unit: player, is: player, experiment: flag, variant: arm, at: seen_at }
    population: { fact: orders }
facts:
  orders: { source: game, table: orders, at: at, units: { player: player } }
metrics:
  - { name: spent, kind: mean, of: orders, value: total, window: 7d, covariate: 14d, cap: p99, better: up, signed: true }
  - { name: came_back, kind: conversion, of: orders, window: 7d, better: up }
feature_flags: { provider: flagd_file, config: { path: flags.json } }
"#;

const TABLES: &str =
    "CREATE TABLE seen (player INTEGER, account_id INTEGER, session_id INTEGER, flag TEXT, arm TEXT, seen_at TEXT);
    CREATE TABLE orders (order_id INTEGER, player INTEGER, total REAL, at TEXT);
    CREATE INDEX seen_by ON seen (flag, seen_at); CREATE INDEX orders_by ON orders (player, at)";

struct Dice(u64);

impl Dice {
    /// Between 0 and 1.
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Inserts rows a thousand at a time.
async fn insert(lab: &Lab, table: &str, rows: &[String]) -> Result<()> {
    for some in rows.chunks(1000) {
        lab.tell_source(&format!("INSERT INTO {table} VALUES {}", some.join(","))).await?;
    }
    Ok(())
}

/// Players in accounts of `size`, who share a part `icc` of the variance of what they spend; of each, half is as it was before. Each arm's
/// share that also sees the other one: `both`.
async fn players(size: u64, icc: f64, both: f64) -> Result<Lab> {
    let lab = Lab::sqlite().await?;
    write(&lab.root(), "outcome.yaml", FILE)?;
    lab.tell_source(TABLES).await?;
    let now = lab.runtime.now();
    let mut dice = Dice(11);
    let (mut seen, mut orders) = (Vec::new(), Vec::new());
    let mut of_account = 0.0;
    for player in 0..10_000_u64 {
        if player % size == 0 {
            of_account = dice.normal() * icc.sqrt();
        }
        let first = now - SignedDuration::from_hours(24 * 40 - i64::try_from(player % 480)?);
        let own = dice.normal() * (1.0 - icc).sqrt();
        let arm = if dice.even() < 0.5 { "control" } else { "treatment" };
        let other = if arm == "control" { "treatment" } else { "control" };
        let account = player / size;
        seen.push(format!("({player}, {account}, {player}, 'soft', '{arm}', '{}')", shown(first)));
        let again = if dice.even() < both { other } else { arm };
        let later = shown(first + SignedDuration::from_hours(1));
        seen.push(format!("({player}, {account}, {}, 'soft', '{again}', '{later}')", player + 20_000));
        let before = shown(first - SignedDuration::from_hours(30));
        orders.push(format!("({player}, {player}, {}, '{before}')", 50.0 + 10.0 * own));
        let after = shown(first + SignedDuration::from_hours(30));
        orders.push(format!(
            "({}, {player}, {}, '{after}')",
            player + 10_000,
            50.0 + 8.0 * own + 6.0 * dice.normal() + 10.0 * of_account
        ));
    }
    // Of the last week, and of players who saw nothing: what a cap is made from.
    let lately = shown(now - SignedDuration::from_hours(50));
    orders.extend((0..1000).map(|i| format!("({i}, {}, {}, '{lately}')", 100_000 + i, 50.0 + 10.0 * dice.normal())));
    insert(&lab, "seen", &seen).await?;
    insert(&lab, "orders", &orders).await?;
    Ok(lab)
}

async fn check(lab: &Lab, metric: &str) -> Result<MetricChecked> {
    let request = MetricCheckRequest { metric: metric.to_owned(), flag: None, days: 60 };
    Ok(lab.runtime.signals().metric_check(&request).await?)
}

fn problems(checked: &MetricChecked) -> Vec<&str> {
    let problems = checked.findings.iter().filter(|finding| finding.doubt == MetricDoubt::Problem);
    problems.map(|finding| finding.message.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_unit_is_left_alone_and_what_the_test_can_find_is_said() -> Result<()> {
    let lab = players(20, 0.0, 0.0).await?;
    let checked = check(&lab, "spent").await?;
    ensure!(checked.findings.is_empty(), "{:?}", checked.findings);
    let seen = checked.exposures;
    ensure!((seen.n_rows, seen.n_units, seen.n_mature, seen.n_both) == (20_000, 10_000, 10_000, 0), "{seen:?}");
    ensure!(checked.facts.len() == 1 && checked.facts[0].n_rows == 21_000, "{:?}", checked.facts);
    let splits = &checked.unit.splits;
    ensure!(checked.unit.key == "player" && checked.unit.n_keys == 10_000 && splits.n == 10_000, "{:?}", checked.unit);
    ensure!((splits.inflation.context("none")? - 1.0).abs() < 0.25, "{splits:?}");
    // The session is another for each exposure, so it is no key that units share; the account is, and says the same.
    let keys: Vec<&str> = checked.coarser.iter().map(|key| key.key.as_str()).collect();
    ensure!(keys == ["account_id"] && checked.coarser[0].n_keys == 500, "{keys:?}");
    ensure!((checked.coarser[0].splits.inflation.context("none")? - 1.0).abs() < 0.25, "{:?}", checked.coarser);
    // Of the standard deviation of 10, a part of 8 is as before.
    ensure!((splits.correlation.context("none")? - 0.8).abs() < 0.03, "{splits:?}");
    let (with, without) = (splits.mde.context("none")?, splits.mde_without_covariate.context("none")?);
    ensure!((with / without - 0.6).abs() < 0.03, "{with} {without}");
    // 2.8016 * sqrt(4 * 10^2 / 10,000), and the cap takes little of a normal value.
    let whole = checked.mde_without_cap.context("none")?;
    ensure!((without / 0.560 - 1.0).abs() < 0.05 && whole > with, "{without} {whole} {with}");
    ensure!(checked.caps.context("no cap")?.value.get() > 65.0, "{:?}", checked.caps);
    ensure!(checked.index.as_deref().is_some_and(|index| index.contains("index")), "{:?}", checked.index);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_accounts_are_no_units_and_the_account_is_named() -> Result<()> {
    let lab = players(20, 0.1, 0.0).await?;
    let checked = check(&lab, "spent").await?;
    let found = problems(&checked);
    ensure!(found.len() == 1 && found[0].contains("The unit is probably `account_id`"), "{:?}", checked.findings);
    ensure!(
        (checked.unit.splits.inflation.context("none")? - 1.0).abs() < 0.25,
        "splitting by the unit itself shows nothing"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arm_that_is_not_kept_is_found() -> Result<()> {
    let lab = players(1, 0.0, 0.2).await?;
    let checked = check(&lab, "spent").await?;
    let found = problems(&checked);
    ensure!(found.len() == 1 && found[0].contains("of the units saw both arms"), "{:?}", checked.findings);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_unit_or_an_arm_and_before_any_exposure_are_said() -> Result<()> {
    let lab = players(1, 0.0, 0.0).await?;
    let at = shown(lab.runtime.now() - SignedDuration::from_hours(24 * 20));
    let odd: Vec<String> = (0..100).map(|i| format!("({}, 1, {i}, 'soft', 'beta', '{at}')", 50_000 + i)).collect();
    insert(&lab, "seen", &odd).await?;
    lab.tell_source(&format!(
        "INSERT INTO seen VALUES (NULL, 1, 1, 'soft', 'control', '{at}'), (1, 1, 1, 'soft', NULL, '{at}')"
    ))
    .await?;
    lab.tell_source("INSERT INTO orders SELECT order_id, player, total, at FROM orders WHERE player < 1000").await?;
    let checked = check(&lab, "came_back").await?;
    let seen = checked.exposures;
    let odd = (seen.n_without_unit, seen.n_without_variant, seen.n_unknown_variant);
    ensure!(odd == (1, 1, 100) && checked.facts[0].n_repeated == 2000, "{seen:?} {:?}", checked.facts);
    for said in
        ["of the exposures name neither arm", "exposures have no unit", "have the unit and the instant of another one"]
    {
        ensure!(
            checked.findings.iter().any(|finding| finding.message.contains(said)),
            "{said}: {:?}",
            checked.findings
        );
    }
    // Of a flag that nobody saw: the units are those of the population.
    let request = MetricCheckRequest { metric: "came_back".to_owned(), flag: Some("other".to_owned()), days: 60 };
    let checked = lab.runtime.signals().metric_check(&request).await?;
    ensure!(checked.is_population && checked.exposures.n_units == 0 && checked.unit.splits.n > 5000, "{checked:?}");
    let unknown = lab.runtime.signals().metric_show("spend", false).await.expect_err("no such metric");
    ensure!(unknown.hint_text().is_some_and(|hint| hint.contains("spent")), "{unknown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_is_said_in_words_and_in_the_sql_that_would_run() -> Result<()> {
    let lab = players(1, 0.0, 0.0).await?;
    let shown = lab.runtime.signals().metric_show("spent", true).await?;
    ensure!(shown.statements.len() == 2 && shown.statements[0].sql.contains("cross_sum"), "{:?}", shown.statements);
    let section = outcome_core::present::metric(&shown.signal);
    let said = format!("{:?}", section.rows);
    for part in [
        "the sum of `total` over its events of `orders`",
        "from the exposure to 7 d after it",
        "the 99 % quantile of the values that are not zero",
        "the same of the 2w before the exposure",
    ] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    // What is printed runs as it is, with the parameters in place of their names.
    let sql = shown.statements[0].sql.replace(":flag", "'soft'");
    let sql = [":since_launch", ":events_from", ":history_from", ":from_0"]
        .iter()
        .fold(sql, |sql, name| sql.replace(name, "'2000-01-01'"));
    let sql =
        [":until_0", ":events_to", ":as_of", ":to_0"].iter().fold(sql, |sql, name| sql.replace(name, "'2100-01-01'"));
    lab.tell_source(&format!("CREATE TABLE answer AS {sql}")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn real_players_are_found_to_be_units() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cookie_cats.csv.gz");
    if !path.exists() {
        eprintln!("SKIPPED: the players of cookie_cats.csv.gz are not beside the repository");
        return Ok(());
    }
    let lab = Lab::sqlite().await?;
    write(&lab.root(), "outcome.yaml", &FILE.replace(", signed: true", ""))?;
    lab.tell_source(TABLES).await?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    let now = lab.runtime.now();
    let (mut seen, mut orders) = (Vec::new(), Vec::new());
    for (index, record) in csv::Reader::from_reader(text.as_bytes()).records().enumerate() {
        let record = record?;
        let field = |i: usize| record.get(i).unwrap_or_default().to_owned();
        let (player, rounds) = (field(0), field(2));
        let arm = if field(1) == "gate_30" { "control" } else { "treatment" };
        // Times are ours: spread over four weeks, in an order that has nothing to do with the file's.
        let place = i64::try_from((index * 7919) % 90_189)?;
        let first = now - SignedDuration::from_secs(40 * 86_400 - place * 26);
        seen.push(format!("({player}, {}, {index}, 'gate', '{arm}', '{}')", index / 20, shown(first)));
        orders.push(format!("({index}, {player}, {rounds}, '{}')", shown(first + SignedDuration::from_hours(20))));
        if index < 3000 {
            // As others played lately.
            let lately = shown(now - SignedDuration::from_hours(50));
            orders.push(format!("({index}, {}, {rounds}, '{lately}')", 20_000_000 + index));
        }
    }
    insert(&lab, "seen", &seen).await?;
    insert(&lab, "orders", &orders).await?;
    let checked = check(&lab, "spent").await?;
    ensure!(problems(&checked).is_empty(), "{:?}", checked.findings);
    let splits = &checked.unit.splits;
    ensure!(checked.exposures.n_units == 90_189 && splits.n == 90_189, "{checked:?}");
    ensure!(
        (splits.inflation.context("none")? - 1.0).abs() < 0.25 && splits.beyond.context("none")? < 0.08,
        "{splits:?}"
    );
    // One player has 49,854 rounds, and the next 2,961: without a cap he makes the noise.
    let (with, without) = (splits.mde.context("none")?, checked.mde_without_cap.context("none")?);
    ensure!(with < 0.7 * without, "{with} {without}");
    // Twenty players in a row of the file have nothing to do with each other.
    ensure!(checked.coarser.iter().all(|key| key.splits.inflation.is_some_and(|f| f < 1.25)), "{:?}", checked.coarser);
    Ok(())
}
