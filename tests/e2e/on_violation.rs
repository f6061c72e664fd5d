//! What a crossed constraint does is what its own entry in the file says, whatever its name looks like.

use anyhow::Result;
use outcome_core::domain::ExperimentStatus;
use outcome_tests::lab::{self, Lab};
use outcome_tests::postgres;
use pretty_assertions::assert_eq;

/// Crashes in the treatment are far beyond every bound of this page.
const BREACHED: &str = "crashes";
/// Nobody ever crashed.
const HEALTHY: &str = "0";
/// No worse than control.
const NOT_WORSE: &str = "not_worse: { direction: decrease, margin: 0.005 }";

/// A constraint of the file.
fn constraint(name: &str, column: &str, bound: &str, policy: &str) -> String {
    format!(
        "      - signal: \"{name}\"
        source: game
        metric: crashed
        method: custom
        query:
          by_variant: \"SELECT variant, n, {column} AS successes FROM arms WHERE flag = :flag AND :from < :to\"
        {bound}
        on_violation: {policy}
"
    )
}

/// The laboratory's outcome with these constraints in place of its own.
fn file(constraints: &[String]) -> String {
    let (head, rest) = lab::FILE.split_once("      - signal: crashes").unwrap_or((lab::FILE, ""));
    let (_, tail) = rest.split_once("      - rule:").unwrap_or(("", rest));
    format!("{head}{}      - rule:{tail}", constraints.concat())
}

/// Where an experiment stands after three days of crashes in its treatment.
async fn after_three_days(database: Option<String>, constraints: &[String]) -> Result<ExperimentStatus> {
    let lab = Lab::declaring(database, &file(constraints)).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    for day in 1..=3 {
        lab.arms("soft", (700 * day, 210 * day, 3 * day), (700 * day, 210 * day, 120 * day)).await?;
        lab.poll_after(24).await?;
    }
    Ok(lab.runtime.experiments().show(&experiment).await?.experiment.state.status)
}

/// On SQLite and on PostgreSQL.
async fn leads_to(constraints: &[String], expected: ExperimentStatus) -> Result<()> {
    assert_eq!(after_three_days(None, constraints).await?, expected, "{constraints:#?}");
    match postgres::server() {
        Ok(server) => {
            let database = Some(server.database().await);
            assert_eq!(after_three_days(database, constraints).await?, expected, "on PostgreSQL: {constraints:#?}");
        }
        Err(skip) => eprintln!("SKIPPED on PostgreSQL: {skip}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_name_of_two_words_kills_where_its_entry_says_so() -> Result<()> {
    leads_to(&[constraint("checkout errors", BREACHED, NOT_WORSE, "kill")], ExperimentStatus::Killed).await
}

#[tokio::test]
async fn a_healthy_neighbour_with_the_same_first_word_does_not_kill() -> Result<()> {
    let constraints =
        [constraint("errors", HEALTHY, NOT_WORSE, "kill"), constraint("errors minor", BREACHED, NOT_WORSE, "pause")];
    leads_to(&constraints, ExperimentStatus::Paused).await
}

#[tokio::test]
async fn a_name_that_begins_another_name_keeps_its_own_policy() -> Result<()> {
    let constraints =
        [constraint("errors", HEALTHY, NOT_WORSE, "pause"), constraint("errors_major", BREACHED, NOT_WORSE, "kill")];
    leads_to(&constraints, ExperimentStatus::Killed).await?;
    let constraints =
        [constraint("errors", BREACHED, NOT_WORSE, "pause"), constraint("errors_major", HEALTHY, NOT_WORSE, "kill")];
    leads_to(&constraints, ExperimentStatus::Paused).await
}

#[tokio::test]
async fn one_crossed_side_of_two_limits_is_enough() -> Result<()> {
    let limits = "min: 0.001\n        max: 0.05";
    leads_to(&[constraint("checkout errors", BREACHED, limits, "kill")], ExperimentStatus::Killed).await?;
    // The other side of the first constraint stands between the two in the results.
    let constraints =
        [constraint("errors", HEALTHY, "max: 0.05", "kill"), constraint("errors minor", BREACHED, limits, "pause")];
    leads_to(&constraints, ExperimentStatus::Paused).await?;
    let wide = "min: 0.001\n        max: 0.9";
    let constraints =
        [constraint("errors", BREACHED, wide, "pause"), constraint("errors minor", BREACHED, limits, "kill")];
    leads_to(&constraints, ExperimentStatus::Killed).await
}
