//! The manifest of the MCP bundle: the server for clients that install a file, such as Claude Desktop.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::facts::{DESCRIPTION, KEYWORDS, LICENSE, PROGRAM, REPOSITORY, TITLE, items, text};
use super::server::Answers;

pub const PATH: &str = "ide-configs/mcpb/manifest.json";
/// Where the server can run; one bundle holds the program of one of them.
pub const PLATFORMS: &[&str] = &["darwin", "linux"];
/// The platform of the bundle that the committed `server.json` names.
pub const RELEASED: &str = "linux-x64";
/// Folder of the program inside of the bundle.
pub const FOLDER: &str = "server";

/// Name of the packed file; an address in the registry must contain "mcp".
pub fn file_name(version: &str, platform: &str) -> String {
    format!("{PROGRAM}-{version}-{platform}.mcpb")
}

/// The manifest of a bundle for `platforms`.
pub fn manifest(answers: &Answers, platforms: &[&str]) -> Result<Value> {
    let named = |item: &Value| -> Result<Value> {
        Ok(json!({ "name": text(item, "/name")?, "description": text(item, "/description")? }))
    };
    let tools = items(&answers.tools).map(named).collect::<Result<Vec<_>>>()?;
    let prompts = items(&answers.prompts).map(|prompt| self::prompt(answers, prompt)).collect::<Result<Vec<_>>>()?;
    let program = format!("{FOLDER}/{PROGRAM}");
    Ok(json!({
        "manifest_version": "0.3",
        "name": PROGRAM,
        "display_name": TITLE,
        "version": answers.version()?,
        "description": DESCRIPTION,
        "long_description": text(&answers.discovered, "/instructions")?,
        "author": { "name": TITLE, "url": REPOSITORY },
        "repository": { "type": "git", "url": REPOSITORY },
        "documentation": format!("{REPOSITORY}/blob/main/docs/mcp.md"),
        "support": format!("{REPOSITORY}/issues"),
        "license": LICENSE,
        "keywords": KEYWORDS,
        "compatibility": { "platforms": platforms },
        "server": {
            "type": "binary",
            "entry_point": program,
            "mcp_config": {
                "command": format!("${{__dirname}}/{program}"),
                "args": [],
                // What the user leaves empty arrives as `${...}` or as nothing; both count as absent.
                "env": { "OR_WORKSPACE": "${user_config.workspace}", "OUTCOME_RUNTIME_DATABASE_URL": "${user_config.database_url}" },
            },
        },
        "user_config": {
            "workspace": {
                "type": "directory",
                "title": "Workspace",
                "description": "The repository in which `outcome-runtime init` was run. It is needed because such clients start servers elsewhere.",
                "required": true,
            },
            "database_url": {
                "type": "string",
                "title": "Database",
                "description": setting(answers, "OUTCOME_RUNTIME_DATABASE_URL")?,
                "required": false,
                "sensitive": true,
            },
        },
        "tools": tools,
        "prompts": prompts,
    }))
}

fn prompt(answers: &Answers, prompt: &Value) -> Result<Value> {
    let name = text(prompt, "/name")?;
    let arguments: Vec<&Value> =
        items(prompt.get("arguments").unwrap_or(&Value::Null)).filter_map(|argument| argument.get("name")).collect();
    let mut out = json!({
        "name": name,
        "description": text(prompt, "/description")?,
        "text": answers.prompt_texts.get(name).context("a prompt without text")?,
    });
    if let (Some(map), false) = (out.as_object_mut(), arguments.is_empty()) {
        map.insert("arguments".to_owned(), json!(arguments));
    }
    Ok(out)
}

/// What the server says about a variable.
fn setting<'a>(answers: &'a Answers, name: &str) -> Result<&'a str> {
    let found = answers.settings().find(|variable| variable.get("name").and_then(Value::as_str) == Some(name));
    text(found.with_context(|| format!("the server does not read {name}"))?, "/meaning")
}
