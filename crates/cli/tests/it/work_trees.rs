//! Linked work trees of git, and packages of a monorepo: one workspace, found from wherever somebody works.

use crate::home::{Home, Ran};

/// A workspace with a declared outcome, and a work tree beside its checkout.
fn with_work_tree() -> (Home, tempfile::TempDir) {
    let home = Home::active();
    home.git(&["add", "outcome.yaml"]);
    home.git(&["commit", "-q", "-m", "declare"]);
    let place = tempfile::tempdir().unwrap();
    home.git(&["worktree", "add", "-q", "-b", "elsewhere", place.path().join("tree").to_str().unwrap()]);
    (home, place)
}

#[test]
fn a_linked_work_tree_belongs_to_the_workspace_of_its_main_checkout() {
    let (home, place) = with_work_tree();
    let tree = place.path().join("tree");
    let deep = tree.join("src/deep");
    std::fs::create_dir_all(&deep).unwrap();
    let main = home.run_in(&home.path(""), &["status", "--json"]).exits(0).json();
    for folder in [&tree, &deep] {
        let there = home.run_in(folder, &["status", "--json"]).exits(0).json();
        assert_eq!(there["outcomes"][0]["outcome"], main["outcomes"][0]["outcome"]);
    }
    let ran = home.run_in(&tree, &["init", "--email", "eve@example.com", "--name", "Eve", "--json"]).exits(4);
    assert_eq!(ran.error_code(), "workspace_exists");
    assert!(!tree.join(".outcome").exists());
}

#[test]
fn head_is_the_work_trees_own() {
    let (home, place) = with_work_tree();
    let tree = place.path().join("tree");
    std::fs::create_dir_all(tree.join("migrations")).unwrap();
    std::fs::write(tree.join("migrations/1.sql"), "x\n").unwrap();
    home.git(&["-C", tree.to_str().unwrap(), "add", "."]);
    home.git(&["-C", tree.to_str().unwrap(), "commit", "-q", "-m", "there"]);
    home.run_in(&tree, &["scope", "check", "--base", "main", "--head", "HEAD"]).exits(7);
    home.run_in(&home.path(""), &["scope", "check", "--base", "main", "--head", "HEAD"]).exits(0);
}

#[test]
fn a_folder_that_only_claims_to_be_a_work_tree_is_none() {
    let (home, place) = with_work_tree();
    let liar = place.path().join("liar");
    std::fs::create_dir_all(&liar).unwrap();
    std::fs::copy(place.path().join("tree/.git"), liar.join(".git")).unwrap();
    assert_eq!(home.run_in(&liar, &["status", "--json"]).exits(3).error_code(), "workspace_not_found");
}

#[test]
fn a_package_with_its_own_file_is_set_up_and_found_there() {
    let home = Home::active();
    let package = home.path("packages/web");
    std::fs::create_dir_all(package.join("src")).unwrap();
    let of_root = home.run_in(&package.join("src"), &["status", "--json"]).exits(0).json();
    assert_eq!(of_root["outcomes"][0]["outcome"], "signup-rate");
    // A file alone makes no second workspace: that is for `init` to do.
    let of_root = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    let own: Vec<&str> = of_root.lines().filter(|line| !line.starts_with("root: ")).collect();
    std::fs::write(package.join("outcome.yaml"), own.join("\n")).unwrap();
    home.run_in(&package.join("src"), &["status"]).exits(0);
    let mut init = home.signing("passphrase", &["init", "--no-apply", "--email", "sam@example.com", "--name", "Sam"]);
    Ran::new(init.current_dir(&package).output().unwrap()).exits(0);
    assert!(package.join(".outcome").is_dir());
    let own = home.run_in(&package.join("src"), &["status", "--json"]).exits(0).json();
    assert_eq!(own["outcomes"].as_array().unwrap().len(), 0, "nothing was applied in the package yet");
}
