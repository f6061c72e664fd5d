//! The official Python and TypeScript clients call every tool of the built MCP server, in every mode of the protocol.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, commit, git, hypothesis, write};
use outcome_tests::mcp::lab_env;
use outcome_tests::peers::{npm, python, run, sources};
use outcome_tests::programs::program;
use serde_json::{Value, json};

/// A laboratory in which every tool has something to do, and what the clients should call.
async fn laboratory() -> Result<(Lab, Value)> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    let old = lab.submit(hypothesis("Old level", "old")).await?;
    lab.decide(&old, Verdict::Reject).await?;
    let building = lab.submit(hypothesis("Built level", "built")).await?;
    lab.decide(&building, Verdict::Approve).await?;
    git(&root, &["checkout", "-q", "-b", "work", "main"])?;
    write(&root, "game/level.txt", "built\n")?;
    let head = commit(&root, "Build")?;
    let candidate = json!({
        "title": "New level", "statement": "It is friendlier", "mechanism": "Fewer give up", "expected_improvement": 0.02,
        "confidence": 0.5, "intervention_description": "Soften it", "touched_paths": ["game/new/"], "flag_key": "new",
        "duration_days": 28, "min_sample_size": 2000, "success_threshold": 0.0, "kill_threshold": 0.0,
        "minimum_detectable_effect": 0.02, "initial_pct": 50, "effort_hours": 3, "risk": "low",
    });
    let env: serde_json::Map<String, Value> =
        lab_env(&lab)?.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    let call =
        |tool: &str, arguments: Value, expect: Value| json!({ "tool": tool, "arguments": arguments, "expect": expect });
    let report = json!({ "experiment_id": building, "implementation_summary": "Built", "head": head });
    let question =
        json!({ "experiment_id": building, "gate_type": "escalation", "question": "May level three change?" });
    let gate = format!("launch-{building}");
    let plan = json!({
        "command": program("outcome-runtime-mcp")?,
        "cwd": root,
        "env": env,
        "gate": gate,
        "uri": format!("gate://{gate}"),
        "calls": [
            call("get_active_outcomes", json!({}), json!({})),
            call("get_work_order", json!({ "outcome_id": OUTCOME }), json!({ "outcome": OUTCOME })),
            call("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": [candidate] }), json!({ "proposed": ["new-level"] })),
            call("get_experiment_brief", json!({ "experiment_id": building }), json!({ "experiment": building })),
            call("query_learnings", json!({ "query": "old level" }), json!({})),
            call("report_experiment_built", report, json!({ "gate": gate, "status": "awaiting_launch_gate" })),
            call("get_gate", json!({ "gate_id": gate }), json!({ "status": "pending", "is_pending": true })),
            call("request_human_gate", question, json!({ "status": "pending" })),
        ],
    });
    Ok((lab, plan))
}

/// Nothing that a client did or answered decided a gate.
async fn assert_undecided(lab: &Lab) -> Result<()> {
    let gates = lab.runtime.gates().list().await?;
    ensure!(gates.len() == 3, "{} gates are open", gates.len());
    ensure!(gates.iter().all(|gate| gate.decisions.is_empty()));
    let check = lab.runtime.audit_log().verify(&[]).await?;
    ensure!(check.is_intact, "{:?}", check.problems);
    Ok(())
}

async fn with_plan(client: impl FnOnce(&Path) -> Result<String>) -> Result<()> {
    let (lab, plan) = laboratory().await?;
    let path = lab.dir.path().join(".outcome/plan.json");
    std::fs::write(&path, plan.to_string())?;
    let said = client(&path)?;
    ensure!(said.lines().count() == 3, "{said}");
    eprint!("{said}");
    assert_undecided(&lab).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_calls_every_tool() -> Result<()> {
    let Some(home) = python("python")? else { return Ok(()) };
    let script = sources("python").join("call_all_tools.py");
    with_plan(|plan| run(Command::new(home.join("bin/python")).arg(script).arg(plan))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_client_calls_every_tool() -> Result<()> {
    let Some(home) = npm("typescript")? else { return Ok(()) };
    let script = home.join("call_all_tools.mjs");
    with_plan(|plan| run(Command::new("node").arg(script).arg(plan).current_dir(&home))).await
}
