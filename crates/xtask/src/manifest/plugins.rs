//! Plugin files of clients that install one: they start the server from the `PATH`.

use anyhow::Result;
use serde_json::{Value, json};

use super::facts::{DESCRIPTION, KEYWORDS, LICENSE, PLUGIN, PROGRAM, REPOSITORY, TITLE};
use super::server::Answers;

pub const CLAUDE: &str = "ide-configs/plugins/claude-code/.claude-plugin/plugin.json";
const CLAUDE_HOOKS: &str = "ide-configs/plugins/claude-code/hooks/hooks.json";
pub const CURSOR: &str = "ide-configs/plugins/cursor/.cursor-plugin/plugin.json";
const CURSOR_SERVERS: &str = "ide-configs/plugins/cursor/mcp.json";
pub const GEMINI: &str = "ide-configs/plugins/gemini/gemini-extension.json";

/// The tools with which Claude Code changes files.
const CLAUDE_EDITS: &str = "Edit|MultiEdit|Write|NotebookEdit|mcp__.*";

/// Path and content of every plugin file.
pub fn files(answers: &Answers) -> Result<Vec<(&'static str, Value)>> {
    let version = answers.version()?;
    let servers = json!({ PLUGIN: { "command": PROGRAM, "args": [] } });
    let claude = json!({
        "name": PLUGIN,
        "version": version,
        "description": DESCRIPTION,
        "author": { "name": TITLE, "url": REPOSITORY },
        "homepage": REPOSITORY,
        "repository": REPOSITORY,
        "license": LICENSE,
        "keywords": KEYWORDS,
        "mcpServers": servers,
    });
    // Found by its place; named in the plugin's manifest it would be loaded twice.
    let hooks = json!({
        "description": "Refuses edits outside the scope of the experiment that is being built",
        "hooks": {
            "PreToolUse": [{
                "matcher": CLAUDE_EDITS,
                "hooks": [{ "type": "command", "command": "outcome-runtime guard --client claude-code" }],
            }],
        },
    });
    let cursor = json!({
        "name": PLUGIN,
        "displayName": TITLE,
        "version": version,
        "description": DESCRIPTION,
        "author": { "name": TITLE },
        "homepage": REPOSITORY,
        "repository": REPOSITORY,
        "license": LICENSE,
        "keywords": KEYWORDS,
        // Cursor drops files that the manifest does not name.
        "mcpServers": "./mcp.json",
    });
    let gemini = json!({
        "name": PLUGIN,
        "version": version,
        "description": DESCRIPTION,
        "mcpServers": servers,
    });
    Ok(vec![
        (CLAUDE, claude),
        (CLAUDE_HOOKS, hooks),
        (CURSOR, cursor),
        (CURSOR_SERVERS, json!({ "mcpServers": servers })),
        (GEMINI, gemini),
    ])
}
