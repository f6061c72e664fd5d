//! Databases that are asked with the user's own SQL: PostgreSQL, MySQL (and MariaDB) and SQLite, through sqlx.
//!
//! A query runs alone in a read-only transaction that is rolled back, with a limit on its time (the server's own where
//! it has one, and ours around it) and on its rows. Parameters are bound, never written into the text. Readings are not
//! cached: the window of a poll ends at its own "now", so that no two polls ask the same; connections are (see
//! the core's registry).

mod address;
mod arms;
pub(crate) mod bigquery;
mod bind;
mod catalog;
pub(crate) mod clickhouse;
mod cohorts;
mod contract;
mod dialect;
mod engine;
mod fit;
mod fragments;
pub(crate) mod jwt;
mod lexer;
mod look;
mod look_sql;
mod mysql;
mod phases;
mod plan;
mod postgres;
mod quantiles;
mod refusal;
mod relations;
mod rights;
mod role;
mod settings;
pub(crate) mod snowflake;
mod sqlite;
mod table;
mod tables;
mod time;
mod treated;
mod unit_maps;
mod wire;
mod words;

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use self::address::secrets_in;
use self::bind::{Bind, Param, Params, Statement};
use self::contract::Written;
use self::dialect::Dialect;
use self::engine::{Ask, Engine, EngineError, Limits};
use self::plan::Access;
use self::table::{Misfit, Table};
use outcome_core::config::resolve_address;
use outcome_core::domain::{ArmSums, FoundQuantile, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::{
    ColumnInfo, CommonValue, LookRequest, MetricInfo, MetricLook, Opening, PartRequest, QueryKind, QueryPlan,
    ReadError, Sealing, SignalSource, SourceLimits, SourceReport, SourceSettings, TableInfo, Tables, Treated,
    VariantRequest, WrittenQuery,
};
use serde_json::json;

use self::settings::SqlSettings;
pub(crate) use self::settings::{TimeFormat, VENDOR};
use crate::http::Redactor;

/// What helps where a query that the runtime wrote cannot be written or does not run.
const OF_METRIC: &str =
    "the runtime writes this query: correct the metric, its facts or its source's exposures in the outcome file";

/// Most tables that [`SignalSource::list`] names, and most columns of each.
const MAX_TABLES: usize = 200;
const MAX_COLUMNS: usize = 60;

impl SourceSettings for SqlSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "url": self.url, "statement_timeout": self.statement_timeout, "row_cap": self.row_cap, "sealed_cohorts": self.sealed_cohorts,
            "time_format": self.time_format,
        })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.url]
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let resolve = |reference: &str| opening.resolve.resolve(reference);
        let url = resolve_address(&self.url, &resolve).map_err(|error| ReadError::secret(name, &error))?;
        Ok(Box::new(SqlSource::open(name, self, &url, opening.root)?))
    }
}

/// What a source is made of.
struct Opened<'a> {
    name: &'a str,
    engine: Box<dyn Engine>,
    limits: Limits,
    sealing: Sealing,
    time_format: TimeFormat,
    secrets: Vec<SecretString>,
}

/// A database.
pub(super) struct SqlSource {
    name: String,
    engine: Box<dyn Engine>,
    limits: Limits,
    sealing: Sealing,
    time_format: TimeFormat,
    redactor: Redactor,
}

