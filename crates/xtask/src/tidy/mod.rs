//! Rules that the compiler does not know. `cargo xtask tidy` prints what breaks them; `cargo test -p xtask` fails.
//!
//! Each rule is a file: a pure function from the tree to findings, its table of exceptions (each with a reason; one that excuses
//! nothing is a finding too), and tests that make it fail. Files are read and parsed once, by [`source`].

mod arrows;
mod circles;
mod codes;
mod dependencies;
mod finding;
mod git;
mod graph;
mod manifest;
mod map;
mod migrations;
mod notes;
#[cfg(feature = "generated")]
mod pages;
mod pointers;
mod security;
mod size;
mod source;
mod sql;
mod tree;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};

use finding::Finding;
use tree::Tree;

/// A rule: its name, and what it finds.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

/// How files depend on each other, and what they may not do.
const STRUCTURE: &[Rule] = &[
    (circles::RULE, circles::check),
    (arrows::RULE, arrows::check),
    (git::RULE, git::check),
    (size::RULE, size::check),
];

/// How results are read.
const READING: &[Rule] = &[(pointers::RULE, pointers::check)];

/// What each line may be and each file must have.
const DETAILS: &[Rule] = &[
    (dependencies::RULE, dependencies::check),
    (codes::RULE, codes::check),
    (notes::RULE, notes::check),
    (sql::RULE, sql::check),
    (migrations::RULE, migrations::check),
    (security::RULE, security::check),
    #[cfg(feature = "generated")]
    (pages::RULE, pages::check),
];

fn read(root: &Path) -> Result<Tree> {
    let mut tree = Tree::read(root)?;
    graph::mark_tests(&mut tree);
    Ok(tree)
}

/// Applies rules to a tree.
fn findings(tree: &Tree, rules: &[Rule]) -> Vec<Finding> {
    let unread = tree.sources.iter().filter_map(|source| {
        let (line, message) = source.error.clone()?;
        Some(Finding { rule: "syntax", file: source.path.clone(), line, message })
    });
    let mut out: Vec<Finding> = unread.chain(rules.iter().flat_map(|(_, check)| check(tree))).collect();
    out.sort();
    out
}

/// Prints what breaks the rules in the tree under a folder.
///
/// # Errors
/// When something does, or when the tree cannot be read.
pub fn run(root: &Path) -> Result<()> {
    let tree = read(root)?;
    let found = findings(&tree, &[STRUCTURE, READING, DETAILS].concat());
    let mut out = std::io::stdout().lock();
    for finding in &found {
        writeln!(out, "{finding}")?;
    }
    for (rule, _) in STRUCTURE.iter().chain(READING).chain(DETAILS) {
        let n = found.iter().filter(|finding| finding.rule == *rule).count();
        if n > 0 {
            writeln!(out, "{n:5} {rule}")?;
        }
    }
    ensure!(found.is_empty(), "{} findings", found.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::root;

    static TREE: LazyLock<Tree> = LazyLock::new(|| read(&root()).unwrap());

    fn assert_none(rules: &[Rule]) {
        let found = findings(&TREE, rules);
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "{} findings:\n{}", shown.len(), shown.join("\n"));
    }

    #[test]
    fn the_tree_is_tidy() {
        assert_none(STRUCTURE);
    }

    #[test]
    fn results_are_read_by_their_types() {
        assert_none(READING);
    }

    #[test]
    fn every_detail_is_in_its_place() {
        assert_none(DETAILS);
    }

    #[test]
    fn a_file_that_cannot_be_parsed_is_a_finding() {
        let tree = Tree::of(vec![("crates/core/src/lib.rs".to_owned(), "fn {".to_owned())]);
        let rules: Vec<&str> = findings(&tree, &[]).iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, ["syntax"]);
    }

    #[cfg(feature = "generated")]
    #[test]
    fn manifests_say_what_the_built_server_says() {
        let program = crate::manifest::program().unwrap();
        crate::generated::check(&crate::manifest::files(&program).unwrap(), "manifest").unwrap();
    }
}
