//! The scope check, with and without a workspace.

use crate::home::Home;

fn change(home: &Home, path: &str) {
    home.write(path, "new\n");
    home.git(&["add", path]);
    home.git(&["commit", "-q", "-m", path]);
}

#[test]
fn the_exit_code_says_whether_a_change_is_inside_of_its_scope() {
    let home = Home::active();
    change(&home, "src/ok.txt");
    let ran = home.run(&["scope", "check", "--base", "HEAD~1", "--json"]).exits(0);
    assert_eq!(ran.json()["is_clean"], true);
    change(&home, "migrations/1.sql");
    let ran = home.run(&["scope", "check", "--base", "HEAD~2", "--head", "HEAD"]).exits(7);
    assert!(ran.stdout.contains("migrations/1.sql") && ran.stdout.contains("OUTSIDE"), "{ran:#?}");
    assert_eq!(home.run(&["scope", "check", "--base", "nope", "--json"]).exits(3).error_code(), "revision_not_found");
}

#[test]
fn without_a_workspace_the_scope_of_the_base_commit_counts() {
    let home = Home::active();
    home.git(&["add", "outcome.yaml"]);
    home.git(&["commit", "-q", "-m", "declare"]);
    for folder in [".outcome", ".local"] {
        std::fs::remove_dir_all(home.path(folder)).unwrap();
    }
    change(&home, "src/ok.txt");
    home.run(&["scope", "check", "--base", "HEAD~1"]).exits(0);
    // A change that loosens its own scope is checked against the scope before it.
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    home.write("outcome.yaml", &file.replace("- migrations/", "- nothing/"));
    home.git(&["add", "outcome.yaml"]);
    change(&home, "migrations/1.sql");
    let ran = home.run(&["scope", "check", "--base", "HEAD~1"]).exits(7);
    assert!(ran.stdout.contains("at the base commit"), "{ran:#?}");
    assert_eq!(home.run(&["scope", "check", "--base", "HEAD~3", "--json"]).exits(3).error_code(), "config_not_found");
    let ran = home.run(&["scope", "check", "--base", "HEAD~1", "--outcome", "nope", "--json"]).exits(2);
    assert_eq!(ran.error_code(), "invalid_input");
}

#[test]
fn a_build_outside_of_its_scope_is_refused_with_every_path() {
    let home = Home::proposed();
    home.sign(&["gate", "decide", "portfolio-fewer-fields", "--verdict", "approve"]).exits(0);
    change(&home, "migrations/1.sql");
    let ran = home.run(&["report", "fewer-fields", "--summary", "done"]).exits(7);
    assert!(ran.stderr.contains("error[scope_violation]") && ran.stderr.contains("  - `migrations/1.sql`"), "{ran:#?}");
    home.run(&["report", "fewer-fields", "--failed", "cannot be done"]).exits(0);
    let ran = home.run(&["experiment", "retry", "fewer-fields", "--json"]).exits(0);
    assert_eq!(ran.json()["status"], "building");
}
