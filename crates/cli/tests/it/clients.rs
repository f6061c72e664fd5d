//! `init --client` and `doctor --client`.

use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::home::{Home, Ran};

const ALL: [&str; 9] =
    ["claude-code", "claude-desktop", "cursor", "windsurf", "vscode", "codex", "gemini", "goose", "opencode"];

fn init(home: &Home, args: &[&str]) -> Ran {
    home.run(&[&["init"], args].concat())
}

fn text(home: &Home, path: &str) -> String {
    std::fs::read_to_string(home.path(path)).unwrap()
}

fn value(home: &Home, path: &str) -> Value {
    serde_json::from_str(&text(home, path)).unwrap()
}

fn initialised() -> Home {
    let home = Home::new();
    home.sign(&["init"]).exits(0);
    home
}

#[test]
fn every_client_is_set_up_once_and_the_second_run_changes_nothing() {
    let home = initialised();
    for client in ALL {
        let done = init(&home, &["--client", client, "--yes", "--json"]).exits(0).json();
        assert_eq!(done["workspace"], json!(null));
        let files = done["clients"][0]["files"].as_array().unwrap();
        let written = files.iter().filter(|file| file["is_written"] == true).count();
        assert!(written > 0, "{client}: {done:#}");
        let again = init(&home, &["--client", client, "--yes", "--json"]).exits(0).json();
        for file in again["clients"][0]["files"].as_array().unwrap() {
            assert_eq!(file["change"], "none", "{client}: {file}");
        }
    }
    let everything: Vec<&str> = ALL.iter().flat_map(|client| ["--client", *client]).collect();
    // Without --yes and without a terminal: there is nothing to ask.
    assert_eq!(init(&home, &[&everything[..], &["--json"]].concat()).exits(2).error_code(), "invalid_input");
    init(&home, &[&everything[..], &["--yes"]].concat()).exits(0);
    assert_eq!(text(&home, "AGENTS.md").matches("outcome-runtime: begin").count(), 1, "three clients share it");
    assert_eq!(value(&home, ".mcp.json")["mcpServers"]["outcome-runtime"]["command"], "outcome-runtime-mcp");
    let desktop = value(&home, ".config/Claude/claude_desktop_config.json");
    let entry = &desktop["mcpServers"]["outcome-runtime"];
    assert!(Path::new(entry["command"].as_str().unwrap()).is_absolute(), "{entry}");
    assert_eq!(
        entry["env"]["OR_WORKSPACE"],
        home.path("").canonicalize().unwrap().to_string_lossy().trim_end_matches('/')
    );
}

#[test]
fn a_client_and_a_workspace_can_be_set_up_in_one_go() {
    let home = Home::new();
    let done = home.sign(&["init", "--client", "claude-code", "--yes", "--json"]).exits(0).json();
    assert_eq!(done["workspace"]["member"], "sam@example.com");
    assert_eq!(done["clients"][0]["client"], "claude-code");
    assert!(home.path(".outcome").exists() && home.path(".mcp.json").exists());
    // A flag that does not fit is said before anything is made.
    let home = Home::new();
    let ran = home.sign(&["init", "--client", "goose", "--scope", "project", "--yes", "--json"]).exits(2);
    assert_eq!(ran.error_code(), "invalid_input");
    assert!(!home.path(".outcome").exists());
    home.run(&["init", "--scope", "user"]).exits(2);
}

