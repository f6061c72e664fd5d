//! The table: for each client its files, what ours looks like in them, and how it starts servers.
//!
//! Sources: each client's documentation, and for Claude Code, Codex, Gemini CLI and opencode what the programs did
//! (docs/clients.md has their versions). No entry needs a variable; where a client starts servers outside of the repository
//! the workspace's path is written out.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{Client, PROGRAM, Places, SERVER, Scope};

/// What an agent reads in each session, between the marks or as a file of its own.
pub(super) const RULES: &str = "\
## Outcome Runtime

This repository measures whether a change moved a metric (`outcome.yaml`). You propose and build, the runtime measures, a
human decides. The tools come from the MCP server `outcome-runtime`.

- Start with `get_active_outcomes`: it lists outcomes, experiments, pending gates, and the ids that other tools need.
- To propose, call `get_work_order`, then `query_learnings`, then `submit_hypotheses`.
- Build only what `get_experiment_brief` returns: start from its base commit, stay within its scope, put the change behind its
  flag. Commit, then call `report_experiment_built`. The diff is recomputed from git, and edits outside the scope are refused.
- Only what is committed is reported. If a sandbox keeps `.git` read-only, ask the user to allow the command.
- If the work needs more than the brief allows, call `request_human_gate` with gate_type `escalation` and wait. Do not work
  around a refusal.
- Only humans decide gates, on the review page or in their terminal. Show them the review_url and continue with other work.
- Do not change what measures the experiment: its events and queries, `outcome.yaml`, `.outcome/`.
";

/// The usage guide that the server offers as well, for clients that load such guides from a folder.
const SKILL: &str = include_str!("../../../mcp/src/skill.md");

/// Begins every command of the guard; by it our hook is known.
pub(super) const GUARD: &str = "outcome-runtime guard";

/// Matchers that we wrote before: such a hook is brought up to date, and one that its owner changed is left alone.
pub(super) const EARLIER_MATCHERS: [&str; 3] =
    ["Edit|MultiEdit|Write|NotebookEdit", "apply_patch|Bash", "Write|Edit|MultiEdit|NotebookEdit|StrReplace|Delete"];

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// How the server is started.
    Server,
    /// What the agent reads.
    Rules,
    /// The scope guard.
    Guard,
}

/// What is put into a file.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// The server's entry in JSON, beneath these keys.
    JsonServer { at: &'static [&'static str], entry: Value },
    /// A hook in a JSON list beneath these keys; `top` are keys that the file needs beside it.
    JsonHook { at: &'static [&'static str], entry: Value, top: Map<String, Value> },
    /// The server's entry in TOML, as a table beneath this key.
    TomlServer { at: &'static str, entry: Value },
    /// The server's entry in YAML, beneath this top-level key.
    YamlServer { at: &'static str, entry: Value },
    /// A marked section of a text that belongs to the user.
    Section(&'static str),
    /// A file of our own.
    Own(String),
}

/// A file of a client.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) role: Role,
    /// Where it may lie; nothing is written outside, whatever links say.
    pub(super) base: PathBuf,
    pub(super) path: PathBuf,
    pub(super) edit: Edit,
}

/// How a client starts servers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch {
    /// In the repository; else somewhere outside.
    pub(super) in_project: bool,
    /// What the server sees of the user's environment.
    pub(super) passes: Passes,
    /// How values of the configuration are read.
    pub(super) reads: Interpolation,
}

/// What a server sees of the user's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passes {
    Everything,
    /// Only what every program needs.
    Little,
    /// As little, with the `PATH` of a desktop.
    DesktopPath,
}

/// References to variables in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interpolation {
    None,
    /// `${NAME}`; what is not set stays.
    Braces,
    /// `${NAME}` and `$NAME`; what is not set becomes nothing.
    Shell,
    /// `${env:NAME}`, `${workspaceFolder}`, `${userHome}`.
    Editor,
    /// `{env:NAME}`.
    BareBraces,
}

impl Client {
    /// Where its files go unless told otherwise.
    pub fn default_scope(self) -> Scope {
        match self {
            Self::ClaudeDesktop | Self::Goose | Self::Windsurf => Scope::User,
            _ => Scope::Project,
        }
    }

