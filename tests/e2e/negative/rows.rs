//! Rows and lines that somebody writes into the database.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{OUTCOME, PASSPHRASE, decision, git, hypothesis};
use serde_json::json;

use super::place::{each_place, is_refused};

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_while_the_programs_run_decide_nothing_and_are_named() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let agent = place.cli.agent().await?;
        let _daemon = place.cli.daemon().await?;
        agent.call("get_active_outcomes", json!({})).await?;
        let gate_state = place.set_json("state", &["status"], "\"approved\"");
        place.lab.raw(&format!("UPDATE gate SET status = 'approved', {gate_state}")).await?;
        let state = place.set_json("state", &["status"], "\"building\"");
        place.lab.raw(&format!("UPDATE experiment SET status = 'building', {state}")).await?;
        let head = git(&place.lab.root(), &["rev-parse", "HEAD"])?;
        place.lab.raw(&format!("UPDATE experiment SET base_commit = '{head}'")).await?;

        let experiment = &waiting.experiment;
        for (tool, arguments) in [
            ("get_experiment_brief", json!({ "experiment_id": experiment })),
            (
                "report_experiment_built",
                json!({ "experiment_id": experiment, "implementation_summary": "built", "head": head }),
            ),
            (
                "report_experiment_built",
                json!({ "experiment_id": experiment, "implementation_summary": "x", "outcome": "failed" }),
            ),
        ] {
            let error = agent.call(tool, arguments).await.unwrap_err().to_string();
            ensure!(error.contains("state_tampered"), "{tool}: {error}");
        }
        let checked = place.cli.refused(&["audit", "verify"])?;
        ensure!(checked.exit == Some(6) && checked.json["is_intact"] == false, "{checked:?}");
        let problems = checked.json["problems"].to_string();
        let gate_id = place.cli.json(&["gate", "show", &waiting.gate])?["id"].as_str().context("no id")?.to_owned();
        ensure!(problems.contains(experiment) && problems.contains(&gate_id), "{problems}");
        let decide = ["gate", "decide", &waiting.gate, "--verdict", "approve"];
        is_refused(&place.cli.refused_with(&decide, PASSPHRASE)?, Code::GateNotPending)?;

        // Pending again, and still not what the log says: the decision itself is refused, and recorded.
        let back = place.set_json("state", &["holder"], "7");
        let pending = place.set_json("state", &["status"], "\"pending\"");
        place.lab.raw(&format!("UPDATE gate SET status = 'pending', {pending}")).await?;
        place.lab.raw(&format!("UPDATE gate SET {back}")).await?;
        is_refused(&place.cli.refused_with(&decide, PASSPHRASE)?, Code::StateTampered)?;
        let recorded = place.logged("gate.refused")?;
        ensure!(recorded.last().is_some_and(|line| line["payload"]["code"] == "state_tampered"), "{recorded:?}");
        agent.stop().await?;
        Ok(())
    })
    .await
}

/// The rules of a gate come from its outcome's declaration: an agent who writes there asks for less proof.
#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_assurance_in_a_row_opens_no_gate_and_counts_in_none() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        // In the rules of a gate that waits.
        let lower = place.set_json("rules", &["policy", "assurance"], "\"A2\"");
        let higher = place.set_json("rules", &["policy", "assurance"], "\"A3\"");
        place.lab.raw(&format!("UPDATE gate SET {lower}")).await?;
        let refused = place.lab.runtime.gates().decide(decision(&waiting.gate, Verdict::Approve)).await.unwrap_err();
        ensure!(refused.code() == Code::StateTampered, "{refused}");
        place.lab.raw(&format!("UPDATE gate SET {higher}")).await?;
        place.is_untouched(&waiting)?;

        // In the declaration, before the gate is opened; put back afterwards, so that nothing is left to find.
        let agent = place.cli.agent().await?;
        let policy = json!({ "assigned_to": null, "sla": "1d", "channel": null, "escalation": [], "assurance": "A2", "quorum": 1 });
        let spec = place.set_json("spec", &["gates"], &json!({ "portfolio_review": policy }).to_string());
        let before = place.set_json("spec", &["gates"], "{}");
        ensure!(place.lab.raw(&format!("UPDATE outcome SET {spec}")).await? == 1);
        let mut second = serde_json::to_value(hypothesis("Second", "second"))?;
        second["measurement"]["minimum_detectable_effect"] = json!(0.02);
        let submitted = agent.call("submit_hypotheses", json!({ "outcome": OUTCOME, "hypotheses": [second] })).await;
        let question = json!({ "experiment_id": waiting.experiment, "gate_type": "escalation", "question": "May I?" });
        let asked = agent.call("request_human_gate", question).await;
        for refused in [submitted, asked] {
            let error = refused.unwrap_err().to_string();
            ensure!(error.contains("state_tampered"), "{error}");
        }
        place.lab.raw(&format!("UPDATE outcome SET {before}")).await?;
        agent.stop().await?;
        place.is_untouched(&waiting)
    })
    .await
}
