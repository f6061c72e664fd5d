//! Signing by touching a key, with the system's own `ssh-keygen`; and shells in which nothing secret is asked for.

use std::process::Command;
use std::sync::Arc;

use outcome_core::ports::TouchToSign as _;
use outcome_tests::programs::TERMINAL;
use outcome_tests::touch::{SoftKey, agent};

use crate::home::{BIN, Home, PASSPHRASE, Ran, clean};

const GATE: &str = "portfolio-fewer-fields";

/// A home with the public key of a security key in `.ssh`, and an agent that has the key; `None` (said loudly) without `ssh-keygen`.
fn with_key() -> Option<(Home, Arc<SoftKey>)> {
    // It has no option that only prints its version; one that it does not know makes it print how it is used.
    if let Err(error) = Command::new("ssh-keygen").arg("-?").output() {
        assert!(std::env::var_os("CI").is_none(), "in CI nothing may be skipped: ssh-keygen: {error}");
        eprintln!("SKIPPED: ssh-keygen cannot be run: {error}");
        return None;
    }
    let (home, key) = (Home::proposed(), SoftKey::ed25519(7));
    home.write(".ssh/id_ed25519_sk.pub", &format!("{}\n", key.public_key()));
    agent(&home.path("agent.sock"), Arc::clone(&key)).unwrap();
    // One that an agent put before the real one; with it nothing below would work.
    home.write("bin/ssh-keygen", "#!/bin/sh\necho me >> \"$HOME/was-run\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(home.path("bin/ssh-keygen"), mode).unwrap();
    Some((home, key))
}

fn run(home: &Home, mut command: Command) -> Ran {
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap());
    Ran::new(command.env("SSH_AUTH_SOCK", home.path("agent.sock")).env("PATH", path).output().unwrap())
}

const ADD: [&str; 5] = ["key", "add", "--ssh", ".ssh/id_ed25519_sk.pub", "--json"];

#[test]
fn a_key_is_enrolled_and_decides_a_gate_with_a_touch() {
    let Some((home, key)) = with_key() else { return };
    let early = run(&home, home.command(&["gate", "decide", GATE, "--verdict", "approve", "--key", "--json"]));
    assert!(early.stdout.contains("no key in ~/.ssh is enrolled"), "{early:?}");
    let added = run(&home, home.signing("passphrase", &ADD)).exits(0).json();
    assert_eq!(added["is_first"], true);
    let listed = home.run(&["key", "list"]).exits(0).stdout;
    assert!(listed.contains("touch key of") && listed.contains("counts"), "{listed}");

    key.says(0);
    let untouched =
        run(&home, home.command(&["gate", "decide", GATE, "--verdict", "approve", "--key", "--json"])).exits(5);
    assert!(untouched.stdout.contains("nobody touched the key"), "{untouched:?}");
    key.says(outcome_tests::touch::VERIFIED);
    let file = format!("--key={}", home.path(".ssh/id_ed25519_sk").display());
    let decided = run(&home, home.command(&["gate", "decide", GATE, "--verdict", "approve", &file, "--json"]));
    assert_eq!(decided.exits(0).json()["assurance"], "A4");
    let fingerprint = added["fingerprint"].as_str().unwrap();
    let revoke = ["key", "revoke", fingerprint, "--because", "it is lost", "--json"];
    let without = run(&home, home.signing("passphrase", &revoke)).exits(5);
    assert!(without.stdout.contains("a key that is touched"), "{without:?}");
    run(&home, home.command(&[&revoke[..], &["--key"]].concat())).exits(0);
    assert!(!home.path("was-run").exists(), "a program that is not the system's signed");
    assert!(home.run(&["audit", "verify"]).exits(0).stdout.contains("intact"));
    let shown = home.run(&["gate", "show", GATE]).exits(0).stdout;
    assert!(shown.contains("A4, hardware key, touched by a human"), "{shown}");
}

#[test]
fn a_key_that_nobody_touches_is_refused_before_a_passphrase_is_asked_for() {
    let home = Home::proposed();
    home.write(
        "plain.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti me@here\n",
    );
    let plain = home.run(&["key", "add", "--ssh", "plain.pub", "--json"]).exits(2);
    assert!(plain.stdout.contains("shows the account, not the person"), "{plain:?}");
    let line = SoftKey::ed25519(7).public_key().to_owned();
    home.write("idle.pub", &format!("no-touch-required {line}\n"));
    assert!(home.run(&["key", "add", "--ssh", "idle.pub", "--json"]).exits(2).stdout.contains("no-touch-required"));
    home.run(&["key", "add", "--ssh", "nothing.pub", "--json"]).exits(2);
}

#[test]
fn in_a_shell_that_an_agent_started_no_secret_is_asked_for() {
    let home = Home::proposed();
    let on_terminal = |variable: &str, args: &[&str], answers: &[(&str, &str)]| {
        let mut python = clean(Command::new("python3"), &home.path(""));
        python.args(["-c", TERMINAL]).args(answers.iter().flat_map(|(question, answer)| [*question, *answer]));
        let done = python.arg("--").arg(BIN).args(args).env("TERM", "xterm").env(variable, "1").output().ok()?;
        Some((done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned()))
    };
    let decide = ["gate", "decide", GATE, "--verdict", "approve"];
    for args in [&decide[..], &["gate", "decide", GATE, "--verdict", "approve", "--key"], &["key", "rotate"]] {
        let Some((code, seen)) = on_terminal("CLAUDECODE", args, &[]) else {
            eprintln!("SKIPPED: there is no python3 on this machine");
            return;
        };
        assert!(code == Some(5) && seen.contains("shell that an agent started"), "{args:?}: {seen}");
        assert!(args[0] == "key" || seen.contains("/gates/portfolio-fewer-fields"), "the page is offered: {seen}");
    }
    assert_eq!(home.run(&["gate", "show", GATE, "--json"]).json()["status"], "pending");
    // An editor's own terminal is a person's.
    let asked = [("Passphrase to approve", PASSPHRASE)];
    let (code, seen) = on_terminal("CURSOR_TRACE_ID", &decide, &asked).unwrap();
    assert_eq!(code, Some(0), "{seen}");
}
