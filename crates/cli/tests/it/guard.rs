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
    for path in [".outcome/outcome.db", ".outcome/keys/new", "src/../.outcome/x", ".OUTCOME/x"] {
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
fn input_that_it_does_not_understand_blocks_nothing() {
    let home = building();
    let mut unknown = write(&home, "migrations/1.sql");
    unknown["tool_name"] = json!("mcp__files__write_file");
    is_silent(&ask(&home, &[], &unknown));
    unknown["tool_name"] = json!(["Write"]);
    is_silent(&ask(&home, &[], &unknown));
    let deep = "[".repeat(100_000);
    let long = format!("{{\"tool_name\":\"Write\",\"tool_input\":{{\"file_path\":\"{}\"}}}}", "a/".repeat(500_000));
    for input in ["", "not json", "null", "[]", "{}", "\u{0}", "{\"tool_name\":\"Write\"}", &deep] {
        is_silent(&ask_text(&home, &home.path(""), &[], input.as_bytes()));
    }
    let ran = ask_text(&home, &home.path(""), &[], long.as_bytes());
    assert!(ran.code == 0 && !ran.stderr.contains("panicked"), "{} {}", ran.code, ran.stderr);
    is_silent(&ask_text(&home, &home.path(""), &[], b"\xff\xfe{}"));
    let huge = vec![b' '; 33 * 1024 * 1024];
    let ran = ask_text(&home, &home.path(""), &["--client", "claude-code"], &huge).exits(0);
    assert!(ran.json()["systemMessage"].as_str().unwrap().contains("too large"), "{ran:#?}");
    // 2 would be read as a refusal.
    let ran = ask_text(&home, &home.path(""), &["--client", "unheard-of"], b"{}");
    assert_eq!(ran.code, 1, "{ran:#?}");
}

#[test]
fn a_database_that_cannot_be_read_lets_the_edit_pass_and_says_so() {
    let home = building();
    std::fs::write(
        home.path(".outcome/outcome.db"),
        "this is no database, but long enough to be taken for one".repeat(99),
    )
    .unwrap();
    let _ = std::fs::remove_file(home.path(".outcome/outcome.db-wal"));
    let _ = std::fs::remove_file(home.path(".outcome/outcome.db-shm"));
    let said = ask(&home, &[], &write(&home, "migrations/1.sql")).exits(0).json();
    assert!(said["systemMessage"].as_str().unwrap().contains("could not check"), "{said}");
    assert!(said.get("hookSpecificOutput").is_none(), "{said}");
    assert!(
        reason(ask(&home, &[], &write(&home, ".outcome/outcome.db"))).contains(".outcome/"),
        "that needs no database"
    );
}
