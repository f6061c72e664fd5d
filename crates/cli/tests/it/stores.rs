//! A workspace's data lies with the account, so that what happens to the repository loses nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::home::{Home, Ran};

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
    home.git(&["clean", "-xfdq", "-e", ".local", "-e", "app.db", "-e", "passphrase"]);
    assert!(!home.path(".outcome").exists() && !home.path("outcome.yaml").exists());
    // Nobody makes a second workspace by accident, or joins one without an act.
    let said = home.run(&["status", "--json"]).exits(3).json();
    assert!(said["error"]["hint"].as_str().unwrap().contains("init --link"), "{said}");
    assert_eq!(home.sign(&["init", "--json"]).exits(4).error_code(), "workspace_exists");
    home.run(&["init", "--link", "--json"]).exits(0);
    let after = home.run(&["status", "--json"]).exits(0).json();
    assert_eq!(before["workspace"], after["workspace"]);
    assert_eq!(before["outcomes"][0]["experiments"], after["outcomes"][0]["experiments"]);
    home.sign(&["gate", "decide", "portfolio-fewer-fields", "--verdict", "reject"]).exits(0);
    assert_eq!(home.run(&["audit", "verify", "--json"]).exits(0).json()["is_intact"], true);
}

#[test]
fn a_package_stays_its_own_workspace_without_its_pointer() {
    let home = Home::active();
    let package = home.path("packages/web");
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("outcome.yaml"), "version: 1\noutcomes: []\n").unwrap();
    let mut init = home.signing("passphrase", &["init", "--no-apply", "--email", "sam@example.com", "--name", "Sam"]);
    Ran::new(init.current_dir(&package).output().unwrap()).exits(0);
    std::fs::remove_dir_all(package.join(".outcome")).unwrap();
    assert_eq!(home.run_in(&package, &["status", "--json"]).exits(3).error_code(), "workspace_not_found");
    home.run_in(&package, &["init", "--link"]).exits(0);
    assert_eq!(home.run_in(&package, &["status", "--json"]).exits(0).json()["workspace"], "web");
}

#[test]
fn a_pointer_to_another_workspace_of_the_account_is_refused() {
    let home = Home::proposed();
    let own = std::fs::read_to_string(home.path(".outcome/workspace.json")).unwrap();
    // Another workspace of the same member, with the same passphrase.
    let other = home.path("other");
    std::fs::create_dir_all(other.join(".git")).unwrap();
    let mut init = home.signing("passphrase", &["init", "--email", "sam@example.com", "--name", "Sam"]);
    Ran::new(init.current_dir(&other).output().unwrap()).exits(0);
    std::fs::copy(other.join(".outcome/workspace.json"), home.path(".outcome/workspace.json")).unwrap();
    assert_eq!(home.run(&["status", "--json"]).exits(6).error_code(), "root_changed");
    let decide = ["gate", "decide", "portfolio-fewer-fields", "--verdict", "approve", "--json"];
    assert_eq!(home.sign(&decide).exits(6).error_code(), "root_changed");
    // The advice: the wrong pointer goes, and the right one comes back.
    std::fs::remove_file(home.path(".outcome/workspace.json")).unwrap();
    home.run(&["init", "--link"]).exits(0);
    assert_eq!(std::fs::read_to_string(home.path(".outcome/workspace.json")).unwrap(), own);
    home.sign(&decide).exits(0);
}

#[test]
fn another_repository_in_the_place_of_one_joins_nothing() {
    let home = Home::proposed();
    std::fs::remove_dir_all(home.path(".outcome")).unwrap();
    let text = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix("root: ") {
        Some(_) => format!("root: {}", "f".repeat(64)),
        None => line.to_owned(),
    });
    home.write("outcome.yaml", &lines.collect::<Vec<_>>().join("\n"));
    home.run(&["status"]).exits(3);
    assert_eq!(home.run(&["init", "--link", "--json"]).exits(6).error_code(), "root_changed");
    assert!(!home.path(".outcome/workspace.json").exists());
    home.sign(&["init", "--anew", "--no-apply"]).exits(0);
}

