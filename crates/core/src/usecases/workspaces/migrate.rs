//! Bringing the database of a workspace up to the schema of this program.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Workspaces;
use crate::audit::replay::WorkspaceCreated;
use crate::audit::{AppliedBecause, EventKind, FoldedTable};
use crate::error::{Code, Result};
use crate::principal::Principal;
use crate::settings::Settings;
use crate::store::{Db, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::applied::applied;
use crate::usecases::kernel::apply_change::{NewConfiguration, note_configuration};
use crate::usecases::kernel::workspace_file::{origin, proposed};
use crate::usecases::runtime::find_database;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Migrated {
    /// The database, without its password.
    pub database: String,
    /// False where it had the schema of this program already.
    pub is_changed: bool,
    /// True when the outcome file began to count as applied, as it did without being applied in programs of before.
    pub is_file_adopted: bool,
    /// Number of the last line up to which rows were taken into the log as they lay there, where no member has signed since.
    pub unvouched_until: Option<i64>,
    /// Why the outcome file could not be adopted, where it should have been.
    pub problem: Option<String>,
}

impl Workspaces<'_> {
    /// Brings the database that `settings` names up to the schema of this program, in one transaction.
    ///
    /// # Errors
    /// [`Code::DatabaseEmpty`] where there is nothing of ours, [`Code::DatabaseNewer`], or what the database says.
    #[tracing::instrument(level = "debug", name = "workspaces.migrate", skip_all)]
    pub async fn migrate(settings: Settings) -> Result<Migrated> {
        let address = find_database(&settings).await?.value;
        let shown = address.to_string();
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
        let runtime = Runtime::open(settings).await?;
        fold_rows(&runtime).await?;
        let (is_file_adopted, problem) = match adopt_file(&runtime).await {
            Ok(is_adopted) => (is_adopted, None),
            Err(error) => (false, Some(error.to_string())),
        };
        let unvouched_until = runtime.audit_log().unvouched_beginning().await?;
        runtime.db.close().await;
        Ok(Migrated { database: shown, is_changed, is_file_adopted, unvouched_until, problem })
    }
}

/// In programs of before the log did not hold what the rows hold. From here on it does, and says that nobody signed the beginning.
async fn fold_rows(runtime: &Runtime) -> Result<()> {
    let mut tx = runtime.write().await?;
    if tx.event_last_of_kind(runtime.workspace.id.0, EventKind::RowsStored, i64::MAX).await?.is_none() {
        tx.fold_everything().await?;
    } else if !holds_levels(&mut tx).await? {
        tx.fold_beginning(&[FoldedTable::Measurement]).await?;
    }
    tx.commit().await
}

/// Levels came into the log later than other rows.
async fn holds_levels(tx: &mut Tx) -> Result<bool> {
    let genesis = tx.event_page(0, 1).await?.pop().and_then(|line| WorkspaceCreated::deserialize(line.payload).ok());
    Ok(genesis.is_some_and(|genesis| genesis.holds_levels) || tx.holds_rows_of(FoldedTable::Measurement).await?)
}

/// In programs of before the file counted as it lay there. It goes on counting, and the log says that nobody signed it.
async fn adopt_file(runtime: &Runtime) -> Result<bool> {
    let mut tx = runtime.read().await?;
    if applied(runtime, &mut tx).await?.is_some() || tx.outcome_list(None).await?.is_empty() {
        return Ok(false);
    }
    drop(tx);
    let (text, config) = proposed(runtime).await?;
    let origin = origin(runtime, &text).await;
    let mut tx = runtime.write().await?;
    let hash = tx.configuration_insert(&text, runtime.now()).await?;
    let new =
        NewConfiguration { hash, previous: None, origin, because: AppliedBecause::Adopted, config, places: Vec::new() };
    note_configuration(runtime, &mut tx, &new, &Principal::system("migrate")).await?;
    tx.commit().await?;
    Ok(true)
}
