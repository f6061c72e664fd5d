//! MySQL 5.7 and later, and MariaDB. <https://dev.mysql.com/doc/refman/8.4/en/commit.html>
//!
//! DECIMAL (what `SUM` of integers gives) comes as text, which is how it is read.

use std::str::FromStr;

use async_trait::async_trait;
use outcome_core::ports::SourceLimits;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, Row, TypeInfo, ValueRef};
use tokio::sync::OnceCell;

use super::dialect::Dialect;
use super::engine::{
    Ask, CONNECT_LIMIT, Engine, EngineError, IDLE_LIMIT, Limits, MAX_CONNECTIONS, SHARED_DATABASE, fetch_all, within,
};
use super::table::{Cell, Table};

#[derive(Debug)]
pub(super) struct MySql {
    options: MySqlConnectOptions,
    server: OnceCell<Server>,
}

#[derive(Debug)]
struct Server {
    pool: MySqlPool,
    version: String,
}

impl MySql {
    /// The database at `url`.
    ///
    /// # Errors
    /// A sentence about the address.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let options = MySqlConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        // The query keeps the meaning that it has in the user's own client.
        let options = options.pipes_as_concat(false).no_engine_substitution(false);
        Ok(Self { options, server: OnceCell::new() })
    }

    /// The pool. As with PostgreSQL, the first connection is made without it; it also asks for the version.
    async fn connected(&self) -> Result<&Server, EngineError> {
        self.server
            .get_or_try_init(async || {
                let first = async {
                    let mut conn = MySqlConnection::connect_with(&self.options).await?;
                    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut conn).await?;
                    conn.close().await?;
                    Ok(version)
                };
                let version = within(CONNECT_LIMIT, EngineError::ConnectTimeout, first).await?;
                let pool = MySqlPoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(CONNECT_LIMIT)
                    .idle_timeout(IDLE_LIMIT)
                    .connect_lazy_with(self.options.clone());
                Ok(Server { pool, version })
            })
            .await
    }
}

impl Server {
    fn is_mariadb(&self) -> bool {
        self.version.to_ascii_lowercase().contains("mariadb")
    }

    async fn begin<'c>(
        &self,
        conn: &'c mut MySqlConnection,
        limits: Limits,
    ) -> Result<sqlx::MySqlTransaction<'c>, EngineError> {
        let ms = limits.statement_ms();
        let limit = if self.is_mariadb() {
            format!("max_statement_time = {}.{:03}", ms / 1000, ms % 1000)
        } else {
            format!("max_execution_time = {ms}")
        };
        // Strings and names as the lexer reads them.
        let settings = format!(
            "SET SESSION {limit}, \
             sql_mode = REPLACE(REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', ''), 'ANSI_QUOTES', '')"
        );
        sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *conn).await?;
        // Where another level is set than the server's own, a snapshot is one of the first statement only.
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *conn).await?;
        Ok(conn.begin_with("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?)
    }

    async fn run(&self, conn: &mut MySqlConnection, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let mut tx = self.begin(conn, first.limits).await?;
        let tables = fetch_all::<sqlx::MySql>(&mut *tx, asks, cell).await?;
        tx.clear_cached_statements().await?;
        tx.rollback().await?;
        Ok(tables)
    }
}

#[async_trait]
impl Engine for MySql {
    fn dialect(&self) -> Dialect {
        Dialect::MySql
    }

    fn bears(&self) -> SourceLimits {
        SHARED_DATABASE
    }

    fn host(&self) -> String {
        format!("{}:{}", self.options.get_host(), self.options.get_port())
    }

    fn place(&self) -> String {
        let (user, database) = (self.options.get_username(), self.options.get_database().unwrap_or_default());
        format!("mysql://{user}@{}/{database}", self.host())
    }

    async fn server(&self, _limits: Limits) -> Result<String, EngineError> {
        let server = self.connected().await?;
        let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&server.pool).await?;
        Ok(if server.is_mariadb() { version } else { format!("MySQL {version}") })
    }

    async fn queries(&self, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
        let server = self.connected().await?;
        let mut conn = server.pool.acquire().await?;
        let out = within(Limits::patience_for(asks), EngineError::Timeout, server.run(&mut conn, asks)).await;
        if matches!(out, Err(EngineError::Timeout | EngineError::TooManyRows)) {
            conn.close_on_drop();
        }
        out
    }

    async fn refuses_writes(&self, limits: Limits) -> Result<bool, EngineError> {
        let server = self.connected().await?;
        let mut conn = server.pool.acquire().await?;
        let mut tx = server.begin(&mut conn, limits).await?;
        // MariaDB ends the transaction at statements that make or drop tables, so only a change of rows shows whether
        // it refuses; this one changes none even where it does not. In an empty database there is nothing to change.
        let table: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT table_name FROM information_schema.tables
             WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' LIMIT 1",
        )
        .persistent(false)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(table) = table.and_then(|name| String::from_utf8(name).ok()) else { return Ok(true) };
        let delete = format!("DELETE FROM `{}` WHERE 1 = 0", table.replace('`', "``"));
        let tried = sqlx::raw_sql(AssertSqlSafe(delete)).execute(&mut *tx).await;
        tx.rollback().await?;
        // 1142: the user may not delete in the first place.
        Ok(tried.is_err_and(|error| matches!(error.as_database_error().and_then(number), Some(1792 | 1142))))
    }
}

/// The server's error number.
pub(super) fn number(said: &dyn sqlx::error::DatabaseError) -> Option<u16> {
    Some(said.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

fn cell(row: &MySqlRow, i: usize) -> Result<Cell, sqlx::Error> {
    let value = row.try_get_raw(i)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "BOOLEAN" => Cell::Int(row.try_get_unchecked(i)?),
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED" | "BIGINT UNSIGNED" => {
            let number: u64 = row.try_get_unchecked(i)?;
            i64::try_from(number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Int)
        }
        "FLOAT" => Cell::Float(row.try_get_unchecked::<f32, _>(i)?.into()),
        "DOUBLE" => Cell::Float(row.try_get_unchecked(i)?),
        "DECIMAL" | "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" | "BINARY"
        | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
            let bytes: Vec<u8> = row.try_get_unchecked(i)?;
            String::from_utf8(bytes).map_or(Cell::Other(kind), Cell::Text)
        }
        _ => Cell::Other(kind),
    })
}
