//! Pages that are made from the core's tables say what the tables say.

use super::finding::Finding;
use super::tree::Tree;
use crate::generated::{Generated, files};

/// The rule's name.
pub const RULE: &str = "generated";

/// Finds generated files that differ from what would be written now.
pub fn check(tree: &Tree) -> Vec<Finding> {
    match files() {
        Ok(files) => compare(tree, &files),
        Err(error) => vec![finding("docs", format!("cannot be made: {error:#}"))],
    }
}

fn compare(tree: &Tree, files: &[Generated]) -> Vec<Finding> {
    let stale = files.iter().filter(|file| tree.texts.get(file.path) != Some(&file.text));
    stale.map(|file| finding(file.path, "out of date: run `cargo xtask docs`".to_owned())).collect()
}

fn finding(file: &str, message: String) -> Finding {
    Finding { rule: RULE, file: file.to_owned(), line: 1, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_missing_or_old_is_found() {
        let made = [Generated { path: "docs/a.md", text: "# A\n".to_owned() }];
        assert_eq!(compare(&Tree::with(&[("docs/a.md", "# A\n")]), &made), []);
        for tree in [Tree::with(&[("docs/a.md", "# a\n")]), Tree::with(&[])] {
            assert_eq!(compare(&tree, &made), [finding("docs/a.md", "out of date: run `cargo xtask docs`".to_owned())]);
        }
    }
}
