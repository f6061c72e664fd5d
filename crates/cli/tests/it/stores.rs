//! A workspace's data lies with the account, so that what happens to the repository loses nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::home::{BIN, Home, Ran, clean};

/// Runs the program in another folder of this account.
fn run_in(home: &Home, folder: &Path, args: &[&str]) -> Ran {
    let mut command = clean(Command::new(BIN), folder);
    command.env("HOME", home.path("")).arg("--no-input").args(args).stdin(Stdio::null());
    Ran::new(command.output().unwrap())
}

fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_account_can_look_into_its_stores() {
    let home = Home::active();
    let database = home.database();
    assert_eq!((mode_of(&database), mode_of(database.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode_of(&home.path(".local/share/outcome-runtime")), 0o700);
    assert!(!home.path(".outcome/outcome.db").exists());
}

#[test]
fn cleaning_the_repository_loses_nothing() {
    let home = Home::proposed();
    let before = home.run(&["status", "--json"]).exits(0).json();
    home.git(&["add", "outcome.yaml"]);
    home.git(&["commit", "-q", "-m", "declare"]);
    home.git(&["clean", "-xfdq", "-e", ".local", "-e", "app.db", "-e", "passphrase"]);
    assert!(!home.path(".outcome").exists());
    // Nobody makes a second workspace by accident.
    assert_eq!(home.sign(&["init", "--json"]).exits(4).error_code(), "workspace_exists");
    let after = home.run(&["status", "--json"]).exits(0).json();
    assert_eq!(before["workspace"], after["workspace"]);
    assert_eq!(before["outcomes"][0]["experiments"], after["outcomes"][0]["experiments"]);
    assert!(home.path(".outcome/workspace.json").exists(), "the pointer is back");
    home.git(&["diff", "--exit-code"]);
    home.sign(&["gate", "decide", "portfolio-fewer-fields", "--verdict", "reject"]).exits(0);
    assert_eq!(home.run(&["audit", "verify", "--json"]).exits(0).json()["is_intact"], true);
}

#[test]
fn another_clone_of_the_account_joins_its_workspace_and_another_account_does_not() {
    let home = Home::proposed();
    home.git(&["add", "outcome.yaml"]);
    home.git(&["commit", "-q", "-m", "declare"]);
    let clone = tempfile::tempdir().unwrap();
    let clone = clone.path().join("shop");
    home.git(&["clone", "-q", ".", &clone.display().to_string()]);
    assert_eq!(run_in(&home, &clone, &["status", "--json"]).exits(3).error_code(), "workspace_not_found");
    let refused = run_in(&home, &clone, &["init", "--json"]).exits(4).json();
    assert_eq!(refused["error"]["code"], "workspace_exists");
    assert!(refused["error"]["hint"].as_str().unwrap().contains("init --link"), "{refused}");
    assert!(!clone.join(".outcome").exists());
    run_in(&home, &clone, &["init", "--link", "--json"]).exits(0);
    let gates = |folder: &Path| run_in(&home, folder, &["gate", "list", "--json"]).exits(0).json();
    assert_eq!(gates(&clone), gates(&home.path("")));
    assert_eq!(run_in(&home, &clone, &["init", "--link", "--json"]).exits(4).error_code(), "workspace_exists");
    // What the file says leads another account to nothing.
    let other = Home::new();
    std::fs::copy(clone.join("outcome.yaml"), other.path("outcome.yaml")).unwrap();
    assert_eq!(other.run(&["init", "--link", "--json"]).exits(3).error_code(), "workspace_not_found");
    assert!(!other.path(".outcome").exists());
}

#[test]
fn a_database_in_the_repository_is_used_where_it_is_and_can_be_moved() {
    let home = Home::active();
    let (store, before) = (home.database(), home.path(".outcome/outcome.db"));
    let moved = |from: &Path, to: &Path| {
        for end in ["", "-wal", "-shm"] {
            let name = |path: &Path| format!("{}{end}", path.display());
            if Path::new(&name(from)).exists() {
                std::fs::rename(name(from), name(to)).unwrap();
            }
        }
    };
    moved(&store, &before);
    home.run(&["status"]).exits(0);
    let said = home.run(&["doctor", "--json"]).json().to_string();
    assert!(said.contains("git clean") && said.contains(&store.parent().unwrap().display().to_string()), "{said}");
    moved(&before, &store);
    home.run(&["status"]).exits(0);
    assert!(!home.run(&["doctor", "--json"]).json().to_string().contains("git clean"));
}
