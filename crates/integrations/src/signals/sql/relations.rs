//! Which tables and views a query names, for the rights that it needs.
//!
//! It looks for names where SQL has relations: after FROM, JOIN and TABLE, and after the commas of a FROM. That finds too many (names
//! of CTEs, `extract(hour FROM at)`), so whoever asks keeps only those that the database has.

use super::dialect::Dialect;
use super::lexer::{Token, tokens};

/// A name as a query has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

/// Words that end the list of a FROM.
const AFTER_FROM: [&str; 12] = [
    "where",
    "group",
    "order",
    "having",
    "limit",
    "union",
    "intersect",
    "except",
    "window",
    "offset",
    "fetch",
    "select",
];

/// The names at the places of relations. A query that cannot be read has none.
pub(super) fn named_in(query: &str, dialect: Dialect) -> Vec<Named> {
    let tokens = tokens(query, dialect).unwrap_or_default();
    let mut found: Vec<Named> = Vec::new();
    // Whether the innermost open parenthesis, or the query itself, is within a FROM.
    let mut in_from = vec![false];
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        let mut is_place = false;
        match token {
            Token::Sign('(') => in_from.push(false),
            Token::Sign(')') if in_from.len() > 1 => {
                in_from.pop();
            }
            Token::Sign(',') => is_place = in_from.last() == Some(&true),
            Token::Word(word) => {
                let word = word.to_ascii_lowercase();
                if let Some(innermost) = in_from.last_mut() {
                    *innermost = (*innermost || word == "from") && !AFTER_FROM.contains(&word.as_str());
                }
                is_place = matches!(word.as_str(), "from" | "join" | "table");
            }
            Token::Sign(_) | Token::Name(_) => {}
        }
        if !is_place {
            continue;
        }
        while rest.next_if(|next| is_word(next, &["only", "lateral"])).is_some() {}
        let mut parts: Vec<String> = Vec::new();
        while let Some(part) = rest.peek().and_then(|next| name_of(next, dialect)) {
            parts.push(part);
            rest.next();
            if rest.next_if(|next| **next == Token::Sign('.')).is_none() {
                break;
            }
        }
        // What is called is a function.
        if rest.peek() == Some(&&Token::Sign('(')) {
            continue;
        }
        if let Some(name) = parts.pop() {
            let named = Named { schema: parts.pop(), name };
            if !found.contains(&named) {
                found.push(named);
            }
        }
    }
    found
}

fn is_word(token: &Token<'_>, words: &[&str]) -> bool {
    matches!(token, Token::Word(word) if words.iter().any(|one| word.eq_ignore_ascii_case(one)))
}

fn name_of(token: &Token<'_>, dialect: Dialect) -> Option<String> {
    match token {
        Token::Word(word) if dialect == Dialect::Postgres => Some(word.to_lowercase()),
        Token::Word(word) => Some((*word).to_owned()),
        Token::Name(name) => Some(name.clone()),
        Token::Sign(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_names_at_the_places_of_relations() {
        let of = |sql: &str, dialect| {
            let named = named_in(sql, dialect).into_iter();
            named
                .map(|one| one.schema.map_or(one.name.clone(), |schema| format!("{schema}.{}", one.name)))
                .collect::<Vec<_>>()
        };
        let sql = "WITH seen AS (SELECT a, b FROM Shop.\"Visits\" AS v, ONLY users u JOIN orders USING (id) WHERE x IN (SELECT 'from t')) \
                   SELECT count(*), n FROM seen -- from nowhere\n LEFT JOIN LATERAL (SELECT 1 FROM \"a\"\"b\") AS q ON true, \
                   generate_series(1, 2) AS g, last WHERE at >= :from, none";
        assert_eq!(
            of(sql, Dialect::Postgres),
            ["shop.Visits", "users", "orders", "seen", "a\"b", "last"],
            "the functions, strings and comments are no relations"
        );
        assert_eq!(of("SELECT 1 FROM `Shop`.`t` JOIN U", Dialect::MySql), ["Shop.t", "U"]);
        assert_eq!(of("TABLE users", Dialect::Postgres), ["users"]);
        assert!(of("SELECT 'a", Dialect::Postgres).is_empty());
    }
}
