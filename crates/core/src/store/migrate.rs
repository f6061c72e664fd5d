//! Bringing a database up to the schema of this program. Migrations only grow; a newer schema is refused untouched.
//!
//! What was run is kept in `_sqlx_migrations`, under the name and in the shape that sqlx's own migrator gave it: databases of
//! all versions of this program have that table.

use sqlx::{PgConnection, PgPool, SqliteConnection, SqlitePool};

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
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES ($1, $2, TRUE, $3, -1)";
const APPLIED: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";

mod of_sqlite {
    pub(super) const EXISTS: &str =
        "SELECT COUNT(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
    pub(super) const CREATE: &str = "
        CREATE TABLE IF NOT EXISTS _sqlx_migrations (
            version BIGINT PRIMARY KEY,
            description TEXT NOT NULL,
            installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
            success BOOLEAN NOT NULL,
            checksum BLOB NOT NULL,
            execution_time BIGINT NOT NULL
        )";
}

mod of_postgres {
    pub(super) const EXISTS: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    pub(super) const CREATE: &str = "
        CREATE TABLE IF NOT EXISTS _sqlx_migrations (
            version BIGINT PRIMARY KEY,
            description TEXT NOT NULL,
            installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
            success BOOLEAN NOT NULL,
            checksum BYTEA NOT NULL,
            execution_time BIGINT NOT NULL
        )";
    /// Held to the end of the transaction. The key is any number that nobody else locks.
    pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(7309457230112019303)";
}

/// A step that was run: version, checksum, whether it was finished.
type Applied = (i64, Vec<u8>, bool);

/// Runs what is missing on SQLite.
pub(super) async fn sqlite(pool: &SqlitePool) -> Result<()> {
    run_on_sqlite(pool, SQLITE).await
}

/// Runs what is missing on PostgreSQL.
pub(super) async fn postgres(pool: &PgPool) -> Result<()> {
    run_on_postgres(pool, POSTGRES).await
}

/// Asks without a lock first: nearly always nothing is missing, and whoever only reads must not wait for a writer. Then all
/// that is missing is run in one transaction, which keeps a second program from doing the same.
async fn run_on_sqlite(pool: &SqlitePool, known: &[Migration]) -> Result<()> {
    let mut conn = pool.acquire().await.map_err(db_error)?;
    let applied = applied_on_sqlite(&mut conn).await?;
    drop(conn);
    if missing(known, &applied)?.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?;
    sqlx::raw_sql(of_sqlite::CREATE).execute(&mut *tx).await.map_err(db_error)?;
    let applied = applied_on_sqlite(&mut tx).await?;
    for step in missing(known, &applied)? {
        sqlx::raw_sql(step.sql).execute(&mut *tx).await.map_err(db_error)?;
        let record = sqlx::query(RECORD).bind(step.version).bind(step.name).bind(step.checksum);
        record.execute(&mut *tx).await.map_err(db_error)?;
    }
    tx.commit().await.map_err(db_error)
}

async fn applied_on_sqlite(conn: &mut SqliteConnection) -> Result<Vec<Applied>> {
    let exists: bool = sqlx::query_scalar(of_sqlite::EXISTS).fetch_one(&mut *conn).await.map_err(db_error)?;
    match exists {
        true => sqlx::query_as(APPLIED).fetch_all(conn).await.map_err(db_error),
        false => Ok(Vec::new()),
    }
}

/// The same on PostgreSQL.
async fn run_on_postgres(pool: &PgPool, known: &[Migration]) -> Result<()> {
    let mut conn = pool.acquire().await.map_err(db_error)?;
    let applied = applied_on_postgres(&mut conn).await?;
    drop(conn);
    if missing(known, &applied)?.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await.map_err(db_error)?;
    sqlx::raw_sql(of_postgres::LOCK).execute(&mut *tx).await.map_err(db_error)?;
    sqlx::raw_sql(of_postgres::CREATE).execute(&mut *tx).await.map_err(db_error)?;
    let applied = applied_on_postgres(&mut tx).await?;
    for step in missing(known, &applied)? {
        sqlx::raw_sql(step.sql).execute(&mut *tx).await.map_err(db_error)?;
        let record = sqlx::query(RECORD).bind(step.version).bind(step.name).bind(step.checksum);
        record.execute(&mut *tx).await.map_err(db_error)?;
    }
    tx.commit().await.map_err(db_error)
}

async fn applied_on_postgres(conn: &mut PgConnection) -> Result<Vec<Applied>> {
    let exists: bool = sqlx::query_scalar(of_postgres::EXISTS).fetch_one(&mut *conn).await.map_err(db_error)?;
    match exists {
        true => sqlx::query_as(APPLIED).fetch_all(conn).await.map_err(db_error),
        false => Ok(Vec::new()),
    }
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
            let count = "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('one', 'two', '_sqlx_migrations')";
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
