//! Recomputing in bulk: what the statistics remember follows from the stored readings, on both engines.

use anyhow::{Context as _, Result};
use outcome_core::Code;
use outcome_core::domain::Experiment;
use outcome_core::usecases::{RecomputeRequest, Recomputed};
use outcome_tests::lab::{self, Lab};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::journey::each_lab;

async fn recompute(lab: &Lab, experiment: Option<&str>, is_check: bool) -> Result<Recomputed> {
    let request = RecomputeRequest { experiment: experiment.map(ToOwned::to_owned), is_check };
    Ok(lab.runtime.audit_log().recompute(&request, &outcome_tests::lab::local()).await?)
}

async fn experiment(lab: &Lab, slug: &str) -> Result<Experiment> {
    Ok(lab.runtime.experiments().show(slug).await?.experiment)
}

/// Three experiments with some polls each, the first with a restatement.
async fn three(lab: &Lab) -> Result<[String; 3]> {
    let mut slugs = Vec::new();
    for flag in ["ant", "bee", "cat"] {
        slugs.push(lab.running(&format!("With a {flag}"), flag).await?);
    }
    for n in [500, 2000, 1500, 4000] {
        lab.arms("ant", (n, n * 3 / 10, n / 100), (n + 3, n * 31 / 100, n / 90)).await?;
        lab.arms("bee", (n + 2000, n / 4, n / 100), (n + 2100, n / 4, n / 80)).await?;
        lab.arms("cat", (n + 900, n / 3, n / 100), (n + 910, n / 3, n / 80)).await?;
        lab.poll_after(8).await?;
    }
    slugs.try_into().ok().context("three experiments")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_behind_our_back_is_found_and_put_right() -> Result<()> {
    each_lab(async |lab| {
        let [ant, bee, cat] = three(&lab).await?;
        let right = [experiment(&lab, &ant).await?, experiment(&lab, &bee).await?, experiment(&lab, &cat).await?];
        let unchanged = recompute(&lab, None, true).await?;
        assert_eq!((unchanged.n_experiments, unchanged.n_measured), (3, 3));
        assert_eq!((unchanged.changes, unchanged.failures, unchanged.skipped), (vec![], vec![], vec![]));

        // Somebody makes one look better, and another one is lost.
        let mut forged = right[0].current_result.as_ref().context("no result")?.json().clone();
        forged["p_running"] = json!(0.001);
        forged["verdict"]["decision"] = json!("ship");
        lab.raw(&format!("UPDATE experiment SET current_result = '{forged}' WHERE slug = '{ant}'")).await?;
        lab.raw(&format!("UPDATE experiment SET running = NULL, current_result = NULL WHERE slug = '{bee}'")).await?;
        let found = recompute(&lab, None, true).await?;
        let named: Vec<_> = found.changes.iter().map(|c| (c.experiment.as_str(), c.fields.join(" "))).collect();
        assert_eq!(named, [(ant.as_str(), "p_running verdict".to_owned()), (bee.as_str(), String::new())]);
        let kept = experiment(&lab, &ant).await?.current_result.context("no result")?;
        assert_eq!(kept.json(), &forged, "a check changes nothing");

        assert_eq!(recompute(&lab, Some(&cat), false).await?.changes, vec![]);
        assert_eq!(recompute(&lab, Some(&bee), false).await?.changes.len(), 1);
        assert_eq!(recompute(&lab, None, false).await?.changes.len(), 1);
        for (slug, right) in [ant, bee, cat].iter().zip(&right) {
            assert_eq!(experiment(&lab, slug).await?, *right);
        }
        assert_eq!(recompute(&lab, None, false).await?.changes, vec![]);
        let log = lab.log().await?;
        let notes: Vec<_> = log.iter().filter(|line| line.kind == "workspace.note_recomputed").collect();
        assert_eq!(notes.len(), 2, "only what was written is logged");
        assert_eq!((&notes[1].payload["n_changed"], &notes[1].payload["n_experiments"]), (&json!(1), &json!(3)));
        // The figures are right again, and that somebody wrote there stays found.
        let found = lab.runtime.audit_log().verify(&[]).await?.problems;
        assert!(!found.is_empty() && found.iter().all(|problem| problem.contains("before line")), "{found:?}");
        // And polling goes on from there.
        assert!(!lab.poll_after(8).await?.is_skipped);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_nobody_approved_is_refused_and_the_others_are_recomputed() -> Result<()> {
    each_lab(async |lab| {
        let [ant, bee, _] = three(&lab).await?;
        let mut plan = experiment(&lab, &ant).await?.plan.context("no plan")?.json().clone();
        plan["alpha"] = json!(0.5);
        lab.raw(&format!("UPDATE experiment SET plan = '{plan}', running = NULL WHERE slug = '{ant}'")).await?;
        lab.raw(&format!("UPDATE experiment SET running = NULL WHERE slug = '{bee}'")).await?;
        let done = recompute(&lab, None, false).await?;
        assert!(done.failures.len() == 1 && done.failures[0].contains("differs from the approved plan"), "{done:?}");
        assert_eq!(done.changes.len(), 1);
        assert_eq!(experiment(&lab, &ant).await?.running, None);
        assert!(experiment(&lab, &bee).await?.running.is_some());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recomputed_while_somebody_polls_or_of_what_is_not_stored() -> Result<()> {
    let guard = "      - signal: delay\n        source: game\n        metric: delay\n        method: custom\n        \
                 query: { level: \"SELECT 950 AS value WHERE :from < :to\" }\n        max: 900\n      - rule:";
    let lab = Lab::declaring(None, &lab::FILE.replace("      - rule:", guard)).await?;
    let slug = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (2000, 600, 8), (2000, 620, 8)).await?;
    lab.poll_after(6).await?;
    let before = experiment(&lab, &slug).await?;
    let done = recompute(&lab, None, false).await?;
    assert!(done.changes.is_empty() && done.skipped.is_empty(), "the stored value gives the same alarm: {done:?}");
    lab.raw("DELETE FROM measurement WHERE signal = 'delay'").await?;
    let done = recompute(&lab, None, false).await?;
    assert!(done.changes.is_empty() && done.skipped.len() == 1 && done.skipped[0].contains("`delay`"), "{done:?}");
    assert_eq!(experiment(&lab, &slug).await?, before, "its alarm is not forgotten");

    let (now, workspace) = (lab.runtime.now(), lab.runtime.workspace().id);
    let mut tx = lab.runtime.db().write(workspace).await?;
    tx.worker_put("another", now + jiff::SignedDuration::from_secs(15)).await?;
    tx.commit().await?;
    assert!(lab.raw("UPDATE job SET holder = 'another'").await? > 0);
    let by = outcome_tests::lab::local();
    let refused = lab
        .runtime
        .audit_log()
        .recompute(&RecomputeRequest::default(), &by)
        .await
        .err()
        .context("it was recomputed")?;
    assert_eq!(refused.code(), Code::Conflict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_hold_every_experiment_once() -> Result<()> {
    each_lab(async |lab| {
        three(&lab).await?;
        let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
        let end = outcome_core::ids::ExperimentId(uuid::Uuid::max());
        for (size, n_ranges) in [(1, 3), (2, 2), (3, 1), (100, 1)] {
            let begins = tx.measured_ranges(size).await?;
            assert_eq!(begins.len(), n_ranges, "ranges of {size}");
            let mut slugs = Vec::new();
            for (i, begin) in begins.iter().enumerate() {
                let found = tx.measured_in(*begin, begins.get(i + 1).copied().unwrap_or(end)).await?;
                slugs.extend(found.into_iter().map(|measured| measured.slug));
            }
            slugs.sort();
            assert_eq!(slugs, ["with-a-ant", "with-a-bee", "with-a-cat"], "ranges of {size}");
        }
        Ok(())
    })
    .await
}
