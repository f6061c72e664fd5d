//! The scope guard, asked as the clients' hooks ask: with the inputs that were recorded from Claude Code and Codex, and the
//! published ones of Cursor and Windsurf.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::home::{Home, Ran};

/// A repository in which the experiment `fewer-fields` is being built; `migrations/` is forbidden.
fn building() -> Home {
    let home = Home::proposed();
    home.sign(&["gate", "decide", "portfolio-fewer-fields", "--verdict", "approve"]).exits(0);
    home
}

fn ask_text(home: &Home, folder: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut command = home.command(&[&["guard"], args].concat());
    command.current_dir(folder).env_remove("CLAUDE_PROJECT_DIR");
    with_input(command, input)
}

fn with_input(mut command: std::process::Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran::new(child.wait_with_output().unwrap())
}

fn ask(home: &Home, args: &[&str], input: &Value) -> Ran {
    ask_text(home, &home.path(""), args, input.to_string().as_bytes())
}

/// As Claude Code 2.1.197 asked.
fn write(home: &Home, path: &str) -> Value {
    json!({
        "session_id": "207d3e45-5206-4f96-aef5-1efcaa28588b",
        "transcript_path": "/home/u/.claude/projects/-work-app/207d3e45.jsonl",
        "cwd": home.path("").to_string_lossy(),
        "prompt_id": "e9faf9e5-90f5-42fa-b0a8-919a6516ae7b",
        "permission_mode": "acceptEdits",
        "effort": { "level": "high" },
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": { "file_path": home.path(path).to_string_lossy(), "content": "x" },
        "tool_use_id": "toolu_01A",
    })
}

/// As Codex 0.169.0 asked.
fn patch(home: &Home, tool: &str, command: &str) -> Value {
    json!({
        "session_id": "01a1f9cb-21a7-7412-97a1-f2b7747b6f1b",
        "turn_id": "01a1f9cb-21b3-7982-b3a2-495cad22d9f6",
        "transcript_path": null,
        "cwd": home.path("").to_string_lossy(),
        "hook_event_name": "PreToolUse",
        "model": "gpt-5.5",
        "permission_mode": "bypassPermissions",
        "tool_name": tool,
        "tool_input": { "command": command },
        "tool_use_id": "call_1",
    })
}

/// A tool of another server, as Claude Code hands it on.
fn tool(home: &Home, name: &str, given: &Value) -> Value {
    let mut input = write(home, "x");
    input["tool_name"] = json!(name);
    input["tool_input"] = given.clone();
    input
}

/// Why the edit passed without a check, in the form of Claude Code and Codex.
#[track_caller]
fn unchecked(ran: Ran) -> String {
    let said = ran.exits(0).json();
    assert!(said.get("hookSpecificOutput").is_none(), "{said}");
    let text = said["systemMessage"].as_str().unwrap().to_owned();
    assert!(text.starts_with("unchecked: "), "{text}");
    text
}

