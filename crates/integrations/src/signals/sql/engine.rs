//! What the engines have in common: queries that only read, bounded in time and rows; and how those with a driver of sqlx ask them.

use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, TryStreamExt};
use outcome_core::domain::Period;
use outcome_core::file_trouble::FileTrouble;
use outcome_core::ports::{QueryPlan, Risk, SourceLimits};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Encode, Executor, IntoArguments, SqlSafeStr, Statement, Type};

use super::bind::Bind;
use super::dialect::Dialect;
use super::table::{Cell, Keep, Table};

/// How long a connection may take.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection may be idle before it is closed.
pub(super) const IDLE_LIMIT: Duration = Duration::from_mins(5);
/// What a database that others work with bears. There is a connection for each of the questions at once, so that none waits for a
/// connection and takes that for a database that cannot be reached.
pub(super) const SHARED_DATABASE: SourceLimits = SourceLimits { at_once: 2, budget: None };
/// Most connections to one source. The last is for those who do not wait for their turn: a person's `test`, and a look at the clock.
pub(super) const MAX_CONNECTIONS: u32 = SHARED_DATABASE.at_once as u32 + 1;
/// What the server has beyond its own limit to say that it stopped, before the connection is given up.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Bounds of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) statement: Duration,
    pub(super) rows: u32,
}

impl Limits {
    /// Of the settings of a source.
    pub(super) fn new(statement_timeout: Period, rows: u32) -> Self {
        Self { statement: Duration::try_from(statement_timeout.get()).unwrap_or(Duration::from_secs(30)), rows }
    }

    /// When to give up waiting for the server.
    pub(super) fn patience(self) -> Duration {
        self.statement.saturating_add(GRACE)
    }

    /// The same for several statements.
    pub(super) fn patience_for(asks: &[Ask<'_>]) -> Duration {
        asks.iter().map(|ask| ask.limits.statement).fold(GRACE, Duration::saturating_add)
    }

    /// For milliseconds in a `SET` statement; at least 1, since 0 means "no limit" to the servers.
    pub(super) fn statement_ms(self) -> u128 {
        self.statement.as_millis().clamp(1, 2_147_483_647)
    }
}

/// A question to a database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) sql: &'a str,
    pub(super) binds: &'a [Bind],
    pub(super) limits: Limits,
    pub(super) keep: Keep,
}

/// Why a query gave no table.
#[derive(Debug)]
pub(super) enum EngineError {
    /// The engine refused the statement before it read any row: what it says is about the query.
    Prepare(sqlx::Error),
    /// Anything else that went wrong. What the engine says may hold values of rows.
    Run(sqlx::Error),
    /// The engine stopped the statement at its limit, or never answered.
    Timeout,
    /// No connection within [`CONNECT_LIMIT`].
    ConnectTimeout,
    /// More rows than the cap.
    TooManyRows,
    /// The file of the database cannot be used.
    File(FileTrouble),
    /// What an engine said that is reached over HTTP, sorted by it.
    Said(Said),
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Unauthorized,
    Unreachable,
    Timeout,
    /// It answers no more for now.
    Throttled(Option<Duration>),
    /// The settings of the source cannot work.
    Config,
    /// The values in the window, not the query; or an answer that cannot be read.
    Value,
    Query,
}

/// What an engine said that is reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) class: Class,
    /// Its own words only where they can hold no value of a row.
    pub(super) detail: String,
    /// What to do next; the usual advice where it is empty.
    pub(super) hint: String,
    /// Where in what was sent, in characters from 1.
    pub(super) position: Option<usize>,
}

impl Said {
    pub(super) fn new(class: Class, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into(), hint: String::new(), position: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

impl From<Said> for EngineError {
    fn from(said: Said) -> Self {
        Self::Said(said)
    }
}

impl From<sqlx::Error> for EngineError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::ConnectTimeout,
            other => Self::Run(other),
        }
    }
}

impl EngineError {
    /// As [`EngineError::Prepare`].
    pub(super) fn in_preparing(error: sqlx::Error) -> Self {
        Self::Prepare(error)
    }
}

/// What the statements for a user who only reads name, of a warehouse, beside what its catalog has.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Who asks.
    pub(super) account: String,
    /// What computes and is paid for: a warehouse, a project.
    pub(super) computes: String,
    /// Where tables are that are named without it.
    pub(super) home: String,
}

