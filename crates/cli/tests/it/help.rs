//! Help texts: every command has an example, and the page without arguments shows the flow.

use crate::home::Home;

fn subcommands(help: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_list = false;
    for line in help.lines() {
        if line.starts_with("Commands:") {
            is_list = true;
        } else if is_list && line.trim().is_empty() {
            break;
        } else if is_list && line.starts_with("  ") && !line.starts_with("   ") {
            names.extend(line.split_whitespace().next().map(ToOwned::to_owned));
        }
    }
    names.retain(|name| name != "help");
    names
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let home = Home::new();
    let mut paths: Vec<Vec<String>> = vec![vec![]];
    let mut n_commands = 0;
    while let Some(path) = paths.pop() {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = home.run(&args).exits(0).stdout;
        assert!(help.contains("EXAMPLES:\n  outcome-runtime"), "{path:?} has no example:\n{help}");
        n_commands += 1;
        for name in subcommands(&help) {
            let mut path = path.clone();
            path.push(name);
            paths.push(path);
        }
    }
    assert!(n_commands > 35, "only {n_commands} commands were found");
}

#[test]
fn without_arguments_one_is_told_where_to_begin() {
    let ran = std::process::Command::new(crate::home::BIN).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(text.contains("outcome-runtime demo") && text.contains("outcome-runtime init"), "{text}");
    assert!(text.lines().count() <= 10, "{text}");
}

#[test]
fn completions_know_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("activate") && script.contains("passphrase-fd"), "{shell}");
    }
}
