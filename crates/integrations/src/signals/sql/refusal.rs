//! From an engine's error to a [`ReadError`].
//!
//! What a database says while it *prepares* a statement is about names, types and syntax, and is shown: without it nobody
//! finds a wrong column. What it says while it *runs* one can hold values of rows (`invalid input syntax for type integer:
//! "ceo@corp.example:..."`), and errors are shown to agents and stored. **Invariant**: of an error while connecting or
//! running only the code and the position leave this module, with our own words for the code.

use sqlx::error::DatabaseError;

use super::bind::Statement;
use super::dialect::Dialect;
use super::engine::{self, Class, EngineError, Said};
use super::{SqlSource, mysql, postgres, words};
use outcome_core::ports::ReadError;

impl SqlSource {
    /// What went wrong. `asked` is the query as written and as sent, for the position.
    pub(super) fn refusal(&self, error: EngineError, signal: &str, asked: Option<(&str, &Statement)>) -> ReadError {
        let source_name = self.name.clone();
        let signal = signal.to_owned();
        let dialect = self.engine.dialect();
        let (error, is_preparing) = match error {
            EngineError::Timeout => {
                let hint = hint_to_ask_for_less(self.engine.dialect(), &source_name);
                return ReadError::Timeout { source_name, limit: self.limits.statement, hint };
            }
            EngineError::ConnectTimeout => {
                let detail = format!("no connection within {} s", engine::CONNECT_LIMIT.as_secs());
                return ReadError::Unreachable { source_name, detail };
            }
            EngineError::File(trouble) => return ReadError::File { source_name, trouble },
            EngineError::TooManyRows => {
                let problem = format!("it has more than {} rows", self.limits.rows);
                let hint = "aggregate in the query: a reading is one row, or one row per variant".to_owned();
                return ReadError::Shape { source_name, signal, problem, hint };
            }
            EngineError::Said(said) => return self.said(said, signal, asked),
            EngineError::Prepare(error) => (error, true),
            EngineError::Run(error) => (error, false),
        };
        let Some(said) = error.as_database_error() else {
            return self.without_words_of_the_server(&error, signal);
        };
        let is_shown = is_preparing && speaks_of_the_query(dialect, said);
        let code = said.code().unwrap_or_default();
        let detail = if is_shown {
            self.redactor.clean(said.message())
        } else {
            words::of_code(dialect, &code, mysql::number(said))
        };
        let class = classify(dialect, &code, said);
        let hint = match class {
            Class::Value => "guard the division, as in `x / nullif(y, 0)`".to_owned(),
            _ if is_shown => hint_for_the_query(dialect, &code, &detail),
            _ => hint_to_see_the_text(dialect),
        };
        self.of_class(Said { class, detail, hint, position: postgres::position(said) }, signal, asked)
    }

    /// What an engine said over HTTP.
    fn said(&self, said: Said, signal: String, asked: Option<(&str, &Statement)>) -> ReadError {
        let detail = self.redactor.clean(&said.detail);
        let hint = if said.hint.is_empty() { hint_to_see_the_text(self.engine.dialect()) } else { said.hint };
        self.of_class(Said { detail, hint, ..said }, signal, asked)
    }

    fn of_class(&self, said: Said, signal: String, asked: Option<(&str, &Statement)>) -> ReadError {
        let Said { class, detail, hint, position } = said;
        let source_name = self.name.clone();
        match class {
            Class::Unauthorized => {
                let hint = hint_for_the_user(self.engine.dialect(), &source_name);
                ReadError::Unauthorized { source_name, detail, hint }
            }
            Class::Unreachable => ReadError::Unreachable { source_name, detail },
            Class::Timeout => {
                let hint = hint_to_ask_for_less(self.engine.dialect(), &source_name);
                ReadError::Timeout { source_name, limit: self.limits.statement, hint }
            }
            Class::Throttled(retry_after) => ReadError::Throttled { source_name, detail, retry_after },
            Class::Config => ReadError::Config { source_name, problem: detail, hint },
            Class::Value => ReadError::Shape { source_name, signal, problem: detail, hint },
            Class::Query => {
                let origin = asked.zip(position).and_then(|((query, statement), at)| statement.origin(query, at));
                let (line, column) = origin.unzip();
                ReadError::Query { source_name, signal, detail, hint, line, column }
            }
        }
    }

    /// The driver's and the operating system's own words; what cannot be decoded may be a value, and is not shown.
    fn without_words_of_the_server(&self, error: &sqlx::Error, signal: String) -> ReadError {
        let source_name = self.name.clone();
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::Configuration(_) => {
                let detail = self.redactor.clean(&outcome_core::error::error_chain(error));
                ReadError::Unreachable { source_name, detail }
            }
            sqlx::Error::Protocol(_) => {
                let detail = "its answer does not follow the protocol of the database".to_owned();
                ReadError::Unreachable { source_name, detail }
            }
            _ => {
                let detail = "its answer could not be decoded".to_owned();
                let hint = hint_to_see_the_text(self.engine.dialect());
                ReadError::Query { source_name, signal, detail, hint, line: None, column: None }
            }
        }
    }
}

