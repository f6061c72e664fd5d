//! Answers stay within their budgets and say what they left out.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, hypothesis};
use outcome_tests::mcp::MODERN;
use serde_json::json;

use super::session;

/// A laboratory with ten active outcomes.
async fn ten_outcomes() -> Result<Lab> {
    let lab = Lab::with_outcomes(10).await?;
    for n in 0..3 {
        lab.submit(hypothesis(&format!("A level whose name is rather long, number {n}"), &format!("flag-{n}"))).await?;
    }
    Ok(lab)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_outcomes_cost_at_most_2000_tokens_and_pages_miss_none() -> Result<()> {
    let lab = ten_outcomes().await?;
    let mut client = session(&lab, MODERN).await?;
    let all = client.ok("get_active_outcomes", json!({})).await?;
    assert_eq!(all["outcomes"].as_array().map(Vec::len), Some(10), "{all}");
    let n_bytes = all.to_string().len();
    assert!(n_bytes <= 8_000, "{n_bytes} bytes");
    let (mut seen, mut arguments) = (Vec::new(), json!({ "limit": 3 }));
    loop {
        let page = client.ok("get_active_outcomes", arguments.clone()).await?;
        seen.extend(page["outcomes"].as_array().unwrap().iter().map(|line| line["outcome"].clone().to_string()));
        assert_eq!(page["n_more"].as_u64().unwrap_or(0), 10 - seen.len() as u64);
        let Some(cursor) = page.get("next_cursor") else { break };
        arguments["cursor"] = cursor.clone();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10);
    client.ok("get_active_outcomes", json!({ "detail": "full", "limit": 50 })).await?;
    let error = client.fails("get_active_outcomes", json!({ "cursor": "x" })).await?;
    assert_eq!(error["error"]["code"], "invalid_input");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_are_cut_and_counted() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut long = hypothesis("Long level", "long");
    long.statement = "because ".repeat(480);
    long.mechanism = "so that ".repeat(480);
    long.touched_paths = (0..200).map(|n| format!("game/long/directory/{n}/")).collect();
    let experiment = lab.submit(long).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    let mut client = session(&lab, MODERN).await?;
    let concise = client.ok("get_experiment_brief", json!({ "experiment_id": experiment })).await?;
    assert!(concise.to_string().len() <= 4_000, "{}", concise.to_string().len());
    assert!(concise["hypothesis"]["statement_says"].as_str().unwrap().contains("characters)"), "{concise}");
    assert_eq!(concise["scope"]["allowed_paths"], json!(["game/"]));
    let full = client.ok("get_experiment_brief", json!({ "experiment_id": experiment, "detail": "full" })).await?;
    assert!(full.to_string().len() > concise.to_string().len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn learnings_come_in_pages() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for n in 0..7 {
        let experiment = lab.submit(hypothesis(&format!("Level {n}"), &format!("level-{n}"))).await?;
        lab.decide(&experiment, Verdict::Reject).await?;
    }
    let mut client = session(&lab, MODERN).await?;
    let first = client.ok("query_learnings", json!({ "query": "level", "limit": 4 })).await?;
    assert_eq!((first["learnings"].as_array().map(Vec::len), &first["n_more"]), (Some(4), &json!(3)));
    let next = json!({ "query": "level", "limit": 4, "cursor": first["next_cursor"] });
    let second = client.ok("query_learnings", next).await?;
    assert_eq!((second["learnings"].as_array().map(Vec::len), second.get("n_more")), (Some(3), None));
    client.fails("query_learnings", json!({ "query": "other", "cursor": first["next_cursor"] })).await?;
    let empty = client.ok("query_learnings", json!({ "query": "zebra" })).await?;
    assert_eq!(empty["learnings"], json!([]));
    Ok(())
}
