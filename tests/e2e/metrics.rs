//! An outcome whose numbers come from the metric contract: claims wait until units are mature and whole, danger does not.

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::{ExperimentStatus, Verdict};
use outcome_core::usecases::{BuildReport, RecomputeRequest};
use outcome_tests::lab::{Lab, agent, commit, git, hypothesis, local, unlock, write};
use serde_json::Value;

use crate::journey::each_database;
use crate::proof::check_packs;

pub(crate) const FILE: &str = r#"version: 1
outcomes:
  - id: retention
    title: "More players come back"
    signal: { metric: came_back }
    target: { direction: increase, from: 0.30, to: 0.40 }
    mde: 0.05
    constraints:
      - { signal: crashed, not_worse: { direction: decrease, margin: 0.005 } }
    horizon: 8w
    portfolio: { planned_experiments: 1 }
    scope: { allowed_paths: ["game/"] }
signal_connectors:
  - name: game
    type: sql
    config: { url: "sqlite:game.db" }
    exposures: { table: seen, unit: player, is: player, experiment: flag, variant: arm, at: seen_at }
    population: { fact: plays, where: "what = 'first'" }
facts:
  plays: { source: game, table: plays, at: at, units: { player: player } }
metrics:
  - { name: came_back, kind: conversion, of: plays, where: "what = 'again'", window: 7d, better: up }
  - { name: crashed, kind: conversion, of: plays, where: "what = 'crash'", window: 2d, better: down }
feature_flags: { provider: flagd_file, config: { path: flags.json } }
"#;

pub(crate) const TABLES: &str = "CREATE TABLE seen (player INTEGER, flag TEXT, arm TEXT, seen_at TEXT);
    CREATE TABLE plays (player INTEGER, what TEXT, at TEXT);
    CREATE INDEX seen_by ON seen (flag, seen_at); CREATE INDEX plays_by ON plays (player, at)";

/// Players of a day, half of them in each arm; each arm's share comes back five days after they saw it.
pub(crate) struct Day {
    pub(crate) players: i64,
    pub(crate) control: f64,
    pub(crate) treatment: f64,
}

/// A day of players who are exposed six hours after `at`, numbered from `first`.
pub(crate) fn day(first: i64, at: jiff::Timestamp, of: &Day, is_exposed: bool) -> String {
    let shown = |hours: i64| (at + jiff::SignedDuration::from_hours(hours)).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let (mut seen, mut plays) = (Vec::new(), Vec::new());
    for number in 0..of.players {
        let player = first + number;
        let (arm, share) = if number % 2 == 0 { ("control", of.control) } else { ("treatment", of.treatment) };
        if is_exposed {
            // Twice, as a page is loaded again.
            seen.push(format!(
                "({player}, 'soft', '{arm}', '{}'), ({player}, 'soft', '{arm}', '{}')",
                shown(6),
                shown(7)
            ));
        }
        plays.push(format!("({player}, 'first', '{}')", shown(6)));
        let rank = (number / 2) as f64 / (of.players / 2) as f64;
        if rank < share {
            plays.push(format!("({player}, 'again', '{}')", shown(6 + 5 * 24)));
        }
    }
    let seen = if seen.is_empty() { String::new() } else { format!("INSERT INTO seen VALUES {};", seen.join(",")) };
    format!("{seen} INSERT INTO plays VALUES {}", plays.join(","))
}

/// An active outcome with a month of players before, and a running experiment.
pub(crate) async fn begin(database: Option<String>) -> Result<(Lab, String)> {
    let start: jiff::Timestamp = "2026-10-01T08:00:00Z".parse()?;
    let before = Day { players: 1000, control: 0.3, treatment: 0.3 };
    let days =
        (1..=30).map(|ago| day(ago * 10_000, start - jiff::SignedDuration::from_hours(24 * ago), &before, false));
    let tables = std::iter::once(TABLES.to_owned()).chain(days).collect::<Vec<_>>().join(";");
    let lab = Lab::declaring_on(database, FILE, &tables).await?;
    let mut softer = hypothesis("Softer level", "soft");
    (softer.expected_improvement, softer.measurement.minimum_detectable_effect) = (0.05, 0.05);
    let experiment = lab.launched(softer).await?;
    Ok((lab, experiment))
}

