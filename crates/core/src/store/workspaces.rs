//! Workspaces: the scope of every other row.

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Conn, Db, Pools, SNAPSHOT, Tx, on_db};
use super::error::db_error;
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::audit::GENESIS;
use crate::error::Result;
use crate::ids::WorkspaceId;

statements! {
    WORKSPACE_INSERT = Workspace::INSERT;
    WORKSPACE_WITHOUT_LOG = sql!("SELECT w.id FROM workspace w
        WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.workspace_id = w.id) ORDER BY w.id LIMIT 20");
    WORKSPACE_LIST = sql!("SELECT ", Workspace::COLUMNS, " FROM workspace ORDER BY created_at, id");
}

columns! {
    /// A repository root with its `outcome.yaml`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Workspace in "workspace" {
        /// Its id.
        pub id: WorkspaceId => folded,
        /// Its name.
        pub slug: String => volatile("shown"),
        /// The organisation it belongs to.
        pub organisation: String => volatile("shown"),
        /// Path of the repository's root where it was set up.
        pub root: String => volatile("where the workspace is looked for"),
        /// True when it lives on a virtual clock.
        pub is_virtual_clock: bool => folded,
        /// When it was set up.
        pub created_at: Instant => volatile("shown and sorted by"),
    }
    beside {
        log_seq: i64 => folded,
        log_head: String => folded,
    }
}

impl Db {
    /// Every workspace of this database, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_list(&self) -> Result<Vec<Workspace>> {
        match &self.pools {
            Pools::Sqlite { read, .. } => sqlx::query_as(WORKSPACE_LIST).fetch_all(read).await,
            Pools::Postgres(server) => {
                let mut tx = server.begin(SNAPSHOT).await?;
                sqlx::query_as(WORKSPACE_LIST).fetch_all(&mut *tx).await
            }
        }
        .map_err(db_error)
    }

    /// Opens a writing transaction in which the new workspace exists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_create(&self, workspace: &Workspace) -> Result<Tx> {
        let conn = match &self.pools {
            Pools::Sqlite { write, .. } => Conn::Sqlite(write.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?),
            Pools::Postgres(server) => Conn::Postgres(server.begin("").await?),
        };
        let mut tx = Tx::new(conn, workspace.id, self.writer.clone());
        tx.touch_new(FoldedTable::Workspace, RowKey::Id(workspace.id.0));
        let genesis = GENESIS.to_owned();
        on_db!(tx, |c| workspace.insert(sqlx::query(WORKSPACE_INSERT), &0, &genesis).execute(c).await.map(|_| ()))?;
        Ok(tx)
    }
}

impl Tx {
    /// Workspaces of this database without a line in any log: at most 20, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_without_log(&mut self) -> Result<Vec<WorkspaceId>> {
        on_db!(self, |c| sqlx::query_scalar(WORKSPACE_WITHOUT_LOG).fetch_all(c).await)
    }
}
