//! SQLite. <https://www.sqlite.org/c3ref/open.html> (`mode=ro`), <https://www.sqlite.org/pragma.html#pragma_query_only>
//!
//! The file is opened read-only and never made. A running statement is stopped by a progress handler, since nobody else
//! would: the library runs it on a thread of its own that a dropped future does not reach.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use outcome_core::file_trouble::{FileTrouble, Need};
use outcome_core::ports::SourceLimits;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{Connection, Executor, Row, TypeInfo, ValueRef};
use tokio::sync::OnceCell;

use super::dialect::Dialect;
use super::engine::{
    Ask, CONNECT_LIMIT, Engine, EngineError, IDLE_LIMIT, Limits, MAX_CONNECTIONS, SHARED_DATABASE, fetch_all, within,
};
use super::table::{Cell, Table};

/// Virtual machine instructions between two looks at the clock: well under a millisecond.
const OPS_BETWEEN_LOOKS: i32 = 4000;

#[derive(Debug)]
pub(super) struct Sqlite {
    /// From the root, where it lies there.
    file: PathBuf,
    options: SqliteConnectOptions,
    pool: OnceCell<SqlitePool>,
}

impl Sqlite {
    /// The database in the file of `sqlite:path`; a relative path begins at `root`.
    ///
    /// # Errors
    /// A sentence about the address.
    pub(super) fn new(url: &str, root: &Path) -> Result<Self, String> {
        let options = SqliteConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        let file = file_of(url, &options)?;
        let options = options
            .filename(root.join(&file))
            .read_only(true)
            .create_if_missing(false)
            .pragma("query_only", "on")
            .busy_timeout(Duration::from_secs(5));
        let file = file.strip_prefix(root).map(Path::to_path_buf).unwrap_or(file);
        Ok(Self { file, options, pool: OnceCell::new() })
    }

    /// The pool. It needs a runtime, so it is made by the first question.
    async fn pool(&self) -> &SqlitePool {
        self.pool
            .get_or_init(async || {
                SqlitePoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(CONNECT_LIMIT)
                    .idle_timeout(IDLE_LIMIT)
                    .connect_lazy_with(self.options.clone())
            })
            .await
    }

    /// The error, or what is wrong with the file where that is why: SQLite says of most of it only that it cannot open the file.
    fn told(&self, error: EngineError) -> EngineError {
        let (EngineError::Prepare(said) | EngineError::Run(said)) = &error else { return error };
        let is_of_the_file = matches!(code(said), Some(3 | 8 | 10 | 13 | 14));
        let trouble = is_of_the_file.then(|| FileTrouble::of(self.options.get_filename(), Need::Read)).flatten();
        trouble.map_or(error, EngineError::File)
    }
}

fn file_of(url: &str, options: &SqliteConnectOptions) -> Result<PathBuf, String> {
    let file = options.get_filename();
    let is_memory = url.contains(":memory:") || url.contains("mode=memory") || file.as_os_str().is_empty();
    if is_memory { Err("a database in memory has nothing to read".to_owned()) } else { Ok(file.to_owned()) }
}

#[async_trait]
impl Engine for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn bears(&self) -> SourceLimits {
        SHARED_DATABASE
    }

    fn host(&self) -> String {
        String::new()
    }

    fn place(&self) -> String {
        format!("sqlite:{}", self.file.display())
    }

    async fn server(&self, _limits: Limits) -> Result<String, EngineError> {
        // The first read opens the file: without it a version would be told of one that cannot be read.
        let asked =
            sqlx::query_scalar("SELECT 'SQLite ' || sqlite_version() FROM (SELECT count(*) FROM sqlite_schema)");
        asked.fetch_one(self.pool().await).await.map_err(|error| self.told(error.into()))
    }

    async fn queries(&self, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
        let mut conn = self.pool().await.acquire().await.map_err(|error| self.told(error.into()))?;
        let out = within(Limits::patience_for(asks), EngineError::Timeout, run(&mut conn, asks)).await;
        let out = out.map_err(|error| self.told(error));
        if out.is_err() {
            // Whatever state it is in, nobody else gets it.
            conn.close_on_drop();
        }
        out
    }

    async fn refuses_writes(&self, _limits: Limits) -> Result<bool, EngineError> {
        let mut conn = self.pool().await.acquire().await.map_err(|error| self.told(error.into()))?;
        let mut tx = conn.begin().await?;
        let tried = tx.execute("CREATE TABLE outcome_runtime_write_check (a INTEGER)").await;
        tx.rollback().await?;
        Ok(tried.is_err_and(|error| code(&error) == Some(8)))
    }
}

/// Primary result code: 3 is `SQLITE_PERM`, 10 `SQLITE_IOERR`, 13 `SQLITE_FULL`, 14 `SQLITE_CANTOPEN`,
/// 8 `SQLITE_READONLY`, 9 `SQLITE_INTERRUPT`.
fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse::<u32>().ok().map(|extended| extended & 0xff)
}

async fn run(conn: &mut SqliteConnection, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
    let deadline = Instant::now() + asks.iter().map(|ask| ask.limits.statement).sum::<Duration>();
    conn.lock_handle().await?.set_progress_handler(OPS_BETWEEN_LOOKS, move || Instant::now() < deadline);
    let out = snapshot(conn, asks).await;
    conn.lock_handle().await?.remove_progress_handler();
    match out {
        Err(EngineError::Prepare(error) | EngineError::Run(error)) if code(&error) == Some(9) => {
            Err(EngineError::Timeout)
        }
        out => out,
    }
}

async fn snapshot(conn: &mut SqliteConnection, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
    let mut tx = conn.begin().await?;
    // The transaction begins with the first read, by the schema of then: what is prepared below is not prepared again while it runs.
    sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1").fetch_optional(&mut *tx).await?;
    let tables = fetch_all::<sqlx::Sqlite>(&mut *tx, asks, cell).await?;
    tx.clear_cached_statements().await?;
    tx.rollback().await?;
    Ok(tables)
}

/// SQLite's values have their own types, whatever the column was declared as.
fn cell(row: &SqliteRow, i: usize) -> Result<Cell, sqlx::Error> {
    let value = row.try_get_raw(i)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let kind = value.type_info().name().to_owned();
    drop(value);
    Ok(match kind.as_str() {
        "INTEGER" => Cell::Int(row.try_get_unchecked(i)?),
        "REAL" => Cell::Float(row.try_get_unchecked(i)?),
        "TEXT" => Cell::Text(row.try_get_unchecked(i)?),
        _ => Cell::Other(kind),
    })
}