/// MySQL's errors about names, rights and syntax, whose texts hold no value.
/// <https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html>
const OF_NAMES_AND_SYNTAX: &[u16] = &[
    1044, 1046, 1049, 1051, 1052, 1054, 1055, 1056, 1060, 1064, 1065, 1066, 1103, 1109, 1110, 1111, 1128, 1140, 1142,
    1143, 1146, 1149, 1176, 1222, 1227, 1241, 1247, 1248, 1267, 1305, 1318, 1345, 1356, 1370, 1463, 1582, 1583, 1584,
];

/// Whether an error of preparing is about the query and its names alone.
fn speaks_of_the_query(dialect: Dialect, said: &dyn DatabaseError) -> bool {
    match dialect {
        // Analysis evaluates literals, which are the query's own; functions and rows come later.
        Dialect::Postgres | Dialect::Sqlite => true,
        // Constant arguments of some functions (`extractvalue`) are evaluated while a statement is prepared, and a
        // subquery counts as one.
        Dialect::MySql => mysql::number(said).is_some_and(|number| OF_NAMES_AND_SYNTAX.contains(&number)),
        // These speak over HTTP.
        Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake => false,
    }
}

fn hint_for_the_user(dialect: Dialect, source_name: &str) -> String {
    let what = match dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite => "the user and password in the connector's address",
        Dialect::ClickHouse => "`user` and `password`",
        Dialect::BigQuery => "the key that `credentials` names, the clock of this machine",
        Dialect::Snowflake => "`user` and its key or token, the network policy of the account",
    };
    format!(
        "check {what}, and that the user can SELECT from the tables \
         (`outcome-runtime connectors role {source_name}` prints the rights that it needs); then run \
         `outcome-runtime connectors test {source_name}`"
    )
}

fn hint_to_ask_for_less(dialect: Dialect, source_name: &str) -> String {
    let less = match dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite => {
            "shows the query plan: add an index or read a smaller table"
        }
        Dialect::ClickHouse => "shows the query plan: order or partition the table by what the query asks for",
        Dialect::BigQuery => "shows how much a query reads: partition and cluster the tables",
        Dialect::Snowflake => "shows how much a query reads: cluster the tables or use a larger warehouse",
    };
    format!("`outcome-runtime connectors test {source_name}` {less}, or raise `statement_timeout`")
}

fn hint_to_see_the_text(dialect: Dialect) -> String {
    let program = dialect.program();
    format!(
        "the database's own text is not shown, because it can hold rows; to read it, run the query yourself in {program}, \
         with literal values for its parameters"
    )
}

/// What helps against an error whose text was shown.
fn hint_for_the_query(dialect: Dialect, code: &str, detail: &str) -> String {
    // https://www.postgresql.org/docs/current/errcodes-appendix.html: undefined function (operators are functions),
    // datatype mismatch, ambiguous function, indeterminate datatype.
    let is_about_types = dialect == Dialect::Postgres && matches!(code, "42883" | "42804" | "42725" | "42P18");
    let holds = |words: &[&str]| words.iter().any(|word| detail.contains(word));
    if is_about_types && holds(&["timestamp with time zone"]) {
        if holds(&["integer", "bigint", "smallint", "numeric", "double precision", "real"]) {
            return "`:from` and `:to` are instants: for a column of seconds set `time_format: unix_seconds` in the \
                    connector's `config` (`unix_millis` for milliseconds), or cast it, as in `to_timestamp(column) >= :from`"
                .to_owned();
        }
        if holds(&["text", "character"]) {
            return "`:from` and `:to` are instants: for a column of ISO 8601 text set `time_format: iso8601` in the \
                    connector's `config`, or cast it, as in `column::timestamptz >= :from`"
                .to_owned();
        }
    }
    if is_about_types {
        return "parameters are text, and the database compares values of one type: cast the parameter, as in \
                `:segment_platform::my_enum`, or the column, as in `CAST(column AS text) = :segment_platform`"
            .to_owned();
    }
    "run the query by hand with literal values for its parameters".to_owned()
}

/// Sorts a database's error by its documented code: SQLSTATE, MySQL's error number, SQLite's result code.
fn classify(dialect: Dialect, code: &str, said: &dyn DatabaseError) -> Class {
    match dialect {
        Dialect::Postgres => match code {
            // https://www.postgresql.org/docs/current/errcodes-appendix.html
            "57014" => Class::Timeout,
            "22012" => Class::Value,
            "42501" => Class::Unauthorized,
            _ if code.starts_with("28") => Class::Unauthorized,
            _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => Class::Unreachable,
            // The database is not there.
            "3D000" => Class::Unreachable,
            _ => Class::Query,
        },
        Dialect::MySql => match mysql::number(said) {
            // https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html, 1969 is MariaDB's own.
            Some(1969 | 3024 | 1317) => Class::Timeout,
            Some(1044 | 1045 | 1142 | 1143 | 1227 | 1698) => Class::Unauthorized,
            Some(1040 | 1049 | 1053 | 1129 | 1130 | 1203 | 1226) => Class::Unreachable,
            _ => Class::Query,
        },
        Dialect::Sqlite => match code.parse::<u32>().map(|extended| extended & 0xff) {
            // https://www.sqlite.org/rescode.html: busy, locked, I/O error, cannot open, not a database.
            Ok(5 | 6 | 10 | 14 | 26) => Class::Unreachable,
            Ok(9) => Class::Timeout,
            Ok(3 | 23) => Class::Unauthorized,
            _ => Class::Query,
        },
        Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake => Class::Query,
    }
}
