//! Offering the gate's page. Whatever the client answers, the gate stays as it is.

use anyhow::Result;
use outcome_core::domain::GateStatus;
use outcome_tests::lab::{Lab, hypothesis};
use outcome_tests::mcp::{LEGACY, MODERN, McpClient, checked, lab_env};
use serde_json::{Value, json};

use super::program;

fn shows_pages() -> Value {
    json!({ "elicitation": { "url": {} } })
}

async fn lab_with_gate() -> Result<(Lab, Value)> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    let arguments =
        json!({ "experiment_id": experiment, "gate_type": "portfolio_review", "question": "May I build it?" });
    Ok((lab, arguments))
}

async fn assert_only_pending(lab: &Lab) -> Result<()> {
    let gates = lab.runtime.gates().list().await?;
    assert_eq!(gates.len(), 1);
    let now = lab.runtime.gates().show(&gates[0].gate).await?;
    assert_eq!((now.status, now.decisions.len()), (GateStatus::Pending, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_client_is_asked_to_show_the_page_and_its_answer_decides_nothing() -> Result<()> {
    let (lab, arguments) = lab_with_gate().await?;
    let mut client = McpClient::in_lab(program(), &lab, LEGACY, shows_pages()).await?;
    for action in ["accept", "decline", "cancel"] {
        client.elicitation_answer = json!({ "action": action });
        let answer = client.ok("request_human_gate", arguments.clone()).await?;
        assert_eq!(answer["status"], "pending");
        let asked = client.asked.pop().unwrap();
        assert_eq!(asked["method"], "elicitation/create");
        assert_eq!((&asked["params"]["mode"], &asked["params"]["url"]), (&json!("url"), &answer["review_url"]));
    }
    assert_only_pending(&lab).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_show_pages_is_not_asked() -> Result<()> {
    let (lab, arguments) = lab_with_gate().await?;
    let form = json!({ "elicitation": { "form": {} } });
    for version in [LEGACY, MODERN] {
        for capabilities in [json!({}), json!({ "elicitation": {} }), form.clone()] {
            let mut client = McpClient::in_lab(program(), &lab, version, capabilities).await?;
            assert_eq!(client.ok("request_human_gate", arguments.clone()).await?["status"], "pending");
            assert!(client.asked.is_empty());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_courtesy_can_be_switched_off() -> Result<()> {
    let (lab, arguments) = lab_with_gate().await?;
    let mut env = lab_env(&lab)?;
    env.push(("OUTCOME_RUNTIME_ELICIT", "off".to_owned()));
    for version in [LEGACY, MODERN] {
        let mut client = McpClient::start(program(), &lab.root(), &env, version, shows_pages()).await?;
        assert_eq!(client.ok("request_human_gate", arguments.clone()).await?["status"], "pending");
        assert!(client.asked.is_empty());
    }
    Ok(())
}

fn retry(arguments: &Value, state: &Value) -> Value {
    json!({
        "name": "request_human_gate",
        "arguments": arguments,
        "requestState": state,
        "inputResponses": { "gate": { "action": "accept", "content": { "verdict": "approve" } } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_client_gets_a_sealed_state_that_counts_once_and_for_this_call_only() -> Result<()> {
    let (lab, arguments) = lab_with_gate().await?;
    let mut client = McpClient::in_lab(program(), &lab, MODERN, shows_pages()).await?;
    let call = json!({ "name": "request_human_gate", "arguments": arguments });
    let first = client.request("tools/call", call).await?.unwrap();
    assert_eq!(first["resultType"], "input_required", "{first}");
    assert_eq!(first["inputRequests"]["gate"]["params"]["mode"], "url");
    let state = first["requestState"].clone();

    let (mut other, mut escalation) = (arguments.clone(), arguments.clone());
    other["question"] = json!("May I build something else?");
    escalation["gate_type"] = json!("escalation");
    for (foreign, state) in [(&other, &state), (&escalation, &state), (&arguments, &json!("rs1.x.y"))] {
        let answer = client.request("tools/call", retry(foreign, state)).await?.unwrap();
        let answer = checked("request_human_gate", &answer)?;
        assert!(answer.is_error, "{}", answer.value);
    }
    let answer = client.request("tools/call", retry(&arguments, &state)).await?.unwrap();
    let answer = checked("request_human_gate", &answer)?;
    assert_eq!((answer.is_error, &answer.value["status"]), (false, &json!("pending")));
    let replayed = client.request("tools/call", retry(&arguments, &state)).await?.unwrap();
    assert!(checked("request_human_gate", &replayed)?.is_error, "used twice");
    assert_only_pending(&lab).await
}
