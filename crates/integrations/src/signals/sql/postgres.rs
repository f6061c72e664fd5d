//! PostgreSQL. <https://www.postgresql.org/docs/current/protocol-flow.html>, versions 13 and later.
//!
//! Values come in the binary format. NUMERIC (what `sum(bigint)` and `avg` give) is decoded here: sqlx can do it only
//! with a decimal library that we use nowhere else. To wrap the query into `row_to_json` would avoid that too, but
//! would turn positions in errors into riddles and two columns of one name into one.

use std::str::FromStr;

use async_trait::async_trait;
use outcome_core::ports::SourceLimits;
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgDatabaseError, PgErrorPosition, PgPool, PgPoolOptions, PgRow, PgTypeKind,
};
use sqlx::{AssertSqlSafe, Connection, Executor, Row, TypeInfo, ValueRef};
use tokio::sync::OnceCell;

use super::dialect::Dialect;
use super::engine::{
    Ask, CONNECT_LIMIT, Engine, EngineError, IDLE_LIMIT, Limits, MAX_CONNECTIONS, SHARED_DATABASE, fetch_all, within,
};
use super::table::{Cell, Table};

#[derive(Debug)]
pub(super) struct Postgres {
    options: PgConnectOptions,
    pool: OnceCell<PgPool>,
}

impl Postgres {
    /// The database at `url`.
    ///
    /// # Errors
    /// A sentence about the address.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let options = PgConnectOptions::from_str(&without_others(url)).map_err(|error| error.to_string())?;
        Ok(Self { options: options.application_name("outcome-runtime"), pool: OnceCell::new() })
    }

    /// The pool. It keeps trying while the server refuses connections and then says no more than that time is up; so
    /// the first connection is made without it, for the server's own words.
    async fn pool(&self) -> Result<&PgPool, EngineError> {
        self.pool
            .get_or_try_init(async || {
                let first = async { Ok(PgConnection::connect_with(&self.options).await?) };
                within(CONNECT_LIMIT, EngineError::ConnectTimeout, first).await?.close().await?;
                Ok(PgPoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(CONNECT_LIMIT)
                    .idle_timeout(IDLE_LIMIT)
                    .connect_lazy_with(self.options.clone()))
            })
            .await
    }
}

/// Parameters of an address that the driver knows; it writes any other one to the log with its value.
const PARAMETERS: [&str; 15] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
];

/// The address without what others than this driver put there, such as Prisma's `schema` and `connection_limit`.
fn without_others(url: &str) -> String {
    let Some((address, parameters)) = url.split_once('?') else { return url.to_owned() };
    let is_known = |part: &&str| {
        let key = part.split('=').next().unwrap_or_default();
        PARAMETERS.contains(&key)
            || ["options", "application_name", "statement-cache-capacity"].iter().any(|known| key.starts_with(known))
    };
    let known: Vec<&str> = parameters.split('&').filter(is_known).collect();
    if known.is_empty() { address.to_owned() } else { format!("{address}?{}", known.join("&")) }
}

#[async_trait]
impl Engine for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn bears(&self) -> SourceLimits {
        SHARED_DATABASE
    }

    fn host(&self) -> String {
        format!("{}:{}", self.options.get_host(), self.options.get_port())
    }

    fn place(&self) -> String {
        let (user, database) = (self.options.get_username(), self.options.get_database().unwrap_or_default());
        let socket =
            self.options.get_socket().map(|socket| format!("{}:{}", socket.display(), self.options.get_port()));
        format!("postgres://{user}@{}/{database}", socket.unwrap_or_else(|| self.host()))
    }

    async fn server(&self, _limits: Limits) -> Result<String, EngineError> {
        let version: String = sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
            .persistent(false)
            .fetch_one(self.pool().await?)
            .await?;
        Ok(version)
    }

    async fn queries(&self, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
        let mut conn = self.pool().await?.acquire().await?;
        let out = within(Limits::patience_for(asks), EngineError::Timeout, run(&mut conn, asks)).await;
        if matches!(out, Err(EngineError::Timeout | EngineError::TooManyRows)) {
            // The server may still be sending; a new connection is cheaper than reading to the end.
            conn.close_on_drop();
        }
        out
    }

    async fn refuses_writes(&self, limits: Limits) -> Result<bool, EngineError> {
        let mut conn = self.pool().await?.acquire().await?;
        let mut tx = begin(&mut conn, limits).await?;
        let tried = tx.execute("CREATE TABLE outcome_runtime_write_check (a INTEGER)").await;
        tx.rollback().await?;
        Ok(tried.is_err_and(|error| error.as_database_error().and_then(|e| e.code()).as_deref() == Some("25006")))
    }
}

async fn begin(conn: &mut PgConnection, limits: Limits) -> Result<sqlx::PgTransaction<'_>, EngineError> {
    let mut tx = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let ms = limits.statement_ms();
    // UTC, so that columns without a time zone are compared as UTC; standard strings, as the lexer reads them; no
    // notices, which the driver would write to our log, and which can hold values of rows.
    let settings = format!(
        "SET LOCAL statement_timeout = {ms}; SET LOCAL lock_timeout = {ms}; SET LOCAL TIME ZONE 'UTC'; \
         SET LOCAL standard_conforming_strings = on; SET LOCAL client_min_messages = error"
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *tx).await?;
    Ok(tx)
}

