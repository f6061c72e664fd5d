//! Parameters: which there are, how they are written in each engine, and what is bound.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::TimeFormat;
use super::dialect::Dialect;
use super::lexer::{Piece, lex};

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Param {
    At(Timestamp),
    Text(String),
}

/// The parameters of a query, by name in lower case; the query may write it in any.
pub(super) type Params = BTreeMap<String, Param>;

/// What is sent beside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bind {
    Text(String),
    Int(i64),
    /// An instant, for what has parameters of such a type.
    At(String),
}

/// A query that can be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    /// In the engine's own placeholders.
    pub(super) sql: String,
    /// In the order of the placeholders.
    pub(super) binds: Vec<Bind>,
    /// Names of the parameters that occur.
    pub(super) used: Vec<String>,
    /// SHA-256 of the text as written and of the parameters in it, in hexadecimal.
    pub(super) hash: String,
    /// Where each piece of the text as written begins in `sql` (in bytes), for positions in errors.
    origins: Vec<(usize, usize)>,
}

impl Statement {
    /// Prepares `query` with `params`; only those that occur are bound.
    ///
    /// # Errors
    /// A sentence about what is wrong with the query.
    pub(super) fn prepare(query: &str, dialect: Dialect, params: &Params, format: TimeFormat) -> Result<Self, String> {
        let mut out =
            Self { sql: String::new(), binds: Vec::new(), used: Vec::new(), hash: String::new(), origins: Vec::new() };
        let mut hashed = BTreeMap::new();
        let mut at = 0;
        for piece in lex(query, dialect)? {
            out.origins.push((out.sql.len(), at));
            match piece {
                Piece::Text(text) => {
                    out.sql.push_str(text);
                    at += text.len();
                }
                // A slice of an array: `tags[1:array_length(tags, 1)]`.
                Piece::Bound(written) if !params.contains_key(&written.to_lowercase()) => {
                    out.sql.push(':');
                    out.sql.push_str(written);
                    at += 1 + written.len();
                }
                Piece::Param(written) | Piece::Bound(written) => {
                    let name = &written.to_lowercase();
                    let Some(param) = params.get(name) else {
                        let valid: Vec<_> = params.keys().map(|name| format!(":{name}")).collect();
                        return Err(format!("unknown parameter `:{name}`; valid here: {}", valid.join(" ")));
                    };
                    let bind = bind(param, dialect, format);
                    hashed.insert(name.to_owned(), as_json(&bind));
                    let has_type =
                        matches!(param, Param::At(_)) && matches!(format, TimeFormat::Native | TimeFormat::Datetime);
                    out.push_placeholder(name, bind, dialect, has_type.then_some(format));
                    at += 1 + written.len();
                }
            }
        }
        // A `BTreeMap` of strings and integers has one JSON text only, so this is canonical as it stands.
        let hashed = json!({ "parameters": hashed, "sql": query }).to_string();
        out.hash = hex::encode(Sha256::digest(hashed));
        Ok(out)
    }

    /// `time`: of an instant that is sent as one, how its column holds it.
    fn push_placeholder(&mut self, name: &str, bind: Bind, dialect: Dialect, time: Option<TimeFormat>) {
        let is_number = matches!(bind, Bind::Int(_));
        let known = self.used.iter().position(|used| used == name);
        // The placeholders of MySQL and Snowflake have no numbers: each occurrence is bound.
        let number = match (dialect, known) {
            (Dialect::Postgres | Dialect::Sqlite | Dialect::ClickHouse | Dialect::BigQuery, Some(index)) => index + 1,
            (_, known) => {
                self.binds.push(bind);
                if known.is_none() {
                    self.used.push(name.to_owned());
                }
                self.binds.len()
            }
        };
        // Instants go as text with an explicit cast, so that the engine compares instants and can use an index.
        let text = match (dialect, time.is_some()) {
            (Dialect::ClickHouse, true) => format!("{{p{number}:DateTime64(6, 'UTC')}}"),
            (Dialect::ClickHouse, false) if is_number => format!("{{p{number}:Int64}}"),
            (Dialect::ClickHouse, false) => format!("{{p{number}:String}}"),
            (Dialect::BigQuery, _) if time == Some(TimeFormat::Datetime) => format!("DATETIME(@p{number})"),
            (Dialect::BigQuery, _) => format!("@p{number}"),
            // A time without a zone is one of the session's, which is UTC; what is compared with it is not cast.
            (Dialect::Snowflake, true) => "CAST(? AS TIMESTAMP_NTZ)".to_owned(),
            (Dialect::Snowflake, false) => "?".to_owned(),
            (Dialect::Postgres, true) => format!("CAST(${number} AS timestamptz)"),
            (Dialect::Postgres, false) => format!("${number}"),
            (Dialect::MySql, true) => "CAST(? AS DATETIME(6))".to_owned(),
            (Dialect::MySql, false) => "?".to_owned(),
            (Dialect::Sqlite, _) => format!("?{number}"),
        };
        self.sql.push_str(&text);
    }

