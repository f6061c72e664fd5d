//! Workspaces: the scope of every other row.

use sqlx::FromRow;

use super::db::{Conn, Pools};
use super::{Db, Instant, Tx, db_error, on_db, statements};
use crate::audit::GENESIS;
use crate::error::Result;
use crate::ids::WorkspaceId;

statements! {
    WORKSPACE_INSERT = "
        INSERT INTO workspace (id, slug, organisation, root, is_virtual_clock, created_at, log_seq, log_head)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $7)";
    WORKSPACE_LIST = "SELECT id, slug, organisation, root, is_virtual_clock, created_at FROM workspace ORDER BY created_at, id";
}

/// A repository root with its `outcome.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub slug: String,
    /// The organisation it belongs to.
    pub organisation: String,
    /// Path of the repository's root where it was set up.
    pub root: String,
    /// True when it lives on a virtual clock.
    pub is_virtual_clock: bool,
    /// When it was set up.
    pub created_at: Instant,
}

impl Db {
    /// Every workspace of this database, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_list(&self) -> Result<Vec<Workspace>> {
        match &self.0 {
            Pools::Sqlite { read, .. } => sqlx::query_as(WORKSPACE_LIST).fetch_all(read).await,
            Pools::Postgres(pool) => sqlx::query_as(WORKSPACE_LIST).fetch_all(pool).await,
        }
        .map_err(db_error)
    }

    /// Opens a writing transaction in which the new workspace exists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_create(&self, workspace: &Workspace) -> Result<Tx> {
        let conn = match &self.0 {
            Pools::Sqlite { write, .. } => Conn::Sqlite(write.begin_with("BEGIN IMMEDIATE").await.map_err(db_error)?),
            Pools::Postgres(pool) => Conn::Postgres(pool.begin().await.map_err(db_error)?),
        };
        let mut tx = Tx { conn, workspace: workspace.id };
        on_db!(tx, |c| sqlx::query(WORKSPACE_INSERT)
            .bind(workspace.id)
            .bind(&workspace.slug)
            .bind(&workspace.organisation)
            .bind(&workspace.root)
            .bind(workspace.is_virtual_clock)
            .bind(workspace.created_at)
            .bind(GENESIS)
            .execute(c)
            .await
            .map(|_| ()))?;
        Ok(tx)
    }
}
