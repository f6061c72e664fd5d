//! What else a model can be refused, one golden file for each kind.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{FILE, Lab, OUTCOME, commit, git, hypothesis, write};
use outcome_tests::mcp::{MODERN, McpClient, lab_env};
use serde_json::{Value, json};

use super::{candidate, program, refuses, refuses_everywhere, session};

fn code(error: &Value) -> &str {
    error["error"]["code"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_is_not_active_takes_no_proposals() -> Result<()> {
    let lab = Lab::applied(None, FILE).await?;
    let mut client = session(&lab, MODERN).await?;
    let call = ("get_work_order", json!({}));
    let error = refuses(&mut client, "nothing_active", "no outcome is active", call).await?;
    assert_eq!(code(&error), "conflict");
    let call = ("get_work_order", json!({ "outcome_id": OUTCOME }));
    let error = refuses(&mut client, "outcome_not_active", "the outcome is not active", call).await?;
    assert_eq!(code(&error), "conflict");
    let call = ("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": [candidate("A", "a")] }));
    let error = refuses(&mut client, "submit_not_active", "the outcome is not active", call).await?;
    assert_eq!(code(&error), "conflict");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_several_outcomes_one_must_be_named_and_a_cursor_belongs_to_its_list() -> Result<()> {
    let lab = Lab::with_outcomes(2).await?;
    let mut client = session(&lab, MODERN).await?;
    let call = ("get_work_order", json!({}));
    let error = refuses(&mut client, "several_outcomes", "several outcomes are active", call).await?;
    assert_eq!(error["error"]["valid"].as_array().map(Vec::len), Some(2));
    for tool in ["get_active_outcomes", "query_learnings"] {
        let call = (tool, json!({ "cursor": "3-00000000" }));
        let error = refuses(&mut client, &format!("cursor_{tool}"), "the cursor belongs to another list", call).await?;
        assert_eq!(code(&error), "invalid_input");
    }
    Ok(())
}

/// A report of what stands at `head`.
fn report(experiment: &str, head: &str) -> (&'static str, Value) {
    let arguments = json!({ "experiment_id": experiment, "implementation_summary": "Softer", "head": head });
    ("report_experiment_built", arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_checked_says_what_to_report_instead() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    let mut client = session(&lab, MODERN).await?;
    let error = refuses(&mut client, "report_too_early", "before the approval", report(&experiment, "HEAD")).await?;
    assert_eq!(code(&error), "conflict");

    lab.decide(&experiment, Verdict::Approve).await?;
    let error = refuses(&mut client, "no_such_commit", "there is no such commit", report(&experiment, "nope")).await?;
    assert_eq!(code(&error), "revision_not_found");
    git(&root, &["checkout", "-q", "--orphan", "elsewhere"])?;
    write(&root, "game/level.txt", "softer\n")?;
    commit(&root, "From nothing")?;
    let call = report(&experiment, "elsewhere");
    let error = refuses(&mut client, "wrong_base", "the commit does not descend from base_commit", call).await?;
    assert_eq!(code(&error), "base_not_ancestor");

    git(&root, &["checkout", "-q", "-f", "-b", "work", "main"])?;
    write(&root, "game/level.txt", "softer\n")?;
    commit(&root, "Soften")?;
    let mut call = report(&experiment, "work");
    call.1["feature_flag_key"] = json!("softer");
    let error = refuses(&mut client, "wrong_flag", "another flag than the brief's", call).await?;
    assert_eq!(code(&error), "invalid_input");
    let question = json!({ "experiment_id": experiment, "gate_type": "escalation", "question": "May I?" });
    client.ok("request_human_gate", question).await?;
    let call = report(&experiment, "work");
    let error = refuses(&mut client, "open_question", "an escalation is open", call).await?;
    assert_eq!(code(&error), "conflict");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_is_over_is_neither_built_nor_asked_about() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    lab.decide(&experiment, Verdict::Reject).await?;
    let mut client = session(&lab, MODERN).await?;
    let call = ("get_experiment_brief", json!({ "experiment_id": experiment }));
    let error = refuses(&mut client, "brief_of_ended", "the experiment has ended", call).await?;
    assert_eq!(code(&error), "conflict");
    let question = json!({ "experiment_id": experiment, "gate_type": "escalation", "question": "May I?" });
    let call = ("request_human_gate", question);
    let error = refuses(&mut client, "question_of_ended", "the experiment has ended", call).await?;
    assert_eq!(code(&error), "conflict");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_wrote_is_not_believed() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    lab.raw("UPDATE experiment SET status = 'building', state = json_set(state, '$.status', 'building')").await?;
    let mut client = session(&lab, MODERN).await?;
    let call = ("get_experiment_brief", json!({ "experiment_id": experiment }));
    let error = refuses(&mut client, "state_tampered", "another program wrote to the database", call).await?;
    assert_eq!(code(&error), "state_tampered");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hinders_every_tool_is_said_by_every_tool() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let with = async |variable: &'static str, value: String| {
        let mut env = lab_env(&lab)?;
        env.push((variable, value));
        McpClient::start(program(), &lab.root(), &env, MODERN, json!({})).await
    };
    let empty = tempfile::tempdir()?;
    let mut nowhere = McpClient::start(program(), empty.path(), &[], MODERN, json!({})).await?;
    let when = "the server was started outside a workspace";
    let error = refuses_everywhere(&mut nowhere, "no_workspace", when, "get_active_outcomes").await?;
    assert_eq!(code(&error), "workspace_not_found");

    std::fs::write(lab.root().join("game.txt"), "no database")?;
    let mut broken = with("OUTCOME_RUNTIME_DATABASE_URL", "sqlite:game.txt".to_owned()).await?;
    let when = "the database cannot be used";
    let error = refuses_everywhere(&mut broken, "no_database", when, "get_active_outcomes").await?;
    assert_eq!(code(&error), "database_corrupt");

    let mut real_time = with("OUTCOME_RUNTIME_CLOCK_FILE", String::new()).await?;
    let when = "a virtual clock is missing, or set for a real workspace";
    let error = refuses_everywhere(&mut real_time, "clock", when, "get_active_outcomes").await?;
    assert_eq!(code(&error), "clock_mismatch");

    let mut client = session(&lab, MODERN).await?;
    let error = client.fails("get_gate", json!({ "gate_id": "x".repeat(300_000) })).await?;
    assert_eq!(code(&error), "invalid_input");
    Ok(())
}
