//! A value without units beyond its limit: an alert where it is the treatment's, an incident where it is everybody's.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::{ExperimentStatus, PauseCause};
use outcome_tests::lab::{self, Lab};
use outcome_tests::postgres;

use super::proof::agrees;

const TABLE: &str = "CREATE TABLE days (at TEXT, who TEXT, value REAL)";
/// The limit of the constraint.
const LIMIT: f64 = 900.0;
/// A healthy value.
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

/// A laboratory whose experiment runs.
async fn running(database: Option<String>, file: &str) -> Result<(Lab, String)> {
    let lab = Lab::declaring_on(database, file, TABLE).await?;
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
async fn a_value_of_the_treatment_pauses_after_three_days_in_a_row_and_stays_a_finding_while_paused() -> Result<()> {
    each_engine(async |[a, b]| {
        let (lab, experiment) = running(a, &file(true, "")).await?;
        assert_eq!(days_until_paused(&lab, &experiment, LIMIT + 30.0, LEVEL, 6).await?, Some(3));
        assert!(!lab.is_on("soft")?);
        // While the flag is off the value gets better, and later it cannot be read: that removes no finding.
        for _ in 0..2 {
            lab.tell_source("UPDATE days SET value = 1").await?;
            lab.poll_after(24).await?;
            lab.tell_source("DELETE FROM days").await?;
            lab.poll_after(48).await?;
        }
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        assert_eq!(pack["verdict"]["decision"], "hold_alert", "{}", pack["verdict"]);
        agrees(&lab, &pack).await?;
        let (lab, experiment) = running(b, &file(true, "")).await?;
        assert_eq!(days_until_paused(&lab, &experiment, LIMIT - 20.0, LEVEL, 5).await?, None);
        agrees(&lab, &serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_everybody_is_an_incident_that_is_told_once_and_pauses_only_where_the_file_says_so() -> Result<()> {
    each_engine(async |[a, b]| {
        let (lab, experiment) = running(a, &file(false, "")).await?;
        assert_eq!(days_until_paused(&lab, &experiment, LEVEL, LIMIT + 200.0, 5).await?, None);
        assert!(lab.is_on("soft")?);
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        assert_eq!(pack["verdict"]["decision"], "hold_data_quality", "nothing is claimed: {}", pack["verdict"]);
        agrees(&lab, &pack).await?;
        let told = serde_json::to_value(lab.runtime.workspaces().status(false).await?.without_channel)?.to_string();
        assert_eq!(told.matches("beyond its limit for everybody").count(), 1, "{told}");
        let (lab, experiment) = running(b, &file(false, "        also_pause_on_level: true\n")).await?;
        assert_eq!(days_until_paused(&lab, &experiment, LEVEL, LIMIT + 200.0, 5).await?, Some(3));
        let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
        assert_eq!(pack["verdict"]["decision"], "hold_alert", "{}", pack["verdict"]);
        agrees(&lab, &pack).await?;
        Ok(())
    })
    .await
}
