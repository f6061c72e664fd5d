//! With a human at a terminal: a pseudo-terminal that Python's standard library opens.

use std::process::Command;

use outcome_tests::programs::TERMINAL;

use crate::home::{BIN, Home, PASSPHRASE, clean};

fn on_terminal(home: &Home, args: &[&str], answers: &[(&str, &str)]) -> Option<(Option<i32>, String)> {
    let mut python = clean(Command::new("python3"), &home.path(""));
    python.args(["-c", TERMINAL]).args(answers.iter().flat_map(|(question, answer)| [*question, *answer]));
    let Ok(done) = python.arg("--").arg(BIN).args(args).env("TERM", "xterm").output() else {
        eprintln!("SKIPPED: there is no python3 on this machine");
        return None;
    };
    Some((done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned()))
}

#[test]
fn a_human_sets_up_and_decides_on_a_terminal() {
    let home = Home::new();
    home.shop(&[]);
    let answers = [
        ("Your e-mail", ""),
        ("Your name", ""),
        ("Passphrase for your signing key", PASSPHRASE),
        ("Repeat the passphrase", PASSPHRASE),
    ];
    let Some((code, seen)) = on_terminal(&home, &["init"], &answers) else { return };
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("sam@example.com") && !seen.contains(PASSPHRASE), "{seen}");
    home.run(&["apply"]).exits(0);
    let (code, seen) =
        on_terminal(&home, &["activate", "signup-rate"], &[("Passphrase to activate", PASSPHRASE)]).unwrap();
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains(PASSPHRASE), "{seen}");
    home.propose("Fewer fields", "flag-a", "src/a/").exits(0);
    let gate = "portfolio-fewer-fields";
    // Enter takes the first verdict of the list: approve.
    let answers = [("Your decision", ""), ("Passphrase to approve", PASSPHRASE)];
    let (code, seen) = on_terminal(&home, &["gate", "decide", gate], &answers).unwrap();
    assert_eq!(code, Some(0), "{seen}");
    assert_eq!(home.run(&["gate", "show", gate, "--json"]).json()["status"], "approved");
}

#[test]
fn an_unverified_decision_takes_the_typed_name_and_only_refuses() {
    let home = Home::proposed();
    let gate = "portfolio-fewer-fields";
    let decide = |verdict: &str, typed: &str| {
        on_terminal(&home, &["gate", "decide", gate, "--verdict", verdict, "--unverified"], &[("Type `", typed)])
    };
    let Some((code, seen)) = decide("reject", "something else") else { return };
    assert_eq!(code, Some(2), "{seen}");
    let (code, seen) = decide("approve", gate).unwrap();
    assert_eq!(code, Some(5), "{seen}");
    assert!(seen.contains("assurance_too_low"), "{seen}");
    assert_eq!(home.run(&["gate", "show", gate, "--json"]).json()["status"], "pending");
    let (code, seen) = decide("reject", gate).unwrap();
    assert_eq!(code, Some(0), "{seen}");
    let shown = home.run(&["gate", "show", gate, "--json"]).json();
    assert_eq!(shown["decisions"][0]["assurance"], "A2");
}

#[test]
fn a_file_that_lowers_the_assurance_needs_the_passphrase_once() {
    let home = Home::active();
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    let gates = "    gates:\n      portfolio_review:\n        assurance: A2\n    horizon: 6w";
    home.write("outcome.yaml", &file.replace("    horizon: 6w", gates));
    let plan = home.run(&["plan"]).exits(0).stdout;
    assert!(plan.contains("needs a passphrase"), "{plan}");
    assert_eq!(home.run(&["apply", "--json"]).exits(5).error_code(), "passphrase_needed");
    let done = home.sign(&["apply", "--json"]).exits(0).json();
    assert_eq!(done["outcomes"][0]["action"], "change");
    assert_eq!(home.run(&["apply", "--json"]).exits(0).json()["outcomes"][0]["action"], "none");
    // Now the portfolio gate takes an approval without a secret, from a terminal only.
    home.propose("Fewer fields", "flag-a", "src/a/").exits(0);
    let gate = "portfolio-fewer-fields";
    let args = ["gate", "decide", gate, "--verdict", "approve", "--unverified"];
    home.run(&args).exits(5);
    let Some((code, seen)) = on_terminal(&home, &args, &[("Type `", gate)]) else { return };
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("local, unverified"), "{seen}");
}

#[test]
fn without_a_terminal_a_passphrase_is_needed() {
    // A session of its own has no terminal, even when the tests run on one.
    let home = Home::proposed();
    let mut command = clean(Command::new("setsid"), &home.path(""));
    command.args(["--wait", BIN, "gate", "decide", "portfolio-fewer-fields", "--verdict", "approve", "--json"]);
    let Ok(done) = command.stdin(std::process::Stdio::null()).output() else {
        eprintln!("SKIPPED: there is no setsid on this machine");
        return;
    };
    assert_eq!(done.status.code(), Some(5), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("passphrase_needed"), "{done:?}");
}

#[test]
fn each_file_of_a_client_is_shown_and_asked_about() {
    let home = Home::new();
    home.sign(&["init"]).exits(0);
    home.write(".mcp.json", "{\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" }\n  }\n}\n");
    let answers = [("Write .mcp.json?", "y"), ("Write CLAUDE.md?", "n"), ("Write .claude/settings.json?", "y")];
    let Some((code, seen)) = on_terminal(&home, &["init", "--client", "claude-code"], &answers) else { return };
    assert_eq!(code, Some(0), "{seen}");
    for part in ["changes", "  +     \"outcome-runtime\": {", "Write CLAUDE.md?", "2 file(s) written"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert!(!home.path("CLAUDE.md").exists() && home.path(".claude/settings.json").exists());
}
