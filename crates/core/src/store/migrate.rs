//! Bringing a database up to the schema of this program. Migrations only grow; a newer schema is refused untouched.

use sqlx::migrate::Migrator;

use super::db::Pools;
use super::error::migrate_error;
use crate::error::Result;

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Runs what is missing.
pub(super) async fn run(pools: &Pools) -> Result<()> {
    match pools {
        Pools::Sqlite { write, .. } => SQLITE.run(write).await,
        Pools::Postgres(pool) => POSTGRES.run(pool).await,
    }
    .map_err(migrate_error)
}
