//! Deciding: with the passphrase, without one, and what is shown before.

use crate::home::Home;

const GATE: &str = "portfolio-fewer-fields";

#[test]
fn a_gate_is_listed_shown_and_decided_once() {
    let home = Home::proposed();
    let list = home.run(&["gate", "list", "--json"]).exits(0).json();
    assert_eq!(list[0]["gate"], GATE);
    let shown = home.run(&["gate", "show", GATE]).exits(0).stdout;
    assert!(shown.contains("Should this experiment be built?") && shown.contains("│ Fewer fields"), "{shown}");
    for said in ["6 h of work", "you sign", "approve, approve_with_conditions, reject", "--full`"] {
        assert!(shown.contains(said), "{said:?} is missing in\n{shown}");
    }
    assert!(shown.lines().count() <= 24, "a gate is one screen:\n{shown}");
    let full = home.run(&["gate", "show", GATE, "--full"]).exits(0).stdout;
    for said in ["Effort                6 h", "  Minimum detectable effect  5 points", "--json` shows"] {
        assert!(full.contains(said), "{said:?} is missing in\n{full}");
    }
    // Only a command, which is there to be copied, may be longer.
    let mut lines = shown.lines().chain(full.lines()).filter(|line| !line.contains("`outcome-runtime gate "));
    assert!(lines.all(|line| line.chars().count() <= 80), "{shown}\n{full}");
    let status = home.run(&["status"]).exits(0).stdout;
    assert!(status.contains(&format!("outcome-runtime gate decide {GATE}")), "{status}");

    let done =
        home.sign(&["gate", "decide", GATE, "--verdict", "approve", "--condition", "only on weekdays", "--json"]);
    let done = done.exits(0);
    assert_eq!(done.json()["gate_status"], "approved_with_conditions");
    assert_eq!(done.json()["assurance"], "A3");
    assert!(done.stderr.contains("Should this experiment be built?"), "with --json the page goes to stderr: {done:#?}");
    let again = home.sign(&["gate", "decide", GATE, "--verdict", "approve", "--json"]).exits(4);
    assert_eq!(again.error_code(), "gate_not_pending");
    let brief = home.run(&["experiment", "brief", "fewer-fields", "--json"]).exits(0).json();
    assert_eq!(brief["conditions"][0], "only on weekdays");
}

#[test]
fn nobody_decides_without_the_passphrase() {
    let home = Home::proposed();
    home.write("wrong", "wrong horse battery\n");
    let ran = home.sign_with("wrong", &["gate", "decide", GATE, "--verdict", "approve", "--json"]).exits(5);
    assert_eq!(ran.error_code(), "passphrase_wrong");
    // The next process knows of it, and a right one ends it.
    let counted = || {
        let found =
            std::process::Command::new("find").arg(home.path("")).args(["-name", "tries.json"]).output().unwrap();
        let path = String::from_utf8(found.stdout).unwrap();
        let text = std::fs::read_to_string(path.trim()).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["n"].as_u64()
    };
    assert_eq!(counted(), Some(1));
    home.sign_with("wrong", &["gate", "decide", GATE, "--verdict", "approve", "--json"]).exits(5);
    assert_eq!(counted(), Some(2));
    for flags in [&["--verdict", "approve"][..], &["--verdict", "reject"]] {
        let args: Vec<&str> = ["gate", "decide", GATE, "--json"].into_iter().chain(flags.iter().copied()).collect();
        assert_eq!(home.run(&args).exits(5).error_code(), "passphrase_needed", "{flags:?}");
    }
    // Neither an environment variable nor piped stdin is asked.
    let mut command = home.command(&["gate", "decide", GATE, "--verdict", "approve", "--json"]);
    command.env("PASSPHRASE", crate::home::PASSPHRASE).env("OUTCOME_RUNTIME_PASSPHRASE", crate::home::PASSPHRASE);
    command.stdin(std::fs::File::open(home.path("passphrase")).unwrap());
    assert_eq!(command.output().unwrap().status.code(), Some(5));
    let gate = home.run(&["gate", "show", GATE, "--json"]).exits(0).json();
    assert_eq!(gate["status"], "pending");
    home.sign(&["gate", "decide", GATE, "--verdict", "approve", "--json"]).exits(0);
    assert_eq!(counted(), None);
}

#[test]
fn what_was_shown_is_what_is_decided() {
    let home = Home::proposed();
    let hash = home.run(&["gate", "show", GATE, "--json"]).exits(0).json()["context_hash"].as_str().unwrap().to_owned();
    let shown = home.run(&["gate", "show", GATE]).exits(0).stdout;
    assert!(shown.contains(&hash[..12]), "{shown}");
    for wrong in ["000000000000", &hash[..4]] {
        let args = ["gate", "decide", GATE, "--verdict", "approve", "--context-hash", wrong, "--json"];
        assert_eq!(home.sign(&args).exits(4).error_code(), "context_changed");
    }
    home.sign(&["gate", "decide", GATE, "--verdict", "approve", "--context-hash", &hash[..12]]).exits(0);
}

#[test]
fn a_verdict_that_the_gate_does_not_take_is_refused_early() {
    let home = Home::proposed();
    let ran = home.run(&["gate", "decide", GATE, "--verdict", "ship"]).exits(2);
    assert!(ran.stderr.contains("it accepts approve, approve_with_conditions, reject"), "{ran:#?}");
    assert!(ran.stdout.is_empty());
    let ran = home.run(&["gate", "decide", GATE]).exits(2);
    assert!(ran.stderr.contains("--verdict"), "{ran:#?}");
    home.run(&["gate", "decide", GATE, "--verdict", "nonsense"]).exits(2);
}

