//! What a client's hook says it is about to do.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::doubt::Doubt;
use super::tool::{self, Written};
use crate::args::GuardClient;

/// Most files of one call that are looked at: a person waits.
const MAX_FILES: usize = 10_000;

/// What is about to happen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Who asks, if its input shows it.
    pub(super) client: Option<GuardClient>,
    /// Folders from which the workspace may be found, the likeliest first.
    pub(super) folders: Vec<PathBuf>,
    /// The tool, as the client names it.
    pub(super) tool: String,
    /// What it writes.
    pub(super) written: Written,
}

/// Reads the input of a hook. What is not understood of it is a doubt.
pub(super) fn read(input: &str) -> Call {
    let unknown =
        || Call { written: Written { doubt: Some(Doubt::NotARequest), ..Written::default() }, ..Call::default() };
    let Ok(input) = serde_json::from_str::<Value>(input.trim_start_matches('\u{feff}')) else { return unknown() };
    if !input.is_object() {
        return unknown();
    }
    let (tool, mut written) = match text(&input, "agent_action_name") {
        Some(action) => of_windsurf(action, input.get("tool_info").unwrap_or(&Value::Null)),
        None => of_tool(&input),
    };
    written.files.truncate(MAX_FILES);
    Call { client: client_of(&input), folders: folders_of(&input), tool, written }
}

fn client_of(input: &Value) -> Option<GuardClient> {
    match text(input, "hook_event_name") {
        _ if input.get("agent_action_name").is_some() => Some(GuardClient::Windsurf),
        Some("preToolUse") => Some(GuardClient::Cursor),
        Some("PreToolUse") => Some(GuardClient::ClaudeCode),
        _ if input.get("workspace_roots").is_some() => Some(GuardClient::Cursor),
        _ => None,
    }
}

fn folders_of(input: &Value) -> Vec<PathBuf> {
    let roots = input.get("workspace_roots").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    text(input, "cwd").into_iter().chain(roots).filter(|text| !text.is_empty()).map(PathBuf::from).collect()
}

fn of_tool(input: &Value) -> (String, Written) {
    if let Some(tool) = text(input, "tool_name") {
        let given = input.get("tool_input");
        // Some clients hand the arguments of other servers' tools on as text.
        let read = given.and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
        return (tool.to_owned(), tool::written(tool, read.as_ref().filter(|value| value.is_object()).or(given)));
    }
    // Another event than the one before a tool: a command, or nothing that writes.
    match text(input, "hook_event_name") {
        Some(event) if !event.eq_ignore_ascii_case("PreToolUse") => {
            (event.to_owned(), tool::written("shell", Some(&json!({ "command": input.get("command") }))))
        }
        _ => (String::new(), Written { doubt: Some(Doubt::NoTool), ..Written::default() }),
    }
}

fn of_windsurf(action: &str, info: &Value) -> (String, Written) {
    let written = match action {
        "pre_write_code" => {
            let files = tool::named(Some(info));
            let doubt = files.is_empty().then(|| Doubt::NoFile { tool: action.to_owned() });
            Written { files, doubt, ..Written::default() }
        }
        "pre_mcp_tool_use" => {
            let name = |field| text(info, field).unwrap_or_default();
            let tool = format!("mcp__{}__{}", name("mcp_server_name"), name("mcp_tool_name"));
            tool::written(&tool, info.get("mcp_tool_arguments"))
        }
        _ => tool::written("shell", Some(&json!({ "command": info.get("command_line"), "cwd": info.get("cwd") }))),
    };
    (action.to_owned(), written)
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
