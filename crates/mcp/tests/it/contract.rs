//! The contract: what is listed, in what shape, and how large. A difference is a decision, never an accident.

use anyhow::Result;
use outcome_tests::mcp::{LEGACY, MODERN, McpClient};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{VERSIONS, golden, program};

/// The server needs no workspace to say what it offers.
async fn nowhere(version: &str) -> Result<(TempDir, McpClient)> {
    let dir = tempfile::tempdir()?;
    let client = McpClient::start(program(), dir.path(), &[], version, json!({})).await?;
    Ok((dir, client))
}

async fn list(client: &mut McpClient, method: &str) -> Result<Value> {
    client.request(method, json!({})).await?.map_err(|error| anyhow::anyhow!("{error}"))
}

#[tokio::test]
async fn the_lists_are_the_known_ones_in_both_eras() -> Result<()> {
    for version in VERSIONS {
        let (_dir, mut client) = nowhere(version).await?;
        let tools = list(&mut client, "tools/list").await?;
        golden("tools", &tools["tools"]);
        golden("prompts", &list(&mut client, "prompts/list").await?["prompts"]);
        golden("resource_templates", &list(&mut client, "resources/templates/list").await?["resourceTemplates"]);
        golden("resources_without_a_workspace", &list(&mut client, "resources/list").await?["resources"]);
        if version == MODERN {
            assert_eq!(tools["cacheScope"], "private");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_server_says_who_it_is_and_what_the_rules_are() -> Result<()> {
    let (_dir, mut client) = nowhere(MODERN).await?;
    let discovered = list(&mut client, "server/discover").await?;
    golden("discover", &discovered);
    let instructions = discovered["instructions"].as_str().unwrap();
    assert!(instructions.len() <= 2048, "{} bytes", instructions.len());
    assert!(instructions.find("get_active_outcomes").unwrap() < 300);
    let (_dir, mut legacy) = nowhere(LEGACY).await?;
    assert!(legacy.request("ping", json!({})).await?.is_ok());
    Ok(())
}

#[tokio::test]
async fn the_list_of_tools_costs_at_most_8_kilobytes_and_no_tool_1000_tokens() -> Result<()> {
    let (_dir, mut client) = nowhere(LEGACY).await?;
    let tools = list(&mut client, "tools/list").await?["tools"].clone();
    let n_bytes = tools.to_string().len();
    assert!(n_bytes <= 8_000, "{n_bytes} bytes");
    let tools = tools.as_array().unwrap();
    assert!(tools.len() <= 8);
    assert!(tools.iter().all(|tool| tool.to_string().len() <= 4_000));
    Ok(())
}

#[tokio::test]
async fn every_tool_has_a_title_and_all_four_hints() -> Result<()> {
    let (_dir, mut client) = nowhere(MODERN).await?;
    let tools = list(&mut client, "tools/list").await?["tools"].clone();
    let writes = ["report_experiment_built", "request_human_gate", "submit_hypotheses"];
    let mut always = Vec::new();
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert!(name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert!(tool["title"].is_string(), "{name}");
        let hints = &tool["annotations"];
        assert_eq!(hints["readOnlyHint"], !writes.contains(&name), "{name}");
        assert_eq!(hints["destructiveHint"], false, "{name}");
        assert_eq!(hints["idempotentHint"], true, "{name}");
        assert_eq!(hints["openWorldHint"], false, "{name}");
        // Names of fields alone would say nothing.
        assert!(tool.get("outputSchema").is_none(), "{name}");
        if tool["_meta"]["anthropic/alwaysLoad"] == true {
            always.push(name);
        } else {
            assert!(tool["_meta"]["anthropic/searchHint"].is_string(), "{name}");
        }
    }
    assert_eq!(always, ["get_active_outcomes"]);
    Ok(())
}

#[tokio::test]
async fn no_text_of_the_server_shouts() -> Result<()> {
    let (_dir, mut client) = nowhere(MODERN).await?;
    for method in ["tools/list", "prompts/list", "server/discover", "resources/templates/list"] {
        let text = list(&mut client, method).await?.to_string();
        for word in ["MUST", "NEVER", "IMPORTANT", "ALWAYS", "DO NOT"] {
            assert!(!text.contains(word), "{method}: {word}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_prompt_can_be_had_and_a_wrong_one_is_a_protocol_error() -> Result<()> {
    for version in [MODERN, LEGACY] {
        let (_dir, mut client) = nowhere(version).await?;
        for name in ["propose_experiments", "build_experiment", "explain_result", "weekly_review"] {
            let params = json!({ "name": name, "arguments": { "experiment_id": "a`b\u{7}", "outcome_id": "x" } });
            let got = client.request("prompts/get", params).await?.map_err(|e| anyhow::anyhow!("{e}"))?;
            let text = got["messages"][0]["content"]["text"].as_str().unwrap();
            assert!(!text.contains('\u{7}') && !text.contains("{for}"), "{text}");
        }
        let params = json!({ "name": "build_experiment", "arguments": { "experiment_id": "softer-level" } });
        let mut got = client.request("prompts/get", params.clone()).await?.map_err(|e| anyhow::anyhow!("{e}"))?;
        without_era(&mut got);
        golden("prompt_get", &json!({ "params": params, "result": got }));
    }
    Ok(())
}

/// What only one of the eras adds to a result.
fn without_era(result: &mut Value) {
    for key in ["resultType", "ttlMs", "cacheScope", "_meta"] {
        result.as_object_mut().map(|map| map.remove(key));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_protocol_error_that_says_what_is_right() -> Result<()> {
    for version in [MODERN, LEGACY] {
        let (_dir, mut client) = nowhere(version).await?;
        let mut told = Vec::new();
        for (method, params) in [
            ("prompts/get", json!({ "name": "nope" })),
            ("prompts/get", json!({ "name": "build_experiment" })),
            ("tools/call", json!({ "name": "approve_gate" })),
            ("tools/call", json!({ "name": "get_gate", "arguments": "text" })),
            ("resources/read", json!({ "uri": "file:///etc/passwd" })),
        ] {
            let error = client.request(method, params.clone()).await?.unwrap_err();
            assert_eq!(error["code"], -32602, "{method} {params}");
            told.push(json!({ "method": method, "params": params, "error": error }));
        }
        golden("protocol_errors", &Value::Array(told));
    }
    Ok(())
}

/// The reference page shows them all, so none may outlive its test.
#[test]
fn every_golden_call_is_one_that_a_test_makes() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let read = |folder: &str| std::fs::read_dir(here.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let tests: String = read("it").map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for path in read("golden/calls") {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let name = stem.strip_prefix("error_").unwrap_or(stem);
        // A name in full, or one whose end is filled in.
        let is_filled_in = |(at, _): (usize, &str)| tests.contains(&format!("\"{}_{{", &name[..at]));
        let is_made = tests.contains(&format!("\"{name}\"")) || name.match_indices('_').any(is_filled_in);
        assert!(is_made, "no test makes {stem}.json: remove it");
    }
}
