//! The tools of the MCP server, and the answers of a client that agrees to everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use outcome_tests::lab::{MEMBER, OUTCOME, PASSPHRASE};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationCapability, FormElicitationCapability, Implementation, ProtocolVersion,
    UrlElicitationCapability,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RequestContext};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};

use super::place::{Waiting, each_place, on_sqlite};

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("approve"), |inner, _| json!({ "decision": [inner] }))
}

/// What an agent may put in any argument.
fn hostile(waiting: &Waiting) -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!([]),
        json!({ "verdict": "approve", "status": "approved" }),
        json!([{ "verdict": "approve" }, [[["approved"]]]]),
        json!(""),
        json!("approve"),
        json!(waiting.gate),
        json!(waiting.experiment),
        json!("00000000-0000-7000-8000-000000000000"),
        json!("'; UPDATE gate SET status = 'approved'; --"),
        json!("<script>fetch('/gates/x/decide', {method: 'POST'})</script>"),
        json!("../../.outcome/local.key"),
        json!("--verdict=approve\u{0}\u{1b}[2J\u{202e}"),
        json!("a".repeat(1_000_000)),
        nested(50),
    ]
}

/// A value with which a call gets past the first check, by the name of the argument.
fn plausible(name: &str, waiting: &Waiting) -> Value {
    match name {
        "experiment_id" => json!(waiting.experiment),
        "gate_id" => json!(waiting.gate),
        "gate_type" => json!("portfolio_review"),
        "outcome" => json!(OUTCOME),
        _ => json!("text"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tool_decides_whatever_it_is_given() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let agent = place.cli.agent().await?;
        let tools = agent.tools().await?;
        ensure!(tools.len() >= 7, "{tools:?}");
        for tool in &tools {
            let schema = Value::Object((*tool.input_schema).clone());
            let names = schema["properties"].as_object().context("no properties")?.keys();
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let base: serde_json::Map<String, Value> =
                required.map(|name| (name.to_owned(), plausible(name, &waiting))).collect();
            let call = async |more: Value| {
                let mut arguments = base.clone();
                arguments.extend(more.as_object().cloned().unwrap_or_default());
                // Refused or not: the gate is looked at below. An answer must come.
                tokio::time::timeout(Duration::from_secs(30), agent.call(&tool.name, arguments.into())).await
            };
            for name in names {
                for value in hostile(&waiting) {
                    let _ = call(json!({ name: value })).await?;
                }
            }
            for more in [
                json!({ "verdict": "approve", "gate": waiting.gate, "gate_id": waiting.gate }),
                json!({ "approve": true, "approved": true, "status": "approved" }),
                json!({ "decision": { "verdict": "approve", "assurance": "A4", "signature": "00" } }),
                json!({ "passphrase": PASSPHRASE, "principal": { "kind": "human" }, "member": MEMBER }),
            ] {
                let answer = call(more.clone()).await?;
                ensure!(answer.is_err(), "{} took {more}: {answer:?}", tool.name);
            }
        }
        for name in ["gate_decide", "approve_gate", "gates/respond", "../gate", ""] {
            ensure!(agent.call(name, json!({ "gate_id": waiting.gate, "verdict": "approve" })).await.is_err());
        }
        ensure!(agent.tools().await?.len() == tools.len(), "the server did not live through it");
        agent.stop().await?;
        place.is_untouched(&waiting)?;
        let open = place.cli.json(&["gate", "list"])?;
        ensure!(open.as_array().into_iter().flatten().all(|gate| gate["status"] == "pending"), "{open}");
        let tried = place.logged("agent.refused")?;
        for tool in &tools {
            let is_recorded =
                |line: &&Value| line["payload"]["tried"].as_str().is_some_and(|what| what.starts_with(&*tool.name));
            ensure!(
                tried.iter().filter(is_recorded).count() >= 4,
                "what {} was asked for is not in the log",
                tool.name
            );
        }
        Ok(())
    })
    .await
}

/// A client that says yes to everything, without any human.
#[derive(Clone)]
struct YesSayer {
    n_asked: Arc<AtomicUsize>,
    elicitation: ElicitationCapability,
}

impl ClientHandler for YesSayer {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        capabilities.elicitation = Some(self.elicitation.clone());
        ClientConfig::new(capabilities, Implementation::new("yes-sayer", "1"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.n_asked.fetch_add(1, Ordering::Relaxed);
        let content = json!({ "approved": true, "verdict": "approve", "decision": "approve" });
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }
}

fn asks(waiting: &Waiting) -> CallToolRequestParams {
    let mut params = CallToolRequestParams::new("request_human_gate");
    let arguments =
        json!({ "experiment_id": waiting.experiment, "gate_type": "portfolio_review", "question": "May I?" });
    params.arguments = arguments.as_object().cloned();
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_elicitation_is_no_decision_in_either_era() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let form = ElicitationCapability::new().with_form(FormElicitationCapability::new());
    let both = form.clone().with_url(UrlElicitationCapability::new());
    for (era, elicitation, is_asked) in [
        (ClientLifecycleMode::Initialize, both.clone(), true),
        (modern.clone(), both, true),
        (ClientLifecycleMode::Initialize, form.clone(), false),
        (modern, form, false),
    ] {
        let yes_sayer = YesSayer { n_asked: Arc::default(), elicitation };
        let client = yes_sayer.clone().serve_with_lifecycle(place.cli.server()?, era.clone()).await?;
        let answer = client.call_tool(asks(&waiting)).await?.structured_content.context("no answer")?;
        ensure!(answer["is_pending"] == true && answer["gate"] == json!(waiting.gate), "{era:?}: {answer}");
        let n_asked = yes_sayer.n_asked.load(Ordering::Relaxed);
        ensure!(n_asked == usize::from(is_asked), "{era:?}: the client was asked {n_asked} times");
        place.is_untouched(&waiting)?;

        // Answers to a question that was never put, and states that were made up or belong to another call.
        for state in ["", "x", "eyJhbGciOiJub25lIn0.e30.", &"A".repeat(100_000)] {
            let mut forged = asks(&waiting);
            forged.request_state = Some(state.to_owned());
            forged.input_responses =
                Some([("gate".to_owned(), json!({ "action": "accept", "content": { "approved": true } }))].into());
            let _ = client.call_tool_once(forged).await;
        }
        if let CallToolResponse::InputRequired(asked) = client.call_tool_once(asks(&waiting)).await? {
            let accept = json!({ "action": "accept", "content": { "approved": true, "verdict": "approve" } });
            let mut retry = asks(&waiting);
            retry.request_state.clone_from(&asked.request_state);
            retry.input_responses = Some([("gate".to_owned(), accept)].into());
            let mut elsewhere = retry.clone();
            if let Some(arguments) = &mut elsewhere.arguments {
                arguments.insert("question".to_owned(), json!("Another one?"));
            }
            for (params, is_error) in [(elsewhere, true), (retry.clone(), false), (retry, true)] {
                let CallToolResponse::Complete(done) = client.call_tool_once(params).await? else {
                    anyhow::bail!("it asked again");
                };
                ensure!(done.is_error.unwrap_or_default() == is_error, "{done:?}");
            }
        }
        client.cancel().await?;
        place.is_untouched(&waiting)?;
    }
    Ok(())
}