#[track_caller]
fn is_silent(ran: &Ran) {
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{ran:#?}");
}

/// The reason of a refusal in the form of Claude Code and Codex.
#[track_caller]
fn reason(ran: Ran) -> String {
    let said = ran.exits(0);
    let value = &said.json()["hookSpecificOutput"];
    assert_eq!(value["hookEventName"], "PreToolUse");
    assert_eq!(value["permissionDecision"], "deny");
    value["permissionDecisionReason"].as_str().unwrap().to_owned()
}

#[test]
fn an_edit_outside_of_the_scope_is_refused_with_what_to_do() {
    let home = building();
    let said = reason(ask(&home, &["--client", "claude-code"], &write(&home, "migrations/1.sql")));
    for part in [
        "`migrations/1.sql`",
        "`fewer-fields`",
        "rule `migrations/`",
        "request_human_gate",
        "experiment_id \"fewer-fields\"",
        "gate_type \"escalation\"",
        "Allowed: everything in the repository",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    is_silent(&ask(&home, &["--client", "claude-code"], &write(&home, "src/a/form.ts")));
    let mut notebook = write(&home, "x");
    notebook["tool_name"] = json!("NotebookEdit");
    notebook["tool_input"] = json!({ "notebook_path": home.path("migrations/x.ipynb").to_string_lossy() });
    assert!(reason(ask(&home, &[], &notebook)).contains("migrations/x.ipynb"));
}

#[test]
fn every_file_of_a_patch_counts() {
    let home = building();
    let patch_of = |body: &str| format!("*** Begin Patch\n{body}\n*** End Patch\n");
    for body in [
        "*** Add File: migrations/2.sql\n+x",
        "*** Add File: src/ok.ts\n+x\n*** Delete File: migrations/1.sql",
        "*** Update File: src/ok.ts\n*** Move to: migrations/ok.ts\n@@\n-x\n+y",
        "*** Update File: migrations/1.sql\n*** Move to: src/1.sql\n@@\n-x\n+y",
        "*** Add File: Migrations/2.sql\n+x",
        "*** Add File: src/../migrations/2.sql\n+x",
        "*** Add File: ../elsewhere.txt\n+x",
    ] {
        let said = reason(ask(&home, &["--client", "codex"], &patch(&home, "apply_patch", &patch_of(body))));
        assert!(said.contains("fewer-fields"), "{body}: {said}");
    }
    let shell = format!("cd migrations && apply_patch <<'EOF'\n{}EOF\n", patch_of("*** Add File: 2.sql\n+x"));
    assert!(reason(ask(&home, &["--client", "codex"], &patch(&home, "Bash", &shell))).contains("migrations/2.sql"));
    let good = patch_of("*** Add File: src/ok.ts\n+*** Add File: migrations/no.sql");
    is_silent(&ask(&home, &["--client", "codex"], &patch(&home, "apply_patch", &good)));
    // A shell command may write anywhere; judging it would only pretend.
    is_silent(&ask(&home, &["--client", "codex"], &patch(&home, "Bash", "touch migrations/2.sql")));
}

#[test]
fn cursor_and_windsurf_hear_it_in_their_own_form() {
    let home = building();
    let cursor = |path: &str| {
        json!({
            "hook_event_name": "preToolUse", "conversation_id": "c", "generation_id": "g",
            "workspace_roots": [home.path("").to_string_lossy()],
            "tool_name": "Write", "tool_input": { "file_path": home.path(path).to_string_lossy() },
        })
    };
    let said = ask(&home, &[], &cursor("migrations/1.sql")).exits(0).json();
    assert_eq!(said["permission"], "deny");
    assert!(said["agent_message"].as_str().unwrap().contains("request_human_gate"), "{said}");
    assert_eq!(
        ask(&home, &["--client", "cursor"], &cursor("src/x.ts")).exits(0).json(),
        json!({ "permission": "allow" })
    );

    let windsurf = |path: &str| {
        json!({
            "agent_action_name": "pre_write_code", "trajectory_id": "t", "execution_id": "e",
            "timestamp": "2026-11-01T00:00:00Z", "model_name": "m",
            "tool_info": { "file_path": home.path(path).to_string_lossy(), "edits": [{ "old_string": "a", "new_string": "b" }] },
        })
    };
    let said = ask(&home, &[], &windsurf("migrations/1.sql")).exits(2);
    assert!(said.stdout.is_empty() && said.stderr.contains("migrations/1.sql"), "{said:#?}");
    is_silent(&ask(&home, &[], &windsurf("src/x.ts")));
}

#[test]
fn without_an_experiment_in_the_making_only_its_own_folder_is_guarded() {
    let home = Home::proposed();
    is_silent(&ask(&home, &[], &write(&home, "migrations/1.sql")));
    let store = home.database().display().to_string();
    let seen = ".local/state/outcome-runtime/writer.json";
    for path in [".outcome/workspace.json", ".outcome/keys/new", "src/../.outcome/x", ".OUTCOME/x", &store, seen] {
        assert!(reason(ask(&home, &[], &write(&home, path))).contains(".outcome/"), "{path}");
    }
    let elsewhere = Home::new();
    is_silent(&ask(&elsewhere, &[], &write(&elsewhere, "migrations/1.sql")));
}

#[cfg(unix)]
#[test]
fn links_lead_where_they_lead() {
    use std::os::unix::fs::symlink;
    let home = building();
    home.write("migrations/1.sql", "x");
    home.write("src/real.ts", "x");
    symlink("../migrations", home.path("src/link")).unwrap();
    symlink("migrations/1.sql", home.path("innocent.sql")).unwrap();
    symlink("/etc", home.path("src/etc")).unwrap();
    for path in ["src/link/new.sql", "innocent.sql", "src/etc/hosts"] {
        assert!(reason(ask(&home, &[], &write(&home, path))).contains("fewer-fields"), "{path}");
    }
    // The same repository through another name of its folder.
    let other = tempfile::tempdir().unwrap();
    symlink(home.path(""), other.path().join("shop")).unwrap();
    let mut through = write(&home, "src/real.ts");
    through["cwd"] = json!(other.path().join("shop").to_string_lossy());
    through["tool_input"]["file_path"] = json!(other.path().join("shop/src/real.ts").to_string_lossy());
    is_silent(&ask(&home, &[], &through));
    through["tool_input"]["file_path"] = json!(other.path().join("shop/migrations/1.sql").to_string_lossy());
    assert!(reason(ask(&home, &[], &through)).contains("migrations/1.sql"));
    through["tool_input"]["file_path"] = json!(other.path().join("note.txt").to_string_lossy());
    assert!(reason(ask(&home, &[], &through)).contains("outside the repository"));
}

#[test]
fn a_work_tree_beside_the_repository_is_guarded_too() {
    let home = building();
    let tree = tempfile::tempdir().unwrap();
    let path = tree.path().join("tree");
    home.git(&["worktree", "add", "-q", "-b", "fewer-fields", &path.to_string_lossy()]);
    let mut input = write(&home, "x");
    input["cwd"] = json!(path.to_string_lossy());
    input["tool_input"]["file_path"] = json!(path.join("migrations/1.sql").to_string_lossy());
    assert!(reason(ask(&home, &[], &input)).contains("`migrations/1.sql`"));
    input["tool_input"]["file_path"] = json!(path.join("src/ok.ts").to_string_lossy());
    is_silent(&ask(&home, &[], &input));
    home.git(&["worktree", "remove", "--force", &path.to_string_lossy()]);
}

#[test]
fn file_tools_of_other_servers_are_guarded_like_editors() {
    let home = building();
    home.write("migrations/1.sql", "x");
    for (name, given) in [
        (
            "mcp__filesystem__write_file",
            json!({ "path": home.path("migrations/2.sql").to_string_lossy(), "content": "x" }),
        ),
        ("mcp__filesystem__move_file", json!({ "source": "migrations/1.sql", "destination": "src/1.sql" })),
        (
            "mcp__serena__replace_symbol_body",
            json!({ "name_path": "A", "relative_path": "migrations/1.sql", "body": "x" }),
        ),
        ("mcp__jetbrains__create_new_file", json!({ "pathInProject": "migrations/2.sql", "text": "x" })),
        ("mcp__x__write_files", json!({ "files": [{ "path": "src/ok.ts" }, { "path": "Migrations/2.sql" }] })),
        (
            "mcp__lsp__apply_edit",
            json!({ "changes": [{ "textDocument": { "uri": format!("file://{}", home.path("migrations/1.sql").display()) } }] }),
        ),
        (
            "mcp__x__apply_diff",
            json!({ "diff": "--- a/migrations/1.sql\n+++ b/migrations/1.sql\n@@ -1 +1 @@\n-x\n+y\n" }),
        ),
    ] {
        let said = reason(ask(&home, &[], &tool(&home, name, &given)));
        assert!(said.to_lowercase().contains("migrations/") && said.contains("fewer-fields"), "{name}: {said}");
    }
    for (name, given) in [
        ("mcp__filesystem__write_file", json!({ "path": "src/ok.ts", "content": "migrations/1.sql" })),
        ("mcp__filesystem__read_file", json!({ "path": "migrations/1.sql" })),
        ("mcp__filesystem__create_directory", json!({ "path": "src" })),
        ("mcp__git__git_add", json!({ "repo_path": "/w", "files": ["migrations/1.sql"] })),
        ("mcp__tracker__create_issue", json!({ "title": "migrations/1.sql" })),
        ("mcp__outcome-runtime__report_experiment_built", json!({ "files": ["migrations/1.sql"] })),
    ] {
        is_silent(&ask(&home, &[], &tool(&home, name, &given)));
    }
    // Windsurf and Cursor name such tools in their own ways, and Cursor hands the arguments on as text.
    let windsurf = json!({
        "agent_action_name": "pre_mcp_tool_use",
        "tool_info": { "mcp_server_name": "fs", "mcp_tool_name": "write_file", "mcp_tool_arguments": { "path": home.path("migrations/1.sql").to_string_lossy() } },
    });
    assert!(ask(&home, &["--client", "windsurf"], &windsurf).exits(2).stderr.contains("migrations/1.sql"));
    let cursor = json!({
        "hook_event_name": "preToolUse", "workspace_roots": [home.path("").to_string_lossy()],
        "tool_name": "MCP:write_file", "tool_input": "{\"path\": \"migrations/1.sql\"}",
    });
    assert_eq!(ask(&home, &[], &cursor).exits(0).json()["permission"], "deny");
}

#[test]
fn a_patch_behind_a_change_of_folder_is_seen() {
    let home = building();
    std::fs::create_dir_all(home.path("migrations")).unwrap();
    let there = "apply_patch <<'E'\n*** Begin Patch\n*** Add File: 2.sql\n+x\n*** End Patch\nE\n";
    for before in ["cd migrations && ", "D=migrations; cd $D; ", "env -C migrations ", "(cd src); pushd ./migrations\n"]
    {
        let said = reason(ask(&home, &["--client", "codex"], &patch(&home, "Bash", &format!("{before}{there}"))));
        assert!(said.contains("migrations/2.sql"), "{before}: {said}");
    }
    for before in ["", "(cd migrations && ls); ", "cd migrations && cd .. && "] {
        is_silent(&ask(&home, &["--client", "codex"], &patch(&home, "Bash", &format!("{before}{there}"))));
    }
    let said = unchecked(ask(&home, &["--client", "codex"], &patch(&home, "Bash", &format!("cd $(pwd) && {there}"))));
    assert!(said.contains("only the shell knows"), "{said}");
}

#[test]
fn what_measures_it_and_what_runs_beside_it_stays_as_it_is_while_it_is_built() {
    let home = building();
    let beside = tempfile::tempdir().unwrap();
    let tree = beside.path().canonicalize().unwrap().join("tree");
    home.git(&["worktree", "add", "-q", "-b", "fewer-fields", &tree.to_string_lossy()]);
    let in_tree = |name: &str| tree.join(name).to_string_lossy().into_owned();
    let [of_client, of_outcome, of_git] = [".mcp.json", "outcome.yaml", ".git"].map(in_tree);
    for (path, what) in [
        ("outcome.yaml", "how the experiment is measured"),
        ("src/../OUTCOME.YAML", "how the experiment is measured"),
        (".claude/settings.json", "client claude-code"),
        (".claude/settings.local.json", "client claude-code"),
        (".claude", "client claude-code"),
        (".mcp.json", "client claude-code"),
        (".cursor/mcp.json", "client cursor"),
        (".cursor/hooks.json", "client cursor"),
        (".codex/config.toml", "client codex"),
        (".vscode/mcp.json", "client vscode"),
        (".gemini/settings.json", "client gemini"),
        (".windsurf/hooks.json", "client windsurf"),
        ("opencode.jsonc", "client opencode"),
        (".git/config", "belongs to git"),
        (".git/hooks/pre-push", "belongs to git"),
        (".GIT/config", "belongs to git"),
        ("library/.git/hooks/post-checkout", "belongs to git"),
        (&of_client, "client claude-code"),
        (&of_outcome, "how the experiment is measured"),
        (&of_git, "belongs to git"),
    ] {
        let said = reason(ask(&home, &[], &write(&home, path)));
        assert!(said.contains(what) && said.contains("request_human_gate"), "{path}: {said}");
    }
    for path in [
        "CLAUDE.md",
        ".claude/commands/x.md",
        ".vscode/launch.json",
        "docs/outcome.yaml",
        "fixtures/.mcp.json",
        ".gitignore",
    ] {
        is_silent(&ask(&home, &[], &write(&home, path)));
    }
    // The user's own settings, wherever they lie: a home in the repository shows that not only the scope speaks.
    let mut command = home.command(&["guard"]);
    command.env("CODEX_HOME", home.path("home/elsewhere"));
    let input = write(&home, "home/elsewhere/config.toml").to_string();
    assert!(reason(with_input(command, input.as_bytes())).contains("client codex"));
    // In a session that began in a package, the package has settings of its own.
    let mut input = write(&home, "packages/shop/.mcp.json");
    std::fs::create_dir_all(home.path("packages/shop/src")).unwrap();
    input["cwd"] = json!(home.path("packages/shop/src").to_string_lossy());
    assert!(reason(ask(&home, &[], &input)).contains("client claude-code"));
    home.git(&["worktree", "remove", "--force", &tree.to_string_lossy()]);
}

#[test]
fn where_nothing_is_built_only_the_runtimes_folder_is_kept() {
    let home = Home::proposed();
    for path in ["outcome.yaml", ".mcp.json", ".claude/settings.json", ".git/config"] {
        is_silent(&ask(&home, &[], &write(&home, path)));
    }
    is_silent(&ask_text(&home, &home.path(""), &[], b"{}"));
    for given in [json!({ "path": ".outcome" }), json!({ "path": ".outcome/outcome.db" })] {
        assert!(reason(ask(&home, &[], &tool(&home, "mcp__filesystem__delete_file", &given))).contains(".outcome/"));
    }
}

#[test]
fn input_that_it_does_not_understand_blocks_nothing_and_is_called_unchecked() {
    let home = building();
    let here = |given: &Value, name: &str| unchecked(ask(&home, &[], &tool(&home, name, given)));
    std::fs::create_dir_all(home.path("src")).unwrap();
    for (said, part) in [
        (here(&json!({ "path": "migrations/1.sql" }), "mcp__x__frobnicate"), "`mcp__x__frobnicate`"),
        (here(&json!({ "where": "migrations/1.sql" }), "mcp__x__write_file"), "names no file"),
        (here(&json!({ "path": "src", "text": "x" }), "mcp__x__replace_in_files"), "names the folder `src`"),
        (here(&json!({ "owner": "o", "repo": "r", "path": "a" }), "mcp__github__create_or_update_file"), "elsewhere"),
        (here(&json!({}), "Write"), "names no file"),
    ] {
        assert!(said.contains(part), "{said}");
    }
    let mut unknown = write(&home, "migrations/1.sql");
    unknown["tool_name"] = json!(["Write"]);
    assert!(unchecked(ask(&home, &[], &unknown)).contains("names no tool"));
    let deep = "[".repeat(100_000);
    for input in ["", "not json", "null", "[]", "\u{0}", &deep] {
        let said = unchecked(ask_text(&home, &home.path(""), &["--client", "codex"], input.as_bytes()));
        assert!(said.contains("not one that is understood"), "{said}");
    }
    unchecked(ask_text(&home, &home.path(""), &[], b"\xff\xfe{}"));
    let long = format!("{{\"tool_name\":\"Write\",\"tool_input\":{{\"file_path\":\"{}\"}}}}", "a/".repeat(500_000));
    let ran = ask_text(&home, &home.path(""), &[], long.as_bytes());
    assert!(ran.code == 0 && !ran.stderr.contains("panicked"), "{} {}", ran.code, ran.stderr);
    let huge = vec![b' '; 33 * 1024 * 1024];
    assert!(unchecked(ask_text(&home, &home.path(""), &["--client", "claude-code"], &huge)).contains("too large"));
    // In the other clients' own forms.
    let said = ask(&home, &[], &json!({ "hook_event_name": "preToolUse", "tool_name": "Write", "tool_input": {} }));
    let said = said.exits(0).json();
    assert_eq!(said["permission"], "allow");
    assert!(said["user_message"].as_str().unwrap().starts_with("unchecked: "), "{said}");
    let said = ask(&home, &[], &json!({ "agent_action_name": "pre_write_code", "tool_info": {} })).exits(0);
    assert!(said.stdout.is_empty() && said.stderr.starts_with("unchecked: "), "{said:#?}");
    // 2 would be read as a refusal.
    let ran = ask_text(&home, &home.path(""), &["--client", "unheard-of"], b"{}");
    assert_eq!(ran.code, 1, "{ran:#?}");
}

#[test]
fn a_repository_that_is_not_set_up_here_is_called_unchecked_and_others_are_not_mentioned() {
    let home = Home::new();
    is_silent(&ask(&home, &[], &write(&home, "src/x.ts")));
    is_silent(&ask_text(&home, &home.path(""), &[], b"not json"));
    home.write("outcome.yaml", "version: 1\n");
    assert!(unchecked(ask(&home, &[], &write(&home, "src/x.ts"))).contains("not set up here"));
}

#[test]
fn a_database_that_cannot_be_read_lets_the_edit_pass_and_says_so() {
    let home = building();
    let database = home.database();
    std::fs::write(&database, "this is no database, but long enough to be taken for one".repeat(99)).unwrap();
    for beside in ["outcome.db-wal", "outcome.db-shm"] {
        let _ = std::fs::remove_file(database.with_file_name(beside));
    }
    let said = unchecked(ask(&home, &[], &write(&home, "migrations/1.sql")));
    assert!(said.contains("could not check"), "{said}");
    assert!(
        reason(ask(&home, &[], &write(&home, ".outcome/outcome.db"))).contains(".outcome/"),
        "that needs no database"
    );
}
