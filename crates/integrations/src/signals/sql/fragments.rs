//! Texts of the user's inside of a statement of ours: tables, conditions and names, each where it cannot become anything else.

use outcome_core::domain::Relation;

use super::dialect::Dialect;
use super::lexer::{Token, tokens};

/// A table, or a query in its place.
pub(super) fn relation(dialect: Dialect, rows: &Relation) -> Result<String, String> {
    match rows {
        Relation::Table(name) => Ok(name.clone()),
        Relation::Sql(text) => Ok(format!("{} or_rows", fragment(dialect, text)?)),
    }
}

/// `WITH ...` before a statement, for tables of ours; nothing where there are none.
pub(super) fn with(tables: &[String]) -> String {
    if tables.is_empty() { String::new() } else { format!("WITH {}\n", tables.join(",\n")) }
}

/// `AND (...)` for each condition.
pub(super) fn conditions<'c>(
    dialect: Dialect,
    all: impl IntoIterator<Item = &'c Option<String>>,
) -> Result<String, String> {
    all.into_iter().flatten().map(|condition| Ok(format!(" AND {}", fragment(dialect, condition)?))).collect()
}

/// A text of the user's in brackets of ours, which it cannot close. The line after it ends a comment at its end.
pub(super) fn fragment(dialect: Dialect, text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches(';');
    let mut depth = 0_i64;
    for token in tokens(&format!("SELECT {text}"), dialect)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_the_texts_of_each_database_are_none() {
        for (dialect, text) in [
            (Dialect::Postgres, "name = 'it''s (' AND \"a(b\" > 1"),
            (Dialect::MySql, r"name = 'it\'s (' AND `a(b` > 1"),
            (Dialect::ClickHouse, r"name = 'it\'s (' AND `a(b` > 1"),
            (Dialect::BigQuery, r#"name = "it\"s (" AND `a(b` > 1"#),
            (Dialect::Snowflake, r"name = 'it\'s (' AND payload:a > 1"),
        ] {
            assert_eq!(fragment(dialect, text), Ok(format!("({text}\n)")), "{dialect:?}");
            assert!(fragment(dialect, &format!("{text})")).is_err(), "{dialect:?}");
        }
    }

    #[test]
    fn a_name_of_a_variant_is_quoted_as_each_database_does() {
        let names = ["o'n".to_owned()];
        assert_eq!(list(Dialect::Postgres, &names).unwrap(), "'o''n'");
        assert_eq!(list(Dialect::BigQuery, &names).unwrap(), r"'o\'n'");
        assert!(list(Dialect::BigQuery, &[r"a\".to_owned()]).is_err());
    }
}
