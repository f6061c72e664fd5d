//! A value without units beyond its limit: evidence where it is the treatment's and its days before the launch are known, an
//! incident where it is everybody's.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::{ExperimentStatus, PauseCause};
use outcome_tests::lab::{self, Lab};
use outcome_tests::postgres;

use super::proof::agrees;

const TABLE: &str = "CREATE TABLE days (at TEXT, who TEXT, value REAL)";
/// The limit of the constraint.
const LIMIT: f64 = 900.0;
/// What everybody's values move around before the launch.
const LEVEL: f64 = 800.0;

/// The laboratory's file with a limit on a delay that is read by variant, or only of everybody. `more`: other keys of the constraint.
fn file(is_by_variant: bool, more: &str) -> String {
    let level = "SELECT avg(value) AS value FROM days WHERE who = 'all' AND at >= :from AND at < :to";
    let by_variant = "SELECT who AS variant, avg(value) AS value FROM days WHERE who <> 'all' AND at >= :from AND at < :to \
                      AND :flag <> '' GROUP BY who";
    let queries = match is_by_variant {
        true => format!("level: \"{level}\", by_variant: \"{by_variant}\""),
        false => format!("level: \"{level}\""),
    };
    let guard = format!(
        "      - signal: delay\n        source: game\n        metric: delay\n        method: custom\n        query: {{ {queries} \
         }}\n        max: {LIMIT}\n{more}      - rule:"
    );
    lab::FILE.replace("      - rule:", &guard)
}

/// What one day tells of somebody.
async fn tell(lab: &Lab, at: Timestamp, who: &str, value: f64) -> Result<()> {
    let at = at.strftime("%Y-%m-%d %H:%M:%S");
    lab.tell_source(&format!("INSERT INTO days VALUES ('{at}', '{who}', {value})")).await
}

/// A laboratory with this many days of everybody before its experiment, which runs.
async fn running(database: Option<String>, file: &str, days: i64) -> Result<(Lab, String)> {
    let lab = Lab::declaring_on(database, file, TABLE).await?;
    let now = lab.runtime.now();
    for day in 1..=days {
        let at = now - SignedDuration::from_hours(24 * day) + SignedDuration::from_hours(12);
        tell(&lab, at, "all", LEVEL + wave(day)).await?;
    }
    let experiment = lab.running("Softer level", "soft").await?;
    Ok((lab, experiment))
}

/// On SQLite and on PostgreSQL, with two databases.
async fn each_engine(test: impl AsyncFn([Option<String>; 2]) -> Result<()>) -> Result<()> {
    test([None, None]).await?;
    match postgres::server() {
        Ok(server) => test([Some(server.database().await), Some(server.database().await)]).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}

/// Up to 12 up and down.
fn wave(day: i64) -> f64 {
    f64::from(i32::try_from(day * 7 % 5).unwrap_or(0) - 2) * 6.0
}

/// Polls once a day while the treatment's value is `of_treatment` and everybody's is `of_all`, until the experiment is paused; the
/// days that this took.
async fn days_until_paused(
    lab: &Lab,
    experiment: &str,
    of_treatment: f64,
    of_all: f64,
    most: i64,
) -> Result<Option<i64>> {
    for day in 1..=most {
        let at = lab.runtime.now() + SignedDuration::from_hours(12);
        for (who, value) in [("control", LEVEL), ("treatment", of_treatment), ("all", of_all)] {
            tell(lab, at, who, value + wave(day)).await?;
        }
        let n = 400 * day;
        lab.arms("soft", (n, n * 3 / 10, 2), (n, n * 3 / 10, 2)).await?;
        lab.poll_after(24).await?;
        let state = lab.runtime.experiments().show(experiment).await?.experiment.state;
        if state.status == ExperimentStatus::Paused {
            assert_eq!(state.pause.context("it is not paused")?.cause, PauseCause::Constraint);
            return Ok(Some(day));
        }
    }
    Ok(None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_treatment_is_tested_by_its_days_against_the_days_before_the_launch() -> Result<()> {
    each_engine(async |[a, b]| {
        // Two standard deviations beyond the limit: not far enough for the alert of two days, and far enough for evidence.
        let (lab, experiment) = running(a, &file(true, ""), 28).await?;
        let days = days_until_paused(&lab, &experiment, LIMIT + 30.0, LEVEL, 20).await?;
        assert!(days.is_some_and(|days| (2..=10).contains(&days)), "{days:?}");
        assert!(!lab.is_on("soft")?);
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        assert_eq!(pack["verdict"]["decision"], "kill_guardrail", "{}", pack["verdict"]);
        agrees(&lab, &pack).await?;
        // The limit is an experiment's usual value: three days in a row beyond it are nothing.
        let (lab, experiment) = running(b, &file(true, ""), 28).await?;
        assert_eq!(days_until_paused(&lab, &experiment, LIMIT + 1.0, LEVEL, 8).await?, None);
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        agrees(&lab, &pack).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn far_beyond_its_limit_two_days_are_enough_and_without_a_history_three() -> Result<()> {
    for (days_before, beyond, want) in [(28, 400.0, 1..=2), (5, 30.0, 3..=3)] {
        let (lab, experiment) = running(None, &file(true, ""), days_before).await?;
        let days = days_until_paused(&lab, &experiment, LIMIT + beyond, LEVEL, 6).await?;
        assert!(days.is_some_and(|days| want.contains(&days)), "{days_before} days before: {days:?}");
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        agrees(&lab, &pack).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_everybody_is_an_incident_that_is_told_once_and_pauses_only_where_the_file_says_so() -> Result<()> {
    each_engine(async |[a, b]| {
        let (lab, experiment) = running(a, &file(false, ""), 28).await?;
        assert_eq!(days_until_paused(&lab, &experiment, LEVEL, LIMIT + 200.0, 5).await?, None);
        assert!(lab.is_on("soft")?);
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        assert_eq!(pack["verdict"]["decision"], "hold_data_quality", "nothing is claimed: {}", pack["verdict"]);
        agrees(&lab, &pack).await?;
        let told = serde_json::to_value(lab.runtime.workspaces().status(false).await?.without_channel)?.to_string();
        assert_eq!(told.matches("beyond its limit for everybody").count(), 1, "{told}");
        let (lab, experiment) = running(b, &file(false, "        also_pause_on_level: true\n"), 28).await?;
        assert_eq!(days_until_paused(&lab, &experiment, LEVEL, LIMIT + 200.0, 5).await?, Some(2));
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        assert_eq!(pack["verdict"]["decision"], "hold_alert", "{}", pack["verdict"]);
        agrees(&lab, &pack).await?;
        Ok(())
    })
    .await
}
