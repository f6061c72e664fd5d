//! What the server says about how it would read tables.
//! <https://clickhouse.com/docs/sql-reference/statements/explain#explain-plan>

use serde::Deserialize;

use super::super::plan::Access;

#[derive(Debug, Deserialize)]
struct Explained {
    #[serde(rename = "Plan")]
    plan: Node,
}

#[derive(Debug, Deserialize)]
struct Node {
    #[serde(rename = "Node Type")]
    kind: String,
    #[serde(rename = "Description", default)]
    description: String,
    #[serde(rename = "Indexes", default)]
    indexes: Vec<Index>,
    #[serde(rename = "Plans", default)]
    plans: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Index {
    #[serde(rename = "Initial Granules")]
    before: Option<u64>,
    #[serde(rename = "Selected Granules")]
    after: Option<u64>,
}

/// How the tables of a plan are read; nothing where the text is none.
pub(super) fn access(json: &str) -> Access {
    let mut found = Access::default();
    let explained: Vec<Explained> = serde_json::from_str(json).unwrap_or_default();
    for one in &explained {
        look(&one.plan, &mut found);
    }
    found
}

fn look(node: &Node, found: &mut Access) {
    let is_table = node.kind.starts_with("ReadFrom") && node.description.contains('.');
    if is_table {
        // Each index begins with what the one before it left.
        let before = node.indexes.iter().filter_map(|index| index.before).max();
        let after = node.indexes.iter().filter_map(|index| index.after).min();
        match (before, after) {
            (Some(before), Some(after)) if after < before => found.uses_index = true,
            _ => found.note(&node.description),
        }
    }
    for inner in &node.plans {
        look(inner, found);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_table_is_read_whole_unless_an_index_leaves_granules_out() {
        let json = r#"[{"Plan": {"Node Type": "Join", "Plans": [
            {"Node Type": "Filter", "Plans": [{"Node Type": "ReadFromMergeTree", "Description": "shop.orders", "Indexes": [
                {"Type": "MinMax", "Initial Granules": 10, "Selected Granules": 10},
                {"Type": "PrimaryKey", "Initial Granules": 10, "Selected Granules": 1}]}]},
            {"Node Type": "ReadFromMergeTree", "Description": "shop.exposures", "Indexes": [
                {"Type": "PrimaryKey", "Condition": "true", "Initial Granules": 7, "Selected Granules": 7}]},
            {"Node Type": "ReadFromMemoryStorage", "Description": "shop.m"},
            {"Node Type": "ReadFromSystemOne"}]}}]"#;
        let full_scans = ["shop.exposures", "shop.m"].map(str::to_owned).to_vec();
        assert_eq!(access(json), Access { full_scans, uses_index: true });
        assert_eq!(access("Output: 1"), Access::default());
    }
}