async fn shown(lab: &Lab, experiment: &str) -> Result<(ExperimentStatus, Value)> {
    let shown = lab.runtime.experiments().show(experiment).await?.experiment;
    Ok((shown.state.status, shown.current_result.map_or(Value::Null, |result| result.json().clone())))
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_rest_on_units_whose_window_is_over() -> Result<()> {
    each_database(async |database| {
        let (lab, experiment) = begin(database).await?;
        let baseline = lab.runtime.workspaces().status(false).await?.outcomes.remove(0).baseline.context("none")?;
        ensure!((baseline - 0.3).abs() < 1e-9, "{baseline}");
        let better = Day { players: 1000, control: 0.30, treatment: 0.36 };
        for number in 0..20_i64 {
            lab.tell_source(&day(1_000_000 + number * 10_000, lab.runtime.now(), &better, true)).await?;
            let polled = lab.poll_after(24).await?;
            ensure!(polled.failures.is_empty(), "{:?}", polled.failures);
            let (status, result) = shown(&lab, &experiment).await?;
            // Of 24-hour days, those whose 7 days and 6 hours are over.
            let n_mature = ((number + 1) * 24 - 6 - (7 * 24 + 6)).div_euclid(24) + 1;
            let n_mature = n_mature.max(0) * 500;
            ensure!(result["n_control"] == n_mature && result["n_treatment"] == n_mature, "day {number}: {result}");
            if n_mature == 0 {
                ensure!(result["effect"].is_null() && status == ExperimentStatus::Running, "day {number}: {result}");
                let reason = result["verdict"]["reason"].as_str().context("no reason")?;
                let n_seen = (number + 1) * 1000;
                let seen = if n_seen < 10_000 { format!("Of {n_seen} units") } else { "Of ".to_owned() };
                ensure!(reason.replace(',', "").contains(&seen) && reason.contains(" 0 count for a claim"), "{reason}");
            }
            if !matches!(status, ExperimentStatus::Running | ExperimentStatus::Measuring) {
                ensure!(status == ExperimentStatus::AwaitingAnalysisGate, "{status}: {result}");
                let effect = result["effect"].as_f64().context("no effect")?;
                ensure!(result["verdict"]["decision"] == "ship" && (effect - 0.06).abs() < 1e-9, "{result}");
                ensure!(number >= 8, "not before anybody is mature: day {number}");
                let verified = lab.runtime.audit_log().verify(&[]).await?;
                ensure!(verified.problems.is_empty(), "{:?}", verified.problems);
                // What is stored is enough to find the same again.
                let check = RecomputeRequest { is_check: true, ..RecomputeRequest::default() };
                let found = lab.runtime.audit_log().recompute(&check, &local()).await?;
                ensure!((found.n_measured, found.changes.len(), found.failures.len()) == (1, 0, 0), "{found:?}");
                check_packs(&lab).await?;
                return Ok(());
            }
        }
        anyhow::bail!("an effect of three times the smallest one that is looked for was not found in 20 days")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_records_no_exposure_is_asked_about_it_before_the_launch() -> Result<()> {
    let (lab, _) = begin(None).await?;
    let experiment = lab.submit(hypothesis("Harder level", "hard")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    let root = lab.root();
    let report = async |path: &str, text: &str| -> Result<(Vec<String>, Vec<String>)> {
        git(&root, &["checkout", "-q", "-B", "hard", "main"])?;
        write(&root, path, text)?;
        let head = commit(&root, path)?;
        git(&root, &["checkout", "-q", "main"])?;
        let report = BuildReport {
            experiment: experiment.clone(),
            summary: "built".to_owned(),
            head: Some(head),
            ..BuildReport::default()
        };
        let done = lab.runtime.builds().report(report, &agent()).await?;
        let gate = lab.runtime.gates().show(&done.gate.context("no gate")?).await?;
        let sections = outcome_core::present::sections(&gate.context);
        Ok((done.notes, sections.into_iter().flat_map(|section| section.warnings).collect()))
    };
    let (notes, warnings) = report("game/level.ts", "flag('hard')\n").await?;
    ensure!(notes.len() == 1 && notes[0].contains("no code of this commit names `seen`"), "{notes:?}");
    ensure!(warnings.contains(&notes[0]), "{warnings:?}");
    let (notes, _) = report("game/level.ts", "insert('seen', user, flag('hard'))\n").await?;
    ensure!(notes.is_empty(), "{notes:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_built_or_launched_that_cannot_be_measured() -> Result<()> {
    let (lab, _) = begin(None).await?;
    let waits_for_build = lab.submit(hypothesis("Harder level", "hard")).await?;
    let waits_for_launch = lab.submit(hypothesis("Longer level", "long")).await?;
    lab.decide(&waits_for_launch, Verdict::Approve).await?;
    let path = lab.root().join("outcome.yaml");
    let text = std::fs::read_to_string(&path)?;
    let empty = "{ sql: \"SELECT player, flag, arm, seen_at FROM seen WHERE 1 = 0\",";
    std::fs::write(&path, text.replace("{ table: seen,", empty))?;
    lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
    commit(&lab.root(), "outcome file")?;
    lab.build(&waits_for_launch).await?;
    for (experiment, status) in [
        (&waits_for_build, ExperimentStatus::AwaitingPortfolioGate),
        (&waits_for_launch, ExperimentStatus::AwaitingLaunchGate),
    ] {
        let refused = lab.decide(experiment, Verdict::Approve).await.unwrap_err();
        ensure!(format!("{refused:#}").contains("no experiment can be measured yet"), "{refused:#}");
        let now = lab.runtime.experiments().show(experiment).await?.experiment.state.status;
        ensure!(now == status, "{experiment} is {now}");
        // Whoever wants to end it can.
        lab.decide(experiment, Verdict::Reject).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_is_found_before_any_unit_is_mature() -> Result<()> {
    each_database(async |database| {
        let (lab, experiment) = begin(database).await?;
        let worse = Day { players: 2000, control: 0.30, treatment: 0.02 };
        for number in 0..7_i64 {
            lab.tell_source(&day(1_000_000 + number * 10_000, lab.runtime.now(), &worse, true)).await?;
            lab.poll_after(24).await?;
            let (status, result) = shown(&lab, &experiment).await?;
            if status == ExperimentStatus::Paused {
                ensure!(result["n_control"] == 0, "nobody is mature yet: {result}");
                ensure!(result["verdict"]["decision"] == "kill_harm" && !lab.is_on("soft")?, "{result}");
                check_packs(&lab).await?;
                return Ok(());
            }
        }
        anyhow::bail!("the treatment lost nearly all of its players, and nobody noticed for a week")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_both_arms_and_of_neither_are_counted_and_said() -> Result<()> {
    let (lab, experiment) = begin(None).await?;
    let same = Day { players: 1000, control: 0.3, treatment: 0.3 };
    lab.tell_source(&day(1_000_000, lab.runtime.now(), &same, true)).await?;
    let codes = async |lab: &Lab| -> Result<Vec<String>> {
        let (_, result) = shown(lab, &experiment).await?;
        let health = result["health"].as_array().cloned().unwrap_or_default();
        let codes = health.iter().filter_map(|finding| finding["code"].as_str().map(ToOwned::to_owned));
        // Nobody has come back yet.
        Ok(codes.filter(|code| code != "zero_events").collect())
    };
    lab.poll_after(24).await?;
    ensure!(codes(&lab).await?.is_empty(), "{:?}", codes(&lab).await?);
    let now = lab.runtime.now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    let seen = |from: i64, to: i64, arm: &str| {
        let rows: Vec<String> = (from..to).map(|player| format!("({player}, 'soft', '{arm}', '{now}')")).collect();
        format!("INSERT INTO seen VALUES {}", rows.join(","))
    };
    // 20 of 1,000 players see the other arm, too; then 80.
    lab.tell_source(&seen(1_000_000, 1_000_040, "treatment")).await?;
    lab.poll_after(24).await?;
    ensure!(codes(&lab).await? == ["both_arms"], "{:?}", codes(&lab).await?);
    lab.tell_source(&seen(1_000_040, 1_000_160, "treatment")).await?;
    lab.poll_after(24).await?;
    ensure!(codes(&lab).await? == ["both_arms_often"], "{:?}", codes(&lab).await?);
    lab.tell_source("DELETE FROM seen WHERE seen_at > '2026-10-02 09:00:00'").await?;
    lab.tell_source(&seen(2_000_000, 2_000_010, "beta")).await?;
    lab.poll_after(24).await?;
    ensure!(codes(&lab).await?.contains(&"unknown_variants".to_owned()), "{:?}", codes(&lab).await?);
    check_packs(&lab).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_both_arms_turn_the_flag_off_when_they_last() -> Result<()> {
    each_database(async |database| {
        let (lab, experiment) = begin(database).await?;
        let same = Day { players: 1000, control: 0.3, treatment: 0.3 };
        let now = lab.runtime.now();
        lab.tell_source(&day(1_000_000, now, &same, true)).await?;
        let at = (now + jiff::SignedDuration::from_hours(8)).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let rows: Vec<String> =
            (1_000_000..1_000_160).map(|player| format!("({player}, 'soft', 'treatment', '{at}')")).collect();
        lab.tell_source(&format!("INSERT INTO seen VALUES {}", rows.join(","))).await?;
        // Three readings, and at least twice the six hours by which rows may be late.
        for (hours, wanted) in [(10, false), (1, false), (1, false), (9, false), (2, true)] {
            lab.poll_after(hours).await?;
            let (status, result) = shown(&lab, &experiment).await?;
            ensure!(result["health"][0]["code"] == "both_arms_often", "{result}");
            ensure!((status == ExperimentStatus::Paused) == wanted, "after {hours} more hours: {status}");
        }
        let state = lab.runtime.experiments().show(&experiment).await?.experiment.state;
        let pause = state.pause.context("no pause")?;
        ensure!(pause.detail.contains("more than 5 % of the units saw both arms") && !lab.is_on("soft")?, "{pause:?}");
        check_packs(&lab).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn treatment_that_is_still_shown_after_off_is_told() -> Result<()> {
    each_database(async |database| {
        let (lab, experiment) = begin(database).await?;
        let same = Day { players: 1000, control: 0.3, treatment: 0.3 };
        lab.tell_source(&day(1_000_000, lab.runtime.now(), &same, true)).await?;
        lab.poll_after(24).await?;
        lab.act(&experiment, outcome_core::domain::Verdict::Pause).await?;
        let off_at = lab.runtime.now();
        let shown = |minutes: i64| (off_at + jiff::SignedDuration::from_mins(minutes)).strftime("%Y-%m-%d %H:%M:%S").to_string();
        // What an application still had, the control arm, and another flag are no finding.
        lab.tell_source(&format!(
            "INSERT INTO seen VALUES (5, 'soft', 'treatment', '{}'), (6, 'soft', 'control', '{late}'), (7, 'other', 'treatment', '{late}')",
            shown(30),
            late = shown(90)
        ))
        .await?;
        let polled = lab.poll_after(24).await?;
        ensure!(polled.failures.is_empty(), "{:?}", polled.failures);
        lab.tell_source(&format!("INSERT INTO seen VALUES (8, 'soft', 'treatment', '{}')", shown(25 * 60))).await?;
        let polled = lab.poll_after(24).await?;
        let told = "1 unit was still shown the treatment more than an hour after the flag `soft` went off";
        ensure!(polled.failures.iter().any(|failure| failure.contains(told)), "{:?}", polled.failures);
        Ok(())
    })
    .await
}

const REVENUE: &str = r#"version: 1
outcomes:
  - id: retention
    title: "Players spend more"
    signal: { metric: revenue }
    target: { direction: increase, from: 25.5, to: 30 }
    mde: 2
    horizon: 8w
    portfolio: { planned_experiments: 1 }
    scope: { allowed_paths: ["game/"] }
signal_connectors:
  - name: game
    type: sql
    config: { url: "sqlite:game.db" }
    exposures: { table: seen, unit: player, is: player, experiment: flag, variant: arm, at: seen_at }
    population: { fact: orders }
facts:
  orders: { source: game, table: orders, at: at, units: { player: player } }
metrics:
  - { name: revenue, kind: mean, of: orders, value: total, window: 7d, better: up, cap: p99, unit: EUR }
feature_flags: { provider: flagd_file, config: { path: flags.json } }
"#;

/// Orders of 1 to 50, a hundred players a day, once in the life of each: the 99th percentile of any week is 50.
fn weeks_of_orders(until: jiff::Timestamp, n_days: i64, n_players: i64) -> String {
    let rows = (1..=n_days).flat_map(|ago| {
        let at = until - jiff::SignedDuration::from_hours(24 * ago - 3);
        let at = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
        (0..n_players).map(move |k| format!("({}, {}, '{at}')", ago * 1000 + k, 1 + k % 50))
    });
    format!("INSERT INTO orders VALUES {}", rows.collect::<Vec<_>>().join(","))
}

async fn begin_revenue(n_players: i64) -> Result<Lab> {
    let start: jiff::Timestamp = "2026-10-01T08:00:00Z".parse()?;
    let tables = format!(
        "CREATE TABLE seen (player INTEGER, flag TEXT, arm TEXT, seen_at TEXT);
         CREATE TABLE orders (player INTEGER, total REAL, at TEXT); {}",
        weeks_of_orders(start, 30, n_players)
    );
    Lab::declaring_on(None, REVENUE, &tables).await
}

fn dearer() -> outcome_core::domain::Hypothesis {
    let mut dearer = hypothesis("Dearer swords", "soft");
    (dearer.expected_improvement, dearer.measurement.minimum_detectable_effect) = (2.0, 2.0);
    (dearer.measurement.success_threshold, dearer.measurement.kill_threshold) = (0.0, -2.0);
    dearer
}

/// Players of one day who bought before and buy again as they did, three more with the treatment, and on the first day one in control
/// who buys for a million.
fn spenders(day: i64, at: jiff::Timestamp) -> String {
    let shown = |hours: i64| (at + jiff::SignedDuration::from_hours(hours)).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let (mut seen, mut orders) = (Vec::new(), Vec::new());
    for k in 0..400 {
        let player = 1_000_000 + day * 1000 + k;
        let (arm, more) = if k % 2 == 0 { ("control", 0) } else { ("treatment", 3) };
        let habit = 1 + (k / 2) % 40;
        let again = if (day, k) == (0, 0) { 1_000_000 } else { habit + more + (k / 2 * 7) % 5 };
        seen.push(format!("({player}, 'soft', '{arm}', '{}')", shown(6)));
        orders.push(format!("({player}, {habit}, '{}')", shown(6 - 10 * 24)));
        orders.push(format!("({player}, {again}, '{}')", shown(6 + 48)));
    }
    format!("INSERT INTO seen VALUES {}; INSERT INTO orders VALUES {}", seen.join(","), orders.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quantile_becomes_a_number_of_the_plan_and_the_cap_and_the_history_are_said() -> Result<()> {
    let lab = begin_revenue(100).await?;
    let experiment = lab.submit(dearer()).await?;
    lab.decide(&experiment, outcome_core::domain::Verdict::Approve).await?;
    lab.build(&experiment).await?;
    // The number is in what is signed, and a later week of large orders does not move it.
    let gate = lab.runtime.experiments().show(&experiment).await?.gates.remove(0);
    let context = lab.runtime.gates().show(&gate).await?.context;
    let said = format!("{:?}", outcome_core::present::sections(&context));
    ensure!(said.contains("50 EUR for `revenue`, 50 EUR for its value before the exposure"), "{said}");
    lab.tell_source("INSERT INTO orders SELECT player + 500000, 9000, at FROM orders").await?;
    lab.decide(&experiment, outcome_core::domain::Verdict::Approve).await?;
    let plan = lab.runtime.experiments().show(&experiment).await?.experiment.plan.context("no plan")?;
    let caps = &plan.json()["signal"]["contract"]["caps"];
    ensure!(caps["value"] == 50.0 && caps["covariate"] == 50.0, "{caps}");
    for number in 0..12_i64 {
        lab.tell_source(&spenders(number, lab.runtime.now())).await?;
        let polled = lab.poll_after(24).await?;
        ensure!(polled.failures.is_empty(), "{:?}", polled.failures);
    }
    let (_, result) = shown(&lab, &experiment).await?;
    let number = |name: &str| result[name].as_f64().with_context(|| format!("no {name}: {result}"));
    // Without the history the standard error would be that of values between 1 and 50: about sqrt(2 * 11.7^2 / 800).
    ensure!((number("effect")? - 3.0).abs() < 0.2 && number("standard_error")? < 0.25, "{result}");
    let capped = &result["capped"];
    ensure!(capped["is_turned"] == true && capped["effect"].as_f64().context("none")? < -100.0, "{capped}");
    let share = capped["control_share"].as_f64().context("none")?;
    ensure!((share - 1.0 / 2400.0).abs() < 1e-9 && capped["treatment_share"] == 0.0, "{capped}");
    let line = lab.runtime.workspaces().status(false).await?.outcomes.remove(0).experiments.remove(0);
    ensure!(line.health.iter().any(|said| said.contains("without its cap the effect has the other sign")), "{line:?}");
    let check = RecomputeRequest { is_check: true, ..RecomputeRequest::default() };
    let found = lab.runtime.audit_log().recompute(&check, &local()).await?;
    ensure!((found.n_measured, found.changes.len(), found.failures.len()) == (1, 0, 0), "{found:?}");
    check_packs(&lab).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quantile_of_few_units_is_refused_and_a_number_asked_for() -> Result<()> {
    let lab = begin_revenue(71).await?;
    let mut dearer = dearer();
    (dearer.expected_improvement, dearer.measurement.minimum_detectable_effect) = (4.0, 4.0);
    let experiment = lab.submit(dearer).await?;
    lab.decide(&experiment, outcome_core::domain::Verdict::Approve).await?;
    let error = lab.build(&experiment).await.expect_err("497 units are no basis of a quantile");
    let said = format!("{error:#}");
    ensure!(said.contains("only 497 units had a value that is not zero"), "{said}");
    Ok(())
}

/// Values that can be negative say nothing about how well their spread is known by their sum: a thousand units an arm are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_can_be_negative_are_tested_from_a_thousand_mature_units_on() -> Result<()> {
    let start: jiff::Timestamp = "2026-10-01T08:00:00Z".parse()?;
    let tables = format!(
        "CREATE TABLE seen (player INTEGER, flag TEXT, arm TEXT, seen_at TEXT);
         CREATE TABLE orders (player INTEGER, total REAL, at TEXT); {}",
        weeks_of_orders(start, 30, 100)
    );
    let file = REVENUE.replace(", cap: p99", ", covariate: none, signed: true");
    let lab = Lab::declaring_on(None, &file, &tables).await?;
    let experiment = lab.launched(dearer()).await?;
    let plan = lab.runtime.experiments().show(&experiment).await?.experiment.plan.context("no plan")?;
    ensure!(plan.json()["knows_signs"] == true, "{}", plan.json());
    let mut found = Vec::new();
    for number in 0..15_i64 {
        lab.tell_source(&spenders(number + 1, lab.runtime.now())).await?;
        let polled = lab.poll_after(24).await?;
        ensure!(polled.failures.is_empty(), "{:?}", polled.failures);
        found.push(shown(&lab, &experiment).await?.1);
    }
    let status = |result: &Value| (result["status"]["code"].clone(), result["status"]["need"].clone());
    let early = found.iter().find(|result| result["n_control"].as_i64() > Some(100)).context("nobody is mature")?;
    ensure!(status(early) == ("insufficient_sample".into(), 1000.0.into()) && early["harm"].is_null(), "{early}");
    let late = found.last().context("nothing")?;
    ensure!(status(late).0 == "ok" && late["n_control"].as_i64() >= Some(1000) && !late["harm"].is_null(), "{late}");
    check_packs(&lab).await?;
    Ok(())
}
