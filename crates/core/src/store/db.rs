//! Connections: one writer and several readers on SQLite, a pool on PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::error::{db_error, file_error, must_hit};
use super::migrate::{self, State};
use super::statement::statements;
use super::touched::{FoldedTable, RowKey, Touched};
use crate::address::{Address, Engine, Location};
use crate::audit::Writer;
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;
use crate::seen::Seen;

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

/// Either engine.
#[derive(Debug, Clone)]
pub struct Db {
    pub(super) pools: Pools,
    /// Who signs the lines of the log.
    pub(super) writer: Option<Arc<Writer>>,
}

#[derive(Debug, Clone)]
pub(super) enum Pools {
    Sqlite { write: SqlitePool, read: SqlitePool },
    Postgres(Server),
}

/// A PostgreSQL server and the schema that holds our tables.
///
/// Where our tables are and how long a lock is waited for is said in each transaction: a pooler between us and the server hands each
/// to another session.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pool: PgPool,
    schema: Arc<str>,
}

impl Server {
    /// A transaction that sees our tables alone. A lock is waited for as long as SQLite's busy timeout: whoever waits hears of it
    /// instead of hanging.
    pub(super) async fn begin(&self, mode: &str) -> Result<Transaction<'static, Postgres>> {
        let schema = &self.schema;
        let begin = format!("BEGIN {mode}; SET LOCAL search_path TO {schema}; SET LOCAL lock_timeout = '5s'");
        self.pool.begin_with(sqlx::AssertSqlSafe(begin)).await.map_err(db_error)
    }
}

/// What only reads.
pub(super) const SNAPSHOT: &str = "ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Pools {
    /// Whether the schema is the one of this program.
    async fn check(&self, address: &Address) -> Result<()> {
        let state = match self {
            Self::Sqlite { read, .. } => migrate::state_on_sqlite(read).await?,
            Self::Postgres(server) => migrate::state_on_postgres(&server.pool, &server.schema).await?,
        };
        match state {
            State::Current => Ok(()),
            State::Empty => Err(Error::new(Code::DatabaseEmpty, format!("{address} holds no workspace"))
                .hint("run `outcome-runtime init`, or name the right database with --database")),
            State::Older => Err(Error::new(
                Code::DatabaseOlder,
                format!("{address} has the schema of an earlier version of the program"),
            )
            .hint("run `outcome-runtime migrate`; make a backup first. Nothing was changed")),
        }
    }

    async fn migrate(&self) -> Result<()> {
        match self {
            Self::Sqlite { write, .. } => migrate::sqlite(write).await,
            Self::Postgres(server) => migrate::postgres(&server.pool, &server.schema).await,
        }
    }
}

/// Most connections of a program: twenty busy daemons leave a default server of a hundred some for everybody else.
const MAX_CONNECTIONS: u32 = 4;
/// A connection that nobody used for so long is closed.
const IDLE_LIMIT: Duration = Duration::from_mins(2);

