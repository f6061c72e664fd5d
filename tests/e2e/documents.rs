//! Documents that are kept as JSON: what cannot be read is an error where something is decided from it and is said where it
//! is shown, and no answer has a key twice.

use anyhow::Result;
use outcome_core::Code;
use outcome_core::domain::{ExperimentStatus, Verdict};
use outcome_core::usecases::RecomputeRequest;
use outcome_tests::json::UniqueKeys;
use outcome_tests::lab::Lab;
use serde::Serialize;
use serde_json::Value;

use crate::journey::each_lab;

async fn line(lab: &Lab) -> Result<Value> {
    Ok(serde_json::to_value(lab.runtime.workspaces().status(false).await?)?["outcomes"][0]["experiments"][0].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_cannot_be_read_is_no_empty_memory() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        lab.arms("soft", (500, 150, 2), (500, 170, 2)).await?;
        lab.poll_after(6).await?;
        let before = lab.runtime.experiments().show(&experiment).await?.experiment;
        lab.raw("UPDATE experiment SET running = '{\"epoch\":\"one\"}', current_result = '{\"effect\":\"big\"}'")
            .await?;
        lab.arms("soft", (3000, 900, 12), (3000, 1080, 12)).await?;
        let polled = lab.poll_after(18).await?;
        assert!(polled.experiments.is_empty() && polled.failures.len() == 1, "{polled:?}");
        assert!(polled.failures[0].contains("the stored running state cannot be read"), "{polled:?}");
        let shown = line(&lab).await?;
        assert!(shown["effect"].is_null() && shown["verdict"].is_null(), "{shown}");
        assert!(shown["health"][0].as_str().unwrap().starts_with("the stored evaluation cannot be read"), "{shown}");
        // What was measured is still there.
        let human = outcome_tests::lab::local();
        let done = lab.runtime.audit_log().recompute(&RecomputeRequest::default(), &human).await?;
        assert_eq!((done.changes.len(), done.failures.len()), (1, 0), "{done:?}");
        let after = lab.runtime.experiments().show(&experiment).await?.experiment;
        assert_eq!(after.running, before.running);
        assert_eq!(lab.poll_after(6).await?.failures, Vec::<String>::new());
        Ok(())
    })
    .await
}

/// A resume puts users in front of a change again, so it must be one that can be judged and watched.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_readable_plan_is_not_resumed() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        lab.act(&experiment, Verdict::Pause).await?;
        for plan in ["'{\"alpha\":\"x\"}'", "NULL"] {
            lab.raw(&format!("UPDATE experiment SET plan = {plan}")).await?;
            let refused = lab.act(&experiment, Verdict::Resume).await.unwrap_err();
            assert!([Code::StateTampered, Code::Conflict].contains(&refused.code()), "{plan}: {refused}");
            let shown = lab.runtime.experiments().show(&experiment).await?.experiment;
            assert_eq!(shown.state.status, ExperimentStatus::Paused, "{plan}");
            let flags = std::fs::read_to_string(lab.root().join("flags.json"))?;
            assert!(!flags.contains("ENABLED"), "{plan}: {flags}");
        }
        Ok(())
    })
    .await
}

/// An end is never refused because of what can no longer be read: the flag goes off with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_readable_result_plan_or_memory_can_still_be_killed() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        lab.arms("soft", (500, 150, 2), (500, 170, 2)).await?;
        lab.poll_after(6).await?;
        let flags = || std::fs::read_to_string(lab.root().join("flags.json"));
        assert!(flags()?.contains("ENABLED"));
        let junk = "'{\"alpha\":\"x\"}'";
        lab.raw(&format!(
            "UPDATE experiment SET plan = {junk}, running = {junk}, current_result = {junk}, build = {junk}"
        ))
        .await?;
        lab.act(&experiment, Verdict::Kill).await?;
        let shown = lab.runtime.experiments().show(&experiment).await?.experiment;
        assert_eq!(shown.state.status, ExperimentStatus::Killed);
        assert!(!flags()?.contains("ENABLED"), "{}", flags()?);
        let learnings = lab.runtime.learnings().search("", None, 10, 0).await?;
        assert!(learnings[0].finding.contains("cannot be read"), "{learnings:?}");
        assert_eq!(learnings[0].confidence, 0.0);
        Ok(())
    })
    .await
}

fn is_unique(answer: &impl Serialize) -> Result<Value> {
    Ok(serde_json::from_str::<UniqueKeys>(&serde_json::to_string(answer)?)?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_has_a_key_twice() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let runtime = &lab.runtime;
    let experiment = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (9000, 2700, 36), (9000, 3240, 36)).await?;
    is_unique(&lab.poll_after(24 * 8).await?)?;
    is_unique(&runtime.gates().list().await?)?;
    is_unique(&lab.decide(&experiment, Verdict::Kill).await?)?;
    let shown = is_unique(&runtime.experiments().show(&experiment).await?)?;
    assert_eq!(shown["outcome"], "retention", "{shown}");
    assert!(shown["outcome_id"].as_str().is_some_and(|id| id.len() == 36), "{shown}");
    assert!(shown["current_result"]["verdict"]["decision"].is_string(), "{shown}");
    let ended = runtime.experiments().show(&experiment).await?.experiment;
    let last = ended.last_result().unwrap().unwrap();
    assert_eq!(Some(last), ended.current_result.as_ref().map(|result| result.read().unwrap()));
    is_unique(&runtime.experiments().list(None, 10).await?)?;
    is_unique(&runtime.hypotheses().work_order("retention").await?)?;
    is_unique(&runtime.workspaces().status(false).await?)?;
    is_unique(&runtime.learnings().search("", None, 10, 0).await?)?;
    is_unique(&runtime.audit_log().proof(&experiment).await?)?;
    is_unique(&runtime.audit_log().page(0, 1000).await?)?;
    is_unique(&runtime.audit_log().verify(&[]).await?)?;
    Ok(())
}
