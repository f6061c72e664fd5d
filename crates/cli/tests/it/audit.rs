//! Verifying, exporting and anchoring the log; the export holds for a program that shares no code with us.

use std::process::Command;

use serde_json::{Value, json};

use crate::home::{Home, clean};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_audit_export.py");

#[test]
fn the_log_is_verified_anchored_and_exported() {
    let home = Home::proposed();
    let ran = home.run(&["audit", "verify", "--json"]).exits(0);
    assert_eq!(ran.json()["is_intact"], true);
    assert_eq!(home.run(&["audit", "anchor", "--json"]).exits(5).error_code(), "passphrase_needed");
    let anchor = home.sign(&["audit", "anchor", "--to", "kept.jsonl", "--json"]).exits(0).json();
    home.sign(&["audit", "anchor", "--git-note"]).exits(0);
    home.sign(&["audit", "anchor"]).exits(0);
    let ran = home.run(&["audit", "verify", "--anchor", "kept.jsonl", "--json"]).exits(0);
    assert!(ran.json()["n_anchors"].as_u64() > Some(3), "three, and those that decisions leave");

    let export = home.run(&["audit", "export"]).exits(0).stdout;
    let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seq = usize::try_from(anchor["anchor"]["seq"].as_i64().unwrap()).unwrap();
    assert_eq!(lines[seq - 1]["hash"], anchor["anchor"]["head"]);
    let last = home.run(&["audit", "export", "--after", &(lines.len() - 1).to_string()]).exits(0).stdout;
    assert_eq!(last.lines().count(), 1);

    let text = std::fs::read_to_string(home.path("kept.jsonl")).unwrap();
    let forged = text.replace(anchor["anchor"]["head"].as_str().unwrap(), &"0".repeat(64));
    home.write("forged.jsonl", &forged);
    let ran = home.run(&["audit", "verify", "--anchor", "forged.jsonl"]).exits(6);
    assert!(ran.stdout.contains("BROKEN"), "{ran:#?}");
    home.run(&["audit", "verify", "--anchor", "nowhere.jsonl"]).exits(8);
}

#[test]
fn an_independent_script_verifies_the_export() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no python3 on this machine");
        return;
    }
    let home = Home::proposed();
    home.sign(&[
        "gate",
        "decide",
        "portfolio-fewer-fields",
        "--verdict",
        "reject",
        "--note",
        "nicht jetzt: zu spät ✓ \u{1f600}",
    ])
    .exits(0);
    home.sign(&["audit", "anchor"]).exits(0);
    home.git(&["checkout", "-q", "main"]);
    let export = home.run(&["audit", "export"]).exits(0).stdout;
    let verify = |text: &str, more: &[&str]| {
        home.write("log.jsonl", text);
        let done =
            clean(Command::new("python3"), &home.path("")).arg(SCRIPT).arg("log.jsonl").args(more).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap())
    };
    let (code, said) = verify(&export, &["--anchor", ".outcome/anchors.jsonl"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 anchors"), "{said}");

    let lines: Vec<&str> = export.lines().collect();
    let mut changed: Value = serde_json::from_str(lines[3]).unwrap();
    changed["payload"]["extra"] = json!(1);
    let changed = [&lines[..3], &[changed.to_string().as_str()], &lines[4..]].concat().join("\n");
    let removed = [&lines[..3], &lines[4..]].concat().join("\n");
    let swapped = [&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat().join("\n");
    let cut = lines[..lines.len() - 1].join("\n");
    for (what, text) in [("changed", changed), ("removed", removed), ("swapped", swapped), ("cut", cut)] {
        let (code, said) = verify(&text, &["--anchor", ".outcome/anchors.jsonl"]);
        assert_eq!(code, Some(1), "{what}: {said}");
    }
    let (code, said) = verify(&export, &["--head", &"0".repeat(64)]);
    assert_eq!(code, Some(1), "{said}");

    let named = home.run(&["audit", "export", "--with-names"]).exits(0).stdout;
    let (code, said) = verify(&named, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Sam <sam@example.com>"), "{said}");
    let (code, said) = verify(&named.replace("sam@example.com", "mallory@example.com"), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not what the log commits to"), "{said}");
}
