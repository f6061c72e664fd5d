//! An experiment as an agent sees it, from the first call to the learning, in every era. Humans decide in between.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, commit, decision, git, hypothesis, write};
use outcome_tests::mcp::{MODERN, lab_env};
use serde_json::{Value, json};

use super::{VERSIONS, candidate, golden, session};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_proposes_builds_asks_and_learns() -> Result<()> {
    for version in VERSIONS {
        let lab = Lab::sqlite().await?;
        let root = lab.root();
        let mut client = session(&lab, version).await?;

        let start = client.ok("get_active_outcomes", json!({})).await?;
        golden("get_active_outcomes", &without_workspace(&start));
        golden("get_work_order", &client.ok("get_work_order", json!({})).await?);

        let arguments = json!({ "outcome_id": OUTCOME, "hypotheses": [candidate("Softer level", "soft")] });
        let submitted = client.ok("submit_hypotheses", arguments.clone()).await?;
        golden("submit_hypotheses", &submitted);
        let again = client.ok("submit_hypotheses", arguments).await?;
        assert_eq!(again["proposed"], submitted["proposed"], "a retried call");
        let gate = submitted["gates"][0]["gate"].as_str().unwrap().to_owned();

        let early = client.fails("get_experiment_brief", json!({ "id": "softer-level" })).await?;
        golden("error_brief_before_approval", &early);
        golden("get_gate_pending", &client.ok("get_gate", json!({ "gate_id": gate })).await?);

        lab.decide("softer-level", Verdict::ApproveWithConditions).await?;
        golden("get_gate_decided", &client.ok("get_gate", json!({ "gate": gate })).await?);
        let brief = client.ok("get_experiment_brief", json!({ "experimentId": "softer-level" })).await?;
        golden("get_experiment_brief", &brief);
        assert_eq!(brief["conditions_say"], json!(["be careful"]));

        git(&root, &["checkout", "-q", "-b", "work", "main"])?;
        write(&root, "game/level.txt", "softer\n")?;
        let report = json!({
            "experiment_id": "softer-level",
            "implementation_summary": "Softer behind the flag",
            "files_changed": ["game/level.txt", "game/other.txt"],
            "commit": commit(&root, "Soften")?,
        });
        let built = client.ok("report_experiment_built", report.clone()).await?;
        golden("report_experiment_built", &built);
        let again = client.ok("report_experiment_built", report).await?;
        assert_eq!(again["gate"], built["gate"], "the same commit");

        let launch = json!({ "experiment_id": "softer-level", "gate_type": "launch_approval", "question": "Go?" });
        let asked = client.ok("request_human_gate", launch).await?;
        assert_eq!((&asked["gate"], &asked["status"]), (&built["gate"], &json!("pending")));
        lab.decide("softer-level", Verdict::Approve).await?;

        let question = json!({
            "experiment": "softer-level", "gate_type": "Escalation", "question": "May level three change as well?",
            "context": { "why": "it shares a file" },
        });
        let escalated = client.ok("request_human_gate", question.clone()).await?;
        golden("request_human_gate", &escalated);
        assert_eq!(client.ok("request_human_gate", question).await?["gate"], escalated["gate"], "asked again");

        lab.arms("soft", (9000, 2700, 36), (9000, 3240, 36)).await?;
        lab.poll_after(6).await?;
        lab.poll_after(24 * 8).await?;
        lab_env(&lab)?; // the server's clock follows
        let status = client.ok("get_active_outcomes", json!({ "detail": "full" })).await?;
        golden("get_active_outcomes_full", &without_workspace(&status));

        let view = lab.runtime.experiment_show("softer-level").await?;
        let analysis = view.gates.iter().find(|gate| gate.contains("analysis")).expect("an analysis gate");
        lab.runtime.gate_decide(decision(analysis, Verdict::Kill)).await?;
        golden("query_learnings", &client.ok("query_learnings", json!({ "query": "softer level" })).await?);
        client.close().await?;
    }
    Ok(())
}

/// The name of the temporary directory and the jitter of the schedule are others each time.
fn without_workspace(value: &Value) -> Value {
    let mut value = value.clone();
    value["workspace"] = json!("<workspace>");
    if let Some(at) = value.pointer_mut("/outcomes/0/next_poll_at") {
        *at = json!("<soon>");
    }
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_can_be_reported_again() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Hard level", "hard")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    let mut client = session(&lab, MODERN).await?;
    for _ in 0..2 {
        let arguments = json!({ "id": experiment, "outcome": "failed", "reason": "the engine has no levels" });
        let reported = client.ok("report_experiment_built", arguments).await?;
        assert_eq!(reported["status"], "failed_build");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_do_is_recorded_under_the_name_that_they_give() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for version in VERSIONS {
        let mut client = session(&lab, version).await?;
        let hypotheses = json!([candidate(&format!("Level {version}"), &format!("f-{version}"))]);
        client.ok("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": hypotheses })).await?;
    }
    let log = lab.runtime.audit_page(0, 500).await?;
    let by_agent =
        log.iter().filter(|line| line.principal.to_string() == "plain-client (agent, self-reported)").count();
    assert!(by_agent >= 3, "{by_agent}");
    Ok(())
}