async fn connect(address: &Address, may_make: bool) -> Result<Pools> {
    match address.location() {
        Location::File(path) => sqlite_pools(path, may_make).await,
        Location::Server { url, schema } => {
            let options = PgConnectOptions::from_url(url).map_err(db_error)?.application_name("outcome-runtime");
            let pool = PgPoolOptions::new()
                .max_connections(MAX_CONNECTIONS)
                .idle_timeout(IDLE_LIMIT)
                .acquire_timeout(Duration::from_secs(10));
            let pool = pool.connect_with(options).await.map_err(db_error)?;
            Ok(Pools::Postgres(Server { pool, schema: schema.as_str().into() }))
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
    /// Rows that were written and that the log holds.
    pub(super) touched: Touched,
    /// Number of the first line that was appended, and number and hash of the last.
    pub(super) appended: Option<(i64, i64, String)>,
    /// Where the last line is remembered once it is there for good.
    seen: Option<Seen>,
    /// Who signs the lines.
    pub(super) writer: Option<Arc<Writer>>,
    /// True once the log is known to have that writer.
    pub(super) is_writer_enrolled: bool,
    /// Keeps other writers of this program waiting without a connection.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    pub(super) fn new(conn: Conn, workspace: WorkspaceId, writer: Option<Arc<Writer>>) -> Self {
        let (touched, is_writer_enrolled) = (Touched::new(), false);
        Self { conn, workspace, touched, appended: None, seen: None, writer, is_writer_enrolled, _turn: None }
    }

    /// Keeps a turn until the transaction ends.
    #[must_use]
    pub(crate) fn in_turn(self, turn: Option<OwnedMutexGuard<()>>) -> Self {
        Self { _turn: turn, ..self }
    }

    /// Remembers the last line there, once it is there for good.
    #[must_use]
    pub fn remembering(self, seen: Option<Seen>) -> Self {
        Self { seen, ..self }
    }

    /// Remembers that a row is new.
    pub(super) fn touch_new(&mut self, table: FoldedTable, key: RowKey) {
        self.touched.entry((table, key)).or_insert(None);
    }
}

statements! {
    // Locks the workspace's row on PostgreSQL, so that its log grows one writer at a time; SQLite has one writer anyway.
    WORKSPACE_LOCK = "UPDATE workspace SET log_seq = log_seq WHERE id = $1";
}

impl Db {
    /// Opens a database that has the schema of this program. Nothing is made and nothing is changed.
    ///
    /// # Errors
    /// [`Code::DatabaseEmpty`] for one without our tables, [`Code::DatabaseOlder`] for an earlier schema, [`Code::DatabaseNewer`],
    /// [`Code::DatabaseUnavailable`], [`Code::DatabaseReadOnly`], [`Code::DatabaseCorrupt`] ...
    pub async fn open(address: &Address) -> Result<Self> {
        let pools = connect(address, false).await?;
        pools.check(address).await?;
        Ok(Self { pools, writer: None })
    }

    /// Opens a database and brings its schema up to date; a file and a schema that are not there are made.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_migrated(address: &Address) -> Result<Self> {
        let pools = connect(address, true).await?;
        pools.migrate().await?;
        Ok(Self { pools, writer: None })
    }

    /// The same database, with the lines of the log signed by this writer.
    #[must_use]
    pub fn written_by(self, writer: Option<Arc<Writer>>) -> Self {
        Self { writer, ..self }
    }

    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// A consistent view for reading.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn read(&self, workspace: WorkspaceId) -> Result<Tx> {
        let conn = match &self.pools {
            Pools::Sqlite { read, .. } => Conn::Sqlite(read.begin().await.map_err(db_error)?),
            Pools::Postgres(server) => Conn::Postgres(server.begin(SNAPSHOT).await?),
        };
        Ok(Tx::new(conn, workspace, self.writer.clone()))
    }

    /// The one writer of the workspace, until it is committed or dropped.
    ///
    /// # Errors
    /// [`Code::DatabaseLocked`] when another program keeps the lock too long.
    pub async fn write(&self, workspace: WorkspaceId) -> Result<Tx> {
        let conn = match &self.pools {
            Pools::Sqlite { write, .. } => Conn::Sqlite(write.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?),
            Pools::Postgres(server) => Conn::Postgres(server.begin("").await?),
        };
        let mut tx = Tx::new(conn, workspace, self.writer.clone());
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
        let Pools::Sqlite { write, .. } = &self.pools else { return self.write(workspace).await };
        let options = write.connect_options().as_ref().clone().pragma("wal_autocheckpoint", "0");
        // What is changed stays in memory until it is committed.
        let options = options.pragma("cache_size", "-131072");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(db_error)?;
        let conn = Conn::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?);
        Ok(Tx::new(conn, workspace, self.writer.clone()))
    }

    /// Copies what is committed into the file and empties SQLite's write-ahead log, in which removed texts stand until it is written over.
    /// Whoever reads at the moment keeps it from that, and the next one who writes does it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn empty_write_ahead_log(&self) -> Result<()> {
        if let Pools::Sqlite { write, .. } = &self.pools {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(write).await.map_err(db_error)?;
        }
        Ok(())
    }

    /// Prepares a statement without running it, on a real connection. For the test that prepares all of them.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn prepare(&self, sql: &'static str) -> Result<()> {
        use sqlx::{Executor, SqlSafeStr};
        match &self.pools {
            Pools::Sqlite { write, .. } => {
                write.acquire().await.map_err(db_error)?.prepare(sql.into_sql_str()).await.map(|_| ())
            }
            Pools::Postgres(server) => server.begin("").await?.prepare(sql.into_sql_str()).await.map(|_| ()),
        }
        .map_err(db_error)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(server) => server.pool.close().await,
        }
    }
}

impl Tx {
    /// Makes everything that was written last.
    ///
    /// # Errors
    /// When the database refuses; then nothing was written.
    pub async fn commit(mut self) -> Result<()> {
        if !self.touched.is_empty() {
            self.fold_touched().await?;
        }
        let is_continued = self.continues_what_was_seen().await?;
        match self.conn {
            Conn::Sqlite(tx) => tx.commit().await,
            Conn::Postgres(tx) => tx.commit().await,
        }
        .map_err(db_error)?;
        if let (true, Some(seen), Some((_, seq, head))) = (is_continued, self.seen, self.appended) {
            seen.keep_head(self.workspace, seq, &head);
        }
        Ok(())
    }

    /// Whether the lines of this transaction go on from the last one that this account saw: a log that was put back to an older state
    /// is never taken for the one that it was.
    async fn continues_what_was_seen(&mut self) -> Result<bool> {
        let (Some(seen), Some((first, ..))) = (&self.seen, &self.appended) else { return Ok(false) };
        let Some(last) = seen.head(self.workspace) else { return Ok(true) };
        if last.seq >= *first {
            return Ok(false);
        }
        // A line that cannot be read is not the one that was seen; it is no reason not to stop what is harmful.
        Ok(self.event_is(last.seq, &last.head).await.unwrap_or_default())
    }

    /// The workspace it belongs to.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }
}

/// Rows that SQLite's thread reads before it waits for whoever takes them: a wake-up costs more than a row.
const ROWS_AHEAD: usize = 512;

async fn sqlite_pools(path: &Path, may_make: bool) -> Result<Pools> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(may_make)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        // What a member was called is gone from the file, and not only from the table, once it is removed.
        .pragma("secure_delete", "ON")
        .row_buffer_size(ROWS_AHEAD);
    let acquire = Duration::from_secs(10);
    let one = SqlitePoolOptions::new().max_connections(1).acquire_timeout(acquire);
    let mut waits = [20, 50, 100, 200, 400, 800].into_iter().map(Duration::from_millis);
    let write = loop {
        let refused = match one.clone().connect_with(options.clone()).await {
            Ok(pool) => break pool,
            Err(error) => file_error(error, path),
        };
        // Programs that turn a new file to WAL together are refused at once: the busy timeout does not cover that.
        match waits.next().filter(|_| refused.code() == Code::DatabaseLocked) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(refused),
        }
    };
    let read = SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(acquire)
        .connect_lazy_with(options.create_if_missing(false).pragma("query_only", "ON"));
    Ok(Pools::Sqlite { write, read })
}