    /// Line and column (from 1, in characters) in `query` as written of the `position`th character (from 1) of what was
    /// sent.
    pub(super) fn origin(&self, query: &str, position: usize) -> Option<(u32, u32)> {
        let sent = self.sql.char_indices().nth(position.checked_sub(1)?).map_or(self.sql.len(), |(at, _)| at);
        let (piece, from) = self.origins.iter().rev().find(|(begins, _)| *begins <= sent)?;
        // Within a parameter the offset may run past its name; then the end of the text before it is near enough.
        let before = query.get(..from + (sent - piece)).or_else(|| query.get(..*from))?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((u32::try_from(line).ok()?, u32::try_from(column).ok()?))
    }
}

fn as_json(bind: &Bind) -> Value {
    match bind {
        Bind::Text(text) | Bind::At(text) => Value::from(text.as_str()),
        Bind::Int(number) => Value::from(*number),
    }
}

/// Text formats hold whole seconds, as the columns that they are compared with usually do: with fractions on one side
/// only the comparison of text would go wrong within that second. Both ends of a window are cut down alike, so that
/// windows that follow each other still share no instant and leave none out.
fn bind(param: &Param, dialect: Dialect, format: TimeFormat) -> Bind {
    let at = match param {
        Param::At(at) => *at,
        Param::Text(text) => return Bind::Text(text.clone()),
    };
    let utc = at.to_zoned(TimeZone::UTC);
    match (format, dialect) {
        (TimeFormat::Native | TimeFormat::Datetime, Dialect::Postgres) => {
            Bind::Text(utc.strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string())
        }
        (TimeFormat::Native | TimeFormat::Datetime, Dialect::MySql) => {
            Bind::Text(utc.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
        }
        (TimeFormat::Native | TimeFormat::Datetime, Dialect::Sqlite) => {
            Bind::Text(utc.strftime("%Y-%m-%d %H:%M:%S").to_string())
        }
        (TimeFormat::Native | TimeFormat::Datetime, Dialect::ClickHouse) => {
            Bind::At(utc.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
        }
        (TimeFormat::Native | TimeFormat::Datetime, Dialect::BigQuery) => {
            Bind::At(utc.strftime("%Y-%m-%d %H:%M:%S.%6f+00:00").to_string())
        }
        (TimeFormat::Native | TimeFormat::Datetime, Dialect::Snowflake) => {
            Bind::Text(utc.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
        }
        (TimeFormat::Iso8601, _) => Bind::Text(utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        (TimeFormat::UnixSeconds, _) => Bind::Int(at.as_millisecond().div_euclid(1000)),
        (TimeFormat::UnixMillis, _) => Bind::Int(at.as_microsecond().div_euclid(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        let at = |text: &str| Param::At(text.parse().unwrap());
        Params::from([
            ("from".to_owned(), at("2026-11-20T10:00:00.25Z")),
            ("to".to_owned(), at("2026-11-21T10:00:00Z")),
            ("flag".to_owned(), Param::Text("new-checkout".to_owned())),
        ])
    }

    fn prepare(sql: &str, dialect: Dialect, format: TimeFormat) -> (String, Vec<Bind>) {
        let statement = Statement::prepare(sql, dialect, &params(), format).unwrap();
        (statement.sql, statement.binds)
    }

    #[test]
    fn writes_each_engines_placeholders_and_binds_only_what_is_used() {
        let sql = "SELECT :flag WHERE a >= :from AND b >= :from";
        let text = |text: &str| Bind::Text(text.to_owned());
        assert_eq!(
            prepare(sql, Dialect::Postgres, TimeFormat::Native),
            (
                "SELECT $1 WHERE a >= CAST($2 AS timestamptz) AND b >= CAST($2 AS timestamptz)".to_owned(),
                vec![text("new-checkout"), text("2026-11-20 10:00:00.250000+00")]
            )
        );
        assert_eq!(
            prepare(sql, Dialect::MySql, TimeFormat::Native),
            (
                "SELECT ? WHERE a >= CAST(? AS DATETIME(6)) AND b >= CAST(? AS DATETIME(6))".to_owned(),
                vec![text("new-checkout"), text("2026-11-20 10:00:00.250000"), text("2026-11-20 10:00:00.250000")]
            )
        );
        assert_eq!(
            prepare(sql, Dialect::Sqlite, TimeFormat::Native),
            ("SELECT ?1 WHERE a >= ?2 AND b >= ?2".to_owned(), vec![text("new-checkout"), text("2026-11-20 10:00:00")])
        );
    }

    #[test]
    fn binds_instants_as_the_column_holds_them() {
        for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
            let bound = |format| prepare("select :from", dialect, format).1;
            assert_eq!(bound(TimeFormat::Iso8601), [Bind::Text("2026-11-20T10:00:00Z".to_owned())]);
            assert_eq!(bound(TimeFormat::UnixSeconds), [Bind::Int(1_795_168_800)]);
            assert_eq!(bound(TimeFormat::UnixMillis), [Bind::Int(1_795_168_800_250)]);
        }
    }

    #[test]
    fn the_end_of_a_slice_is_no_parameter_unless_it_has_the_name_of_one() {
        let sql = "SELECT t[1:array_length(t, 1)], ARRAY[:flag, 'x'], j[:flag], t[:n]";
        let (sent, binds) = prepare(sql, Dialect::Postgres, TimeFormat::Native);
        assert_eq!(sent, "SELECT t[1:array_length(t, 1)], ARRAY[$1, 'x'], j[$1], t[:n]");
        assert_eq!(binds.len(), 1);
        let error = Statement::prepare("SELECT t[1:n], :n", Dialect::Postgres, &params(), TimeFormat::Native);
        assert!(error.unwrap_err().starts_with("unknown parameter `:n`"));
    }

    #[test]
    fn an_unknown_parameter_is_answered_with_the_known_ones() {
        let error = Statement::prepare("select :form", Dialect::Sqlite, &params(), TimeFormat::Native).unwrap_err();
        assert!(Statement::prepare("select :FROM", Dialect::Sqlite, &params(), TimeFormat::Native).is_ok());
        assert_eq!(error, "unknown parameter `:form`; valid here: :flag :from :to");
    }

    #[test]
    fn the_hash_covers_the_text_and_the_parameters_in_it_alone() {
        let hash = |sql: &str, params: &Params| {
            Statement::prepare(sql, Dialect::Sqlite, params, TimeFormat::Native).unwrap().hash
        };
        let mut other = params();
        other.insert("flag".to_owned(), Param::Text("other".to_owned()));
        assert_eq!(hash("select :from", &params()), hash("select :from", &other));
        assert_ne!(hash("select :flag", &params()), hash("select :flag", &other));
        assert_ne!(hash("select :from", &params()), hash("select  :from", &params()));
    }

    #[test]
    fn positions_lead_back_to_the_text_as_written() {
        let sql = "SELECT :from,\n é, nope";
        let statement = Statement::prepare(sql, Dialect::Postgres, &params(), TimeFormat::Native).unwrap();
        let sent = statement.sql.chars().collect::<String>();
        let position = sent.chars().count() - 3;
        assert_eq!(statement.origin(sql, position), Some((2, 5)));
        assert_eq!(statement.origin(sql, 1), Some((1, 1)));
        assert_eq!(statement.origin(sql, 0), None);
    }
}
