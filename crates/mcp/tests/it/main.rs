//! The server as clients see it: the built program, spoken to over its standard input and output.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may panic")]

mod bad_lines;
mod building;
mod card;
mod contract;
mod courtesy;
mod disconnects;
mod errors;
mod generated;
mod hostile;
mod journey;
mod lifecycle;
mod no_database;
mod notices;
mod official_client;
mod other_workspace;
mod raw;
mod refusals;
mod resources;
mod size;
mod suspicious;

use std::path::Path;

use outcome_tests::lab::Lab;
use outcome_tests::mcp::{LEGACY, MODERN, McpClient};
use serde_json::{Value, json};

/// The program under test.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_outcome-runtime-mcp"))
}

/// A session without client capabilities.
async fn session(lab: &Lab, version: &str) -> anyhow::Result<McpClient> {
    McpClient::in_lab(program(), lab, version, json!({})).await
}

/// Both protocol eras, and the oldest handshake.
const VERSIONS: [&str; 3] = [MODERN, LEGACY, "2024-11-05"];

/// A candidate for the laboratory's outcome, as an agent writes it.
fn candidate(title: &str, flag: &str) -> Value {
    json!({
        "title": title,
        "statement": "If level two is softer, more players come back",
        "mechanism": "Fewer players give up",
        "expected_improvement": 0.02,
        "confidence": 0.5,
        "intervention": "code_change",
        "intervention_description": "Soften level two",
        "touched_paths": [format!("game/{flag}/")],
        "flag_key": flag,
        "duration_days": 28,
        "min_sample_size": 2000,
        "success_threshold": 0.0,
        "kill_threshold": 0.0,
        "minimum_detectable_effect": 0.02,
        "initial_pct": 50,
        "effort_hours": 3,
        "risk": "low",
        "tags": ["levels"],
    })
}

/// Calls a tool that must succeed, and compares the call and its answer with `tests/golden/calls/NAME.json`. The reference page
/// (`cargo xtask manifest`) shows them as examples; `when` says there in which situation.
async fn shows(
    client: &mut McpClient,
    name: &str,
    when: &str,
    (tool, arguments): (&str, Value),
) -> anyhow::Result<Value> {
    let answer = client.ok(tool, arguments.clone()).await?;
    let told = json!({ "tool": tool, "when": when, "arguments": arguments, "is_error": false, "answer": answer });
    golden(&format!("calls/{name}"), &told);
    Ok(answer)
}

/// The same for a call that must fail for the model.
async fn refuses(
    client: &mut McpClient,
    name: &str,
    when: &str,
    (tool, arguments): (&str, Value),
) -> anyhow::Result<Value> {
    let error = client.fails(tool, arguments.clone()).await?;
    let told = json!({ "tool": tool, "when": when, "arguments": arguments, "is_error": true, "answer": error });
    golden(&format!("calls/error_{name}"), &told);
    Ok(error)
}

/// The same for a failure that any tool can answer with; this one tool stands for all.
async fn refuses_everywhere(client: &mut McpClient, name: &str, when: &str, tool: &str) -> anyhow::Result<Value> {
    let error = client.fails(tool, json!({})).await?;
    let told = json!({ "tool": "*", "when": when, "arguments": {}, "is_error": true, "answer": error });
    golden(&format!("calls/error_{name}"), &told);
    Ok(error)
}

/// Compares with `tests/golden/NAME.json`; `UPDATE=1` writes it.
fn golden(name: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let text = serde_json::to_string_pretty(&redacted(value)).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "{name}.json differs; look at the difference, then run with UPDATE=1\n{text}");
}

/// Ids, hashes, the name of the temporary folder and the jitter of the schedule differ from run to run; the order of keys is
/// made the same.
fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            let one = |(key, item): (&String, &Value)| match key.as_str() {
                "workspace" if item.is_string() => (key.clone(), json!("<workspace>")),
                "next_poll_at" => (key.clone(), json!("<soon>")),
                _ => (key.clone(), redacted(item)),
            };
            Value::Object(sorted.into_iter().map(one).collect())
        }
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::String(text) => Value::from(redacted_text(text)),
        other => other.clone(),
    }
}

fn redacted_text(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_random = |word: &str| {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-';
        matches!(word.len(), 36 | 40 | 64) && word.bytes().all(is_hex)
    };
    let redact = |word: &str| {
        let core = word.trim_end_matches(|c| !is_word(c));
        if is_random(core) { word.replace(core, "<id>") } else { word.to_owned() }
    };
    // Where the test runs.
    let placed = |word: &str| if word.contains("/.tmp") { "<folder> ".to_owned() } else { word.to_owned() };
    let text: String = text.split_inclusive(' ').map(placed).collect();
    text.split_inclusive(|c| !is_word(c)).map(redact).collect()
}