#[test]
fn printing_writes_nothing_at_all() {
    let home = Home::new();
    for client in ALL {
        let ran = init(&home, &["--client", client, "--print"]).exits(0);
        assert!(ran.stdout.contains("outcome-runtime"), "{ran:#?}");
        let json = init(&home, &["--client", client, "--print", "--json"]).exits(0).json();
        assert!(json["clients"][0]["files"][0]["text"].as_str().unwrap().contains("outcome-runtime"), "{json}");
    }
    home.git(&["diff", "--exit-code"]);
    // Of a file that is there only what changes is shown: others keep secrets in it.
    home.write("opencode.json", "{\n  \"a\": \"secret\",\n  \"b\": 1,\n  \"c\": 1,\n  \"d\": 1,\n  \"e\": 1\n}\n");
    let ran = init(&home, &["--client", "opencode", "--print", "--json"]).exits(0);
    let file = &ran.json()["clients"][0]["files"][0];
    assert_eq!((&file["change"], &file["is_written"]), (&json!("update"), &json!(false)));
    assert!(file.get("text").is_none() && !ran.stdout.contains("secret") && ran.stdout.contains("+ "), "{ran:#?}");
    std::fs::remove_file(home.path("opencode.json")).unwrap();
    let left: Vec<_> = std::fs::read_dir(home.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

const SETTINGS: &str = r#"{
  // ours, do not touch
  "permissions": { "allow": ["Bash(ls)"], },
  "hooks": {
    "PostToolUse": [], /* later */
    "PreToolUse": [
      { "matcher": "Bash", "hooks": [{ "type": "command", "command": "./check.sh" }] }, // keep
    ],
  },
  "zebra": 1, "apple": 2
}
"#;

#[test]
fn comments_order_and_foreign_keys_of_json_survive() {
    let home = initialised();
    home.write(".claude/settings.json", SETTINGS);
    home.write(".mcp.json", "{\"mcpServers\":{\"other\":{\"command\":\"x\"}}}");
    home.write("CLAUDE.md", "# Our rules\n\nBe kind.\n");
    init(&home, &["--client", "claude-code", "--yes"]).exits(0);
    let settings = text(&home, ".claude/settings.json");
    for part in
        ["// ours, do not touch", "/* later */", "// keep", "\"Bash(ls)\"], }", "./check.sh", "outcome-runtime guard"]
    {
        assert!(settings.contains(part), "{part}: {settings}");
    }
    assert!(settings.find("zebra").unwrap() < settings.find("apple").unwrap(), "{settings}");
    let servers = value(&home, ".mcp.json");
    assert_eq!(servers["mcpServers"]["other"], json!({ "command": "x" }));
    assert_eq!(servers["mcpServers"]["outcome-runtime"]["type"], "stdio");
    assert!(text(&home, "CLAUDE.md").starts_with("# Our rules\n\nBe kind.\n\n<!-- outcome-runtime: begin"));
    let again = init(&home, &["--client", "claude-code", "--yes"]).exits(0).stdout;
    assert_eq!(again.matches("up to date").count(), 4, "{again}");
}

#[test]
fn what_a_user_set_in_our_entry_stays() {
    let home = initialised();
    home.write(
        ".cursor/mcp.json",
        r#"{"mcpServers": {"outcome-runtime": {"command": "gone/outcome-runtime-mcp", "args": ["-v"], "env": {"DATABASE_URL": "x"}, "disabled": false}}}"#,
    );
    init(&home, &["--client", "cursor", "--yes"]).exits(0);
    let entry = &value(&home, ".cursor/mcp.json")["mcpServers"]["outcome-runtime"];
    let expected =
        json!({ "command": "outcome-runtime-mcp", "args": ["-v"], "env": { "DATABASE_URL": "x" }, "disabled": false });
    assert_eq!(*entry, expected, "only the path that leads nowhere was changed");
    let wrapper = "{\"mcpServers\": {\"outcome-runtime\": {\"command\": \"docker\", \"args\": [\"run\", \"x\"]}}}\n";
    home.write(".cursor/mcp.json", wrapper);
    init(&home, &["--client", "cursor", "--yes"]).exits(0);
    assert_eq!(text(&home, ".cursor/mcp.json"), wrapper);
}

#[test]
fn a_hook_of_an_earlier_version_sees_the_tools_of_other_servers_and_a_changed_one_stays() {
    let home = initialised();
    let hook = |matcher: &str| {
        format!(
            r#"{{"hooks": {{"PreToolUse": [{{"matcher": "{matcher}", "hooks": [{{"type": "command", "command": "outcome-runtime guard --client claude-code"}}]}}]}}}}"#
        )
    };
    for (before, after) in [
        ("Edit|MultiEdit|Write|NotebookEdit", "Edit|MultiEdit|Write|NotebookEdit|mcp__.*"),
        ("Edit|Write", "Edit|Write"),
    ] {
        home.write(".claude/settings.json", &hook(before));
        init(&home, &["--client", "claude-code", "--yes"]).exits(0);
        let hooks = value(&home, ".claude/settings.json")["hooks"]["PreToolUse"].clone();
        assert_eq!((hooks.as_array().unwrap().len(), &hooks[0]["matcher"]), (1, &json!(after)), "{hooks}");
    }
    init(&home, &["--client", "windsurf", "--yes"]).exits(0);
    for event in ["pre_write_code", "pre_mcp_tool_use"] {
        let hooks = &value(&home, ".windsurf/hooks.json")["hooks"][event];
        assert_eq!(hooks[0]["command"], "outcome-runtime guard --client windsurf", "{event}");
    }
}

#[test]
fn toml_and_yaml_keep_their_layout() {
    let home = initialised();
    let toml = "# mine\nmodel = \"gpt-5.5\"   # the good one\n\n[mcp_servers.other]\ncommand = 'x'\n\n[profiles.fast]\nmodel = \"m\"\n";
    home.write(".codex/config.toml", toml);
    let yaml = "# mine\nGOOSE_MODEL: gpt-5.5   # the good one\nextensions:\n    # theirs\n    developer:\n        enabled: true\n        type: builtin\n\nlast: [1,  2]\n";
    home.write(".config/goose/config.yaml", yaml);
    init(&home, &["--client", "codex", "--client", "goose", "--yes"]).exits(0);
    let new = text(&home, ".codex/config.toml");
    for line in toml.lines() {
        assert!(new.contains(line), "{line}: {new}");
    }
    assert!(new.contains("[mcp_servers.outcome-runtime]\ncommand = \"outcome-runtime-mcp\"\nargs = []\n"), "{new}");
    let new = text(&home, ".config/goose/config.yaml");
    for line in yaml.lines() {
        assert!(new.contains(line), "{line}: {new}");
    }
    assert!(new.contains("extensions:\n    outcome-runtime:\n        enabled: true\n        type: stdio\n"), "{new}");
}

#[test]
fn what_was_put_in_is_taken_out_again_and_nothing_else() {
    let everything: Vec<&str> = ALL.iter().flat_map(|client| ["--client", *client]).collect();
    let put_in_and_taken_out = |home: &Home| {
        init(home, &[&everything[..], &["--yes"]].concat()).exits(0);
        let printed = init(home, &[&everything[..], &["--remove", "--print"]].concat()).exits(0);
        assert!(printed.stdout.contains("outcome-runtime"), "{printed:?}");
        init(home, &[&everything[..], &["--remove", "--yes"]].concat()).exits(0);
        let again = init(home, &[&everything[..], &["--remove", "--yes", "--json"]].concat()).exits(0).json();
        for file in again["clients"].as_array().unwrap().iter().flat_map(|client| client["files"].as_array().unwrap()) {
            assert_eq!(file["change"], "none", "{file}");
        }
    };
    let theirs = initialised();
    let toml = "# mine\nmodel = \"gpt-5.5\"   # the good one\n\n[mcp_servers.other]\ncommand = 'x'\n";
    let yaml = "# mine\nGOOSE_MODEL: gpt-5.5\nextensions:\n    # theirs\n    developer:\n        enabled: true\n";
    let files = [
        (".codex/config.toml", toml),
        (".config/goose/config.yaml", yaml),
        ("CLAUDE.md", "# Our rules\n\nBe kind.\n"),
        (".mcp.json", "{\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" }\n  }\n}\n"),
    ];
    for (path, text) in files {
        theirs.write(path, text);
    }
    theirs.write(".claude/settings.json", SETTINGS);
    put_in_and_taken_out(&theirs);
    for (path, before) in files {
        assert_eq!(text(&theirs, path), before, "{path}");
    }
    let settings = text(&theirs, ".claude/settings.json");
    for part in ["// ours, do not touch", "/* later */", "// keep", "./check.sh"] {
        assert!(settings.contains(part), "{part}: {settings}");
    }
    assert!(!settings.contains("outcome-runtime"), "{settings}");
    // Where nothing was before, nothing is left.
    let empty = initialised();
    put_in_and_taken_out(&empty);
    for path in [
        ".mcp.json",
        "CLAUDE.md",
        "AGENTS.md",
        ".claude/settings.json",
        ".cursor/mcp.json",
        ".codex/config.toml",
        ".windsurf/hooks.json",
        ".claude/skills/outcome-runtime/SKILL.md",
        ".agents/skills/outcome-runtime/SKILL.md",
    ] {
        assert!(!empty.path(path).exists(), "{path}: {}", text(&empty, path));
    }
}

