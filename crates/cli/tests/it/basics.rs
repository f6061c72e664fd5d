//! Setting up, declaring, activating; and what is said where nothing is set up.

use serde_json::json;

use crate::home::Home;

#[test]
fn a_workspace_is_set_up_declared_and_activated() {
    let home = Home::new();
    home.shop(&[]);
    let done = home.sign(&["init", "--template", "--json"]).exits(0);
    assert_eq!(done.json()["member"], "sam@example.com");
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    assert!(file.contains("url: \"sqlite:app.db\""), "the database was found: {file}");

    let valid = home.run(&["validate", "--json"]).exits(0);
    assert_eq!(valid.json()["is_valid"], true, "the first file is valid: {valid:#?}");
    let plan = home.run(&["plan", "--json"]).exits(0);
    assert_eq!(plan.json()["outcomes"][0]["action"], "create");
    home.sign(&["apply"]).exits(0);
    let again = home.sign(&["apply", "--json"]).exits(0);
    assert_eq!(again.json()["outcomes"][0]["action"], "none", "applying twice changes nothing");

    let status = home.run(&["status"]).exits(0);
    assert!(status.stdout.contains("outcome-runtime activate signup-rate"), "the next step is said: {status:#?}");
    let done = home.sign(&["activate", "signup-rate", "--json"]).exits(0);
    assert_eq!(done.json()["outcome"], "signup-rate");
    let status = home.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["outcomes"][0]["status"], "active");
    assert_eq!(status["outcomes"][0]["signal"]["freshness"], "fresh");
}

#[test]
fn a_changed_file_shows_as_a_diff() {
    let home = Home::active();
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    home.write("outcome.yaml", &file.replace("to: 0.13", "to: 0.15"));
    let plan = home.run(&["plan"]).exits(0).stdout;
    assert!(plan.contains("target.to") && plan.contains("- 0.13") && plan.contains("+ 0.15"), "{plan}");
}

#[test]
fn validation_says_whether_the_horizon_is_long_enough() {
    let home = Home::active();
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    home.write("outcome.yaml", &file.replace("horizon: 6w ", "mde: \"0.1 %\"\n    horizon: 6w "));
    home.sign(&["apply"]).exits(0);
    let found = home.run(&["validate", "--json"]).exits(0).json();
    assert_eq!(found["feasibility"][0]["is_feasible"], json!(false), "{found:#}");
    // What is judged is the file, applied or not.
    home.write("outcome.yaml", &file.replace("horizon: 6w ", "mde: \"40 %\"\n    horizon: 6w "));
    let found = home.run(&["validate", "--json"]).exits(0).json();
    assert_eq!(found["feasibility"][0]["is_feasible"], json!(true), "{found:#}");
}

#[test]
fn activation_says_when_the_horizon_is_too_short_for_what_is_planned() {
    let activated = |mde: &str| {
        let home = Home::new();
        home.shop(&[]);
        home.sign(&["init", "--template"]).exits(0);
        let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
        let portfolio = "portfolio: { max_concurrent: 1, planned_experiments: 3 }";
        home.write(
            "outcome.yaml",
            &file.replace("horizon: 6w ", &format!("mde: \"{mde}\"\n    {portfolio}\n    horizon: 6w ")),
        );
        home.sign(&["apply"]).exits(0);
        home.sign(&["activate", "signup-rate", "--accept-baseline", "--json"]).exits(0).json()
    };
    let short = activated("1 %");
    let warning = short["warning"].as_str().unwrap_or_default();
    assert!(warning.starts_with("the horizon has 42 days, but one experiment takes up to "), "{short:#}");
    assert!(warning.contains("the 3 that are planned take") && warning.contains("(1 at a time)"), "{warning}");
    assert_eq!(activated("80 %")["warning"], json!(null));
}

