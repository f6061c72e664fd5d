//! Bringing a database up to the schema of this program. Migrations only grow; a newer schema is refused untouched, and nobody who
//! only reads changes one.
//!
//! What was run is kept in a table of our own, beside our tables: on PostgreSQL in our own schema. Programs before this one kept it
//! in `_sqlx_migrations`, which an application on sqlx takes for its own, and on PostgreSQL among the tables of the application;
//! migrating moves both.

use sqlx::{AssertSqlSafe, PgConnection, PgPool, SqliteConnection, SqlitePool};

use super::error::db_error;
use crate::error::{Code, Error, Result};

/// A step of the schema.
struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
    /// SHA-384 of `sql`.
    checksum: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

const RECORD: &str = "
    INSERT INTO runtime_migration (version, description, success, checksum, execution_time) VALUES ($1, $2, TRUE, $3, -1)";
const APPLIED: &str = "SELECT version, checksum, success FROM runtime_migration ORDER BY version";
/// The table of programs before this one, looked at only where it is.
const APPLIED_BEFORE: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";

mod of_sqlite {
    /// Whether there is our table, and the one of before.
    pub(super) const TABLES: &str = "
        SELECT COUNT(*) FILTER (WHERE name = 'runtime_migration') > 0, COUNT(*) FILTER (WHERE name = '_sqlx_migrations') > 0
        FROM sqlite_master WHERE type = 'table'";
    /// Tables of whoever.
    pub(super) const OTHERS: &str =
        "SELECT COUNT(*) FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'";
    pub(super) const MOVE: &str = "ALTER TABLE _sqlx_migrations RENAME TO runtime_migration";
    pub(super) const CREATE: &str = "
        CREATE TABLE IF NOT EXISTS runtime_migration (
            version BIGINT PRIMARY KEY,
            description TEXT NOT NULL,
            installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
            success BOOLEAN NOT NULL,
            checksum BLOB NOT NULL,
            execution_time BIGINT NOT NULL
        )";
}

mod of_postgres {
    /// Whether there is our table in our schema, and the one of before where the server looks by itself.
    pub(super) const TABLES: &str = "
        SELECT to_regclass(quote_ident($1) || '.runtime_migration') IS NOT NULL, to_regclass('_sqlx_migrations') IS NOT NULL";
    /// The schema of the table of before.
    pub(super) const SCHEMA_BEFORE: &str = "
        SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = to_regclass('_sqlx_migrations')";
    pub(super) const CREATE: &str = "
        CREATE TABLE IF NOT EXISTS runtime_migration (
            version BIGINT PRIMARY KEY,
            description TEXT NOT NULL,
            installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
            success BOOLEAN NOT NULL,
            checksum BYTEA NOT NULL,
            execution_time BIGINT NOT NULL
        )";
    /// Held to the end of the transaction. The key is any number that nobody else locks.
    pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(7309457230112019303)";
    /// The tables that programs before this one kept where the application has its own.
    pub(super) const MOVED: [&str; 19] = [
        "agent_token",
        "allocation_phase",
        "decision",
        "delivery",
        "event",
        "experiment",
        "gate",
        "learning",
        "lease",
        "machine_clock",
        "measurement",
        "member",
        "member_key",
        "nonce",
        "outbox",
        "outcome",
        "session",
        "signal_health",
        "workspace",
    ];
}

/// A step that was run: version, checksum, whether it was finished.
type Applied = (i64, Vec<u8>, bool);

/// What a database is to this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has the schema of this program.
    Current,
    /// It has none of ours.
    Empty,
    /// It has an earlier one.
    Older,
}

impl State {
    fn of(known: &[Migration], applied: &[Applied], is_moved: bool) -> Result<Self> {
        if applied.is_empty() {
            return Ok(Self::Empty);
        }
        let is_current = missing(known, applied)?.is_empty() && is_moved;
        Ok(if is_current { Self::Current } else { Self::Older })
    }
}

/// Whether these are the first steps of ours, and not of an application.
fn are_ours(known: &[Migration], applied: &[Applied]) -> bool {
    known.first().zip(applied.first()).is_some_and(|(known, (_, checksum, _))| *checksum == known.checksum)
}

/// Looks, without a lock.
pub(super) async fn state_on_sqlite(pool: &SqlitePool) -> Result<State> {
    let mut conn = pool.acquire().await.map_err(db_error)?;
    let (applied, is_moved) = applied_on_sqlite(&mut conn, SQLITE).await?;
    State::of(SQLITE, &applied, is_moved)
}

