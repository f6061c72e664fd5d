//! Readings are kept for a stated time: of old levels the last of each day, and nothing that a proof rests on is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::SignedDuration;
use outcome_core::Code;
use outcome_core::digest::sha256_hex;
use outcome_core::usecases::Thinned;
use outcome_tests::lab::{self, Lab, OUTCOME};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::journey::each_lab_declaring;

/// Hours between polls.
const EVERY: i64 = 6;
/// Time enough for everything.
const PATIENCE: Duration = Duration::from_mins(5);

fn file() -> String {
    format!("{}retention: {{ levels: 20d, raw_answers: 20d }}\n", lab::file_with_levels(3))
}

/// Twelve days of an experiment whose arms grow, and sixteen in which nobody looks.
async fn twelve_days(lab: &Lab) -> Result<String> {
    let experiment = lab.running("Softer level", "soft").await?;
    for n in 1..=12 * 24 / EVERY {
        lab.tell_source("DELETE FROM arms").await?;
        lab.arms("soft", (30 * n, 9 * n, 0), (30 * n, 10 * n, 0)).await?;
        lab.poll_after(EVERY).await?;
    }
    lab.clock.advance(SignedDuration::from_hours(16 * 24));
    Ok(experiment)
}

/// How many levels are stored of each day, of each signal.
async fn levels(lab: &Lab) -> Result<BTreeMap<(String, String), usize>> {
    let mut found = BTreeMap::new();
    let outcome = lab.runtime.outcomes().series(OUTCOME, 1).await?.pop().context("no level")?.outcome;
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    for signal in ["came_back", "level_1", "level_2"] {
        for level in tx.measurement_levels(outcome, signal, 100_000).await? {
            let day = level.measured_at.strftime("%Y-%m-%d").to_string();
            *found.entry((level.signal, day)).or_default() += 1;
        }
    }
    Ok(found)
}

/// What is proved of the experiment, and said about the outcome.
async fn said(lab: &Lab, experiment: &str) -> Result<[Value; 2]> {
    let status = lab.runtime.workspaces().status(false).await?;
    Ok([json!(lab.runtime.audit_log().proof(experiment).await?), json!(status.outcomes)])
}

async fn problems(lab: &Lab) -> Result<Vec<String>> {
    Ok(lab.runtime.audit_log().verify(&[]).await?.problems)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_old_levels_the_last_of_a_day_stays_and_every_proof_is_as_it_was() -> Result<()> {
    each_lab_declaring(&file(), async |lab| {
        let experiment = twelve_days(&lab).await?;
        let (before, n_lines) = (said(&lab, &experiment).await?, lab.log().await?.len());
        let kept_from = lab.runtime.now() - SignedDuration::from_hours(20 * 24);
        let is_old = |day: &str| day < kept_from.strftime("%F").to_string().as_str();
        let all = levels(&lab).await?;
        assert!(all.values().filter(|n| **n == 4).count() > 10, "{all:?}");
        let done = lab.runtime.signals().thin(PATIENCE).await?;
        assert!(done.n_levels > 0 && done.n_answers > 0 && !done.is_unfinished, "{done:?}");
        for ((signal, day), n) in levels(&lab).await? {
            // Attainment may rest on the levels of the outcome's own signal.
            let expected = if is_old(&day) && signal != "came_back" { 1 } else { all[&(signal.clone(), day.clone())] };
            assert_eq!(n, expected, "{signal} on {day}");
        }
        assert_eq!(problems(&lab).await?, [""; 0]);
        let log = lab.log().await?;
        let notes: Vec<_> = log.iter().filter(|line| line.kind == "readings.thinned").collect();
        assert!(log.len() > n_lines);
        assert!(notes.iter().any(|line| line.payload["levels"].as_u64() > Some(0)), "{notes:?}");
        // Again, there is nothing to be done, and nothing is written.
        let n_lines = log.len();
        assert_eq!(lab.runtime.signals().thin(PATIENCE).await?, Thinned::default());
        assert_eq!(lab.log().await?.len(), n_lines);
        assert_eq!(said(&lab, &experiment).await?, before);
        // What nobody wrote down is seen.
        let gone = lab.raw("DELETE FROM measurement WHERE experiment_id IS NULL AND signal = 'level_1'").await?;
        assert!(gone > 0);
        assert!(problems(&lab).await?.iter().any(|problem| problem.contains("is missing")));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_answered_is_shown_by_its_hash_until_its_time_is_over() -> Result<()> {
    each_lab_declaring(&file(), async |lab| {
        let experiment = twelve_days(&lab).await?;
        lab.runtime.signals().thin(PATIENCE).await?;
        let proof = lab.runtime.audit_log().proof(&experiment).await?;
        let hashes: Vec<Vec<String>> = proof
            .snapshots
            .iter()
            .map(|snapshot| snapshot.readings.iter().filter(|r| r.variant.is_some()).map(|r| r.raw_hash.clone()).collect())
            .collect();
        let newest = hashes.last().and_then(|poll| poll.first()).context("no reading")?;
        let found = lab.runtime.audit_log().answer(newest).await?;
        assert_eq!(&sha256_hex(&found.answer), newest);
        assert!(found.answer.contains("\"variant\":\"treatment\""), "{found:?}");
        let oldest = hashes.first().and_then(|poll| poll.first()).context("no reading")?;
        let error = lab.runtime.audit_log().answer(oldest).await.expect_err("its time is over");
        assert_eq!(error.code(), Code::NotFound, "{error}");
        // Somebody else's text under the hash is not shown.
        let other = hashes.last().and_then(|poll| poll.last()).context("no other reading")?;
        assert_ne!(other, newest);
        lab.raw(&format!(
            "UPDATE raw_answer SET packed = (SELECT packed FROM raw_answer WHERE hash = '{other}') WHERE hash = '{newest}'"
        ))
        .await?;
        let error = lab.runtime.audit_log().answer(newest).await.expect_err("it is another answer");
        assert_eq!(error.code(), Code::AuditBroken, "{error}");
        Ok(())
    })
    .await
}
