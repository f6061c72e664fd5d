//! Finding learnings again, among many, on both engines.

use anyhow::{Context as _, Result};
use outcome_core::address::Address;
use outcome_core::domain::{EvidenceGrade, Experiment, FindingType, Learning, Outcome, Slug};
use outcome_core::ids::{LearningId, OutcomeId, WorkspaceId};
use outcome_core::store::{Db, LearningQuery, Tx, Workspace};
use outcome_tests::lab::{Lab, hypothesis};
use pretty_assertions::assert_eq;

use crate::journey::each_lab;

/// More than are ranked for words that all of them have.
const N_ALIKE: usize = 1_000;

fn learning(lab: &Lab, experiment: &Experiment, outcome: OutcomeId, finding: String) -> Learning {
    Learning {
        id: lab.runtime.ids().next::<LearningId>(),
        outcome,
        experiment: experiment.id,
        finding,
        finding_type: FindingType::Inconclusive,
        hypothesis_says: "Easier".to_owned(),
        note_says: None,
        evidence: serde_json::from_value(serde_json::json!({ "experiment": experiment.slug })).unwrap(),
        confidence: 0.5,
        grade: EvidenceGrade::B,
        applies_to: Vec::new(),
        created_at: lab.runtime.now(),
    }
}

async fn found(tx: &mut Tx, words: &str, outcome: Option<OutcomeId>, offset: i64) -> Result<Vec<String>> {
    let query = LearningQuery { words: words.to_owned(), outcome, limit: 5, offset };
    Ok(tx.learning_search(&query).await?.into_iter().map(|found| found.learning.finding).collect())
}

/// Who else is in the database.
struct Others {
    outcome: OutcomeId,
    workspace: WorkspaceId,
}