impl SqlSource {
    /// The database at `url`. Nothing is connected yet.
    fn open(name: &str, config: &SqlSettings, url: &SecretString, root: &Path) -> Result<Self, ReadError> {
        let text = url.expose_secret().trim();
        let redactor = Redactor::new(secrets_in(text));
        let wrong = |problem: String| ReadError::Config {
            source_name: name.to_owned(),
            problem: redactor.clean(&problem),
            hint:
                "write `url` as postgres://user:password@host:5432/database, mysql://user:password@host:3306/database \
                   or sqlite:path/to/file.db"
                    .to_owned(),
        };
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let engine: Box<dyn Engine> = match scheme.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" => Box::new(postgres::Postgres::new(text).map_err(wrong)?),
            "mysql" | "mariadb" => Box::new(mysql::MySql::new(text).map_err(wrong)?),
            "sqlite" => Box::new(sqlite::Sqlite::new(text, root).map_err(wrong)?),
            "" => return Err(wrong("its `url` is empty or has no scheme".to_owned())),
            _ => return Err(wrong("the scheme of its `url` is not known".to_owned())),
        };
        Ok(Self {
            name: name.to_owned(),
            engine,
            limits: Limits::new(config.statement_timeout, config.row_cap),
            sealing: config.sealed_cohorts,
            time_format: config.time_format,
            redactor,
        })
    }

    /// A database that is reached in another way.
    fn of(opened: Opened<'_>) -> Self {
        let Opened { name, engine, limits, sealing, time_format, secrets } = opened;
        Self { name: name.to_owned(), engine, limits, sealing, time_format, redactor: Redactor::new(secrets) }
    }

    fn level_query<'s>(&self, signal: &'s SignalSpec, window: Window) -> Result<Query<'s>, ReadError> {
        match &signal.contract {
            Some(contract) => self.written(signal, "level", contract::level(contract, self.engine_format(), window)),
            None => {
                let text = Cow::from(self.query_of(signal, "level")?);
                Ok(Query { key: "level", text, params: params(signal, window) })
            }
        }
    }

    fn variant_query<'s>(&self, signal: &'s SignalSpec, request: &VariantRequest) -> Result<Query<'s>, ReadError> {
        match &signal.contract {
            Some(contract) => {
                let written = arms::by_phase(contract, self.engine_format(), std::slice::from_ref(request));
                self.written(signal, "by_variant", written)
            }
            None => {
                let text = Cow::from(self.query_of(signal, "by_variant")?);
                Ok(Query { key: "by_variant", text, params: variant_params(signal, request) })
            }
        }
    }

    fn engine_format(&self) -> (Dialect, TimeFormat) {
        (self.engine.dialect(), self.time_format)
    }

    fn written(
        &self,
        signal: &SignalSpec,
        key: &'static str,
        written: Result<Written, String>,
    ) -> Result<Query<'static>, ReadError> {
        let Written { text, params } = self.of_metric(signal, written)?;
        Ok(Query { key, text: Cow::from(text), params })
    }

    /// What was written for a metric, or why it cannot be.
    fn of_metric<T>(&self, signal: &SignalSpec, written: Result<T, String>) -> Result<T, ReadError> {
        written.map_err(|problem| ReadError::Config {
            source_name: self.name.clone(),
            problem: format!(
                "the SQL of metric `{}` cannot be written: {}",
                signal.metric,
                self.redactor.clean(&problem)
            ),
            hint: OF_METRIC.to_owned(),
        })
    }

    fn statement(&self, signal: &SignalSpec, query: &Query<'_>) -> Result<Statement, ReadError> {
        let dialect = self.engine.dialect();
        Statement::prepare(&query.text, dialect, &query.params, self.time_format).map_err(|problem| ReadError::Config {
            source_name: self.name.clone(),
            problem: format!("`{}` of signal `{}`: {}", query.key, signal.name, self.redactor.clean(&problem)),
            hint:
                "a query is a single SELECT; its parameters are :from and :to, and by variant also :since_launch, :as_of, \
                   :experiment and :flag"
                    .to_owned(),
        })
    }

    /// Asks without a signal: for the runtime's own statements.
    #[tracing::instrument(level = "debug", name = "sql.ask", skip_all, fields(source = %self.name))]
    async fn ask(&self, sql: &str, binds: &[Bind]) -> Result<Table, EngineError> {
        let limits = Limits { rows: u32::try_from(MAX_TABLES * MAX_COLUMNS).unwrap_or(u32::MAX), ..self.limits };
        engine::query(&*self.engine, Ask { sql, binds, limits, keep: |_| true }).await
    }

    /// Runs the queries of a signal in one transaction. Where there are several, they differ in their parameters only.
    #[tracing::instrument(level = "debug", name = "sql.query", skip_all, fields(source = %self.name, signal = %signal.name))]
    async fn run(&self, signal: &SignalSpec, asked: &[(Statement, Query<'_>)]) -> Result<Vec<Table>, ReadError> {
        let asks: Vec<Ask<'_>> = asked
            .iter()
            .map(|(Statement { sql, binds, .. }, _)| Ask { sql, binds, limits: self.limits, keep: table::is_read })
            .collect();
        let is_ours = signal.contract.is_some();
        self.engine.queries(&asks).await.map_err(|error| {
            let at_fault = asked.first().map(|(statement, query)| (&*query.text, statement));
            match self.refusal(error, &signal.name, at_fault) {
                // Nobody wrote it, so nobody runs it by hand or looks for a place in it.
                ReadError::Query { source_name, signal, detail, .. } if is_ours => ReadError::Query {
                    source_name,
                    signal,
                    detail,
                    hint: OF_METRIC.to_owned(),
                    line: None,
                    column: None,
                },
                error => error,
            }
        })
    }

    fn misfit(&self, signal: &SignalSpec, misfit: Misfit) -> ReadError {
        ReadError::Shape {
            source_name: self.name.clone(),
            signal: signal.name.clone(),
            problem: self.redactor.clean(&misfit.problem),
            hint: match misfit.hint.is_empty() {
                true => format!(
                    "run the query by hand over the same window, or `outcome-runtime connectors test {}`; docs/connectors/sql.md \
                     (\"What a query returns\") says what is read",
                    self.name
                ),
                false => misfit.hint,
            },
        }
    }

    /// An error outside of any signal.
    fn broken(&self, error: EngineError) -> ReadError {
        self.refusal(error, "(test)", None)
    }

    fn query_of<'a>(&self, signal: &'a SignalSpec, key: &'static str) -> Result<&'a str, ReadError> {
        let text = if key == "level" { &signal.query.level } else { &signal.query.by_variant };
        text.as_deref().ok_or_else(|| ReadError::Config {
            source_name: self.name.clone(),
            problem: format!("signal `{}` has no `query.{key}`", signal.name),
            hint: format!("a SQL source needs `method: custom` and the SQL of the reading in `query.{key}`"),
        })
    }
}

/// One of a signal's queries, with what may be bound in it.
struct Query<'a> {
    key: &'static str,
    text: Cow<'a, str>,
    params: Params,
}