#[test]
fn what_others_wrote_cannot_command_the_terminal() {
    let home = Home::active();
    let title = "\"Evil \\e[31mred\\e[0m \\e]0;title\\a \\u202Egnp \\u009B2J\"";
    let ran = home.propose(title, "flag-e", "src/e/").exits(0);
    let slug = home.run(&["experiment", "list", "--json"]).json()[0]["slug"].as_str().unwrap().to_owned();
    let gate = format!("portfolio-{slug}");
    let mut seen = vec![ran.stdout];
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["gate", "list"],
        &["gate", "show", &gate],
        &["gate", "show", &gate, "--json"],
        &["experiment", "list"],
        &["experiment", "list", "--json"],
        &["experiment", "show", &slug],
        &["audit", "export"],
    ] {
        seen.push(home.run(args).exits(0).stdout);
    }
    let args = ["gate", "decide", &gate, "--verdict", "reject", "--note", "no \x1b[2J thanks"];
    seen.push(home.sign(&args).exits(0).stdout);
    seen.push(home.run(&["learnings"]).exits(0).stdout);
    seen.push(home.run(&["experiment", "show", "\x1b[31mnope"]).exits(3).stderr);
    for text in seen {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(bad, None, "{text:?}");
    }
    assert!(home.run(&["gate", "show", &gate]).stdout.contains("Evil \\u{1b}[31mred"));
}

#[test]
fn several_gates_are_decided_with_one_passphrase() {
    let home = Home::proposed();
    home.propose("Other words", "flag-b", "src/b/").exits(0);
    home.propose("Third try", "flag-c", "src/c/").exits(0);
    let gates = [GATE, "portfolio-other-words", GATE];
    let list = [&["gate", "decide"], &gates[..], &["--verdict", "reject", "--json"]].concat();
    let ran = home.sign(&[&list[..], &["--condition", "only on weekdays"]].concat()).exits(2);
    assert!(ran.stdout.contains("--condition"), "{ran:#?}");
    assert_eq!(home.run(&list).exits(5).error_code(), "passphrase_needed");
    // One line is all that can be read of the passphrase.
    let done = home.sign(&list).exits(0).json();
    let decided: Vec<_> = done.as_array().unwrap().iter().map(|one| one["gate"].as_str().unwrap()).collect();
    assert_eq!(decided, [GATE, "portfolio-other-words"]);
    // One that is decided already ends the list before anything is signed.
    let again = ["gate", "decide", "portfolio-third-try", GATE, "--verdict", "reject", "--json"];
    assert_eq!(home.sign(&again).exits(4).error_code(), "gate_not_pending");
    assert_eq!(home.run(&["gate", "show", "portfolio-third-try", "--json"]).json()["status"], "pending");
}

#[test]
fn the_rules_of_a_launch_are_confirmed() {
    let home = Home::active();
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    home.write(
        "outcome.yaml",
        &file.replace("    horizon: 6w", "    constraints:\n      - rule: No payment code is touched\n    horizon: 6w"),
    );
    home.sign(&["apply"]).exits(0);
    home.propose("Fewer fields", "flag-a", "src/a/").exits(0);
    home.sign(&["gate", "decide", GATE, "--verdict", "approve"]).exits(0);
    home.git(&["checkout", "-q", "-b", "change"]);
    home.write("src/a/form.txt", "two fields if flag-a\n");
    home.git(&["add", "src"]);
    home.git(&["commit", "-q", "-m", "change"]);
    let ran = home.run(&["report", "fewer-fields", "--summary", "two fields", "--json"]).exits(0);
    assert_eq!(ran.json()["gate"], "launch-fewer-fields");
    // What turns something on is decided by itself.
    home.propose("Other words", "flag-b", "src/b/").exits(0);
    let list = ["gate", "decide", "portfolio-other-words", "launch-fewer-fields", "--verdict", "reject", "--json"];
    let ran = home.sign(&list).exits(2);
    assert!(ran.stdout.contains("not in a list"), "{ran:#?}");
    assert_eq!(home.run(&["gate", "show", "portfolio-other-words", "--json"]).json()["status"], "pending");
    let args = ["gate", "decide", "launch-fewer-fields", "--verdict", "approve", "--json"];
    let ran = home.sign(&args).exits(2);
    assert!(ran.stdout.contains("--confirm-checklist"), "{ran:#?}");
    let ran = home.sign(&[&args[..], &["--confirm-checklist"]].concat()).exits(0);
    assert_eq!(ran.json()["experiment_status"], "running");

    let ran = home.sign(&["experiment", "pause", "fewer-fields", "--note", "incident", "--json"]).exits(0);
    assert_eq!(ran.json()["experiment_status"], "paused");
    assert_eq!(
        home.run(&["experiment", "resume", "fewer-fields", "--json"]).exits(5).error_code(),
        "passphrase_needed"
    );
    let ran = home.sign(&["experiment", "resume", "fewer-fields", "--json"]).exits(0);
    assert_eq!(ran.json()["experiment_status"], "running");
    let ran = home.sign(&["experiment", "kill", "fewer-fields", "--json"]).exits(0);
    assert_eq!(ran.json()["experiment_status"], "killed");
    let ran = home.run(&["learnings", "fewer", "--json"]).exits(0);
    assert_eq!(ran.json().as_array().unwrap().len(), 1);
}
