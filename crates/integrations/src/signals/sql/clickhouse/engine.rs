//! How a `ClickHouse` server is asked.

use async_trait::async_trait;
use outcome_core::ports::{QueryPlan, Risk};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use url::Url;

use super::super::bind::Bind;
use super::super::dialect::Dialect;
use super::super::engine::{Ask, Class, Engine, EngineError, Limits, Said, query};
use super::super::table::{Cell, Table};
use super::super::wire::{Answer, Wire};
use super::{answer, grants, plan};

/// What a statement is asked with beside its limits. Missing rows of an outer join are NULL, and not 0 or 1970; different values are
/// counted exactly; days are those of UTC; numbers come as text, so that none loses digits; errors come before the first row.
const SETTINGS: [(&str, &str); 14] = [
    ("default_format", "JSONCompact"),
    ("wait_end_of_query", "1"),
    ("http_write_exception_in_output_format", "0"),
    ("cancel_http_readonly_queries_on_client_close", "1"),
    ("timeout_overflow_mode", "throw"),
    ("result_overflow_mode", "throw"),
    ("read_overflow_mode", "throw"),
    ("join_use_nulls", "1"),
    ("count_distinct_implementation", "uniqExact"),
    ("decimal_check_overflow", "1"),
    ("session_timezone", "UTC"),
    ("output_format_json_quote_64bit_integers", "1"),
    ("output_format_json_quote_decimals", "1"),
    ("output_format_json_quote_denormals", "1"),
];

/// The code of a statement that a read-only user may not run, and of a missing right.
const REFUSED: [&str; 2] = ["error 164:", "error 497:"];

/// Most lines of a plan.
const MOST_LINES: u32 = 5000;

/// Where the server is and as whom it is asked.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) url: Url,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<SecretString>,
    pub(super) max_gigabytes: u32,
    pub(super) merge_rows: bool,
}

#[derive(Debug)]
pub(super) struct ClickHouse {
    login: Login,
    wire: Wire,
    server: OnceCell<Server>,
}

/// What the first question found.
#[derive(Debug)]
struct Server {
    version: String,
    /// The user's profile makes it read-only already, in the mode 2. It then may still call functions that read files or addresses, where
    /// it has the rights; in the mode 1, which is set where it can be, nobody may.
    is_read_only: bool,
}

impl ClickHouse {
    pub(super) fn new(login: Login) -> Result<Self, String> {
        Ok(Self { login, wire: Wire::new()?, server: OnceCell::new() })
    }

    /// What the server is. In the mode 1 of `readonly` nothing can be limited, and in the mode 2 it must not be set again.
    async fn connected(&self, limits: Limits) -> Result<&Server, EngineError> {
        self.server
            .get_or_try_init(async || {
                let sql = "SELECT toInt64(getSetting('readonly')), version()";
                let ask = Ask { sql, binds: &[], limits, keep: |_| true };
                let answer = self.post(ask, &[("default_format", "JSONCompact".to_owned())]).await?;
                let table = answer::table(&answer, ask)?;
                let Some([Cell::Int(mode), Cell::Text(version)]) = table.rows.first().map(Vec::as_slice) else {
                    return Err(Said::new(Class::Value, "it does not say its version").into());
                };
                if *mode == 1 {
                    let said = Said::new(
                        Class::Config,
                        "the user's profile has `readonly = 1`, in which no query can be limited",
                    );
                    return Err(said
                        .hint("take `readonly` out of the user's settings and profile: the runtime sets it for each query; or set it to 2")
                        .into());
                }
                Ok(Server { version: version.clone(), is_read_only: *mode != 0 })
            })
            .await
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Answer, EngineError> {
        let is_read_only = self.connected(ask.limits).await?.is_read_only;
        let seconds = ask.limits.statement.as_millis().div_ceil(1000).max(1);
        let mut settings: Vec<(&str, String)> =
            SETTINGS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        settings.push(("max_execution_time", seconds.to_string()));
        settings.push(("max_result_rows", ask.limits.rows.to_string()));
        settings.push(("max_bytes_to_read", (u64::from(self.login.max_gigabytes) * 1_000_000_000).to_string()));
        if self.login.merge_rows {
            settings.push(("final", "1".to_owned()));
        }
        if !is_read_only {
            settings.push(("readonly", "1".to_owned()));
        }
        self.post(ask, &settings).await
    }

    async fn post(&self, ask: Ask<'_>, settings: &[(&str, String)]) -> Result<Answer, EngineError> {
        let binds = (1..).zip(ask.binds).map(|(number, bind)| (format!("param_p{number}"), escaped(bind)));
        let binds: Vec<(String, String)> = binds.collect();
        let request = |client: &Client| -> RequestBuilder {
            let request = client
                .post(self.login.url.clone())
                .query(&[("database", &self.login.database)])
                .query(settings)
                .query(&binds)
                .header("X-ClickHouse-User", &self.login.user)
                .body(ask.sql.to_owned());
            match &self.login.password {
                Some(password) => request.header("X-ClickHouse-Key", password.expose_secret()),
                None => request,
            }
        };
        self.wire.send(request, ask.limits.patience()).await
    }
}

/// The text of a parameter, which the server reads as a field of a tab-separated line.
fn escaped(bind: &Bind) -> String {
    match bind {
        Bind::Int(number) => number.to_string(),
        Bind::Text(text) | Bind::At(text) => {
            text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
        }
    }
}

#[async_trait]
impl Engine for ClickHouse {
    fn dialect(&self) -> Dialect {
        Dialect::ClickHouse
    }