async fn run(conn: &mut PgConnection, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
    let Some(first) = asks.first() else { return Ok(Vec::new()) };
    let mut tx = begin(conn, first.limits).await?;
    let out = fetch_all::<sqlx::Postgres>(&mut *tx, asks, cell).await;
    if !matches!(out, Err(EngineError::TooManyRows)) {
        // Statements are named: sqlx asks about types that it does not know (enums) between parsing and running, which
        // makes an unnamed one go. They are closed before the transaction ends, because behind a transaction pooler
        // such as pgbouncer the next client on this server connection would stumble over their names.
        tx.clear_cached_statements().await?;
        tx.rollback().await?;
    }
    out
}

/// Where in the statement an error is, in characters from 1.
pub(super) fn position(said: &dyn sqlx::error::DatabaseError) -> Option<usize> {
    match said.try_downcast_ref::<PgDatabaseError>()?.position()? {
        PgErrorPosition::Original(at) => Some(at),
        PgErrorPosition::Internal { .. } => None,
    }
}

fn cell(row: &PgRow, i: usize) -> Result<Cell, sqlx::Error> {
    let value = row.try_get_raw(i)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let info = value.type_info();
    let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
    let other = || Cell::Other(info.name().to_owned());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_or_else(|_| other(), Cell::Text);
    Ok(match info.name() {
        "INT2" => bytes.try_into().map_or_else(|_| other(), |b| Cell::Int(i16::from_be_bytes(b).into())),
        "INT4" => bytes.try_into().map_or_else(|_| other(), |b| Cell::Int(i32::from_be_bytes(b).into())),
        "INT8" => bytes.try_into().map_or_else(|_| other(), |b| Cell::Int(i64::from_be_bytes(b))),
        "FLOAT4" => bytes.try_into().map_or_else(|_| other(), |b| Cell::Float(f32::from_be_bytes(b).into())),
        "FLOAT8" => bytes.try_into().map_or_else(|_| other(), |b| Cell::Float(f64::from_be_bytes(b))),
        "BOOL" => Cell::Bool(bytes.first() == Some(&1)),
        "NUMERIC" => numeric(bytes).map_or_else(other, Cell::Text),
        "TEXT" | "VARCHAR" | "CHAR" | "\"CHAR\"" | "NAME" | "UNKNOWN" | "citext" => text(bytes),
        _ if matches!(info.kind(), PgTypeKind::Enum(_)) => text(bytes),
        _ => other(),
    })
}

/// A NUMERIC as decimal text. Its binary format: number of base-10000 digits, weight of the first, sign, display scale,
/// digits; 16 bits each.
///
/// Source: `numeric_send` in PostgreSQL's `src/backend/utils/adt/numeric.c`.
fn numeric(bytes: &[u8]) -> Option<String> {
    let (words, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let mut words = words.iter().map(|word| i16::from_be_bytes(*word));
    let (count, weight, sign, _scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let digits: Vec<i16> = words.collect();
    if digits.len() != usize::try_from(count).ok()? || !digits.iter().all(|digit| (0..10_000).contains(digit)) {
        return None;
    }
    #[expect(clippy::cast_sign_loss, reason = "the sign is a bit pattern")]
    let mut out = match sign as u16 {
        0x0000 => String::new(),
        0x4000 => "-".to_owned(),
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("inf".to_owned()),
        0xF000 => return Some("-inf".to_owned()),
        _ => return None,
    };
    let digit = |exponent: i32| {
        let index = usize::try_from(i32::from(weight) - exponent).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    out.push_str(&digit(i32::from(weight).max(0)).to_string());
    for exponent in (0..i32::from(weight).max(0)).rev() {
        out.push_str(&format!("{:04}", digit(exponent)));
    }
    let last = i32::from(weight) - i32::from(count) + 1;
    if last < 0 {
        out.push('.');
        for exponent in (last..0).rev() {
            out.push_str(&format!("{:04}", digit(exponent)));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the words of the wire format")]
    fn of(words: &[i32]) -> Option<String> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| (*word as u16).to_be_bytes()).collect();
        numeric(&bytes)
    }

    #[test]
    fn what_the_driver_does_not_know_is_not_in_the_address() {
        for (url, expected) in [
            ("postgres://a@b/c", "postgres://a@b/c"),
            ("postgres://a@b/c?schema=public", "postgres://a@b/c"),
            ("postgres://a@b/c?connection_limit=1&sslmode=require&x=y", "postgres://a@b/c?sslmode=require"),
            ("postgres://a@b/c?options[search_path]=x&host=/run", "postgres://a@b/c?options[search_path]=x&host=/run"),
        ] {
            assert_eq!(without_others(url), expected);
        }
    }

    #[test]
    fn decodes_numeric() {
        for (words, text) in [
            (vec![0, 0, 0, 0], "0"),
            (vec![1, 0, 0, 0, 7], "7"),
            (vec![1, 1, 0, 0, 7], "70000"),
            (vec![2, 1, 0x4000, 0, 1, 5], "-10005"),
            (vec![2, 0, 0, 2, 12, 3400], "12.3400"),
            (vec![1, -2, 0, 8, 5], "0.00000005"),
            (vec![0, 0, 0xC000, 0], "NaN"),
            (vec![0, 0, 0xD000, 0], "inf"),
        ] {
            assert_eq!(of(&words).as_deref(), Some(text));
        }
        for bad in [vec![], vec![1, 0, 0], vec![2, 0, 0, 0, 1], vec![1, 0, 0, 0, -1], vec![0, 0, 0x1234, 0]] {
            assert_eq!(of(&bad), None, "{bad:?}");
        }
    }
}