#[test]
fn what_is_no_small_file_is_no_pointer() {
    let home = Home::active();
    let pointer = home.path(".outcome/workspace.json");
    let own = std::fs::read_to_string(&pointer).unwrap();
    let refused = |what: &str| {
        let ran = home.run(&["status", "--json"]).exits(8);
        assert_eq!(ran.error_code(), "io", "{what}");
        assert!(ran.json()["error"]["hint"].as_str().unwrap().contains("init --link"), "{what}");
        std::fs::remove_file(&pointer).unwrap();
    };
    for place in ["/dev/zero", "/proc/self/fd/0"] {
        std::fs::remove_file(&pointer).unwrap_or(());
        std::os::unix::fs::symlink(place, &pointer).unwrap();
        refused(place);
    }
    let made = Command::new("mkfifo").arg(&pointer).status().unwrap();
    assert!(made.success());
    refused("a pipe");
    std::fs::write(&pointer, format!("{own}{}", " ".repeat(100_000))).unwrap();
    refused("a long file");
    std::fs::write(&pointer, "{").unwrap();
    refused("a damaged file");
    home.run(&["init", "--link"]).exits(0);
    assert_eq!(std::fs::read_to_string(&pointer).unwrap(), own);
}

#[test]
fn a_database_that_is_not_here_is_named() {
    let home = Home::active();
    let mut elsewhere = home.command(&["status", "--json"]);
    elsewhere.env("HOME", home.path("nowhere"));
    let said = Ran::new(elsewhere.output().unwrap()).exits(3).json();
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("its database is not here") && message.contains("nowhere/.local/share"), "{said}");
}

#[test]
fn of_several_that_set_a_folder_up_one_does() {
    let home = Home::new();
    home.shop(&[]);
    let running: Vec<_> = (0..3).map(|_| home.signing("passphrase", &["init", "--json"]).spawn().unwrap()).collect();
    let done: Vec<bool> = running.into_iter().map(|mut child| child.wait().unwrap().success()).collect();
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    let text = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("root: ")).count(), 1, "{text}");
    assert!(home.database().exists(), "and one store is left");
    home.run(&["status"]).exits(0);
}

#[test]
fn another_clone_of_the_account_joins_its_workspace_and_another_account_does_not() {
    let home = Home::proposed();
    home.git(&["add", "outcome.yaml"]);
    home.git(&["commit", "-q", "-m", "declare"]);
    let clone = tempfile::tempdir().unwrap();
    let clone = clone.path().join("shop");
    home.git(&["clone", "-q", ".", &clone.display().to_string()]);
    assert_eq!(home.run_in(&clone, &["status", "--json"]).exits(3).error_code(), "workspace_not_found");
    let refused = home.run_in(&clone, &["init", "--json"]).exits(4).json();
    assert_eq!(refused["error"]["code"], "workspace_exists");
    assert!(refused["error"]["hint"].as_str().unwrap().contains("init --link"), "{refused}");
    assert!(!clone.join(".outcome").exists());
    home.run_in(&clone, &["init", "--link", "--json"]).exits(0);
    let gates = |folder: &Path| home.run_in(folder, &["gate", "list", "--json"]).exits(0).json();
    assert_eq!(gates(&clone), gates(&home.path("")));
    assert_eq!(home.run_in(&clone, &["init", "--link", "--json"]).exits(4).error_code(), "workspace_exists");
    // What the file says leads another account to nothing.
    let other = Home::new();
    std::fs::copy(clone.join("outcome.yaml"), other.path("outcome.yaml")).unwrap();
    assert_eq!(other.run(&["init", "--link", "--json"]).exits(3).error_code(), "workspace_not_found");
    assert!(!other.path(".outcome").exists());
}

#[test]
fn a_database_in_the_repository_is_used_only_where_there_is_no_store() {
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
    let doctor = || home.run(&["doctor", "--json"]).json().to_string();
    moved(&store, &before);
    home.run(&["status"]).exits(0);
    let said = doctor();
    assert!(said.contains("git clean") && said.contains(&store.parent().unwrap().display().to_string()), "{said}");
    moved(&before, &store);
    home.run(&["status"]).exits(0);
    assert!(!doctor().contains("git clean"));
    std::fs::write(&before, "something else").unwrap();
    home.run(&["status"]).exits(0);
    assert!(doctor().contains("is not used"));
}