#[test]
fn a_broken_file_is_left_alone_with_its_line_and_what_to_paste() {
    let home = initialised();
    for (client, path, broken, line) in [
        ("cursor", ".cursor/mcp.json", "{\n  \"mcpServers\": {\n    \"a\": }\n}\n", "line 3"),
        ("codex", ".codex/config.toml", "a = 1\nb = = 2\n", "line 2"),
        ("goose", ".config/goose/config.yaml", "a: 1\nb: [1, 2\nc: 3\n", "line"),
        ("gemini", ".gemini/settings.json", "[]", "not an object"),
        ("vscode", ".vscode/mcp.json", "{\"servers\": []}", "`servers` is not an object"),
        ("vscode", ".vscode/mcp.json", "{\"servers\": {}, \"servers\": {\"a\": {}}}", "it contains `servers` twice"),
    ] {
        home.write(path, broken);
        let ran = init(&home, &["--client", client, "--yes"]).exits(2);
        assert!(ran.stdout.contains("not changed") && ran.stdout.contains(line), "{client}: {ran:#?}");
        assert!(ran.stdout.contains("outcome-runtime-mcp"), "what to paste: {ran:#?}");
        assert_eq!(text(&home, path), broken);
        let json = init(&home, &["--client", client, "--yes", "--json"]).exits(2).json();
        let file = &json["clients"][0]["files"][0];
        assert_eq!((&file["change"], &file["error"]["code"]), (&json!("refused"), &json!("client_file_invalid")));
        assert!(file["error"]["context"]["paste"].as_str().unwrap().contains("outcome-runtime-mcp"), "{file}");
    }
    assert!(home.path(".cursor/hooks.json").exists(), "the other files of the client are written");
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_inside_of_the_repository_and_nowhere_else() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let home = initialised();
    let outside = tempfile::tempdir().unwrap();
    home.write("AGENTS.md", "# Rules\n");
    std::fs::set_permissions(home.path("AGENTS.md"), std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink("AGENTS.md", home.path("CLAUDE.md")).unwrap();
    symlink(outside.path(), home.path(".claude")).unwrap();
    let ran = init(&home, &["--client", "claude-code", "--client", "codex", "--yes"]).exits(2);
    assert!(ran.stdout.contains("a link leads to") && ran.stdout.contains("outside"), "{ran:#?}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "nothing was written there");
    assert!(home.path("CLAUDE.md").is_symlink(), "the link is still one");
    assert_eq!(text(&home, "AGENTS.md").matches("outcome-runtime: begin").count(), 1);
    let mode = std::fs::metadata(home.path("AGENTS.md")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "its rights stay");
}

/// The folder of the built programs, first on the PATH.
fn with_programs(home: &Home, args: &[&str]) -> Ran {
    let server = outcome_tests::programs::program("outcome-runtime-mcp").unwrap();
    let path = format!("{}:{}", server.parent().unwrap().display(), std::env::var("PATH").unwrap());
    Ran::new(home.command(args).env("PATH", path).output().unwrap())
}

fn level(found: &Value, check: &str) -> String {
    let all = found.as_array().unwrap();
    let one = all.iter().find(|finding| finding["check"] == check);
    one.map(|finding| finding["level"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn the_doctor_reaches_the_server_through_every_clients_configuration() {
    let home = Home::active();
    for client in ALL {
        let ran = with_programs(&home, &["doctor", "--client", client, "--json"]).exits(8);
        assert_eq!(level(&ran.json(), "configuration"), "problem", "{client}: {ran:#?}");
        with_programs(&home, &["init", "--client", client, "--yes"]).exits(0);
        let ran = with_programs(&home, &["doctor", "--client", client, "--json"]).exits(0);
        let found = ran.json();
        for check in ["configuration", "program", "server", "workspace"] {
            assert_eq!(level(&found, check), "ok", "{client} {check}: {found:#}");
        }
    }
}

#[test]
fn the_doctor_says_what_is_wrong_and_how_to_mend_it() {
    let home = Home::new();
    let entry = |command: &str| json!({ "mcpServers": { "outcome-runtime": { "command": command, "args": ["${NOT_SET_X}"] } } });
    home.write(".mcp.json", &entry("no-such-program").to_string());
    let ran = home.run(&["doctor", "--client", "claude-code"]).exits(8);
    assert!(ran.stdout.contains("`${NOT_SET_X}` is passed on unchanged"), "{ran:#?}");
    assert!(ran.stdout.contains("`no-such-program` is not on the PATH"), "{ran:#?}");
    home.write(".mcp.json", "{");
    assert!(home.run(&["doctor", "--client", "claude-code"]).exits(8).stdout.contains("line 1"));
    // A program that is no server.
    home.write("talks", "#!/bin/sh\necho 'no licence found' >&2\nexit 3\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(home.path("talks"), std::fs::Permissions::from_mode(0o755)).unwrap();
        home.write(".mcp.json", &entry("./talks").to_string());
        let ran = home.run(&["doctor", "--client", "claude-code"]).exits(8);
        assert!(ran.stdout.contains("did not answer") && ran.stdout.contains("no licence found"), "{ran:#?}");
    }
    // Everything is there but the workspace.
    with_programs(&home, &["init", "--client", "vscode", "--yes", "--no-outcome-file", "--print"]).exits(0);
    home.write(
        ".vscode/mcp.json",
        r#"{"servers": {"outcome-runtime": {"type": "stdio", "command": "outcome-runtime-mcp"}}}"#,
    );
    let ran = with_programs(&home, &["doctor", "--client", "vscode", "--json"]).exits(8);
    assert_eq!(level(&ran.json(), "server"), "ok", "{ran:#?}");
    assert_eq!(level(&ran.json(), "workspace"), "problem", "{ran:#?}");
    assert_eq!(level(&ran.json(), "rules"), "warning", "{ran:#?}");
}

#[test]
fn line_ends_tabs_and_a_byte_order_mark_stay() {
    let home = initialised();
    home.write(".cursor/mcp.json", "\u{feff}{\r\n\t\"a\": 1\r\n}\r\n");
    init(&home, &["--client", "cursor", "--yes"]).exits(0);
    let new = text(&home, ".cursor/mcp.json");
    assert!(
        new.starts_with("\u{feff}{\r\n\t\"a\": 1,\r\n\t\"mcpServers\": {\r\n\t\t\"outcome-runtime\": {\r\n"),
        "{new:?}"
    );
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    for old in ["", "  \n", "// only a comment\n", "{}"] {
        home.write(".cursor/mcp.json", old);
        init(&home, &["--client", "cursor", "--yes"]).exits(0);
        assert!(text(&home, ".cursor/mcp.json").contains("outcome-runtime-mcp"), "{old:?}");
    }
}
