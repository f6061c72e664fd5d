//! An experiment from its proposal to its end, inside of one process, on both engines.

use anyhow::{Context as _, Result};
use outcome_core::domain::{Experiment, ExperimentStatus, PauseCause, Verdict};
use outcome_core::ids::ExperimentId;
use outcome_core::stats::{HealthCode, Recommendation};
use outcome_tests::lab::{FILE, Lab, agent, hypothesis};
use outcome_tests::postgres;

/// Runs a test on SQLite and on a fresh PostgreSQL database.
pub async fn each_lab(test: impl AsyncFn(Lab) -> Result<()>) -> Result<()> {
    each_lab_declaring(FILE, test).await
}

/// The same with an outcome file of the test's own.
pub async fn each_lab_declaring(file: &str, test: impl AsyncFn(Lab) -> Result<()>) -> Result<()> {
    each_database(async |database| test(Lab::declaring(database, file).await?).await).await
}

/// The same with no laboratory yet: on SQLite, which is no address, and with a fresh PostgreSQL database.
pub async fn each_database(test: impl AsyncFn(Option<String>) -> Result<()>) -> Result<()> {
    test(None).await?;
    match postgres::server() {
        Ok(server) => test(Some(server.database().await)).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}

async fn status(lab: &Lab, experiment: &str) -> Result<ExperimentStatus> {
    Ok(lab.runtime.experiments().show(experiment).await?.experiment.state.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_treatment_is_shipped_and_the_log_holds() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        assert_eq!(status(&lab, &experiment).await?, ExperimentStatus::Running);
        lab.arms("soft", (500, 150, 2), (500, 170, 2)).await?;
        let polled = lab.poll_after(6).await?;
        assert_eq!(polled.failures, Vec::<String>::new());
        assert_eq!(status(&lab, &experiment).await?, ExperimentStatus::Running);
        lab.arms("soft", (3000, 900, 12), (3000, 1080, 12)).await?;
        lab.poll_after(24).await?;
        assert_eq!(status(&lab, &experiment).await?, ExperimentStatus::Measuring, "not before a whole week");
        lab.arms("soft", (9000, 2700, 36), (9000, 3240, 36)).await?;
        lab.poll_after(24 * 7).await?;
        assert_eq!(status(&lab, &experiment).await?, ExperimentStatus::AwaitingAnalysisGate);
        lab.decide(&experiment, Verdict::Ship).await?;
        let decided = lab.decide(&experiment, Verdict::Approve).await?;
        assert_eq!(decided.experiment_status, Some(ExperimentStatus::Shipped));
        let flags = std::fs::read_to_string(lab.root().join("flags.json"))?;
        assert!(flags.contains("\"soft\""), "{flags}");
        let learnings = lab.runtime.learnings().search("softer", None, 5, 0).await?;
        assert_eq!(learnings.len(), 1);
        let check = lab.runtime.audit_log().verify(&[]).await?;
        assert_eq!(check.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crossed_constraint_turns_the_flag_off_and_asks_a_human() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Crashing level", "crash").await?;
        lab.arms("crash", (4000, 1200, 8), (4000, 1240, 200)).await?;
        lab.poll_after(6).await?;
        let view = lab.runtime.experiments().show(&experiment).await?;
        assert_eq!(view.experiment.state.status, ExperimentStatus::Paused);
        let pause = view.experiment.state.pause.clone().unwrap();
        assert_eq!(pause.cause, PauseCause::Constraint);
        assert!(pause.detail.contains("crashes"), "{}", pause.detail);
        let flags: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(lab.root().join("flags.json"))?)?;
        assert_eq!(flags["flags"]["crash"]["state"], "DISABLED", "{flags}");
        let decided = lab.decide(&experiment, Verdict::Kill).await?;
        assert_eq!(decided.experiment_status, Some(ExperimentStatus::Killed));
        let check = lab.runtime.audit_log().verify(&[]).await?;
        assert_eq!(check.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn shrinking_counts_begin_the_evidence_anew_and_lose_nothing() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Shrinking", "shrink").await?;
        lab.arms("shrink", (4000, 1200, 8), (4000, 1300, 8)).await?;
        lab.poll_after(6).await?;
        lab.arms("shrink", (3000, 900, 8), (3000, 990, 8)).await?;
        lab.poll_after(6).await?;
        let view = lab.runtime.experiments().show(&experiment).await?;
        let result = view.experiment.current_result.unwrap();
        let result = result.read()?;
        assert_eq!((result.advice.recommendation, result.epoch), (Recommendation::Continue, 2), "{result:?}");
        assert!(result.health.iter().any(|found| found.code == HealthCode::Restated), "{result:?}");
        let series = lab.runtime.experiments().series(&experiment, 100).await?;
        assert_eq!(series.len(), 4, "both polls are kept");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_proof_that_cannot_be_read_keeps_a_success_from_shipping() -> Result<()> {
    let file = FILE.replace("margin: 0.005 }", "margin: 0.005, must_prove: true }");
    let lab = Lab::declaring(None, &file).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (9000, 2700, 36), (9000, 3240, 36)).await?;
    lab.poll_after(24 * 6 + 12).await?;
    lab.tell_source("ALTER TABLE arms RENAME COLUMN crashes TO falls").await?;
    let polled = lab.poll_after(13).await?;
    assert_eq!(polled.failures.len(), 1, "{polled:?}");
    let shown = lab.runtime.experiments().show(&experiment).await?.experiment;
    assert_eq!(shown.state.status, ExperimentStatus::Measuring);
    let result = shown.current_result.context("a result")?;
    let verdict = &result.json()["verdict"];
    assert_eq!(
        (&verdict["decision"], &verdict["next"]),
        (&"continue".into(), &"Proof that every required guardrail is met.".into())
    );
    lab.tell_source("ALTER TABLE arms RENAME COLUMN falls TO crashes").await?;
    lab.poll_after(6).await?;
    assert_eq!(status(&lab, &experiment).await?, ExperimentStatus::AwaitingAnalysisGate);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_listed_before_anything_newer() -> Result<()> {
    each_lab(async |lab| {
        let building = lab.submit(hypothesis("Softer level", "soft")).await?;
        lab.decide(&building, Verdict::Approve).await?;
        let outcome = lab.runtime.experiments().show(&building).await?.experiment.outcome;
        let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await?;
        for n in 0..30 {
            lab.clock.advance(jiff::SignedDuration::from_mins(1));
            let (id, slug) = (lab.runtime.ids().next::<ExperimentId>(), format!("idea-{n}").parse()?);
            let idea = hypothesis(&format!("Idea {n}"), &format!("idea-{n}"));
            let idea = Experiment::draft(id, slug, outcome, idea, agent(), lab.runtime.now());
            tx.experiment_insert(&idea, "").await?;
        }
        tx.commit().await?;
        let line = lab.runtime.workspaces().status(true).await?.outcomes.swap_remove(0);
        let listed: Vec<&str> = line.experiments.iter().map(|line| line.experiment.as_str()).collect();
        assert_eq!(listed[..3], [building.as_str(), "idea-29", "idea-28"]);
        assert_eq!((listed.len(), line.n_more), (20, 11));
        Ok(())
    })
    .await
}
