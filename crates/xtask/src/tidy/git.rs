//! Git is started in one place, which takes away what a repository's settings could make it do.

use super::finding::Finding;
use super::source::Source;
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "git";

/// The one module.
const MODULE: &str = "crates/core/src/scope/git/";

/// Finds `Command::new("git")` elsewhere.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let watched =
        |source: &&Source| source.path.starts_with("crates/") && !source.path.starts_with(MODULE) && !source.is_test;
    tree.sources.iter().filter(watched).flat_map(in_source).collect()
}

fn in_source(source: &Source) -> Vec<Finding> {
    let starts = source.tokens.windows(6).filter_map(|tokens| match tokens {
        [command, colon, second, new, open, program]
            if command.is_word("Command")
                && colon.is_mark(':')
                && second.is_mark(':')
                && new.is_word("new")
                && open.is_mark('(')
                && program.string() == Some("git") =>
        {
            Some(command.line)
        }
        _ => None,
    });
    let message = format!("`Command::new(\"git\")`: only {MODULE} starts git");
    starts
        .filter(|line| !source.is_test_line(*line))
        .map(|line| Finding { rule: RULE, file: source.path.clone(), line, message: message.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::with(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    const START: &str = "fn f() {\n tokio::process::Command::new(\"git\").arg(\"log\"); }";

    #[test]
    fn git_is_started_in_its_module_only() {
        assert_eq!(lines("crates/cli/src/commands/scope.rs", START), [2]);
        assert_eq!(lines("crates/core/src/scope/git/command.rs", START), [0; 0]);
    }

    #[test]
    fn tests_and_other_programs_are_fine() {
        assert_eq!(lines("crates/cli/src/a.rs", &format!("#[cfg(test)] mod tests {{ {START} }}")), [0; 0]);
        assert_eq!(lines("tests/src/lab.rs", START), [0; 0]);
        assert_eq!(lines("crates/cli/src/a.rs", "fn f() { Command::new(\"node\"); }"), [0; 0]);
    }
}
