//! Names of a database as the outcome file has them: in the quotes of the engine where they need some. **Invariant**: a name that is written
//! has nothing in it but letters, digits, `_`, `-` and spaces, so that it means the same in SQL, in YAML and to whoever reads it.

use crate::characters::deceptive;
use crate::ports::{SqlEngine, TableInfo};

/// The longest name that is written, in characters: the engines' own limit.
const MAX_NAME: usize = 64;

/// Words that mean something else without quotes, in one of the engines.
const RESERVED: [&str; 72] = [
    "user",
    "order",
    "group",
    "table",
    "select",
    "from",
    "where",
    "to",
    "end",
    "limit",
    "offset",
    "check",
    "column",
    "default",
    "case",
    "when",
    "then",
    "else",
    "and",
    "or",
    "not",
    "null",
    "primary",
    "references",
    "union",
    "unique",
    "using",
    "with",
    "desc",
    "asc",
    "all",
    "any",
    "as",
    "both",
    "cast",
    "collate",
    "constraint",
    "create",
    "cross",
    "distinct",
    "do",
    "except",
    "false",
    "true",
    "for",
    "foreign",
    "grant",
    "having",
    "in",
    "into",
    "is",
    "join",
    "leading",
    "left",
    "like",
    "natural",
    "on",
    "only",
    "right",
    "trailing",
    "window",
    "key",
    "keys",
    "index",
    "rank",
    "row",
    "rows",
    "groups",
    "system",
    "values",
    "condition",
    "trigger",
];

/// Whether the name can be written at all.
pub(super) fn is_plain(name: &str) -> bool {
    let may_be = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
    !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && name.chars().all(may_be)
        && name.trim() == name
        && deceptive(name).is_none()
}

/// A column as a query would write it; `None` where nobody should.
pub(super) fn column(name: &str, engine: SqlEngine) -> Option<String> {
    is_plain(name).then(|| quoted(name, engine))
}

/// A table as a query would write it; `None` where nobody should.
pub(super) fn table(table: &TableInfo, engine: SqlEngine) -> Option<String> {
    let name = column(&table.name, engine)?;
    match &table.schema {
        Some(schema) => Some(format!("{}.{name}", column(schema, engine)?)),
        None => Some(name),
    }
}

fn quoted(name: &str, engine: SqlEngine) -> String {
    let is_word = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !RESERVED.contains(&name);
    let quote = if engine == SqlEngine::MySql { '`' } else { '"' };
    if is_word { name.to_owned() } else { format!("{quote}{name}{quote}") }
}

/// A text as YAML reads it, plain where it may be.
pub(super) fn yaml(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let means_else = matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if is_word && !means_else { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A literal of SQL; `None` for a text that is more than a word.
pub(super) fn literal(text: &str) -> Option<String> {
    let may_be = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '$' | '/');
    (!text.is_empty() && text.len() <= 80 && text.chars().all(may_be)).then(|| format!("'{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, engine, expected) in [
            ("orders", SqlEngine::Postgres, Some("orders")),
            ("user", SqlEngine::Postgres, Some("\"user\"")),
            ("createdAt", SqlEngine::Postgres, Some("\"createdAt\"")),
            ("createdAt", SqlEngine::MySql, Some("`createdAt`")),
            ("2fa", SqlEngine::Sqlite, Some("\"2fa\"")),
            ("größe", SqlEngine::Sqlite, Some("\"größe\"")),
            ("a\"b", SqlEngine::Sqlite, None),
            ("a\nb", SqlEngine::Sqlite, None),
            ("a: b", SqlEngine::Sqlite, None),
            ("or\u{200b}ders", SqlEngine::Sqlite, None),
            ("\u{43e}rders", SqlEngine::Sqlite, None),
            (" a", SqlEngine::Sqlite, None),
            ("", SqlEngine::Sqlite, None),
        ] {
            assert_eq!(column(name, engine).as_deref(), expected, "{name:?}");
        }
        let other = TableInfo { schema: Some("Shop".to_owned()), name: "order".to_owned(), columns: Vec::new() };
        assert_eq!(table(&other, SqlEngine::Postgres).as_deref(), Some("\"Shop\".\"order\""));
    }

    #[test]
    fn yaml_reads_what_was_meant() {
        for (text, expected) in
            [("orders", "orders"), ("on", "\"on\""), ("\"user\"", "\"\\\"user\\\"\""), ("1a", "\"1a\"")]
        {
            assert_eq!(yaml(text), expected);
        }
        assert_eq!(literal("order_completed").as_deref(), Some("'order_completed'"));
        assert_eq!(literal("it's"), None);
    }
}
