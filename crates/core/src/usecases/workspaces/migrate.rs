//! Bringing the database of a workspace up to the schema of this program.

use schemars::JsonSchema;
use serde::Serialize;

use super::Workspaces;
use crate::error::{Code, Result};
use crate::settings::Settings;
use crate::store::Db;
use crate::usecases::runtime::find_database;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Migrated {
    /// The database, without its password.
    pub database: String,
    /// False where it had the schema of this program already.
    pub is_changed: bool,
}

impl Workspaces<'_> {
    /// Brings the database that `settings` names up to the schema of this program, in one transaction.
    ///
    /// # Errors
    /// [`Code::DatabaseEmpty`] where there is nothing of ours, [`Code::DatabaseNewer`], or what the database says.
    #[tracing::instrument(level = "debug", name = "workspaces.migrate", skip_all)]
    pub async fn migrate(settings: Settings) -> Result<Migrated> {
        let address = find_database(&settings).await?.value;
        let is_changed = match Db::open(&address).await {
            Ok(db) => {
                db.close().await;
                false
            }
            Err(error) if error.code() == Code::DatabaseOlder => {
                Db::open_migrated(&address).await?.close().await;
                true
            }
            Err(error) => return Err(error),
        };
        Ok(Migrated { database: address.to_string(), is_changed })
    }
}
