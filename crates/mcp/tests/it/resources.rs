//! Resources repeat what the tools give, and completions know the names.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, hypothesis};
use outcome_tests::mcp::{LEGACY, MODERN};
use serde_json::{Value, json};

use super::{golden, session};

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_is_what_a_tool_answers() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let killed = lab.submit(hypothesis("Old level", "old")).await?;
    lab.decide(&killed, Verdict::Reject).await?;
    let building = lab.submit(hypothesis("Built level", "built")).await?;
    lab.decide(&building, Verdict::Approve).await?;
    let waiting = lab.submit(hypothesis("New level", "new")).await?;
    let gate = lab.runtime.gates().list().await?[0].gate.clone();
    let learning = lab.runtime.learnings().search("", None, 1, 0).await?[0].id.to_string();
    for version in [MODERN, LEGACY] {
        let mut client = session(&lab, version).await?;
        let listed = client.request("resources/list", json!({})).await?.unwrap();
        let uris: Vec<&str> =
            listed["resources"].as_array().unwrap().iter().filter_map(|r| r["uri"].as_str()).collect();
        assert_eq!(
            uris,
            [
                &format!("outcome://{OUTCOME}"),
                &format!("gate://{gate}"),
                &format!("chart://{OUTCOME}"),
                "ui://gate",
                "skill://outcome-runtime/SKILL.md",
            ]
        );
        golden("resources", &listed["resources"]);
        let params = json!({ "uri": format!("gate://{gate}") });
        let read = client.request("resources/read", params.clone()).await?.unwrap();
        golden("resource_read", &json!({ "params": params, "result": { "contents": read["contents"] } }));
        for (uri, tool, arguments) in [
            (format!("outcome://{OUTCOME}"), "get_active_outcomes", json!({ "outcome_id": OUTCOME, "detail": "full" })),
            (format!("gate://{gate}"), "get_gate", json!({ "gate_id": gate, "detail": "full" })),
            (format!("experiment://{building}"), "get_experiment_brief", json!({ "id": building, "detail": "full" })),
            (format!("experiment://{waiting}"), "get_experiment_brief", json!({ "id": waiting })),
        ] {
            let read = client.request("resources/read", json!({ "uri": uri })).await?.unwrap();
            let content = &read["contents"][0];
            assert_eq!((&content["uri"], &content["mimeType"]), (&json!(uri), &json!("application/json")));
            let value: Value = serde_json::from_str(content["text"].as_str().unwrap())?;
            assert_eq!(value, client.call(tool, arguments).await?.value, "{uri}");
        }
        let uri = format!("learning://{learning}");
        let read = client.request("resources/read", json!({ "uri": uri })).await?.unwrap();
        let value: Value = serde_json::from_str(read["contents"][0]["text"].as_str().unwrap())?;
        let found = client.ok("query_learnings", json!({ "detail": "full" })).await?;
        assert_eq!(value, found["learnings"][0]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_of_an_outcome_is_a_picture() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for version in [MODERN, LEGACY] {
        let mut client = session(&lab, version).await?;
        let uri = format!("chart://{OUTCOME}");
        let read = client.request("resources/read", json!({ "uri": uri })).await?.unwrap();
        let content = &read["contents"][0];
        assert_eq!((&content["uri"], &content["mimeType"]), (&json!(uri), &json!("image/svg+xml")));
        let svg = content["text"].as_str().unwrap();
        assert!(
            svg.starts_with("<svg xmlns=") && svg.contains("target 35 %") && svg.contains("baseline 30 %"),
            "{svg}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usage_guide_is_a_skill_in_both_eras() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for version in [MODERN, LEGACY] {
        let mut client = session(&lab, version).await?;
        let listed = client.request("skills/list", json!({})).await?.unwrap();
        let skill = &listed["skills"][0];
        let got = client.request("skills/get", json!({ "uri": skill["uri"] })).await?.unwrap();
        assert_eq!(&got["skill"], skill);
        let read = client.request("resources/read", json!({ "uri": skill["uri"] })).await?.unwrap();
        let text = read["contents"][0]["text"].as_str().unwrap();
        assert_eq!(skill["resources"][0]["size"], text.len());
        let folder = json!({ "uri": "skill://outcome-runtime" });
        let within = client.request("resources/directory/read", folder).await?.unwrap();
        assert_eq!(within["resources"][0]["uri"], skill["uri"]);
        for (method, uri) in [("skills/get", "skill://x/SKILL.md"), ("resources/directory/read", "skill://x")] {
            let error = client.request(method, json!({ "uri": uri })).await?.unwrap_err();
            assert_eq!(error["code"], -32602, "{method}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_invalid_params_with_its_address() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for version in [MODERN, LEGACY] {
        let mut client = session(&lab, version).await?;
        for uri in [
            "gate://nope",
            "outcome://nope",
            "experiment://nope",
            "learning://nope",
            "chart://nope",
            "ui://nope",
            "skill://nope",
            "file:///etc/passwd",
            "x",
            "",
        ] {
            let error = client.request("resources/read", json!({ "uri": uri })).await?.unwrap_err();
            assert_eq!((&error["code"], &error["data"]["uri"]), (&json!(-32602), &json!(uri)));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_completed() -> Result<()> {
    let lab = Lab::sqlite().await?;
    lab.submit(hypothesis("New level", "new")).await?;
    lab.submit(hypothesis("Level of old", "old")).await?;
    let mut client = session(&lab, MODERN).await?;
    let experiment = json!({ "type": "ref/resource", "uri": "experiment://{slug}" });
    let propose = json!({ "type": "ref/prompt", "name": "propose_experiments" });
    for (reference, name, typed, expected) in [
        (experiment, "slug", "lev", json!(["level-of-old", "new-level"])),
        (propose.clone(), "outcome_id", "", json!([OUTCOME])),
        (propose, "nope", "", json!([])),
    ] {
        let params = json!({ "ref": reference, "argument": { "name": name, "value": typed } });
        let done = client.request("completion/complete", params).await?.unwrap();
        assert_eq!(done["completion"]["values"], expected);
    }
    Ok(())
}