fn segment_param(key: &str) -> String {
    let name: String = key.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format!("segment_{}", name.to_lowercase())
}

fn params(signal: &SignalSpec, window: Window) -> Params {
    let mut params =
        Params::from([("from".to_owned(), Param::At(window.from)), ("to".to_owned(), Param::At(window.to))]);
    params.extend(signal.segment.iter().map(|(key, value)| (segment_param(key), Param::Text(value.clone()))));
    params
}

fn variant_params(signal: &SignalSpec, request: &VariantRequest) -> Params {
    let mut params = params(signal, request.window);
    params.extend([
        ("since_launch".to_owned(), Param::At(request.launched_at)),
        ("as_of".to_owned(), Param::At(request.as_of)),
        ("experiment".to_owned(), Param::Text(request.experiment.to_string())),
        ("flag".to_owned(), Param::Text(request.flag_key.clone())),
    ]);
    params
}

#[async_trait]
impl SignalSource for SqlSource {
    fn place(&self) -> Option<String> {
        Some(self.engine.place())
    }

    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let patience = self.limits.patience();
        let server = engine::within(
            patience + engine::CONNECT_LIMIT,
            EngineError::ConnectTimeout,
            self.engine.server(self.limits),
        );
        let server = server.await.map_err(|error| self.broken(error))?;
        let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let refuses = engine::within(patience, EngineError::Timeout, self.engine.refuses_writes(self.limits));
        let is_read_only = refuses.await.map_err(|error| self.broken(error))?;
        // Who may not look at the catalog learns of no right; the write above was tried all the same.
        let risks = self.risks().await.unwrap_or_default();
        let mut notes = vec![format!(
            "limits: {} s per statement, {} rows, {} s to connect",
            self.limits.statement.as_secs_f64(),
            self.limits.rows,
            engine::CONNECT_LIMIT.as_secs()
        )];
        if !is_read_only {
            notes.push(
                "the server did not refuse a write in a read-only transaction: use a user that can only SELECT"
                    .to_owned(),
            );
        }
        notes.extend(self.engine.notes());
        Ok(SourceReport {
            source: self.name.clone(),
            server: self.redactor.clean(&server),
            is_read_only,
            latency_ms,
            risks,
            notes,
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let query = self.level_query(signal, window)?;
        let statement = self.statement(signal, &query)?;
        let warnings = warnings(signal, &statement);
        let (query_hash, asked) = (statement.hash.clone(), [(statement, query)]);
        let table = self.run(signal, &asked).await?.pop().unwrap_or_default();
        let data = table.level().map_err(|misfit| self.misfit(signal, misfit))?;
        let (raw_hash, raw) = table.raw();
        Ok(Reading { data, window, query_hash, raw_hash, raw: Some(raw), warnings })
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let readings = self.read_phases(signal, std::slice::from_ref(request)).await?;
        readings.into_iter().next().ok_or_else(|| self.misfit(signal, Misfit::of_nothing()))
    }

    async fn by_phase(
        &self,
        signal: &SignalSpec,
        requests: &[VariantRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        self.read_phases(signal, requests).await
    }

    async fn by_part(
        &self,
        signal: &SignalSpec,
        requests: &[PartRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        self.read_parts(signal, requests).await
    }

    fn limits(&self) -> SourceLimits {
        self.engine.bears()
    }

    fn sealing(&self) -> Sealing {
        self.sealing
    }

    async fn clock(&self) -> Result<Option<Timestamp>, ReadError> {
        let micros = match self.engine.dialect() {
            Dialect::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
            Dialect::MySql => "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)",
            Dialect::Sqlite => return Ok(None),
            Dialect::ClickHouse => "SELECT toUnixTimestamp64Micro(now64(6))",
            Dialect::BigQuery => "SELECT UNIX_MICROS(CURRENT_TIMESTAMP())",
            Dialect::Snowflake => "SELECT DATE_PART(epoch_microsecond, CURRENT_TIMESTAMP())",
        };
        let table = self.ask(micros, &[]).await.map_err(|error| self.broken(error))?;
        let [row] = table.rows.as_slice() else { return Ok(None) };
        let micros = row.first().and_then(|cell| cell.as_count().ok());
        Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        self.list_of_columns().await.map_err(|error| self.broken(error))
    }

    async fn tables(&self) -> Result<Option<Tables>, ReadError> {
        self.tables_of_database().await.map_err(|error| self.broken(error))
    }

    async fn count_rows(&self, table: &TableInfo, most: u32) -> Result<i64, ReadError> {
        self.rows_of(table, most).await.map_err(|error| self.broken(error))
    }

    async fn common_values(&self, table: &TableInfo, column: &ColumnInfo) -> Result<Vec<CommonValue>, ReadError> {
        self.values_of(table, column).await.map_err(|error| self.broken(error))
    }

    async fn reader_role(&self, queries: &[String]) -> Result<Option<Vec<String>>, ReadError> {
        let statements = self.role(queries).await.map_err(|error| self.broken(error))?;
        // A name of the catalog is a third party's text as every other; a password is in none.
        Ok(statements.map(|lines| lines.iter().map(|line| self.redactor.clean(line)).collect()))
    }

    async fn quantiles(&self, signal: &SignalSpec, before: Timestamp) -> Result<Vec<FoundQuantile>, ReadError> {
        self.quantiles_of(signal, before).await
    }

    async fn treated(&self, signal: &SignalSpec, flag_key: &str, window: Window) -> Result<Option<Treated>, ReadError> {
        self.treated_in(signal, flag_key, window).await
    }

    async fn fits(&self, signal: &SignalSpec) -> Result<(), ReadError> {
        self.fits_together(signal).await
    }

    fn written(&self, signal: &SignalSpec) -> Result<Vec<WrittenQuery>, ReadError> {
        self.written_of(signal, Timestamp::UNIX_EPOCH)
    }

    async fn look(&self, signal: &SignalSpec, request: &LookRequest) -> Result<Option<MetricLook>, ReadError> {
        self.look_at(signal, request).await
    }

    async fn plan(
        &self,
        signal: &SignalSpec,
        query: QueryKind,
        window: Window,
    ) -> Result<Option<QueryPlan>, ReadError> {
        // A plan needs some experiment; which one changes nothing in how the tables are read.
        let request = VariantRequest {
            experiment: outcome_core::domain::Slug::from_title("example"),
            flag_key: "example".to_owned(),
            window,
            launched_at: window.from,
            as_of: window.to,
            on_until: None,
        };
        let query = match query {
            QueryKind::Level => self.level_query(signal, window)?,
            QueryKind::ByVariant => self.variant_query(signal, &request)?,
        };
        let statement = self.statement(signal, &query)?;
        let dialect = self.engine.dialect();
        let limits = self.limits;
        let ask = Ask { sql: &statement.sql, binds: &statement.binds, limits, keep: |_| true };
        let estimate = self.engine.estimate(ask).await;
        if let Some(plan) =
            estimate.map_err(|error| self.refusal(error, &signal.name, Some((&query.text, &statement))))?
        {
            return Ok(Some(plan));
        }
        let sql = format!("{} {}", plan::explain(dialect), statement.sql);
        let answer = self.ask(&sql, &statement.binds).await;
        let table = answer.map_err(|error| self.refusal(error, &signal.name, None))?;
        let clean = |lines: Vec<String>| lines.iter().map(|line| self.redactor.clean_line(line)).collect();
        let Access { full_scans, uses_index } = Access::of(dialect, &table);
        Ok(Some(QueryPlan { lines: clean(table.lines()), full_scans: clean(full_scans), uses_index, bytes: None }))
    }
}

/// Segment keys that the statement does not use.
fn warnings(signal: &SignalSpec, statement: &Statement) -> Vec<String> {
    let unused: Vec<_> = signal
        .segment
        .keys()
        .map(|key| segment_param(key))
        .filter(|name| !statement.used.contains(name))
        .map(|name| format!(":{name}"))
        .collect();
    if unused.is_empty() {
        return Vec::new();
    }
    vec![format!("the query does not use {}: the segment does not restrict this reading", unused.join(", "))]
}
