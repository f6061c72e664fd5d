//! When an outcome is reached: by its days, read once and kept, and by what a source pushes where it cannot be asked for a day.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use outcome_core::usecases::Attainment;
use outcome_tests::lab::{FILE, Lab, OUTCOME, unlock};
use serde_json::json;

use crate::journey::each_database;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const BEGIN: &str = "2026-10-01T08:00:00Z";
const UNITS: i64 = 2_000;
const LEVEL: &str = "SELECT 14000 AS n, 4200 AS successes WHERE :from < :to";

/// An outcome file whose level is counted from days.
fn by_day() -> Result<String> {
    anyhow::ensure!(FILE.contains(LEVEL), "the laboratory's outcome file changed");
    let counted = "SELECT coalesce(sum(n), 0) AS n, coalesce(sum(successes), 0) AS successes FROM days WHERE at >= :from AND at < :to";
    Ok(FILE.replace(LEVEL, counted))
}

/// Statements that make the table of days, from `n_before` days before the beginning on.
fn days(n_before: i64, share: impl Fn(i64) -> f64) -> Result<String> {
    let begin: Timestamp = BEGIN.parse()?;
    let weekday = [0.02, 0.01, 0.0, 0.0, 0.01, -0.01, -0.03];
    let noise = [0.003, -0.002, 0.001, -0.003, 0.002];
    let mut rows = Vec::new();
    for day in -n_before..130 {
        let at = (begin + HOUR * i32::try_from(day * 24)?).strftime("%Y-%m-%d %H:%M:%S");
        let index = |of: usize| usize::try_from((day + 700) % i64::try_from(of).unwrap_or(1)).unwrap_or(0);
        let successes = ((share(day) + weekday[index(7)] + noise[index(5)]) * UNITS as f64).round();
        rows.push(format!("('{at}', {UNITS}, {successes})"));
    }
    Ok(format!(
        "CREATE TABLE days (at TEXT, n INTEGER, successes INTEGER); INSERT INTO days VALUES {};",
        rows.join(", ")
    ))
}

async fn attainment(lab: &Lab) -> Result<Attainment> {
    let status = lab.runtime.workspaces().status(true).await?;
    let line = status.outcomes.into_iter().find(|line| line.outcome == OUTCOME).context("no outcome")?;
    line.attainment.context("no attainment")
}

/// Days that are stored.
async fn n_days(lab: &Lab) -> Result<u64> {
    lab.raw("UPDATE measurement SET natural_key = natural_key WHERE natural_key LIKE 'day/%'").await
}

