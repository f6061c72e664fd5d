//! The way of an agent without MCP.

use outcome_core::domain::Verdict;
use outcome_tests::lab::{OUTCOME, commit, git, hypothesis, write};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Daemon;

#[tokio::test]
async fn an_agent_proposes_and_builds_over_rest() {
    let daemon = Daemon::start().await;
    let agent = daemon.agent().await;
    let order: Value = agent.get(&format!("/api/v1/outcomes/{OUTCOME}/work-order")).await.json().await.unwrap();
    assert_eq!(order["outcome"], OUTCOME);
    let path = format!("/api/v1/outcomes/{OUTCOME}/experiments");
    let refused: Value = agent.post(&path, &json!({ "hypotheses": [{ "title": 7 }] })).await.json().await.unwrap();
    assert_eq!(refused["code"], "hypothesis_incomplete", "{refused}");
    let problems = refused["context"]["rejected"][0]["problems"].as_array().unwrap();
    assert!(problems.len() > 10 && problems.iter().any(|p| p["field"] == "title" && p["message"] == "must be a text"));
    let submitted = agent.post(&path, &json!({ "hypotheses": [hypothesis("A", "flag-a")] })).await;
    assert_eq!(submitted.status(), 201);
    let submitted: Value = submitted.json().await.unwrap();
    let experiment = submitted["proposed"][0].as_str().unwrap().to_owned();

    let early = agent.get(&format!("/api/v1/experiments/{experiment}/brief")).await;
    assert_eq!(early.status(), 409);
    assert_eq!(early.headers()["content-type"], "application/problem+json");
    let pending: Value = agent.get("/api/v1/gates/pending").await.json().await.unwrap();
    assert_eq!(pending[0]["gate_type"], "portfolio_review");
    daemon.lab.decide(&experiment, Verdict::Approve).await.unwrap();
    let brief: Value = agent.get(&format!("/api/v1/experiments/{experiment}/brief")).await.json().await.unwrap();
    assert_eq!(brief["flag_key"], "flag-a");
    let markdown = daemon
        .request(Method::GET, &format!("/api/v1/experiments/{experiment}/brief"))
        .bearer_auth(&agent.token)
        .header("accept", "text/markdown");
    let markdown = markdown.send().await.unwrap().text().await.unwrap();
    assert!(
        markdown.starts_with("# Brief: a\n") && markdown.contains("\n> Players come back more often\n"),
        "{markdown}"
    );
    assert!(markdown.contains("## Forbidden paths\n\n- `game/payments/`\n"), "{markdown}");

    let root = daemon.lab.root();
    git(&root, &["checkout", "-q", "-b", "work"]).unwrap();
    write(&root, "game/payments/card.txt", "x").unwrap();
    commit(&root, "Touch what is forbidden").unwrap();
    let built = format!("/api/v1/experiments/{experiment}/built");
    let body = json!({ "implementation_summary": "done", "head": "work" });
    let outside: Value = agent.post(&built, &body).await.json().await.unwrap();
    assert_eq!((&outside["code"], &outside["status"]), (&json!("scope_violation"), &json!(422)), "{outside}");
    assert!(outside["context"]["violations"].is_array());
    git(&root, &["reset", "-q", "--hard", "main"]).unwrap();
    write(&root, "game/level.txt", "two\n").unwrap();
    commit(&root, "Soften").unwrap();
    let done: Value = agent.post(&built, &body).await.json().await.unwrap();
    assert_eq!(done["status"], "awaiting_launch_gate", "{done}");
    assert!(done["review_url"].as_str().unwrap().contains("/gates/"), "{done}");

    let shown = agent.get(&format!("/api/v1/experiments/{experiment}")).await;
    let tag = shown.headers()["etag"].to_str().unwrap().to_owned();
    let again = daemon
        .request(Method::GET, &format!("/api/v1/experiments/{experiment}"))
        .bearer_auth(&agent.token)
        .header("if-none-match", &tag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    for path in [
        "/api/v1/workspace",
        "/api/v1/outcomes?all=true",
        "/api/v1/learnings?q=level",
        "/api/v1/audit?after=2&limit=3",
        "/api/v1/signals/connectors",
        "/api/v1/outcomes/retention",
        "/api/v1/outcomes/retention/signals",
    ] {
        assert_eq!(agent.get(path).await.status(), 200, "{path}");
    }
    let tested = agent.post("/api/v1/signals/connectors/game/test", &json!({})).await;
    let tested: Value = tested.json().await.unwrap();
    assert_eq!(tested["source"]["is_read_only"], true, "{tested}");
    assert_eq!(tested["queries"][0]["state"], "ok", "{tested}");
    let audit: Value = agent.get("/api/v1/audit?after=0&limit=2").await.json().await.unwrap();
    assert_eq!(audit["next_after"], 2);
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let daemon = Daemon::start().await;
    let agent = daemon.agent().await;
    let problem = async |response: reqwest::Response| -> (u16, Value) {
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let (status, unknown) = problem(agent.get("/api/v1/experiments/nothing").await).await;
    assert_eq!((status, &unknown["code"]), (404, &json!("not_found")));
    assert!(unknown["hint"].is_string());
    let (status, typo) = problem(agent.get("/api/v1/learnings?qq=x").await).await;
    assert_eq!(status, 400, "{typo}");
    let (status, field) = problem(agent.post("/api/v1/experiments/x/fail", &json!({ "why": 1 })).await).await;
    assert_eq!(status, 400, "{field}");
    let raw = daemon.request(Method::POST, "/api/v1/experiments/x/fail").bearer_auth(&agent.token).body("{}");
    let (status, kind) = problem(raw.send().await.unwrap()).await;
    assert_eq!((status, &kind["hint"]), (400, &json!("send `Content-Type: application/json`")));
    let huge = json!({ "reason": "x".repeat(300 * 1024) });
    assert_eq!(agent.post("/api/v1/experiments/x/fail", &huge).await.status(), 413);
    let (status, method) = problem(agent.post("/api/v1/outcomes", &json!({})).await).await;
    assert_eq!(status, 405, "{method}");
    let stranger = daemon.request(Method::GET, "/api/v1/outcomes").send().await.unwrap();
    assert_eq!(stranger.headers()["www-authenticate"], "Bearer");
}
