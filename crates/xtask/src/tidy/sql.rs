//! Front ends write no SQL: that is the store's work.

use super::finding::Finding;
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "sql";

/// Where no SQL is written.
const WATCHED: &[&str] = &["crates/mcp/src/", "crates/daemon/src/", "crates/cli/src/"];
/// The demonstration plays a shop with a database of its own.
const SHOP: &str = "crates/cli/src/commands/demo/";

/// Finds the database's crate in front ends, tests in their sources included.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let watched = tree.sources.iter().filter(|source| {
        WATCHED.iter().any(|folder| source.path.starts_with(folder)) && !source.path.starts_with(SHOP)
    });
    let found = watched.filter_map(|source| {
        let named = source.tokens.iter().find(|token| token.is_word("sqlx"));
        named.map(|token| (source.path.clone(), token.line))
    });
    found
        .map(|(file, line)| Finding {
            rule: RULE,
            file,
            line,
            message: "`sqlx` in a front end: SQL is the store's work".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_demonstrations_shop_has_a_database() {
        let n = |path: &str| check(&Tree::with(&[(path, "fn f() { sqlx::query(\"SELECT 1\") }")])).len();
        assert_eq!(n("crates/daemon/src/api/gates.rs"), 1);
        assert_eq!(n("crates/cli/src/commands/demo/shop.rs"), 0);
        assert_eq!(n("crates/core/src/store/db.rs"), 0);
    }
}