/// The window that is shown is a week, however many days are stored beside it.
async fn only_weeks_are_shown(lab: &Lab) -> Result<()> {
    let series = lab.runtime.outcomes().series(OUTCOME, 1000).await?;
    assert!(!series.is_empty());
    for reading in series {
        assert_eq!(reading.window.to.duration_since(reading.window.from), HOUR * 168, "{reading:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_reached_when_its_days_prove_it_for_the_dwell_time() -> Result<()> {
    let share = |day: i64| if day < 10 { 0.30 } else { 0.40 };
    each_database(async |database| {
        let lab = Lab::declaring_on(database, &by_day()?, &days(70, share)?).await?;
        let refused = lab.runtime.outcomes().confirm(OUTCOME, &unlock()).await.unwrap_err();
        assert!(refused.to_string().contains("no day has been read yet"), "{refused}");
        let mut read = Vec::new();
        for _ in 0..3 {
            assert_eq!(lab.poll_after(1).await?.failures, Vec::<String>::new());
            read.push(n_days(&lab).await?);
        }
        assert_eq!(
            read,
            [28, 56, 56],
            "eight weeks before the activation, some of them a poll, and no day that is not over"
        );
        assert!(attainment(&lab).await?.says.contains("no whole day since the activation"));
        let mut found = Vec::new();
        for _ in 0..27 {
            assert_eq!(lab.poll_after(24).await?.failures, Vec::<String>::new());
            found.push(attainment(&lab).await?);
        }
        // The day of a query waits for two more, since it is read once.
        assert_eq!(n_days(&lab).await?, 56 + 25);
        let first = |is: fn(&Attainment) -> bool| found.iter().position(is);
        let begun = first(|found| found.since.is_some()).context("never begun")?;
        let proven = first(|found| found.says.contains("is proven at 95 %")).context("never proven")?;
        let met = first(|found| found.is_met).context("never met")?;
        assert!(found[2].says.contains("the mean of the last 7 days is short of the target"), "{found:?}");
        assert!(
            begun >= 12 && proven > begun + 3 && met >= begun + 7 && met >= proven,
            "{begun} {proven} {met} {found:#?}"
        );
        assert!(found[begun].says.contains("not proven yet at 95 %: too few days"), "{:?}", found[begun]);
        assert!(found[met..].iter().all(|found| found.is_met), "{found:#?}");
        only_weeks_are_shown(&lab).await?;
        // A day is read once, and what is read later is another day.
        lab.tell_source("UPDATE days SET successes = 0").await?;
        assert_eq!(attainment(&lab).await?, *found.last().context("nothing")?);
        lab.runtime.outcomes().confirm(OUTCOME, &unlock()).await?;
        let verified = lab.runtime.audit_log().verify(&[]).await?;
        assert!(verified.is_intact, "{:?}", verified.problems);
        // A day whose key is written past the runtime stays a day: the log does not hold the key.
        lab.raw("UPDATE measurement SET natural_key = replace(natural_key, 'day/', 'level/')").await?;
        only_weeks_are_shown(&lab).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_falls_back_is_not_reached_and_begins_anew_with_less() -> Result<()> {
    let share = |day: i64| if (3..12).contains(&day) || day >= 30 { 0.45 } else { 0.30 };
    let file = by_day()?.replace("horizon: 8w", "horizon: 20w");
    let lab = Lab::declaring_on(None, &file, &days(20, share)?).await?;
    for _ in 0..3 {
        lab.poll_after(1).await?;
    }
    assert_eq!(n_days(&lab).await?, 27, "20 days with data, and a week without any before them");
    for _ in 0..26 {
        lab.poll_after(24).await?;
    }
    let fallen = attainment(&lab).await?;
    assert!(
        !fallen.is_met && fallen.says.contains("short of the target; it reached the target once before"),
        "{fallen:?}"
    );
    let refused = lab.runtime.outcomes().confirm(OUTCOME, &unlock()).await.unwrap_err();
    assert!(refused.to_string().contains("fell back"), "{refused}");
    // A history with a jump in it says that days are like the ones before them, so that a proof takes longer.
    for _ in 0..90 {
        lab.poll_after(24).await?;
    }
    let again = attainment(&lab).await?;
    assert!(again.is_met && again.says.contains("once before"), "{again:?}");
    // What nobody has read for days is not known to have stayed.
    lab.clock.advance(HOUR * (24 * 6));
    let late = attainment(&lab).await?;
    assert!(!late.is_met && late.says.contains("days since then are not read yet"), "{late:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_query_is_another_series_of_days() -> Result<()> {
    let lab = Lab::declaring_on(None, &by_day()?, &days(70, |_| 0.30)?).await?;
    for hours in [1, 1, 72] {
        lab.poll_after(hours).await?;
    }
    assert_eq!(n_days(&lab).await?, 57);
    let changed = by_day()?.replace("sum(successes), 0)", "sum(successes), 0) + 0");
    outcome_tests::lab::write(&lab.root(), "outcome.yaml", &changed)?;
    lab.runtime.outcomes().apply(&outcome_tests::lab::local(), Some(&unlock())).await?;
    assert!(attainment(&lab).await?.says.contains("no day has been read yet"));
    lab.poll_after(1).await?;
    assert_eq!(n_days(&lab).await?, 57 + 28);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_pushes_is_judged_by_what_it_pushes() -> Result<()> {
    let (begin, rest) = FILE.split_once("      source: game\n      metric: came_back").context("no signal")?;
    let (_, rest) = rest.split_once("    secondary_signals:").context("no secondary signals")?;
    let (middle, rest) = rest.split_once("    constraints:").context("no constraints")?;
    let (_, end) = rest.split_once("    horizon:").context("no horizon")?;
    let signal = "      source: push\n      metric: came_back\n      method: event\n    secondary_signals:";
    let lab = Lab::applied(None, &format!("{begin}{signal}{middle}    horizon:{end}")).await?;
    let push = async |name: String, hours: i32, successes: i64| {
        let to = lab.runtime.now();
        let body = json!({
            "schema_version": 1, "source": "push", "outcome": OUTCOME, "signal": "came_back",
            "window": { "from": to - HOUR * hours, "to": to }, "readings": [{ "n": UNITS, "successes": successes }],
        });
        lab.push(&name, &body).await
    };
    push("first".to_owned(), 24, 600).await?;
    lab.runtime.outcomes().activate(OUTCOME, &unlock(), false).await?;
    for day in 0..50 {
        lab.clock.advance(HOUR * 24);
        push(format!("day-{day}"), 24, 800 + day % 5).await?;
        // Of what overlaps, the one that ended first counts.
        push(format!("week-{day}"), 168, 0).await?;
        lab.poll_after(0).await?;
    }
    assert_eq!(n_days(&lab).await?, 0);
    let found = attainment(&lab).await?;
    assert!(found.is_met, "{found:?}");
    assert!(
        found.says.contains("`push` pushes its values, so that days cannot be read, and the 51 pushed windows"),
        "{found:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_a_single_day_does_not_have_is_judged_by_windows() -> Result<()> {
    // As a number of users who did something in the window: of a week there are many more than of a day.
    let counted = "SELECT coalesce(max(n), 0) AS n, CAST(coalesce(sum(successes), 0) / 4.2 AS INTEGER) AS successes FROM days WHERE at >= :from AND at < :to";
    let file = FILE.replace(LEVEL, counted).replace("horizon: 8w", "horizon: 20w");
    let share = |day: i64| if day < 14 { 0.18 } else { 0.24 };
    let lab = Lab::declaring_on(None, &file, &days(70, share)?).await?;
    for _ in 0..80 {
        lab.poll_after(24).await?;
    }
    let found = attainment(&lab).await?;
    assert!(
        found.says.contains("which is another quantity") && found.says.contains("windows that do not overlap"),
        "{found:?}"
    );
    assert!(found.is_met, "{found:?}");
    Ok(())
}
