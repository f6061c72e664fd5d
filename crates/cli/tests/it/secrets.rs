//! `secrets`: a value goes in by stdin or unseen at a terminal, and never comes out.

use std::io::Write as _;
use std::process::Stdio;

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::home::{Home, Ran};
use crate::terminal::on_terminal_with;

const KEY: &str = "OUTCOME_RUNTIME_ENCRYPTION_KEY";
const KEY_FILE: &str = "OUTCOME_RUNTIME_ENCRYPTION_KEY_FILE";
const NEW_KEY_FILE: &str = "OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY_FILE";
const VALUE: &str = "sqlite:app.db";

impl Home {
    /// Runs the program with these variables and this on stdin.
    fn given(&self, envs: &[(&str, &str)], args: &[&str], stdin: &str) -> Ran {
        let mut command = self.command(args);
        command.envs(envs.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that refuses before it reads closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let ran = Ran::new(child.wait_with_output().unwrap());
        assert!(!(ran.stdout.clone() + &ran.stderr).contains("hunter2"), "{ran:#?}");
        ran
    }

    /// A file with a new key; its path.
    fn key(&self, name: &str) -> String {
        let ran = self.run(&["secrets", "new-key"]).exits(0);
        assert!(ran.stdout.lines().count() == 1 && ran.stderr.contains("shown once"), "{ran:#?}");
        self.write(name, &ran.stdout);
        self.path(name).display().to_string()
    }

    fn refer_to(&self, reference: &str) {
        let file = std::fs::read_to_string(self.path("outcome.yaml")).unwrap();
        assert!(file.contains("sqlite:app.db"), "{file}");
        self.write("outcome.yaml", &file.replace("sqlite:app.db", reference));
    }
}

#[test]
fn a_secret_is_set_used_listed_rotated_and_removed() {
    let home = Home::active();
    home.refer_to("${secret:APP_URL}");
    let invalid = home.run(&["validate"]).exits(2).stdout;
    assert!(invalid.contains("no secret `APP_URL` is sealed") && invalid.contains("secrets set APP_URL"), "{invalid}");
    home.run(&["validate", "--skip-env"]).exits(0);

    let set = ["--json", "secrets", "set", "APP_URL"];
    let without = home.given(&[], &set, VALUE).exits(2);
    assert_eq!(without.error_code(), "encryption_key_missing");
    let (key, new) = (home.key("key"), home.key("new-key"));
    let envs = [(KEY_FILE, key.as_str())];
    assert_eq!(home.given(&envs, &set, "").exits(2).error_code(), "invalid_input");
    let done = home.given(&envs, &set, &format!("{VALUE}\n")).exits(0).json();
    let key_id = done["key_id"].as_str().unwrap().to_owned();
    let expected = json!({
        "name": "APP_URL", "home": "store", "hint": null, "key_id": key_id, "is_new": true, "used_by": [],
    });
    assert_eq!(done, expected);
    home.given(&envs, &["validate"], "").exits(0);
    let mut apply = home.signing("passphrase", &["apply"]);
    Ran::new(apply.envs(envs).output().unwrap()).exits(0);
    let tested = home.given(&envs, &["--json", "connectors", "test", "app"], "").exits(0).json();
    assert_eq!(tested["problem"], json!(null));

    let list = home.given(&envs, &["--json", "secrets", "list"], "").exits(0).json();
    let line = &list["secrets"][0];
    assert_eq!((&line["state"], &line["used_by"]), (&json!("opens"), &json!(["connector `app`"])));
    let shown = home.given(&envs, &["secrets", "list"], "").exits(0).stdout;
    assert!(shown.contains("${secret:APP_URL}") && shown.contains(&key_id) && !shown.contains(VALUE), "{shown}");

    let both = [(KEY_FILE, key.as_str()), (NEW_KEY_FILE, new.as_str())];
    let rotated = home.given(&both, &["--json", "secrets", "rotate-key"], "").exits(0).json();
    assert_eq!((&rotated["resealed"], &rotated["n_already"]), (&json!(["APP_URL"]), &json!(0)));
    let again = home.given(&both, &["secrets", "rotate-key"], "").exits(0).stdout;
    assert!(again.contains("nothing to do"), "{again}");
    let old = home.given(&envs, &["--json", "connectors", "test", "app"], "").exits(5);
    assert_eq!(old.json()["problem"]["code"], "encryption_key_wrong");
    let doctor = home.given(&envs, &["doctor"], "").stdout;
    assert!(doctor.contains("problem  secrets"), "{doctor}");
    let envs = [(KEY_FILE, new.as_str())];
    let doctor = home.given(&envs, &["doctor"], "").stdout;
    assert!(doctor.contains("ok       secrets"), "{doctor}");

    let used = home.given(&envs, &["--json", "secrets", "remove", "APP_URL"], "").exits(4);
    assert!(used.json()["error"]["message"].as_str().unwrap().contains("connector `app`"), "{used:#?}");
    home.given(&envs, &["secrets", "remove", "APP_URL", "--even-if-used"], "").exits(0);
    let exported = home.run(&["audit", "export"]).exits(0).stdout;
    for kind in ["secret.set", "secret.resealed", "secret.removed"] {
        assert_eq!(exported.matches(&format!("\"{kind}\"")).count(), 1, "{kind}");
    }
    let mut lines = exported.lines().filter(|line| line.contains("\"kind\":\"secret."));
    assert!(lines.all(|line| !line.contains(VALUE)), "{exported}");
    home.run(&["audit", "verify"]).exits(0);
}

#[test]
fn a_key_that_is_none_is_refused_and_not_repeated() {
    let home = Home::active();
    let key = home.key("key");
    let text = std::fs::read_to_string(&key).unwrap();
    for (envs, code) in [
        (&[(KEY, "hunter2-is-no-key")][..], "encryption_key_invalid"),
        (&[(KEY, "aHVudGVyMg==")], "encryption_key_invalid"),
        (&[(KEY_FILE, "/nowhere/key")], "encryption_key_invalid"),
        (&[(KEY, text.trim()), (KEY_FILE, key.as_str())], "encryption_key_invalid"),
        (&[("ENCRYPTION_KEY", "hunter2 of an application")], "encryption_key_invalid"),
    ] {
        let refused = home.given(envs, &["--json", "secrets", "set", "A"], "a value").exits(2);
        assert_eq!(refused.error_code(), code, "{refused:#?}");
        assert!(!refused.stdout.contains(text.trim()), "{refused:#?}");
    }
    let hex: String = (0..32).map(|n| format!("{n:02x}")).collect();
    home.given(&[("ENCRYPTION_KEY", &hex)], &["secrets", "set", "A"], "hunter2-of-many-characters").exits(0);
    // Somebody gave the value in the place of the name, or beside it.
    let named = home.given(&[(KEY, &hex)], &["secrets", "set", "postgres://app:pw@db/shop"], "").exits(2);
    assert!(named.stderr.contains("never an argument"), "{named:#?}");
}

#[test]
fn several_lines_are_kept_as_they_are() {
    let home = Home::active();
    let key = home.key("key");
    let text = "{\n  \"private_key\": \"x\\n\"\n}";
    let envs = [(KEY_FILE, key.as_str())];
    home.given(&envs, &["secrets", "set", "JSON"], &format!("{text}\n")).exits(0);
    let line = home.given(&envs, &["--json", "secrets", "list"], "").exits(0).json()["secrets"][0].clone();
    assert_eq!((&line["state"], &line["hint"]), (&json!("opens"), &json!(null)));
}

#[test]
fn at_a_terminal_the_value_is_typed_unseen_and_in_an_agents_shell_it_is_not_asked_for() {
    let home = Home::active();
    let key = home.key("key");
    let (args, typed) = (["secrets", "set", "APP_TOKEN"], [("Value of APP_TOKEN", "hunter2-and-longer-than-many")]);
    let Some((code, seen)) = on_terminal_with(&home, &args, &typed, &[(KEY_FILE, &key)]) else { return };
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("ends in many") && !seen.contains("hunter2"), "{seen}");
    let agents = [(KEY_FILE, key.as_str()), ("CLAUDECODE", "1")];
    let (code, seen) = on_terminal_with(&home, &args, &[], &agents).unwrap();
    assert!(code == Some(5) && seen.contains("shell that an agent started"), "{seen}");
}

#[test]
fn without_a_keyring_it_is_said_what_else_there_is() {
    let home = Home::active();
    let refused = home.given(&[], &["--json", "secrets", "set", "--keyring", "A"], "a value").exits(8);
    assert_eq!(refused.error_code(), "keyring_unavailable");
    assert!(refused.json()["error"]["hint"].as_str().unwrap().contains("${secret:A}"), "{refused:#?}");
    home.refer_to("${keyring:APP_URL}");
    let invalid = home.run(&["validate"]).exits(2).stdout;
    assert!(invalid.contains("keyring of the operating system") && invalid.contains("${secret:APP_URL}"), "{invalid}");
}