    /// What a person should know after the files are written.
    pub fn notes(self, scope: Scope) -> &'static [&'static str] {
        match (self, scope) {
            (Self::ClaudeCode, Scope::Project) => {
                &["Claude Code asks once whether it may use the project's server; `/mcp` shows it."]
            }
            (Self::Codex, Scope::Project) => {
                &["Codex reads a project's files once you trust the project. It asks before it runs the hook."]
            }
            (Self::Codex, Scope::User) => &["Codex asks once before it runs the hook."],
            (Self::Gemini, Scope::Project) => {
                &["Gemini CLI starts servers only in a folder that you trust (`/trust`)."]
            }
            (Self::ClaudeDesktop, _) => {
                &["Restart Claude Desktop. Its server works on one repository: the one in this entry."]
            }
            (Self::Windsurf, _) => {
                &["Press refresh in Windsurf's MCP panel. Its server works on one repository: the one in this entry."]
            }
            (Self::Cursor, Scope::User) => &["Cursor keeps user rules in its settings, not in a file."],
            (Self::VsCode, _) => &["VS Code asks whether you trust the server when it first starts."],
            _ => &[],
        }
    }

    pub(super) fn launch(self) -> Launch {
        let launch = |in_project, passes, reads| Launch { in_project, passes, reads };
        match self {
            Self::ClaudeCode => launch(true, Passes::Everything, Interpolation::Braces),
            Self::ClaudeDesktop => launch(false, Passes::DesktopPath, Interpolation::None),
            Self::Cursor | Self::VsCode => launch(true, Passes::Everything, Interpolation::Editor),
            Self::Windsurf => launch(false, Passes::DesktopPath, Interpolation::Editor),
            Self::Codex => launch(true, Passes::Little, Interpolation::None),
            Self::Gemini => launch(true, Passes::Everything, Interpolation::Shell),
            Self::Goose => launch(true, Passes::Everything, Interpolation::None),
            Self::OpenCode => launch(true, Passes::Everything, Interpolation::BareBraces),
        }
    }

    /// Its files; none where it does not know such a scope.
    pub(super) fn files(self, scope: Scope, places: &Places<'_>) -> Vec<File> {
        use Edit::{JsonHook, JsonServer, Own, Section, TomlServer, YamlServer};
        use Role::{Guard, Rules, Server};
        let plain = json!({ "command": PROGRAM, "args": [] });
        let full = json!({
            "command": places.server.to_string_lossy(),
            "args": [],
            "env": { "OR_WORKSPACE": places.root.to_string_lossy() },
        });
        let stdio = json!({ "type": "stdio", "command": PROGRAM, "args": [] });
        let hook = |matcher: &str| {
            let command =
                json!({ "type": "command", "command": format!("{GUARD} --client {}", self.id()), "timeout": 10 });
            json!({ "matcher": matcher, "hooks": [command] })
        };
        let pre_tool_use = |matcher| JsonHook { at: &["hooks", "PreToolUse"], entry: hook(matcher), top: Map::new() };
        let project =
            |role, path: &str, edit| File { role, base: places.root.clone(), path: places.root.join(path), edit };
        let at =
            |role, base: &PathBuf, path: &str, edit| File { role, base: base.clone(), path: base.join(path), edit };
        let home = |role, path: &str, edit| at(role, &places.home, path, edit);
        let config = places.folder("XDG_CONFIG_HOME", ".config");
        match (self, scope) {
            (Self::ClaudeCode, Scope::Project) => vec![
                project(Server, ".mcp.json", JsonServer { at: &["mcpServers"], entry: stdio }),
                project(Rules, "CLAUDE.md", Section(RULES)),
                project(Rules, ".claude/skills/outcome-runtime/SKILL.md", Own(SKILL.to_owned())),
                project(Guard, ".claude/settings.json", pre_tool_use("Edit|MultiEdit|Write|NotebookEdit|mcp__.*")),
            ],
            (Self::ClaudeCode, Scope::User) => {
                let folder = places.folder("CLAUDE_CONFIG_DIR", ".claude");
                // Without the variable this file lies beside the folder, not in it.
                let base =
                    if (places.env)("CLAUDE_CONFIG_DIR").is_some() { folder.clone() } else { places.home.clone() };
                vec![
                    at(Server, &base, ".claude.json", JsonServer { at: &["mcpServers"], entry: stdio }),
                    at(Rules, &folder, "CLAUDE.md", Section(RULES)),
                    at(Rules, &folder, "skills/outcome-runtime/SKILL.md", Own(SKILL.to_owned())),
                    at(Guard, &folder, "settings.json", pre_tool_use("Edit|MultiEdit|Write|NotebookEdit|mcp__.*")),
                ]
            }
            (Self::ClaudeDesktop, Scope::User) => {
                let folder = match std::env::consts::OS {
                    "macos" => places.home.join("Library/Application Support/Claude"),
                    "windows" => places.folder("APPDATA", "AppData/Roaming").join("Claude"),
                    _ => config.join("Claude"),
                };
                vec![at(Server, &folder, "claude_desktop_config.json", JsonServer { at: &["mcpServers"], entry: full })]
            }
            (Self::Cursor, Scope::Project) => vec![
                project(Server, ".cursor/mcp.json", JsonServer { at: &["mcpServers"], entry: plain }),
                project(
                    Rules,
                    ".cursor/rules/outcome-runtime.mdc",
                    Own(format!(
                        "---\ndescription: How to work with Outcome Runtime\nglobs:\nalwaysApply: true\n---\n\n{RULES}"
                    )),
                ),
                project(Guard, ".cursor/hooks.json", Self::cursor_hook()),
            ],
            (Self::Cursor, Scope::User) => vec![
                home(Server, ".cursor/mcp.json", JsonServer { at: &["mcpServers"], entry: plain }),
                home(Guard, ".cursor/hooks.json", Self::cursor_hook()),
            ],
            (Self::Windsurf, Scope::User) => vec![
                home(Server, ".codeium/windsurf/mcp_config.json", JsonServer { at: &["mcpServers"], entry: full }),
                project(
                    Rules,
                    ".windsurf/rules/outcome-runtime.md",
                    Own(format!("---\ntrigger: always_on\n---\n\n{RULES}")),
                ),
                project(Guard, ".windsurf/hooks.json", Self::windsurf_hook(&["hooks", "pre_write_code"])),
                project(Guard, ".windsurf/hooks.json", Self::windsurf_hook(&["hooks", "pre_mcp_tool_use"])),
            ],
            (Self::VsCode, Scope::Project) => vec![
                project(Server, ".vscode/mcp.json", JsonServer { at: &["servers"], entry: stdio }),
                project(
                    Rules,
                    ".github/instructions/outcome-runtime.instructions.md",
                    Own(format!("---\napplyTo: \"**\"\n---\n\n{RULES}")),
                ),
            ],
            (Self::VsCode, Scope::User) => {
                let folder = match std::env::consts::OS {
                    "macos" => places.home.join("Library/Application Support/Code/User"),
                    "windows" => places.folder("APPDATA", "AppData/Roaming").join("Code/User"),
                    _ => config.join("Code/User"),
                };
                vec![at(Server, &folder, "mcp.json", JsonServer { at: &["servers"], entry: stdio })]
            }
            (Self::Codex, Scope::Project) => vec![
                project(Server, ".codex/config.toml", TomlServer { at: "mcp_servers", entry: plain }),
                project(Rules, "AGENTS.md", Section(RULES)),
                project(Rules, ".agents/skills/outcome-runtime/SKILL.md", Own(SKILL.to_owned())),
                project(Guard, ".codex/hooks.json", pre_tool_use("apply_patch|Bash|mcp__.*")),
            ],
            (Self::Codex, Scope::User) => {
                let folder = places.folder("CODEX_HOME", ".codex");
                vec![
                    at(Server, &folder, "config.toml", TomlServer { at: "mcp_servers", entry: plain }),
                    at(Rules, &folder, "AGENTS.md", Section(RULES)),
                    home(Rules, ".agents/skills/outcome-runtime/SKILL.md", Own(SKILL.to_owned())),
                    at(Guard, &folder, "hooks.json", pre_tool_use("apply_patch|Bash|mcp__.*")),
                ]
            }
            (Self::Gemini, Scope::Project) => vec![
                project(Server, ".gemini/settings.json", JsonServer { at: &["mcpServers"], entry: plain }),
                project(Rules, "GEMINI.md", Section(RULES)),
            ],
            (Self::Gemini, Scope::User) => vec![
                home(Server, ".gemini/settings.json", JsonServer { at: &["mcpServers"], entry: plain }),
                home(Rules, ".gemini/GEMINI.md", Section(RULES)),
            ],
            (Self::Goose, Scope::User) => {
                let folder = match std::env::consts::OS {
                    "windows" => places.folder("APPDATA", "AppData/Roaming").join("Block/goose/config"),
                    _ => config.join("goose"),
                };
                let entry = json!({
                    "enabled": true, "type": "stdio", "name": SERVER, "cmd": PROGRAM, "args": [], "envs": {}, "timeout": 300,
                    "description": "Outcomes, experiments and gates of this repository",
                });
                vec![
                    at(Server, &folder, "config.yaml", YamlServer { at: "extensions", entry }),
                    project(Rules, "AGENTS.md", Section(RULES)),
                ]
            }
            (Self::OpenCode, scope) => {
                let user = config.join("opencode");
                let base = if scope == Scope::Project { &places.root } else { &user };
                // It reads either name.
                let has_comments = base.join("opencode.jsonc").exists() && !base.join("opencode.json").exists();
                let name = if has_comments { "opencode.jsonc" } else { "opencode.json" };
                let entry = json!({ "type": "local", "command": [PROGRAM], "enabled": true });
                vec![
                    at(Server, base, name, JsonServer { at: &["mcp"], entry }),
                    at(Rules, base, "AGENTS.md", Section(RULES)),
                ]
            }
            (Self::ClaudeDesktop | Self::Windsurf | Self::Goose, Scope::Project) => Vec::new(),
        }
    }

    fn windsurf_hook(at: &'static [&'static str]) -> Edit {
        let entry = json!({ "command": format!("{GUARD} --client windsurf"), "show_output": true });
        Edit::JsonHook { at, entry, top: Map::new() }
    }

    fn cursor_hook() -> Edit {
        let command = format!("{GUARD} --client cursor");
        // Not `failClosed`: who works on the repository without this program installed must still be able to edit.
        let entry = json!({ "command": command, "matcher": "Write|Edit|MultiEdit|NotebookEdit|StrReplace|Delete|MCP:.*", "timeout": 10 });
        let top = Map::from_iter([("version".to_owned(), json!(1))]);
        Edit::JsonHook { at: &["hooks", "preToolUse"], entry, top }
    }
}