/// The same on PostgreSQL.
pub(super) async fn state_on_postgres(pool: &PgPool, schema: &str) -> Result<State> {
    let mut conn = pool.acquire().await.map_err(db_error)?;
    let (applied, is_moved) = applied_on_postgres(&mut conn, schema, POSTGRES).await?;
    State::of(POSTGRES, &applied, is_moved)
}

/// Runs what is missing on SQLite.
pub(super) async fn sqlite(pool: &SqlitePool) -> Result<()> {
    run_on_sqlite(pool, SQLITE).await
}

/// Runs what is missing on PostgreSQL, in our schema.
pub(super) async fn postgres(pool: &PgPool, schema: &str) -> Result<()> {
    run_on_postgres(pool, schema, POSTGRES).await
}

/// All that is missing is run in one transaction, which keeps a second program from doing the same.
async fn run_on_sqlite(pool: &SqlitePool, known: &[Migration]) -> Result<()> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?;
    let (applied, is_moved) = applied_on_sqlite(&mut tx, known).await?;
    if applied.is_empty() {
        let n_others: i64 = sqlx::query_scalar(of_sqlite::OTHERS).fetch_one(&mut *tx).await.map_err(db_error)?;
        if n_others > 0 {
            return Err(Error::new(Code::DatabaseFailed, "the file holds the tables of another application")
                .hint("nothing was changed; give this program a file of its own"));
        }
    } else if !is_moved {
        sqlx::raw_sql(of_sqlite::MOVE).execute(&mut *tx).await.map_err(db_error)?;
    }
    sqlx::raw_sql(of_sqlite::CREATE).execute(&mut *tx).await.map_err(db_error)?;
    for step in missing(known, &applied)? {
        sqlx::raw_sql(step.sql).execute(&mut *tx).await.map_err(db_error)?;
        let record = sqlx::query(RECORD).bind(step.version).bind(step.name).bind(step.checksum);
        record.execute(&mut *tx).await.map_err(db_error)?;
    }
    tx.commit().await.map_err(db_error)
}

/// What was run, and whether that is kept in our own table.
async fn applied_on_sqlite(conn: &mut SqliteConnection, known: &[Migration]) -> Result<(Vec<Applied>, bool)> {
    let (is_ours, is_before): (bool, bool) =
        sqlx::query_as(of_sqlite::TABLES).fetch_one(&mut *conn).await.map_err(db_error)?;
    if is_ours {
        return Ok((sqlx::query_as(APPLIED).fetch_all(conn).await.map_err(db_error)?, true));
    }
    if is_before {
        let applied: Vec<Applied> = sqlx::query_as(APPLIED_BEFORE).fetch_all(conn).await.map_err(db_error)?;
        return Ok((Some(applied).filter(|applied| are_ours(known, applied)).unwrap_or_default(), false));
    }
    Ok((Vec::new(), true))
}

/// The same on PostgreSQL.
async fn run_on_postgres(pool: &PgPool, schema: &str, known: &[Migration]) -> Result<()> {
    let mut tx = pool.begin().await.map_err(db_error)?;
    sqlx::raw_sql(of_postgres::LOCK).execute(&mut *tx).await.map_err(db_error)?;
    let (applied, is_moved) = applied_on_postgres(&mut tx, schema, known).await?;
    if is_moved && !applied.is_empty() && missing(known, &applied)?.is_empty() {
        return Ok(());
    }
    // Whoever may not make schemas can be given one.
    let make =
        format!("DO $$ BEGIN IF to_regnamespace('{schema}') IS NULL THEN CREATE SCHEMA {schema}; END IF; END $$");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *tx).await.map_err(db_error)?;
    if !is_moved && !applied.is_empty() {
        let before: String =
            sqlx::query_scalar(of_postgres::SCHEMA_BEFORE).fetch_one(&mut *tx).await.map_err(db_error)?;
        move_to(&mut tx, &before, schema).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("SET LOCAL search_path TO {schema}")))
        .execute(&mut *tx)
        .await
        .map_err(db_error)?;
    sqlx::raw_sql(of_postgres::CREATE).execute(&mut *tx).await.map_err(db_error)?;
    for step in missing(known, &applied)? {
        sqlx::raw_sql(step.sql).execute(&mut *tx).await.map_err(db_error)?;
        let record = sqlx::query(RECORD).bind(step.version).bind(step.name).bind(step.checksum);
        record.execute(&mut *tx).await.map_err(db_error)?;
    }
    tx.commit().await.map_err(db_error)
}

