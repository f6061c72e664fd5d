//! Sealed cohorts: what is final is read once, kept, compared with the source again, and changes no number.

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::{ArmSums, ExperimentStatus, Measurement, Variant};
use outcome_core::usecases::RecomputeRequest;
use outcome_tests::lab::{Lab, hypothesis, local};

use crate::journey::each_database;
use crate::metrics::{Day, FILE, TABLES, day};
use crate::proof::check_packs;

/// So few that it takes three weeks until something is known.
const ALIKE: Day = Day { players: 200, control: 0.30, treatment: 0.30 };

/// A running experiment whose source is read in cohorts or not.
async fn begin(database: Option<String>, sealed_cohorts: &str) -> Result<(Lab, String)> {
    let file = FILE.replace("sqlite:game.db\" }", &format!("sqlite:game.db\", sealed_cohorts: {sealed_cohorts} }}"));
    ensure!(file.contains(sealed_cohorts), "{file}");
    let start: jiff::Timestamp = "2026-10-01T08:00:00Z".parse()?;
    let before = Day { players: 1000, control: 0.3, treatment: 0.3 };
    let days =
        (1..=30).map(|ago| day(ago * 10_000, start - jiff::SignedDuration::from_hours(24 * ago), &before, false));
    let tables = std::iter::once(TABLES.to_owned()).chain(days).collect::<Vec<_>>().join(";");
    let lab = Lab::declaring_on(database, &file, &tables).await?;
    let mut softer = hypothesis("Softer level", "soft");
    (softer.expected_improvement, softer.measurement.minimum_detectable_effect) = (0.05, 0.05);
    let experiment = lab.launched(softer).await?;
    Ok((lab, experiment))
}

/// Every reading of the experiment.
async fn readings(lab: &Lab, experiment: &str) -> Result<Vec<Measurement>> {
    let id = lab.runtime.experiments().show(experiment).await?.experiment.id;
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let mut found: Vec<Measurement> =
        tx.measurement_of_experiment(id).await?.into_iter().map(|stored| stored.measurement).collect();
    found.sort_by(|one, other| {
        let key = |m: &Measurement| (m.measured_at, m.signal.clone(), m.phase, m.variant);
        key(one).cmp(&key(other))
    });
    Ok(found)
}

/// Days of the players of the first cohort, for a condition.
fn first_players(parity: i64) -> String {
    format!("player BETWEEN 1000000 AND 1000999 AND player % 2 = {parity}")
}

