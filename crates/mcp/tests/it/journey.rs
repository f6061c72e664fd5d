//! An experiment as an agent sees it, from the first call to the learning, in every era. Humans decide in between.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, commit, decision, git, hypothesis, with_reason, write};
use outcome_tests::mcp::{MODERN, lab_env};
use serde_json::json;

use super::{VERSIONS, candidate, refuses, session, shows};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_proposes_builds_asks_and_learns() -> Result<()> {
    for version in VERSIONS {
        let lab = Lab::sqlite().await?;
        let root = lab.root();
        let mut client = session(&lab, version).await?;

        shows(&mut client, "get_active_outcomes", "no experiment is open", ("get_active_outcomes", json!({}))).await?;
        shows(&mut client, "get_work_order", "no experiment is open", ("get_work_order", json!({}))).await?;

        let arguments = json!({ "outcome_id": OUTCOME, "hypotheses": [candidate("Softer level", "soft")] });
        let call = ("submit_hypotheses", arguments.clone());
        let submitted = shows(&mut client, "submit_hypotheses", "one candidate, which is selected", call).await?;
        let again = client.ok("submit_hypotheses", arguments).await?;
        assert_eq!(again["proposed"], submitted["proposed"], "a retried call");
        let gate = submitted["gates"][0]["gate"].as_str().unwrap().to_owned();

        let ask_brief = || ("get_experiment_brief", json!({ "experiment_id": "softer-level" }));
        let ask_gate = || ("get_gate", json!({ "gate_id": gate }));
        refuses(&mut client, "brief_before_approval", "before a human has approved", ask_brief()).await?;
        shows(&mut client, "get_gate", "no one has decided", ask_gate()).await?;

        lab.decide("softer-level", Verdict::ApproveWithConditions).await?;
        let decided = shows(&mut client, "get_gate_decided", "a human has decided", ask_gate()).await?;
        assert_eq!(client.ok("get_gate", json!({ "gate": gate })).await?, decided, "an alias");
        let brief = shows(&mut client, "get_experiment_brief", "approved with conditions", ask_brief()).await?;
        assert_eq!(client.ok(ask_brief().0, json!({ "experimentId": "softer-level" })).await?, brief, "an alias");
        assert_eq!(brief["conditions_say"], json!(["be careful"]));

        git(&root, &["checkout", "-q", "-b", "work", "main"])?;
        write(&root, "game/level.txt", "softer if soft\n")?;
        let report = json!({
            "experiment_id": "softer-level",
            "implementation_summary": "Softer behind the flag",
            "files_changed": ["game/level.txt", "game/other.txt"],
            "head": commit(&root, "Soften")?,
        });
        let call = ("report_experiment_built", report.clone());
        let built = shows(&mut client, "report_experiment_built", "a claim differs from the commit", call).await?;
        let again = client.ok("report_experiment_built", report).await?;
        assert_eq!(again["gate"], built["gate"], "the same commit");

        let launch = json!({ "experiment_id": "softer-level", "gate_type": "launch_approval", "question": "Go?" });
        let call = ("request_human_gate", launch);
        let asked = shows(&mut client, "request_human_gate_launch", "the lifecycle has opened the gate", call).await?;
        assert_eq!((&asked["gate"], &asked["status"]), (&built["gate"], &json!("pending")));
        lab.decide("softer-level", Verdict::Approve).await?;

        let question = json!({
            "experiment_id": "softer-level", "gate_type": "escalation", "question": "May level three change as well?",
            "details": { "why": "it shares a file" },
        });
        let call = ("request_human_gate", question);
        let escalated = shows(&mut client, "request_human_gate", "your own question", call).await?;
        let again = json!({
            "experiment": "softer-level", "type": "Escalation", "message": "May level three change as well?",
            "context": { "why": "it shares a file" },
        });
        assert_eq!(client.ok("request_human_gate", again).await?["gate"], escalated["gate"], "asked again");

        lab.arms("soft", (9000, 2700, 36), (9000, 3240, 36)).await?;
        lab.poll_after(6).await?;
        lab.poll_after(24 * 8).await?;
        lab_env(&lab)?; // the server's clock follows
        let call = ("get_active_outcomes", json!({ "detail": "full" }));
        shows(&mut client, "get_active_outcomes_full", "an experiment has a result", call).await?;

        let view = lab.runtime.experiments().show("softer-level").await?;
        let analysis = view.gates.iter().find(|gate| gate.contains("analysis")).expect("an analysis gate");
        lab.runtime.gates().decide(with_reason(decision(analysis, Verdict::Kill))).await?;
        let call = ("query_learnings", json!({ "query": "softer level" }));
        shows(&mut client, "query_learnings", "one experiment has ended", call).await?;
        client.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_can_be_reported_again() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Hard level", "hard")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    let mut client = session(&lab, MODERN).await?;
    for _ in 0..2 {
        let arguments = json!({
            "experiment_id": experiment, "outcome": "failed", "implementation_summary": "The engine has no levels",
        });
        let call = ("report_experiment_built", arguments);
        let reported = shows(&mut client, "report_experiment_built_failed", "the build failed", call).await?;
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
    let log = lab.runtime.audit_log().page(0, 500).await?;
    let by_agent =
        log.iter().filter(|line| line.principal.to_string() == "plain-client (agent, self-reported)").count();
    assert!(by_agent >= 3, "{by_agent}");
    Ok(())
}
