//! Files that tell a coding agent's client what to run, what to allow and what to believe.
//!
//! An experiment rarely needs them, and a change of them outlives it: the next session starts with it. A note for the humans at the gate.

use super::path::{fold, shown};
use crate::domain::{Change, Note, NoteKind};

/// Folders that hold nothing else, wherever they are.
const FOLDERS: [&str; 11] = [
    ".agents",
    ".claude",
    ".claude-plugin",
    ".codex",
    ".cursor",
    ".devin",
    ".gemini",
    ".goose",
    ".opencode",
    ".outcome",
    ".windsurf",
];
/// The last parts of a path that is such a file.
const FILES: [&str; 15] = [
    ".mcp.json",
    ".goosehints",
    ".vscode/mcp.json",
    ".vscode/settings.json",
    ".vscode/tasks.json",
    ".github/copilot-instructions.md",
    "agents.md",
    "agents.override.md",
    "claude.md",
    "claude.local.md",
    "copilot-instructions.md",
    "gemini.md",
    "goose.yaml",
    "opencode.json",
    "opencode.jsonc",
];
/// Folders below `.github` with instructions and hooks.
const OF_GITHUB: [&str; 4] = ["agents", "hooks", "instructions", "prompts"];

/// Whether a path, from a repository's root, is read by a coding agent's client.
#[must_use]
pub fn steers_an_agent(path: &str) -> bool {
    let path = fold(path);
    let parts: Vec<&str> = path.split('/').collect();
    let is_below = |(folder, next): (&str, &str)| folder == ".github" && OF_GITHUB.contains(&next);
    parts.iter().any(|part| FOLDERS.contains(part))
        || parts.iter().zip(parts.iter().skip(1)).any(|(folder, next)| is_below((folder, next)))
        || FILES.iter().any(|file| path == *file || path.ends_with(&format!("/{file}")))
}

/// A note for each change of such a file.
pub(super) fn notes(changes: &[Change]) -> impl Iterator<Item = Note> {
    let found = changes.iter().filter_map(|change| change.touched().find(|path| steers_an_agent(path)));
    found.map(|path| Note {
        kind: NoteKind::AgentSettings,
        path: path.to_owned(),
        message: format!("`{}` is read by coding agents: it changes what they run, may do or are told", shown(path)),
    })
}

#[cfg(test)]
mod tests {
    use super::steers_an_agent;

    #[test]
    fn settings_and_instructions_of_agents_are_known_wherever_they_are() {
        for path in [
            ".mcp.json",
            "packages/shop/.MCP.json",
            ".claude/settings.local.json",
            "web/.cursor/rules/a.mdc",
            ".vscode/mcp.json",
            ".github/hooks/x.json",
            "AGENTS.md",
            "docs/CLAUDE.md",
        ] {
            assert!(steers_an_agent(path), "{path}");
        }
        for path in
            ["src/agents.ts", ".vscode/launch.json", ".github/workflows/ci.yml", "mcp.json", "docs/agents.md.txt"]
        {
            assert!(!steers_an_agent(path), "{path}");
        }
    }
}
