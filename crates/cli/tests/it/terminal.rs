//! With a human at a terminal: a pseudo-terminal that Python's standard library opens.

use std::process::Command;

use outcome_tests::programs::TERMINAL;

use crate::home::{BIN, Home, PASSPHRASE, clean};

fn on_terminal(home: &Home, args: &[&str], answers: &[(&str, &str)]) -> Option<(Option<i32>, String)> {
    on_terminal_with(home, args, answers, &[])
}

/// Runs the program on a pseudo-terminal with these variables and types each answer after its question was seen; the exit code and what was
/// seen. `None` where there is no python3, which is said loudly.
pub(crate) fn on_terminal_with(
    home: &Home,
    args: &[&str],
    answers: &[(&str, &str)],
    envs: &[(&str, &str)],
) -> Option<(Option<i32>, String)> {
    let mut python = clean(Command::new("python3"), &home.path(""));
    python.envs(envs.iter().copied());
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
    let Some((code, seen)) = on_terminal(&home, &["init", "--template"], &answers) else { return };
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("sam@example.com") && !seen.contains(PASSPHRASE), "{seen}");
    home.sign(&["apply"]).exits(0);
    let (code, seen) =
        on_terminal(&home, &["activate", "signup-rate"], &[("Passphrase to activate", PASSPHRASE)]).unwrap();
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains(PASSPHRASE), "{seen}");
    home.propose("Fewer fields", "flag-a", "src/a/").exits(0);
    let gate = "portfolio-fewer-fields";
    // Enter alone decides nothing: it shows everything that is signed, and asks again.
    let answers = [("Your decision", ""), ("Your decision", "approve"), ("Passphrase to approve", PASSPHRASE)];
    let (code, seen) = on_terminal(&home, &["gate", "decide", gate], &answers).unwrap();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Plan and thresholds"), "{seen}");
    assert_eq!(home.run(&["gate", "show", gate, "--json"]).json()["status"], "approved");
}

#[test]
fn without_a_signature_a_decision_is_asked_for_and_nothing_is_decided() {
    let home = Home::proposed();
    let gate = "portfolio-fewer-fields";
    home.run(&["gate", "decide", gate, "--unsigned", "--json"]).exits(2);
    for verdict in ["approve", "reject"] {
        let asked =
            home.run(&["gate", "decide", gate, "--verdict", verdict, "--unsigned", "--note", "please", "--json"]);
        assert_eq!(asked.exits(0).json()["is_done"], false);
    }
    let killed = home.run(&["experiment", "kill", "fewer-fields", "--unsigned"]).exits(0);
    assert!(killed.stdout.contains("Asked for kill"), "{killed:?}");
    assert_eq!(home.run(&["gate", "show", gate, "--json"]).json()["status"], "pending");
    let told = home.run(&["messages", "--json"]).exits(0).stdout;
    assert_eq!(told.matches("A decision of gate").count(), 2, "{told}");
    let lines = home.run(&["audit", "export"]).exits(0).stdout;
    let asked: Vec<_> = lines.lines().filter(|line| line.contains(".note_asked")).collect();
    assert!(asked.len() == 3 && asked.iter().all(|line| line.contains(r#""kind":"local""#)), "{asked:#?}");
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
    let answers = [
        ("Write .mcp.json?", "y"),
        ("Write CLAUDE.md?", "n"),
        ("SKILL.md?", "n"),
        ("Write .claude/settings.json?", "y"),
    ];
    let Some((code, seen)) = on_terminal(&home, &["init", "--client", "claude-code"], &answers) else { return };
    assert_eq!(code, Some(0), "{seen}");
    for part in ["changes", "  +     \"outcome-runtime\": {", "Write CLAUDE.md?", "2 file(s) written"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert!(!home.path("CLAUDE.md").exists() && home.path(".claude/settings.json").exists());
}