/// A database that can be asked.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// Host and port of the address; empty for a file.
    fn host(&self) -> String;

    /// Engine, user, host, port and database, or the file: without secrets.
    fn place(&self) -> String;

    /// Product and version.
    async fn server(&self, limits: Limits) -> Result<String, EngineError>;

    /// Runs queries one after the other in one read-only transaction that is rolled back, so that all of them see the same rows. A table
    /// for each.
    async fn queries(&self, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError>;

    /// Tries to write in such a transaction; true when the engine refused because of it.
    async fn refuses_writes(&self, limits: Limits) -> Result<bool, EngineError>;

    /// How it would answer a query and how much it would read, where it says so without an `EXPLAIN`.
    async fn estimate(&self, _ask: Ask<'_>) -> Result<Option<QueryPlan>, EngineError> {
        Ok(None)
    }

    /// Whom the statements for a user who only reads are for.
    fn reader(&self) -> Reader {
        Reader::default()
    }

    /// The statement that lists tables and columns, where it depends on the settings.
    fn columns(&self) -> Option<String> {
        None
    }

    /// The names of the columns of an answer.
    async fn columns_of(&self, ask: Ask<'_>) -> Result<Vec<String>, EngineError> {
        let mut tables = self.queries(std::slice::from_ref(&ask)).await?;
        Ok(tables.pop().unwrap_or_default().columns)
    }

    /// Rights of its user that no reading needs, where the engine has its own way to ask for them.
    async fn risks(&self, _limits: Limits) -> Result<Vec<Risk>, EngineError> {
        Ok(Vec::new())
    }

    /// Remarks for the report of a test.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// How much it bears.
    fn bears(&self) -> SourceLimits {
        SourceLimits::default()
    }
}

/// Runs one query in a read-only transaction that is rolled back.
pub(super) async fn query(engine: &dyn Engine, ask: Ask<'_>) -> Result<Table, EngineError> {
    Ok(engine.queries(std::slice::from_ref(&ask)).await?.pop().unwrap_or_default())
}

/// Runs queries one after the other on a connection, a table for each. `cell`: how the engine gives a value.
pub(super) async fn fetch_all<DB>(
    conn: &mut DB::Connection,
    asks: &[Ask<'_>],
    cell: impl Fn(&DB::Row, usize) -> Result<Cell, sqlx::Error>,
) -> Result<Vec<Table>, EngineError>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    String: for<'e> Encode<'e, DB> + Type<DB>,
    i64: for<'e> Encode<'e, DB> + Type<DB>,
{
    let mut tables = Vec::with_capacity(asks.len());
    for ask in asks {
        let types = ask.binds.iter().map(|bind| match bind {
            Bind::Text(_) | Bind::At(_) => <String as Type<DB>>::type_info(),
            Bind::Int(_) => <i64 as Type<DB>>::type_info(),
        });
        let types: Vec<_> = types.collect();
        // What runs below is this statement, taken from the connection's cache.
        let prepared = (&mut *conn)
            .prepare_with(AssertSqlSafe(ask.sql.to_owned()).into_sql_str(), &types)
            .await
            .map_err(EngineError::in_preparing)?;
        let columns = names(prepared.columns());
        let query = bound(sqlx::query(AssertSqlSafe(ask.sql.to_owned())), ask.binds);
        let mut table = collect(query.fetch(&mut *conn), *ask, &cell).await?;
        if table.rows.is_empty() {
            table.columns = columns;
        }
        tables.push(table);
    }
    Ok(tables)
}

/// Names of columns.
pub(super) fn names<C: sqlx::Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}

/// The query with its values, in their order.
pub(super) fn bound<'q, DB>(
    query: Query<'q, DB, <DB as Database>::Arguments>,
    binds: &[Bind],
) -> Query<'q, DB, <DB as Database>::Arguments>
where
    DB: Database,
    String: for<'e> Encode<'e, DB> + Type<DB>,
    i64: for<'e> Encode<'e, DB> + Type<DB>,
{
    binds.iter().fold(query, |query, bind| match bind {
        Bind::Text(text) | Bind::At(text) => query.bind(text.clone()),
        Bind::Int(number) => query.bind(*number),
    })
}

/// Collects rows up to the cap.
pub(super) async fn collect<R: sqlx::Row>(
    mut rows: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    ask: Ask<'_>,
    cell: impl Fn(&R, usize) -> Result<Cell, sqlx::Error>,
) -> Result<Table, EngineError> {
    let mut table = Table::default();
    while let Some(row) = rows.try_next().await? {
        if table.columns.is_empty() {
            table.columns = names(row.columns());
        }
        if table.rows.len() >= usize::try_from(ask.limits.rows).unwrap_or(usize::MAX) {
            return Err(EngineError::TooManyRows);
        }
        let cells = table.columns.iter().enumerate();
        let cells = cells.map(|(i, name)| if (ask.keep)(name) { cell(&row, i) } else { Ok(Cell::Ignored) });
        table.rows.push(cells.collect::<Result<_, _>>()?);
    }
    Ok(table)
}

/// Gives up on `work` after `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    otherwise: EngineError,
    work: impl Future<Output = Result<T, EngineError>> + Send,
) -> Result<T, EngineError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(otherwise))
}