/// Moves our tables out of the schema where programs before this one made them.
async fn move_to(tx: &mut PgConnection, before: &str, schema: &str) -> Result<()> {
    let mut statements = vec![format!("ALTER TABLE {before}._sqlx_migrations RENAME TO runtime_migration")];
    let tables = of_postgres::MOVED.iter().copied().chain(["runtime_migration"]);
    statements.extend(tables.map(|table| format!("ALTER TABLE IF EXISTS {before}.{table} SET SCHEMA {schema}")));
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await.map_err(db_error)?;
    }
    Ok(())
}

async fn applied_on_postgres(
    conn: &mut PgConnection,
    schema: &str,
    known: &[Migration],
) -> Result<(Vec<Applied>, bool)> {
    let (is_ours, is_before): (bool, bool) =
        sqlx::query_as(of_postgres::TABLES).bind(schema).fetch_one(&mut *conn).await.map_err(db_error)?;
    if is_ours {
        let applied = APPLIED.replace("runtime_migration", &format!("{schema}.runtime_migration"));
        return Ok((sqlx::query_as(AssertSqlSafe(applied)).fetch_all(conn).await.map_err(db_error)?, true));
    }
    if is_before {
        let applied: Vec<Applied> = sqlx::query_as(APPLIED_BEFORE).fetch_all(conn).await.map_err(db_error)?;
        return Ok((Some(applied).filter(|applied| are_ours(known, applied)).unwrap_or_default(), false));
    }
    Ok((Vec::new(), true))
}

/// The steps that a database lacks.
///
/// # Errors
/// [`Code::DatabaseNewer`] for a step that this program does not know, [`Code::DatabaseCorrupt`] for one that is not what it
/// knows, [`Code::DatabaseFailed`] for one that was not finished.
fn missing<'m>(known: &'m [Migration], applied: &[Applied]) -> Result<Vec<&'m Migration>> {
    if let Some((version, ..)) = applied.iter().find(|(.., is_finished)| !is_finished) {
        return Err(Error::new(Code::DatabaseFailed, "the database's schema could not be brought up to date")
            .hint(format!("schema step {version} was begun and not finished: restore a backup")));
    }
    if let Some((version, ..)) = applied.iter().find(|(version, ..)| known.iter().all(|step| step.version != *version))
    {
        return Err(Error::new(
            Code::DatabaseNewer,
            format!("the database has schema {version}, which this version of the program does not know"),
        )
        .hint("use a newer version of the program; nothing was changed"));
    }
    let mut missing = Vec::new();
    for step in known {
        match applied.iter().find(|(version, ..)| *version == step.version) {
            None => missing.push(step),
            Some((_, checksum, _)) if *checksum == step.checksum => {}
            Some(_) => {
                return Err(Error::new(
                    Code::DatabaseCorrupt,
                    format!("schema step {} of the database is not the one of this program", step.version),
                )
                .hint("the database was made by an unreleased or altered version"));
            }
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    const GOOD: Migration = Migration { version: 1, name: "good", sql: "CREATE TABLE one (n INTEGER)", checksum: b"1" };
    const BAD: Migration = Migration {
        version: 2,
        name: "bad",
        sql: "CREATE TABLE two (n INTEGER); CREATE TABLE one (n INTEGER)",
        checksum: b"2",
    };

    #[tokio::test]
    async fn of_several_steps_all_are_run_or_none() {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let tables = async || -> i64 {
            let count = "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('one', 'two', 'runtime_migration')";
            sqlx::query_scalar(count).fetch_one(&pool).await.unwrap()
        };
        assert_eq!(run_on_sqlite(&pool, &[GOOD, BAD]).await.unwrap_err().code(), Code::DatabaseFailed);
        assert_eq!(tables().await, 0);
        run_on_sqlite(&pool, &[GOOD]).await.unwrap();
        assert_eq!(run_on_sqlite(&pool, &[GOOD, BAD]).await.unwrap_err().code(), Code::DatabaseFailed);
        assert_eq!(tables().await, 2, "what was there before stays");
    }

    #[test]
    fn numbers_begin_with_one_and_have_no_gaps() {
        for steps in [SQLITE, POSTGRES] {
            let versions: Vec<i64> = steps.iter().map(|step| step.version).collect();
            assert_eq!(versions, (1..=i64::try_from(steps.len()).unwrap()).collect::<Vec<_>>());
        }
    }
}
