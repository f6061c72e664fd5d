//! Bringing a database up to the schema of this program. Migrations only grow; a newer schema is refused untouched.

use sqlx::migrate::Migrator;

use sqlx::{PgPool, SqlitePool};

use super::error::migrate_error;
use crate::error::Result;

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Runs what is missing on SQLite.
pub(super) async fn sqlite(pool: &SqlitePool) -> Result<()> {
    SQLITE.run(pool).await.map_err(migrate_error)
}

/// Runs what is missing on PostgreSQL.
pub(super) async fn postgres(pool: &PgPool) -> Result<()> {
    POSTGRES.run(pool).await.map_err(migrate_error)
}