    fn host(&self) -> String {
        let port = self.login.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.login.url.host_str().unwrap_or_default())
    }

    fn place(&self) -> String {
        format!("clickhouse://{}@{}/{}", self.login.user, self.host(), self.login.database)
    }

    async fn server(&self, limits: Limits) -> Result<String, EngineError> {
        Ok(format!("ClickHouse {}", self.connected(limits).await?.version))
    }

    async fn queries(&self, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
        let mut tables = Vec::with_capacity(asks.len());
        for ask in asks {
            tables.push(answer::table(&self.ask(*ask).await?, *ask)?);
        }
        Ok(tables)
    }

    /// Nothing is made where it is not refused: the database is there.
    async fn refuses_writes(&self, limits: Limits) -> Result<bool, EngineError> {
        let sql = format!("CREATE DATABASE IF NOT EXISTS `{}`", self.login.database.replace('`', ""));
        let answer = self.ask(Ask { sql: &sql, binds: &[], limits, keep: |_| true }).await?;
        Ok(match answer::failure(&answer) {
            None => false,
            Some(EngineError::Said(said)) if REFUSED.iter().any(|code| said.detail.starts_with(code)) => true,
            Some(error) => return Err(error),
        })
    }

    async fn estimate(&self, ask: Ask<'_>) -> Result<Option<QueryPlan>, EngineError> {
        let [shown, as_json] =
            ["EXPLAIN indexes = 1", "EXPLAIN indexes = 1, json = 1"].map(|words| format!("{words} {}", ask.sql));
        let limits = Limits { rows: MOST_LINES, ..ask.limits };
        let lines = query(self, Ask { sql: &shown, limits, ..ask }).await?.lines();
        let found = plan::access(&query(self, Ask { sql: &as_json, limits, ..ask }).await?.lines().join("\n"));
        Ok(Some(QueryPlan { lines, full_scans: found.full_scans, uses_index: found.uses_index, bytes: None }))
    }

    async fn risks(&self, limits: Limits) -> Result<Vec<Risk>, EngineError> {
        let table = query(self, Ask { sql: "SHOW GRANTS", binds: &[], limits, keep: |_| true }).await?;
        let lines = table.rows.into_iter().filter_map(|row| match row.into_iter().next() {
            Some(Cell::Text(line)) => Some(line),
            _ => None,
        });
        let is_held_back = !self.connected(limits).await?.is_read_only;
        Ok(grants::risks(&lines.collect::<Vec<_>>(), is_held_back))
    }

    fn notes(&self) -> Vec<String> {
        let merged = if self.login.merge_rows { "; rows are read as they are after merging (FINAL)" } else { "" };
        vec![format!("it reads at most {} GB for one statement{merged}", self.login.max_gigabytes)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_one_field() {
        assert_eq!(escaped(&Bind::Text("a\\b\tc\nd'".to_owned())), "a\\\\b\\tc\\nd'");
        assert_eq!(escaped(&Bind::Int(-5)), "-5");
    }
}
