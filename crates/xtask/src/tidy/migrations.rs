//! Migrations come in pairs, one for each engine, and drop no data.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "migration";

const ENGINES: [&str; 2] = ["sqlite", "postgres"];

/// Finds migrations without their pair, and statements that drop what cannot be rebuilt.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let of = |engine: &str| -> BTreeMap<&str, &str> {
        let folder = format!("migrations/{engine}/");
        let files = tree.texts.iter().filter_map(|(path, text)| Some((path.strip_prefix(&folder)?, text.as_str())));
        files.collect()
    };
    let [sqlite, postgres] = ENGINES.map(of);
    let mut out = Vec::new();
    for (engine, files, others) in [("sqlite", &sqlite, &postgres), ("postgres", &postgres, &sqlite)] {
        let mut add = |name: &str, line, message| {
            out.push(Finding { rule: RULE, file: format!("migrations/{engine}/{name}"), line, message });
        };
        let all: String = files.values().map(|text| without_comments(text)).collect();
        for (name, text) in files {
            if !others.contains_key(name) {
                add(name, 1, "the other engine has no migration of this name".to_owned());
            }
            for (line, statement) in drops(text) {
                if !is_derived(&statement, &all) {
                    add(name, line, format!("`{statement}` drops data: migrations only grow"));
                }
            }
        }
    }
    out
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| if line.starts_with("--") { "\n".to_owned() } else { format!("{line}\n") }).collect()
}

/// Statements that drop something, with their lines.
fn drops(text: &str) -> Vec<(usize, String)> {
    let mut line = 1;
    let mut out = Vec::new();
    for statement in without_comments(text).split(';') {
        let shown = statement.trim();
        let n_before = statement.len() - statement.trim_start().len();
        let first = line + statement.get(..n_before).unwrap_or_default().matches('\n').count();
        let upper = shown.to_uppercase();
        if upper.replace("DROP NOT NULL", "").contains("DROP ") {
            out.push((first, shown.to_owned()));
        }
        line += statement.matches('\n').count();
    }
    out
}

/// An index can be rebuilt from the rows, and so can a full-text table; a table that is made anew under its name was copied before.
fn is_derived(statement: &str, all: &str) -> bool {
    match statement.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["DROP", "INDEX" | "TRIGGER", _] => true,
        ["DROP", "TABLE", table] => {
            let copied = format!("FROM {table};\nDROP TABLE {table};\nALTER TABLE {table}_anew RENAME TO {table};");
            all.contains(&format!("CREATE VIRTUAL TABLE {table} ")) || all.contains(&copied)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(sqlite: &[(&str, &str)], postgres: &[(&str, &str)]) -> Vec<String> {
        let folder = |engine: &str, files: &[(&str, &str)]| -> Vec<(String, String)> {
            files.iter().map(|(name, text)| (format!("migrations/{engine}/{name}"), (*text).to_owned())).collect()
        };
        let tree = Tree::of([folder("sqlite", sqlite), folder("postgres", postgres)].concat());
        check(&tree).into_iter().map(|f| format!("{}:{}: {}", f.file, f.line, f.message)).collect()
    }

    #[test]
    fn a_migration_has_its_pair() {
        let one = ("1.sql", "CREATE TABLE a (b TEXT);");
        assert_eq!(messages(&[one], &[one]), [""; 0]);
        assert_eq!(
            messages(&[one], &[]),
            ["migrations/sqlite/1.sql:1: the other engine has no migration of this name"]
        );
        assert_eq!(messages(&[], &[one]).len(), 1);
    }

    #[test]
    fn no_data_is_dropped() {
        let empty = ("1.sql", "");
        for statement in ["DROP TABLE a", "ALTER TABLE a DROP COLUMN b", "drop table a"] {
            let text = format!("-- Why.\nCREATE TABLE c (d TEXT);\n{statement};\n");
            let wanted = format!("migrations/sqlite/1.sql:3: `{statement}` drops data: migrations only grow");
            assert_eq!(messages(&[("1.sql", &text)], &[empty]), [wanted]);
        }
        let derived =
            "DROP INDEX i; DROP TRIGGER t; CREATE VIRTUAL TABLE s USING fts5(a); DROP TABLE s;\n-- DROP TABLE a;\n";
        assert_eq!(messages(&[("1.sql", derived)], &[empty]), [""; 0]);
    }
}
