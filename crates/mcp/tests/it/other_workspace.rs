//! Two workspaces in one database: the ids of the other one are unknown here, and so are cursors of other lists.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, hypothesis};
use outcome_tests::mcp::{LEGACY, MODERN, McpClient};
use outcome_tests::postgres;
use serde_json::{Value, json};

use super::{candidate, session};

/// Everything in a workspace that has an id: slugs, and the identifiers in its log.
struct Names {
    experiments: Vec<String>,
    gates: Vec<String>,
    outcome: String,
    learning: String,
}

async fn fill(lab: &Lab, adjective: &str) -> Result<Names> {
    let open = lab.submit(hypothesis(&format!("{adjective} level"), &format!("{adjective}-a").to_lowercase())).await?;
    let built = lab.submit(hypothesis(&format!("{adjective} music"), &format!("{adjective}-b").to_lowercase())).await?;
    lab.decide(&built, Verdict::Approve).await?;
    let rejected =
        lab.submit(hypothesis(&format!("{adjective} enemies"), &format!("{adjective}-c").to_lowercase())).await?;
    lab.decide(&rejected, Verdict::Reject).await?;
    let log = lab.runtime.audit_log().page(0, 1_000).await?;
    let ids = |kind: &str| -> Vec<String> {
        let of_kind = log.iter().filter(|line| json!(line.subject.kind) == kind);
        let mut ids: Vec<String> = of_kind.map(|line| line.subject.id.to_string()).collect();
        ids.dedup();
        ids
    };
    let learnings = lab.runtime.learnings().search("", None, 10, 0).await?;
    let slugs = lab.runtime.gates().list().await?.into_iter().map(|line| line.gate);
    Ok(Names {
        experiments: ids("experiment").into_iter().chain([open, built, rejected]).collect(),
        gates: ids("gate").into_iter().chain(slugs).collect(),
        outcome: ids("outcome")[0].clone(),
        learning: learnings[0].id.to_string(),
    })
}

async fn assert_unknown(client: &mut McpClient, tool: &str, arguments: Value) -> Result<()> {
    let error = client.fails(tool, arguments.clone()).await?;
    assert_eq!(error["error"]["code"], "not_found", "{tool} {arguments}: {error}");
    assert!(error["error"]["hint"].is_string(), "{error}");
    Ok(())
}

async fn assert_apart(ours: &Lab, theirs: &Lab) -> Result<()> {
    let mine = fill(ours, "Softer").await?;
    let other = fill(theirs, "Louder").await?;
    let before = (ours.runtime.audit_log().position().await?, theirs.runtime.audit_log().position().await?);
    for version in [MODERN, LEGACY] {
        let mut client = session(ours, version).await?;
        client.ok("get_gate", json!({ "gate_id": mine.gates.last() })).await?;
        for experiment in &other.experiments {
            assert_unknown(&mut client, "get_experiment_brief", json!({ "experiment_id": experiment })).await?;
            for outcome in ["built", "failed"] {
                let report = json!({ "experiment_id": experiment, "implementation_summary": "x", "outcome": outcome });
                assert_unknown(&mut client, "report_experiment_built", report).await?;
            }
            for gate_type in ["escalation", "portfolio_review", "launch_approval"] {
                let asked = json!({ "experiment_id": experiment, "gate_type": gate_type, "question": "?" });
                assert_unknown(&mut client, "request_human_gate", asked).await?;
            }
        }
        for gate in &other.gates {
            assert_unknown(&mut client, "get_gate", json!({ "gate_id": gate })).await?;
        }
        let outcome = json!({ "outcome_id": other.outcome });
        for tool in ["get_active_outcomes", "get_work_order", "query_learnings"] {
            assert_unknown(&mut client, tool, outcome.clone()).await?;
        }
        let submitted = json!({ "outcome_id": other.outcome, "hypotheses": [candidate("A", "a")] });
        assert_unknown(&mut client, "submit_hypotheses", submitted).await?;
        let gate = other.gates.last().unwrap();
        for uri in [
            format!("gate://{gate}"),
            format!("experiment://{}", other.experiments[0]),
            format!("outcome://{}", other.outcome),
            format!("learning://{}", other.learning),
        ] {
            let error = client.request("resources/read", json!({ "uri": uri })).await?.unwrap_err();
            assert_eq!(error["code"], -32602, "{uri}");
        }
        let everything = [
            client.ok("get_active_outcomes", json!({ "detail": "full" })).await?,
            client.ok("query_learnings", json!({ "query": "Louder", "detail": "full" })).await?,
            client.ok("get_work_order", json!({ "detail": "full" })).await?,
            client.request("resources/list", json!({})).await?.unwrap(),
        ];
        assert!(everything.iter().all(|answer| !answer.to_string().to_lowercase().contains("louder")));
    }
    assert_eq!(
        (ours.runtime.audit_log().position().await?, theirs.runtime.audit_log().position().await?),
        before,
        "nothing was written"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_another_workspace_are_not_found_on_sqlite() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let url = format!("sqlite:{}", dir.path().join("shared.db").display());
    assert_apart(&Lab::on(Some(url.clone())).await?, &Lab::on(Some(url)).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_another_workspace_are_not_found_on_postgres() -> Result<()> {
    let server = match postgres::server() {
        Ok(server) => server,
        Err(skip) => {
            eprintln!("{skip}");
            return Ok(());
        }
    };
    let url = server.database().await;
    assert_apart(&Lab::on(Some(url.clone())).await?, &Lab::on(Some(url)).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_counts_for_its_own_list_and_a_stale_one_ends_it() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for n in 0..3 {
        let experiment = lab.submit(hypothesis(&format!("Level {n}"), &format!("flag-{n}"))).await?;
        lab.decide(&experiment, Verdict::Reject).await?;
    }
    let mut client = session(&lab, MODERN).await?;
    let page = client.ok("query_learnings", json!({ "query": "level", "limit": 1 })).await?;
    let cursor = page["next_cursor"].clone();
    assert!(cursor.is_string(), "{page}");
    client.ok("query_learnings", json!({ "query": "level", "limit": 1, "cursor": cursor })).await?;
    let stale = cursor.as_str().unwrap().split_once('-').unwrap().1;
    let past_the_end =
        client.ok("query_learnings", json!({ "query": "level", "cursor": format!("1000-{stale}") })).await?;
    assert_eq!(past_the_end["learnings"], json!([]));
    let text = cursor.as_str().unwrap();
    for (tool, arguments) in [
        ("query_learnings", json!({ "query": "enemies", "cursor": cursor })),
        ("query_learnings", json!({ "query": "level", "outcome_id": OUTCOME, "cursor": cursor })),
        ("query_learnings", json!({ "query": "level", "cursor": format!("ffffffff-{stale}") })),
        ("query_learnings", json!({ "query": "level", "cursor": format!("-1-{stale}") })),
        ("query_learnings", json!({ "query": "level", "cursor": format!("{text}{text}") })),
        ("get_active_outcomes", json!({ "cursor": cursor })),
    ] {
        let error = client.fails(tool, arguments).await?;
        assert_eq!(error["error"]["code"], "invalid_input", "{error}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("next_cursor"), "{error}");
    }
    Ok(())
}
