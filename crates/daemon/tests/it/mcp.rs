//! MCP over HTTP: the same tools as on standard input, for agents with a token and nobody else.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::Daemon;

fn message(daemon: &Daemon, body: &Value) -> RequestBuilder {
    let accepted = "application/json, text/event-stream";
    let request = daemon.request(Method::POST, "/mcp").header("accept", accepted).json(body);
    let modern = body.pointer("/params/_meta").is_some();
    let request = request.header("mcp-protocol-version", if modern { "2026-07-28" } else { "2025-11-25" });
    if !modern {
        return request;
    }
    let request = request.header("mcp-method", body["method"].as_str().unwrap());
    match body.pointer("/params/name").and_then(Value::as_str) {
        Some(name) => request.header("mcp-name", name),
        None => request,
    }
}

fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "another-name", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "url": {} } },
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn legacy(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

async fn answer(response: Response) -> Value {
    let status = response.status();
    let text = response.text().await.unwrap();
    let json = text.lines().find_map(|line| line.strip_prefix("data: ").filter(|data| data.starts_with('{')));
    serde_json::from_str(json.unwrap_or(&text)).unwrap_or_else(|_| panic!("{status}: {text}"))
}

#[tokio::test]
async fn both_eras_give_the_tools_to_an_agent() {
    let daemon = Daemon::start().await;
    let token = daemon.agent().await.token;
    let send = async |body: Value| answer(message(&daemon, &body).bearer_auth(&token).send().await.unwrap()).await;
    let hello =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    let welcome = send(legacy("initialize", hello)).await;
    assert_eq!(welcome["result"]["serverInfo"]["name"], "outcome-runtime-mcp");
    let old = send(legacy("tools/list", json!({}))).await;
    let new = send(modern("tools/list", json!({}))).await;
    assert_eq!(old["result"]["tools"], new["result"]["tools"]);
    assert_eq!(new["result"]["tools"].as_array().unwrap().len(), 8);
    let call = json!({ "name": "get_active_outcomes", "arguments": {} });
    let found = send(modern("tools/call", call)).await;
    assert_eq!(found["result"]["structuredContent"]["outcomes"][0]["outcome"], outcome_tests::lab::OUTCOME);
    let refused = send(legacy("resources/subscribe", json!({ "uri": "gate://a" }))).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("subscriptions/listen"), "{refused}");
}

#[tokio::test]
async fn the_token_names_the_agent_and_no_answer_decides() {
    let daemon = Daemon::start().await;
    let (experiment, gate) = daemon.proposed("A", "flag-a").await;
    let token = daemon.agent().await.token;
    let send = async |body: Value| answer(message(&daemon, &body).bearer_auth(&token).send().await.unwrap()).await;
    let arguments =
        json!({ "experiment_id": experiment, "gate_type": "portfolio_review", "question": "May it begin?" });
    let asked = send(modern("tools/call", json!({ "name": "request_human_gate", "arguments": arguments }))).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    // The state comes back in another request, which any copy of the daemon's handler can open.
    let retry = json!({
        "name": "request_human_gate", "arguments": arguments, "requestState": asked["result"]["requestState"],
        "inputResponses": { "gate": { "action": "accept" } },
    });
    let done = send(modern("tools/call", retry.clone())).await;
    assert_eq!(done["result"]["structuredContent"]["status"], "pending", "{done}");
    let again = send(modern("tools/call", retry)).await;
    assert_eq!(again["result"]["isError"], true, "a state is used once: {again}");
    let deciding = json!({ "name": "get_gate", "arguments": { "gate_id": gate, "decision": "approve" } });
    assert_eq!(send(modern("tools/call", deciding)).await["result"]["isError"], true);
    let lines = daemon.lab.runtime.audit_log().page(0, 1000).await.unwrap();
    let refused = lines.iter().find(|line| line.kind == "agent.refused").unwrap();
    assert!(json!(refused.principal).to_string().contains("ci-agent"), "{:?}", refused.principal);
    assert_eq!(daemon.lab.runtime.gates().show(&gate).await.unwrap().status.as_str(), "pending");
}

#[tokio::test]
async fn strangers_members_and_foreign_pages_are_refused() {
    let daemon = Daemon::start().await;
    let token = daemon.agent().await.token;
    let list = modern("tools/list", json!({}));
    let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(message(&daemon, &list)).await, 401);
    assert_eq!(status(message(&daemon, &list).bearer_auth("oragent_wrong")).await, 401);
    let foreign = message(&daemon, &list).bearer_auth(&token).header("origin", "http://evil.example");
    assert_eq!(status(foreign).await, 403);
    let rebound = message(&daemon, &list).bearer_auth(&token).header("host", "evil.example");
    assert_eq!(status(rebound).await, 421);
    let member = daemon.member().await;
    let as_member = message(&daemon, &list).header("cookie", member.cookie.clone().unwrap());
    assert_eq!(status(as_member).await, 403);
    let huge =
        modern("tools/call", json!({ "name": "query_learnings", "arguments": { "query": "x".repeat(2 << 20) } }));
    assert_eq!(status(message(&daemon, &huge).bearer_auth(&token)).await, 413);
    let text = daemon.request(Method::POST, "/mcp").bearer_auth(&token).body("no json");
    assert!((400..500).contains(&status(text).await));
}

#[tokio::test]
async fn an_open_subscription_does_not_hold_the_daemon() {
    let mut daemon = Daemon::start().await;
    let token = daemon.agent().await.token;
    let listen = modern("subscriptions/listen", json!({ "notifications": { "resourcesListChanged": true } }));
    let mut stream = message(&daemon, &listen).bearer_auth(&token).send().await.unwrap();
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(!first.is_empty());
    daemon.terminate();
    let (code, took) = daemon.wait();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(9), "it waited for the stream: {took:?}");
}
