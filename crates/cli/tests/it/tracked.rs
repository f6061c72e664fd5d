//! A workspace's folder that git tracks may have come with a clone: no program uses it, and the message leads out.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::home::{Home, Ran, clean};

/// Another account's clone of a repository that ships its workspace.
fn clone_of(home: &Home) -> Home {
    home.write(".outcome/.gitignore", "");
    home.git(&["add", "-A", "-f", ".outcome", "outcome.yaml"]);
    home.git(&["commit", "-q", "-m", "With everything"]);
    let clone = Home::new();
    clone.git(&["fetch", "-q", &home.path("").to_string_lossy(), "main"]);
    clone.git(&["reset", "-q", "--hard", "FETCH_HEAD"]);
    clone.shop(&[]);
    clone
}

#[test]
fn a_workspace_that_came_with_a_clone_is_used_by_no_command() {
    let clone = clone_of(&Home::active());
    assert!(clone.path(".outcome/workspace.json").exists());
    for args in [
        &["status", "--json"][..],
        &["apply", "--json"],
        &["poll", "--all", "--json"],
        &["gate", "list", "--json"],
        &["connectors", "test", "app", "--json"],
        &["migrate", "--json"],
        &["audit", "verify", "--json"],
    ] {
        assert_eq!(clone.run(args).exits(5).error_code(), "workspace_tracked", "{args:?}");
    }
    assert_eq!(clone.sign(&["init", "--json"]).exits(5).error_code(), "workspace_tracked");
    let said = clone.run(&["doctor"]);
    assert!(said.code != 0 && said.stdout.contains("git rm -r --cached .outcome"), "{said:#?}");
    // The guard lets the edit pass, and says that nobody checked it.
    let mut command = clone.command(&["guard"]);
    let input =
        json!({ "hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": { "file_path": "src/x.ts" } });
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let said = Ran::new(child.wait_with_output().unwrap()).exits(0).json();
    let said = said["systemMessage"].as_str().unwrap();
    assert!(said.starts_with("unchecked: ") && said.contains("git tracks"), "{said}");
}

#[test]
fn what_the_message_says_leads_out_and_in_no_circle() {
    // Of somebody who committed their own.
    let home = Home::active();
    home.write(".outcome/.gitignore", "");
    home.git(&["add", "-A", "-f", ".outcome"]);
    assert_eq!(home.run(&["status", "--json"]).exits(5).error_code(), "workspace_tracked", "before it is committed");
    home.git(&["commit", "-q", "-m", "Too much"]);
    home.git(&["rm", "-q", "-r", "--cached", ".outcome"]);
    let said = home.run(&["status"]).exits(5);
    assert!(
        said.stderr.contains("`git commit`") && !said.stderr.contains("git rm"),
        "only the rest is said: {said:#?}"
    );
    home.git(&["commit", "-q", "-m", "Less"]);
    home.run(&["status"]).exits(0);
    // Of somebody who cloned another's.
    let clone = clone_of(&Home::active());
    clone.git(&["rm", "-q", "-r", "--cached", ".outcome"]);
    clone.git(&["commit", "-q", "-m", "Not ours"]);
    std::fs::remove_dir_all(clone.path(".outcome")).unwrap();
    clone.sign(&["init"]).exits(0);
    clone.run(&["status"]).exits(0);
    clone.write("more.txt", "x");
    clone.git(&["add", "-A"]);
    clone.git(&["commit", "-q", "-m", "All of it"]);
    clone.run(&["status"]).exits(0);
}

#[test]
fn every_form_of_the_index_and_of_the_folder_is_seen() {
    let refused = |home: &Home, what: &str| {
        assert_eq!(home.run(&["status", "--json"]).exits(5).error_code(), "workspace_tracked", "{what}");
    };
    let home = Home::active();
    for name in [".outcome-before", ".outcast", "a.outcome/b", "outcome/c"] {
        home.write(name, "x");
    }
    home.git(&["add", "-A"]);
    home.run(&["status"]).exits(0);
    for version in ["2", "3", "4"] {
        home.git(&["update-index", "--index-version", version]);
        home.run(&["status"]).exits(0);
        home.git(&["add", "-f", ".outcome/workspace.json"]);
        refused(&home, version);
        home.git(&["rm", "-q", "--cached", ".outcome/workspace.json"]);
    }
    home.git(&["update-index", "--split-index"]);
    home.run(&["status"]).exits(0);
    home.git(&["add", "-f", ".outcome/workspace.json"]);
    refused(&home, "an index in two files");
    home.git(&["update-index", "--no-split-index"]);
    home.git(&["rm", "-q", "--cached", ".outcome/workspace.json"]);
    // A name that only a file system without case takes for ours, a link, and a repository of its own.
    let blob = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    home.git(&["config", "core.ignorecase", "false"]);
    for (mode, name) in [("100644", ".Outcome/workspace.json"), ("120000", ".outcome"), ("160000", ".outcome")] {
        home.git(&["update-index", "--add", "--cacheinfo", &format!("{mode},{blob},{name}")]);
        refused(&home, name);
        home.git(&["update-index", "--force-remove", name]);
    }
    home.run(&["status"]).exits(0);
    std::fs::write(home.path(".git/index"), "no index").unwrap();
    home.run(&["status"]).exits(0);
}

#[test]
fn an_index_with_longer_ids_and_a_package_are_seen_too() {
    let dir = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let done = clean(Command::new("git"), dir.path()).args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q", "-b", "main", "--object-format=sha256"]);
    let package = dir.path().join("packages/shop");
    std::fs::create_dir_all(package.join(".outcome")).unwrap();
    std::fs::write(package.join(".outcome/outcome.db"), "").unwrap();
    std::fs::write(package.join("outcome.yaml"), "version: 1\n").unwrap();
    let status = || {
        let mut command = clean(Command::new(crate::home::BIN), dir.path());
        command.current_dir(&package).args(["--no-input", "status", "--json"]).stdin(Stdio::null());
        Ran::new(command.output().unwrap()).error_code()
    };
    assert_ne!(status(), "workspace_tracked");
    git(&["add", "-f", "packages/shop/.outcome/outcome.db"]);
    assert_eq!(status(), "workspace_tracked");
}