/// The oldest learning of all belongs to another workspace, the next is about something rare, one belongs to another outcome;
/// then come many alike.
async fn filled(lab: &Lab) -> Result<Others> {
    let slug = lab.submit(hypothesis("Softer", "softer")).await?;
    let experiment = lab.runtime.experiments().show(&slug).await?.experiment;
    let own = lab.runtime.workspace();
    let outcome = lab.runtime.db().read(own.id).await?.outcome_get(experiment.outcome).await?.context("no outcome")?;

    let neighbour =
        Workspace { id: lab.runtime.ids().next::<WorkspaceId>(), slug: "next-door".to_owned(), ..own.clone() };
    let mut tx = lab.runtime.db().workspace_create(&neighbour).await?;
    tx.outcome_insert(&outcome, "").await?;
    tx.experiment_insert(&experiment, "").await?;
    tx.learning_insert(&learning(lab, &experiment, outcome.id, "The level of a neighbour".to_owned())).await?;
    tx.commit().await?;

    let mut tx = lab.runtime.db().write(own.id).await?;
    let mut other = Outcome { id: lab.runtime.ids().next::<OutcomeId>(), ..outcome };
    other.spec.slug = "elsewhere".parse::<Slug>()?;
    tx.outcome_insert(&other, "").await?;
    let mut say = async |outcome, finding: &str| -> Result<()> {
        tx.learning_insert(&learning(lab, &experiment, outcome, finding.to_owned())).await?;
        Ok(())
    };
    say(experiment.outcome, "The level asks for a postcode").await?;
    say(other.id, "The level of another game").await?;
    for n in 0..N_ALIKE {
        let even = if n % 2 == 0 { "even" } else { "odd" };
        let triple = if n % 3 == 0 { "triple" } else { "single" };
        let friends = if n % 10 == 0 { " of friends" } else { "" };
        say(experiment.outcome, &format!("The level{friends}, {even} {triple}, number {n}")).await?;
    }
    tx.commit().await?;
    Ok(Others { outcome: other.id, workspace: neighbour.id })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learning_is_found_by_its_rare_words_and_by_its_outcome_among_many_alike() -> Result<()> {
    each_lab(async |lab| {
        let others = filled(&lab).await?;
        let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
        for words in ["postcode", "postcodes of levels", "which level asks for the postcode"] {
            let first = found(&mut tx, words, None, 0).await?.into_iter().next();
            assert_eq!(first.as_deref(), Some("The level asks for a postcode"), "{words}");
        }
        assert_eq!(found(&mut tx, "level", Some(others.outcome), 0).await?, ["The level of another game"]);
        let both = found(&mut tx, "level friends", None, 0).await?;
        assert!(both.len() == 5 && both.iter().all(|finding| finding.contains("friends")), "{both:?}");
        assert_eq!(found(&mut tx, "level unheard-of", None, 0).await?.len(), 5, "one word is enough");
        // Many have each of these words, fewer have both, and nobody has the third.
        let both = found(&mut tx, "even triple zzz", None, 0).await?;
        assert!(both.len() == 5 && both.iter().all(|finding| finding.contains("even triple")), "{both:?}");

        let (page, next) = (found(&mut tx, "level", None, 0).await?, found(&mut tx, "level", None, 5).await?);
        assert!(next.len() == 5 && !next.iter().any(|finding| page.contains(finding)), "{page:?} {next:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_words_reach_another_workspace_or_break_the_question() -> Result<()> {
    each_lab(async |lab| {
        let others = filled(&lab).await?;
        let own = lab.runtime.workspace().id;
        let mut tx = lab.runtime.db().read(own).await?;
        let place = format!("w{}", own.0.simple());
        for words in
            ["level\" OR place : \"w", "level) OR (level", "*", "NOT level AND", "level' -- ", "NEAR(level, 2)"]
        {
            let n_found = found(&mut tx, words, None, 0).await?.len();
            assert_eq!(n_found, 5, "{words}");
        }
        assert_eq!(found(&mut tx, &place, None, 0).await?, Vec::<String>::new(), "places are no words of texts");
        assert_eq!(found(&mut tx, "level neighbour", None, 0).await?.len(), 5);
        assert_eq!(found(&mut tx, "neighbour", None, 0).await?, Vec::<String>::new(), "another workspace's");
        drop(tx);
        let mut tx = lab.runtime.db().read(others.workspace).await?;
        for words in ["level", "the level of friends", &format!("level {place}")] {
            assert_eq!(found(&mut tx, words, None, 0).await?, ["The level of a neighbour"], "{words}");
        }
        let far = LearningQuery { words: "level".to_owned(), outcome: None, limit: i64::MAX, offset: i64::MAX };
        assert_eq!(tx.learning_search(&far).await?, Vec::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_an_earlier_version_is_made_anew_with_everything_in_it() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let others = filled(&lab).await?;
    let begun = include_str!("../../migrations/sqlite/0001_initial.sql");
    let old =
        begun.split_once("CREATE VIRTUAL TABLE").and_then(|(_, rest)| rest.split_once("END;")).context("no index")?;
    for sql in [
        "DROP TRIGGER learning_text_insert",
        "DROP TABLE learning_text",
        &format!("CREATE VIRTUAL TABLE {}END", old.0),
        "DROP INDEX experiment_by_age",
        "CREATE INDEX experiment_by_outcome ON experiment (workspace_id, outcome_id, created_at)",
        "DROP INDEX measurement_by_poll",
        "DROP INDEX outbox_by_subject",
        "DROP INDEX outbox_closed",
        "ALTER TABLE outbox DROP COLUMN subject_id",
        "ALTER TABLE outbox DROP COLUMN closed_as",
        "ALTER TABLE measurement DROP COLUMN is_pushed",
        "ALTER TABLE measurement DROP COLUMN reread_of",
        "ALTER TABLE allocation_phase DROP COLUMN begins",
        "ALTER TABLE signal_health DROP COLUMN failing_since",
        "DROP INDEX experiment_by_flag",
        "DROP TABLE retention",
        "DROP TABLE raw_answer",
        "DROP TABLE secret",
        "DROP TABLE cohort",
        "DROP TABLE account_turn",
        "DROP TABLE account",
        "DROP TABLE source_state",
        "DROP TABLE worker",
        "DROP TABLE job",
        "DROP INDEX nonce_over",
        "DROP TABLE member_opening",
        "DROP TABLE machine_clock",
        "DROP TABLE delivery",
        "DROP TABLE configuration",
        "DROP INDEX event_by_kind",
        "DROP INDEX event_steps",
        "DROP INDEX event_writers",
        "ALTER TABLE event DROP COLUMN is_step",
        "ALTER TABLE event DROP COLUMN previous_step",
        "ALTER TABLE event DROP COLUMN writer",
        "ALTER TABLE event DROP COLUMN writer_signature",
        "DELETE FROM runtime_migration WHERE version >= 4",
    ] {
        lab.raw(sql).await?;
    }
    let db = Db::open_migrated(&Address::file(lab.root().join(".outcome/outcome.db"))).await?;
    let mut tx = db.read(lab.runtime.workspace().id).await?;
    assert_eq!(found(&mut tx, "level", Some(others.outcome), 0).await?, ["The level of another game"]);
    assert_eq!(found(&mut tx, "postcode", None, 0).await?, ["The level asks for a postcode"]);
    Ok(())
}