#[test]
fn validation_names_who_is_asked_and_is_no_member() {
    let home = Home::active();
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    let gates = "gates: { launch_approval: { assigned_to: Sam@example.com, escalation: [lee@example.com] } }";
    home.write("outcome.yaml", &file.replace("horizon: 6w ", &format!("{gates}\n    horizon: 6w ")));
    let valid = home.run(&["validate", "--json"]).exits(0).json();
    let found = valid["diagnostics"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{valid:#}");
    assert_eq!(found[0]["code"], "config.unknown_member");
    assert_eq!(found[0]["message"], "`lee@example.com` is not a member of this workspace");
    assert_eq!(found[0]["valid"], "`sam@example.com`");
}

#[test]
fn an_invalid_file_is_shown_with_its_lines() {
    let home = Home::new();
    home.write("outcome.yaml", "version: 1\noutcmes: []\n");
    let ran = home.run(&["validate"]).exits(2);
    assert!(ran.stdout.contains("outcome.yaml:2:1") && ran.stdout.contains("outcomes"), "{ran:#?}");
    let ran = home.run(&["validate", "--json"]).exits(2);
    assert_eq!(ran.json()["is_valid"], false);
    home.write("outcome.yaml", "version: 1\n\"\x1b[31mred\": 1\n");
    let ran = home.run(&["validate"]).exits(2);
    assert!(!ran.stdout.contains('\x1b'), "{ran:#?}");
}

#[test]
fn init_needs_a_strong_passphrase_and_happens_once() {
    let home = Home::new();
    let ran = home.run(&["init", "--json"]).exits(5);
    assert_eq!(ran.error_code(), "passphrase_needed");
    home.write("wrong", "short\n");
    let ran = home.sign_with("wrong", &["init", "--json"]).exits(2);
    assert_eq!(ran.error_code(), "passphrase_weak");
    for name in [".outcome", "outcome.yaml", ".local"] {
        assert!(!home.path(name).exists(), "{name} was made");
    }
    home.sign(&["init"]).exits(0);
    assert_eq!(home.sign(&["init", "--json"]).exits(4).error_code(), "workspace_exists");
}

#[test]
fn a_password_of_the_source_is_not_written_into_the_file() {
    let home = Home::new();
    home.sign(&["init", "--template", "--source", "postgres://shop:hunter2@db.example.com/shop"]).exits(0);
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    assert!(!file.contains("hunter2") && file.contains("${APP_DATABASE_URL}"), "{file}");
    let home = Home::new();
    assert_eq!(home.sign(&["init", "--source", "nonsense", "--json"]).exits(2).error_code(), "invalid_input");
}

#[test]
fn a_wrong_passphrase_is_refused_with_its_own_code() {
    let home = Home::active();
    home.write("wrong", "wrong horse battery\n");
    let ran = home.sign_with("wrong", &["abandon", "signup-rate", "--json"]).exits(5);
    assert_eq!(ran.error_code(), "passphrase_wrong");
    let ran = home.sign_with("wrong", &["abandon", "signup-rate"]).exits(5);
    assert!(ran.stderr.starts_with("error[passphrase_wrong]: ") && ran.stderr.contains("= help: "), "{ran:#?}");
    assert!(ran.stdout.is_empty(), "errors for people go to stderr");
}

#[test]
fn without_a_workspace_every_command_says_what_to_do() {
    let home = Home::new();
    for args in [
        &["status"][..],
        &["plan"],
        &["apply"],
        &["activate", "x"],
        &["experiment", "list"],
        &["gate", "list"],
        &["poll"],
        &["learnings"],
        &["audit", "verify"],
        &["connectors", "list"],
        &["agent", "token", "x"],
        &["scope", "check", "--base", "HEAD"],
    ] {
        let ran = home.run(args).exits(3);
        assert!(
            ran.stderr.contains("error[workspace_not_found]") && ran.stderr.contains("outcome-runtime init"),
            "{ran:#?}"
        );
    }
    assert_eq!(home.run(&["validate", "--json"]).exits(3).error_code(), "config_not_found");
    let ran = home.run(&["doctor"]).exits(8);
    assert!(ran.stdout.contains("problem") && ran.stdout.contains("outcome-runtime init"), "{ran:#?}");
}

#[test]
fn unknown_names_are_not_found_before_a_passphrase_is_asked() {
    let home = Home::active();
    for args in [
        &["activate", "nope", "--json"][..],
        &["abandon", "nope", "--json"],
        &["confirm", "nope", "--json"],
        &["experiment", "show", "nope", "--json"],
        &["experiment", "resume", "nope", "--json"],
        &["experiment", "kill", "nope", "--json"],
        &["gate", "decide", "nope", "--json"],
        &["poll", "--outcome", "nope", "--json"],
    ] {
        assert_eq!(home.run(args).exits(3).error_code(), "not_found", "{args:?}");
    }
    assert_eq!(home.run(&["connectors", "test", "nope", "--json"]).exits(3).error_code(), "connector_unknown");
}

#[test]
fn testing_a_connector_shows_each_query_and_fails_when_one_is_refused() {
    let home = Home::active();
    let ran = home.run(&["connectors", "test", "app", "--plans"]).exits(0);
    for part in ["ok: `app` answers", "Queries, each on an empty window", "signup-rate · primary · by_variant", "SCAN"]
    {
        assert!(ran.stdout.contains(part), "{part} is missing: {}", ran.stdout);
    }
    assert!(!home.run(&["connectors", "test", "app"]).exits(0).stdout.contains("SCAN "), "plans only where asked for");

    let role = home.run(&["connectors", "role", "app"]).exits(0);
    assert!(role.stdout.contains("`app` has no users of its own"), "a file has none: {}", role.stdout);
    assert_eq!(home.run(&["connectors", "role", "nope", "--json"]).exits(3).error_code(), "connector_unknown");

    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    home.write("outcome.yaml", &file.replace("table: exposures", "table: exposure"));
    let ran = home.run(&["connectors", "test", "app"]).exits(8);
    for part in
        ["refused  signup-rate · primary · by_variant", "no such table: exposure", "ok  signup-rate · primary · level"]
    {
        assert!(ran.stdout.contains(part), "{part} is missing: {}", ran.stdout);
    }
    let found = home.run(&["connectors", "test", "app", "--json"]).exits(8).json();
    assert_eq!(found["queries"][1]["state"], "refused", "{found}");

    std::fs::rename(home.path("app.db"), home.path("away.db")).unwrap();
    let ran = home.run(&["connectors", "test", "app"]);
    assert!(ran.code != 0 && ran.stdout.contains("unchecked  signup-rate"), "{ran:#?}");
}

#[test]
fn conformance_compares_the_answers_of_a_source_and_fails_where_they_do_not_fit() {
    let home = Home::active();
    let ran = home.run(&["connectors", "conformance", "app"]).exits(0);
    for part in ["passed  answers", "passed  level_same_answer_twice", "skipped  by_variant", "0 failed"] {
        assert!(ran.stdout.contains(part), "{part} is missing: {}", ran.stdout);
    }
    let found = home.run(&["connectors", "conformance", "app", "--json"]).exits(0).json();
    assert_eq!((&found["connector"], &found["n_failed"]), (&"app".into(), &0.into()), "{found}");
    assert_eq!(home.run(&["connectors", "conformance", "nope", "--json"]).exits(3).error_code(), "connector_unknown");
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    home.write("outcome.yaml", &file.replace("table: exposures", "table: exposure"));
    let ran = home.run(&["connectors", "conformance", "app", "--flag", "fewer-fields"]).exits(8);
    assert!(
        ran.stdout.contains("failed  by_variant") && ran.stdout.contains("no such table: exposure"),
        "{}",
        ran.stdout
    );
}

#[test]
fn every_result_is_json_when_asked_for() {
    let home = Home::proposed();
    for args in [
        &["status"][..],
        &["plan"],
        &["apply"],
        &["validate"],
        &["experiment", "list"],
        &["experiment", "show", "fewer-fields"],
        &["gate", "list"],
        &["gate", "show", "portfolio-fewer-fields"],
        &["poll"],
        &["poll", "--force"],
        &["learnings"],
        &["audit", "verify"],
        &["connectors", "list"],
        &["connectors", "test", "app"],
        &["agent", "token", "bot"],
        &["doctor"],
        &["errors"],
        &["schema"],
    ] {
        let with_json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let value = home.run(&with_json).exits(0).json();
        assert!(value.is_object() || value.is_array(), "{args:?}");
    }
    let ran = home.run(&["--json", "nonsense"]).exits(2);
    assert_eq!(ran.error_code(), "invalid_input");
}

#[test]
fn nothing_is_coloured_in_a_pipe_and_everything_when_asked_for() {
    let home = Home::proposed();
    for args in [&["status"][..], &["gate", "show", "portfolio-fewer-fields"], &["doctor"], &["errors"], &["validate"]]
    {
        let ran = home.run(args);
        assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'), "{ran:#?}");
        let coloured: Vec<&str> = args.iter().copied().chain(["--color", "always"]).collect();
        assert!(home.run(&coloured).stdout.contains("\x1b["), "{args:?}");
    }
}

#[test]
fn quiet_leaves_out_the_hints() {
    let home = Home::active();
    assert!(home.run(&["status"]).stdout.contains("next: "));
    assert!(!home.run(&["status", "--quiet"]).stdout.contains("next: "));
    let token = home.run(&["agent", "token", "bot", "--quiet"]).exits(0).stdout;
    assert!(token.starts_with("oragent_") && token.lines().count() == 1, "only the token: {token}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::Stdio;
    let home = Home::active();
    for args in [&["audit", "export"][..], &["schema"], &["errors"]] {
        let mut child = home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{args:?}: {done:?}");
    }
}

#[test]
fn a_failing_source_ends_the_poll_with_8_and_decides_nothing() {
    let home = Home::active();
    std::fs::remove_file(home.path("app.db")).unwrap();
    let ran = home.run(&["poll", "--all", "--json"]).exits(8);
    assert_eq!(ran.json()["failures"].as_array().unwrap().len(), 1);
    let status = home.run(&["status"]).exits(0).stdout;
    assert!(status.contains("failing"), "{status}");
}

#[test]
fn a_mistyped_name_is_answered_with_the_one_that_was_meant() {
    let home = Home::proposed();
    for (args, meant) in [
        (&["experiment", "show", "fewer-feilds"][..], "fewer-fields"),
        (&["gate", "show", "portfolio-fewer-filds"], "portfolio-fewer-fields"),
        // An experiment stands for its gate.
        (&["gate", "show", "fewer-fields"], "portfolio-fewer-fields"),
        (&["activate", "signup-rat"], "signup-rate"),
    ] {
        let said = home.run(args);
        assert!(said.stderr.contains(&format!("did you mean `{meant}`?")), "{said:#?}");
    }
    let said = home.run(&["experiment", "show", "something-else-entirely"]).exits(3);
    assert!(!said.stderr.contains("did you mean") && said.stderr.contains("experiment list"), "{said:#?}");
}
