//! Names of tables and columns, and the queries in their place.

use super::report::{At, Problem, Reporter, Span, shown};
use crate::domain::Relation;

/// The texts of a list, or the one that is meant without it.
pub(super) fn names(list: Option<&At<Vec<At<String>>>>, default: &str) -> Vec<String> {
    list.map_or_else(|| vec![default.to_owned()], |list| list.value.iter().map(|at| at.value.clone()).collect())
}

/// A table or a query, and not both.
pub(super) fn relation(
    at: Span,
    table: Option<&At<String>>,
    sql: Option<&At<String>>,
    what: &str,
    reporter: &mut Reporter<'_>,
) -> Option<Relation> {
    match (table, sql) {
        (Some(_), None) => column(table, reporter).map(Relation::Table),
        (None, Some(sql)) => Some(Relation::Sql(sql.value.clone())),
        (Some(_), Some(sql)) => {
            let problem =
                Problem::error("config.duplicate_key", sql.span, format!("{what} has a `table` and an `sql`"));
            reporter.push(problem.valid("one of the two").help("remove one of them"));
            None
        }
        (None, None) => {
            let problem = Problem::error("config.missing_key", at, format!("{what} needs the key `table`"));
            reporter.push(problem.valid("`table`: the table or view").help("write `table: orders`"));
            None
        }
    }
}

/// The name of a table or column, as a query would write it: plain or quoted words with dots between them.
pub(super) fn column(name: Option<&At<String>>, reporter: &mut Reporter<'_>) -> Option<String> {
    let name = name?;
    let text = name.value.trim();
    if is_name(text) {
        return Some(text.to_owned());
    }
    let message = format!("`{}` is not the name of a table or column", shown(text));
    let problem = Problem::error("config.unknown_value", name.span, message);
    reporter.push(
        problem
            .valid("letters, digits and `_`, with dots between parts; anything else in the quotes of the database")
            .help(format!("put it in the quotes of the database, as a query would: `'\"{}\"'`", shown(text))),
    );
    None
}

fn is_name(text: &str) -> bool {
    let mut rest = text;
    loop {
        let quote = rest.chars().next().filter(|c| "\"`".contains(*c));
        let end = match quote {
            Some(quote) => rest.get(1..).and_then(|inner| inner.find(quote)).filter(|len| *len > 0).map(|at| at + 2),
            None => {
                let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                (len > 0 && !rest.starts_with(|c: char| c.is_ascii_digit())).then_some(len)
            }
        };
        let Some(after) = end.and_then(|end| rest.get(end..)) else { return false };
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None => return after.is_empty(),
        }
    }
}