async fn n_cohorts(lab: &Lab, more: &str) -> Result<u64> {
    // An update that changes nothing counts the rows on both engines.
    lab.raw(&format!("UPDATE cohort SET phase = phase WHERE signal = 'came_back' {more}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_final_is_read_once_and_every_number_stays() -> Result<()> {
    each_database(async |database| {
        let (lab, experiment) = begin(database, "always").await?;
        let (whole, same) = begin(None, "never").await?;
        for number in 0..16_i64 {
            for lab in [&lab, &whole] {
                lab.tell_source(&day(1_000_000 + number * 10_000, lab.runtime.now(), &ALIKE, true)).await?;
                if number == 12 {
                    // Players of a day that was sealed see the other arm.
                    let now = (lab.runtime.now() + jiff::SignedDuration::from_hours(2)).strftime("%Y-%m-%d %H:%M:%S");
                    let crossed = format!(
                        "INSERT INTO seen SELECT DISTINCT player, flag, 'treatment', '{now}' FROM seen WHERE {} AND player < 1000040",
                        first_players(0)
                    );
                    lab.tell_source(&crossed).await?;
                }
                let polled = lab.poll_after(24).await?;
                ensure!(polled.failures.is_empty(), "day {number}: {:?}", polled.failures);
            }
        }
        let (sealed, all) = (readings(&lab, &experiment).await?, readings(&whole, &same).await?);
        ensure!(sealed.len() == all.len() && sealed.len() > 50, "{} and {}", sealed.len(), all.len());
        for (one, other) in sealed.iter().zip(&all) {
            let [one, other] = [one, other].map(|m| (m.variant, m.window, m.sums, m.cohort, m.units));
            ensure!(one == other, "{one:?} and not {other:?}");
        }
        let n_both: i64 = sealed.iter().rev().take(4).filter_map(|m| m.cohort).map(|cohort| cohort.n_both).max().unwrap_or(0);
        ensure!(n_both == 20, "{n_both}");
        // Sixteen days, of which the last seven, the lag and the present one are not final.
        let n_sealed = n_cohorts(&lab, "").await?;
        ensure!((7..=9).contains(&n_sealed), "{n_sealed}");
        ensure!(n_cohorts(&whole, "").await? == 0, "without being asked to");
        let check = RecomputeRequest { is_check: true, ..RecomputeRequest::default() };
        let found = lab.runtime.audit_log().recompute(&check, &local()).await?;
        ensure!((found.n_measured, found.changes.len(), found.failures.len()) == (1, 0, 0), "{found:?}");
        check_packs(&lab).await?;
        let verified = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(verified.problems.is_empty(), "{:?}", verified.problems);
        // Whoever writes a cohort past the runtime is found out.
        lab.raw("UPDATE cohort SET revision = revision + 1 WHERE phase = 0").await?;
        let verified = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(verified.problems.iter().any(|problem| format!("{problem:?}").contains("cohort")), "{:?}", verified.problems);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_corrects_a_sealed_day_is_believed_within_a_week_and_a_deletion_changes_nothing() -> Result<()> {
    each_database(async |database| {
        let (lab, experiment) = begin(database, "always").await?;
        let mut said = Vec::new();
        let mut successes = Vec::new();
        for number in 0..17_i64 {
            lab.tell_source(&day(1_000_000 + number * 10_000, lab.runtime.now(), &ALIKE, true)).await?;
            if number == 9 {
                // None of the first day came back after all. And one player of the second day is gone.
                lab.tell_source(&format!("DELETE FROM plays WHERE what = 'again' AND {}", first_players(1))).await?;
                lab.tell_source("DELETE FROM seen WHERE player = 1010101").await?;
            }
            let polled = lab.poll_after(24).await?;
            said.extend(polled.failures);
            let readings = readings(&lab, &experiment).await?;
            let last = readings.iter().rfind(|m| m.signal == "came_back" && m.variant == Some(Variant::Treatment));
            successes.push(match last.context("no reading")?.sums {
                ArmSums::Proportion { n, successes } => (n, successes),
                other => anyhow::bail!("{other:?}"),
            });
        }
        ensure!(said.len() == 1 && said[0].contains("corrected what it had said of `came_back`"), "{said:?}");
        ensure!(n_cohorts(&lab, "AND revision = 1").await? == 1, "one revision");
        // 100 players a day, of which 30 come back within five days; the 30 of the first day are taken back once.
        let (n, last) = *successes.last().context("no poll")?;
        ensure!(successes.len() == 17 && n == 17 * 100, "the player that was deleted counts: {n}");
        ensure!(last == (17 - 5) * 30 - 30, "{successes:?}");
        ensure!(successes[9].1 == (10 - 5) * 30, "sealed days are not read at each poll: {successes:?}");
        let verified = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(verified.problems.is_empty(), "{:?}", verified.problems);
        check_packs(&lab).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_looked_at_with_everything_that_the_source_says_now() -> Result<()> {
    each_database(async |database| {
        let (lab, experiment) = begin(database, "always").await?;
        // One day on which nobody of the treatment came back, as when a pipeline was down; it is final before anybody looks.
        let outage = Day { players: 1000, control: 0.30, treatment: 0.0 };
        let status = async |lab: &Lab| -> Result<_> {
            Ok(lab.runtime.experiments().show(&experiment).await?.experiment.state.status)
        };
        lab.tell_source(&day(1_000_000, lab.runtime.now(), &outage, true)).await?;
        lab.poll_after(8 * 24).await?;
        ensure!(status(&lab).await? == ExperimentStatus::Paused, "{}", status(&lab).await?);
        lab.poll_after(24).await?;
        ensure!(n_cohorts(&lab, "").await? > 0, "what is final is kept while the flag is off, too");
        // The pipeline catches up.
        let late = lab.runtime.now() - jiff::SignedDuration::from_hours(3 * 24);
        let back = late.strftime("%Y-%m-%d %H:%M:%S");
        lab.tell_source(&format!(
            "INSERT INTO plays SELECT player, 'again', '{back}' FROM plays WHERE what = 'first' AND player BETWEEN 1000000 AND 1000299 \
             AND player % 2 = 1"
        ))
        .await?;
        lab.tell_source("UPDATE plays SET at = (SELECT datetime(seen_at, '+5 days') FROM seen WHERE seen.player = plays.player LIMIT 1) \
                         WHERE what = 'again' AND player BETWEEN 1000000 AND 1000299 AND player % 2 = 1").await?;
        lab.poll_after(24).await?;
        let gates = format!("{:?}", lab.runtime.gates().list().await?);
        ensure!(gates.contains("removed the finding") || gates.contains("Resume"), "{gates}");
        ensure!(n_cohorts(&lab, "AND reason = 'corrected'").await? > 0, "and is kept");
        Ok(())
    })
    .await
}
