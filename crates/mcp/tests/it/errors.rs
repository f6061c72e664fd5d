//! Errors for the model say what is wrong, what is valid, and which call comes next.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, commit, git, hypothesis, write};
use outcome_tests::mcp::{MODERN, McpClient, lab_env};
use serde_json::{Value, json};

use super::{candidate, program, refuses, session, shows};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_unknown_argument_shows_the_right_call() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut client = session(&lab, MODERN).await?;
    refuses(&mut client, "missing_argument", "an argument is missing", ("get_experiment_brief", json!({}))).await?;
    let unknown = ("report_experiment_built", json!({ "experiment_id": "x", "colour": "red" }));
    refuses(&mut client, "unknown_argument", "an argument is unknown", unknown).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_lists_the_known_ones() -> Result<()> {
    let lab = Lab::sqlite().await?;
    lab.submit(hypothesis("Softer level", "soft")).await?;
    let mut client = session(&lab, MODERN).await?;
    let unknown = ("get_experiment_brief", json!({ "experiment_id": "softer" }));
    refuses(&mut client, "not_found", "there is no such experiment", unknown).await?;
    for (tool, arguments) in [
        ("get_active_outcomes", json!({ "outcome_id": "nope" })),
        ("get_work_order", json!({ "outcome_id": "nope" })),
        ("submit_hypotheses", json!({ "outcome_id": "nope", "hypotheses": [candidate("A", "a")] })),
        ("query_learnings", json!({ "query": "x", "outcome_id": "nope" })),
    ] {
        let (name, when) = (format!("not_found_outcome_{tool}"), "there is no such outcome");
        let error = refuses(&mut client, &name, when, (tool, arguments)).await?;
        assert_eq!(
            (&error["error"]["code"], &error["error"]["valid"]),
            (&json!("not_found"), &json!([OUTCOME])),
            "{tool}"
        );
    }
    let unknown = ("get_gate", json!({ "gate_id": "nope" }));
    let error = refuses(&mut client, "not_found_gate", "there is no such gate", unknown).await?;
    assert_eq!(error["error"]["valid"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_outside_of_the_scope_names_the_path_and_the_way_out() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    let experiment = lab.submit(hypothesis("Paid level", "paid")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    git(&root, &["checkout", "-q", "-b", "work", "main"])?;
    write(&root, "game/payments/price.txt", "0\n")?;
    commit(&root, "Free")?;
    let mut client = session(&lab, MODERN).await?;
    let report = json!({ "experiment_id": experiment, "implementation_summary": "Made it free" });
    let call = ("report_experiment_built", report);
    refuses(&mut client, "scope_violation", "a path is outside the scope", call).await?;
    assert_eq!(lab.runtime.gates().list().await?.len(), 0, "no launch gate");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_that_go_back_name_each_field() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut client = session(&lab, MODERN).await?;
    let mut bad = candidate("Bad", "bad");
    bad["confidence"] = json!(7);
    bad["duration_days"] = json!(900);
    bad["touched_paths"] = json!(["game/payments/"]);
    let candidates = json!([bad.clone(), { "title": "Half" }, candidate("Good", "good")]);
    let call = ("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": candidates }));
    let done = shows(&mut client, "submit_hypotheses_rejected", "some candidates are rejected", call).await?;
    assert_eq!(done["proposed"], json!(["good"]));
    assert_eq!(done["rejected"].as_array().map(Vec::len), Some(2));
    let problems = done["rejected"][1]["problems"].as_array().unwrap();
    let fields: Vec<&Value> = problems.iter().map(|problem| &problem["field"]).collect();
    assert_eq!(fields, ["confidence", "duration_days", "touched_paths"]);
    let call = ("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": [bad] }));
    let error = refuses(&mut client, "hypothesis_incomplete", "no candidate is accepted", call).await?;
    assert_eq!(error["error"]["code"], "hypothesis_incomplete");
    assert_eq!(error["error"]["rejected"][0]["problems"][1]["field"], "duration_days", "{error}");
    let call = ("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": [] }));
    let error = refuses(&mut client, "no_candidate", "the list is empty", call).await?;
    assert_eq!(error["error"]["code"], "invalid_input");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifecycle_gate_that_is_not_open_names_the_step_that_opens_it() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    let mut client = session(&lab, MODERN).await?;
    let asked = |gate_type: &str| json!({ "experiment_id": experiment, "gate_type": gate_type, "question": "Now?" });
    for gate_type in ["launch_approval", "analysis_review", "scale_approval", "ship_approval"] {
        let name = format!("gate_not_open_{gate_type}");
        let error =
            refuses(&mut client, &name, "that gate is not open", ("request_human_gate", asked(gate_type))).await?;
        assert_eq!(error["error"]["code"], "conflict", "{gate_type}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("open"), "{error}");
    }
    let call = ("request_human_gate", asked("approve_everything"));
    let error = refuses(&mut client, "gate_type_unknown", "there is no such type of gate", call).await?;
    assert!(error["error"]["message"].as_str().unwrap().contains("ship_approval, escalation"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_workspace_every_tool_says_how_to_make_one_and_finds_it_afterwards() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let lab = Lab::sqlite().await?;
    let later = dir.path().join("later");
    let mut env = lab_env(&lab)?;
    env.push(("OR_WORKSPACE", later.display().to_string()));
    let mut client = McpClient::start(program(), dir.path(), &env, MODERN, json!({})).await?;
    let tools = client.request("tools/list", json!({})).await?.unwrap();
    for tool in tools["tools"].as_array().unwrap() {
        let error = client.fails(tool["name"].as_str().unwrap(), json!({})).await?;
        assert_eq!(error["error"]["code"], "workspace_not_found", "{error}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("outcome-runtime init"), "{error}");
    }
    std::os::unix::fs::symlink(lab.root(), later)?;
    client.ok("get_active_outcomes", json!({})).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_git_tracks_is_used_by_no_server() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    std::fs::create_dir_all(root.join(".outcome"))?;
    std::fs::write(root.join(".outcome/shipped"), "x")?;
    let git = std::process::Command::new("git").current_dir(&root).args(["add", "-f", ".outcome/shipped"]).output()?;
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    let mut client = McpClient::start(program(), &root, &lab_env(&lab)?, MODERN, json!({})).await?;
    let error = client.fails("get_active_outcomes", json!({})).await?;
    assert_eq!(error["error"]["code"], "workspace_tracked", "{error}");
    assert!(error["error"]["hint"].as_str().unwrap().contains("git rm -r --cached .outcome"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_a_client_did_not_fill_in_count_as_absent() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut env = lab_env(&lab)?;
    for name in ["OUTCOME_RUNTIME_DATABASE_URL", "OR_API_KEY", "OR_WORKSPACE", "OUTCOME_RUNTIME_LOG"] {
        env.push((name, format!("${{{name}}}")));
    }
    let mut client = McpClient::start(program(), &lab.root(), &env, MODERN, json!({})).await?;
    client.ok("get_active_outcomes", json!({})).await?;
    Ok(())
}
