//! Texts of the user's inside of a statement of ours: tables, conditions and names, each where it cannot become anything else.

use outcome_core::domain::Relation;

use super::dialect::Dialect;
use super::lexer::{Token, tokens};

/// A table, or a query in its place.
pub(super) fn relation(rows: &Relation) -> Result<String, String> {
    match rows {
        Relation::Table(name) => Ok(name.clone()),
        Relation::Sql(text) => Ok(format!("{} or_rows", fragment(text)?)),
    }
}

/// `WITH ...` before a statement, for tables of ours; nothing where there are none.
pub(super) fn with(tables: &[String]) -> String {
    if tables.is_empty() { String::new() } else { format!("WITH {}\n", tables.join(",\n")) }
}

/// `AND (...)` for each condition.
pub(super) fn conditions<'c>(all: impl IntoIterator<Item = &'c Option<String>>) -> Result<String, String> {
    all.into_iter().flatten().map(|condition| Ok(format!(" AND {}", fragment(condition)?))).collect()
}

/// A text of the user's in brackets of ours, which it cannot close. The line after it ends a comment at its end.
pub(super) fn fragment(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches(';');
    let mut depth = 0_i64;
    // Which engine reads it makes no difference for brackets, but for its own way of quoting; the statement is read again as a whole.
    for token in tokens(&format!("SELECT {text}"), Dialect::Postgres)? {
        depth += match token {
            Token::Sign('(') => 1,
            Token::Sign(')') => -1,
            Token::Word(_) | Token::Name(_) | Token::Sign(_) => 0,
        };
        if depth < 0 {
            break;
        }
    }
    if depth != 0 {
        return Err(format!("the brackets in `{}` do not match", text.chars().take(60).collect::<String>()));
    }
    Ok(format!("({text}\n)"))
}

/// Texts as a list of literals.
pub(super) fn list(dialect: Dialect, names: &[String]) -> Result<String, String> {
    let literal = |name: &String| {
        // A backslash means something else in each engine.
        if name.contains('\\') || name.chars().any(char::is_control) {
            return Err("a name of a variant has a backslash or a control character".to_owned());
        }
        let quote = if dialect == Dialect::BigQuery { "\\'" } else { "''" };
        Ok(format!("'{}'", name.replace('\'', quote)))
    };
    Ok(names.iter().map(literal).collect::<Result<Vec<_>, _>>()?.join(", "))
}
