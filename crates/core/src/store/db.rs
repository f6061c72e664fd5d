//! Connections: one writer and several readers on SQLite, a pool on PostgreSQL.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::error::{db_error, must_hit};
use super::migrate;
use super::statement::statements;
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;

/// Runs the same body on the concrete connection of either engine.
macro_rules! on_db {
    ($tx:expr, |$c:ident| $body:expr) => {
        match &mut $tx.conn {
            $crate::store::db::Conn::Sqlite(tx) => {
                let $c = &mut **tx;
                $body.map_err($crate::store::error::db_error)
            }
            $crate::store::db::Conn::Postgres(tx) => {
                let $c = &mut **tx;
                $body.map_err($crate::store::error::db_error)
            }
        }
    };
}
pub(super) use on_db;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, one file.
    Sqlite,
    /// A server.
    Postgres,
}

/// Either engine.
#[derive(Debug, Clone)]
pub struct Db(pub(super) Pools);

#[derive(Debug, Clone)]
pub(super) enum Pools {
    Sqlite { write: SqlitePool, read: SqlitePool },
    Postgres(PgPool),
}

impl Pools {
    async fn migrate(&self) -> Result<()> {
        match self {
            Self::Sqlite { write, .. } => migrate::sqlite(write).await,
            Self::Postgres(pool) => migrate::postgres(pool).await,
        }
    }
}

pub(super) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// An open transaction of one workspace; all statements are methods on it. Dropped without a commit, it changes nothing.
pub struct Tx {
    pub(super) conn: Conn,
    pub(super) workspace: WorkspaceId,
}

statements! {
    // Locks the workspace's row on PostgreSQL, so that its log grows one writer at a time; SQLite has one writer anyway.
    WORKSPACE_LOCK = "UPDATE workspace SET log_seq = log_seq WHERE id = $1";
}

/// As long as SQLite's busy timeout: whoever waits for a lock hears of it instead of hanging. Said after connecting and not
/// as a start-up option, which connection poolers refuse.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '5s'";

impl Db {
    /// Opens `url` (`sqlite:PATH` or `postgres://...`) and brings its schema up to date.
    ///
    /// # Errors
    /// [`Code::DatabaseUnavailable`], [`Code::DatabaseNewer`], [`Code::DatabaseReadOnly`], [`Code::DatabaseCorrupt`] ...
    pub async fn open(url: &str) -> Result<Self> {
        let pools = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(db_error)?.application_name("outcome-runtime");
            let pool = PgPoolOptions::new()
                .max_connections(8)
                .acquire_timeout(Duration::from_secs(10))
                .after_connect(|conn, _| {
                    Box::pin(async move { sqlx::query(LOCK_TIMEOUT).execute(conn).await.map(|_| ()) })
                })
                .connect_with(options)
                .await
                .map_err(db_error)?;
            Pools::Postgres(pool)
        } else if let Some(path) = url.strip_prefix("sqlite:") {
            sqlite_pools(Path::new(path.trim_start_matches("//"))).await?
        } else {
            let scheme: String = url.split(':').next().unwrap_or_default().chars().take(20).collect();
            return Err(Error::new(Code::DatabaseUnavailable, format!("`{scheme}:` is not a supported database"))
                .hint("DATABASE_URL accepts sqlite:PATH or postgres://USER@HOST/NAME"));
        };
        pools.migrate().await?;
        Ok(Self(pools))
    }

    /// Opens the SQLite file at `path`, which is made when it is not there.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_file(path: &Path) -> Result<Self> {
        let pools = sqlite_pools(path).await?;
        pools.migrate().await?;
        Ok(Self(pools))
    }

    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// A consistent view for reading.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn read(&self, workspace: WorkspaceId) -> Result<Tx> {
        let conn = match &self.0 {
            Pools::Sqlite { read, .. } => Conn::Sqlite(read.begin().await.map_err(db_error)?),
            Pools::Postgres(pool) => Conn::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(db_error)?,
            ),
        };
        Ok(Tx { conn, workspace })
    }

    /// The one writer of the workspace, until it is committed or dropped.
    ///
    /// # Errors
    /// [`Code::DatabaseLocked`] when another program keeps the lock too long.
    pub async fn write(&self, workspace: WorkspaceId) -> Result<Tx> {
        let conn = match &self.0 {
            Pools::Sqlite { write, .. } => Conn::Sqlite(write.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?),
            Pools::Postgres(pool) => Conn::Postgres(pool.begin().await.map_err(db_error)?),
        };
        let mut tx = Tx { conn, workspace };
        if matches!(tx.conn, Conn::Postgres(_)) {
            let n_rows = on_db!(tx, |c| sqlx::query(WORKSPACE_LOCK)
                .bind(workspace)
                .execute(c)
                .await
                .map(|done| done.rows_affected()))?;
            must_hit(n_rows, "workspace", workspace)?;
        }
        Ok(tx)
    }

    /// The same for writing very much at once. On SQLite what is committed stands in its write-ahead log, and it is the next
    /// writer that copies it into the file.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_bulk(&self, workspace: WorkspaceId) -> Result<Tx> {
        let Pools::Sqlite { write, .. } = &self.0 else { return self.write(workspace).await };
        let options = write.connect_options().as_ref().clone().pragma("wal_autocheckpoint", "0");
        // What is changed stays in memory until it is committed.
        let options = options.pragma("cache_size", "-131072");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(db_error)?;
        let conn = Conn::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?);
        Ok(Tx { conn, workspace })
    }

    /// Prepares a statement without running it, on a real connection. For the test that prepares all of them.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn prepare(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        use sqlx::{Executor, SqlSafeStr};
        match &self.0 {
            Pools::Sqlite { write, .. } => write.acquire().await?.prepare(sql.into_sql_str()).await.map(|_| ()),
            Pools::Postgres(pool) => pool.acquire().await?.prepare(sql.into_sql_str()).await.map(|_| ()),
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match &self.0 {
            Pools::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Makes everything that was written last.
    ///
    /// # Errors
    /// When the database refuses; then nothing was written.
    pub async fn commit(self) -> Result<()> {
        match self.conn {
            Conn::Sqlite(tx) => tx.commit().await,
            Conn::Postgres(tx) => tx.commit().await,
        }
        .map_err(db_error)
    }

    /// The workspace it belongs to.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }
}

/// Rows that SQLite's thread reads before it waits for whoever takes them: a wake-up costs more than a row.
const ROWS_AHEAD: usize = 512;

async fn sqlite_pools(path: &Path) -> Result<Pools> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .row_buffer_size(ROWS_AHEAD);
    let acquire = Duration::from_secs(10);
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(acquire)
        .connect_with(options.clone())
        .await
        .map_err(|error| db_error(error).with("path", path.display().to_string()))?;
    let read = SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(acquire)
        .connect_lazy_with(options.create_if_missing(false).pragma("query_only", "ON"));
    Ok(Pools::Sqlite { write, read })
}
