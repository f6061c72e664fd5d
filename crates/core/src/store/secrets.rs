//! Sealed secrets. What they mean and how they are opened is not known here.

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::error::Result;
use crate::ids::WorkspaceId;

statements! {
    SECRET_PUT = sql!(StoredSecret::INSERT, "
        ON CONFLICT (workspace_id, name) DO UPDATE SET nonce = excluded.nonce, sealed = excluded.sealed,
            key_id = excluded.key_id, hint = excluded.hint, set_at = excluded.set_at, set_by = excluded.set_by");
    SECRET_LIST = sql!("SELECT ", StoredSecret::COLUMNS, " FROM secret WHERE workspace_id = $1 ORDER BY name");
    SECRET_DELETE = "DELETE FROM secret WHERE workspace_id = $1 AND name = $2";
}

columns! {
    /// A sealed secret.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct StoredSecret in "secret" {
        /// What references call it.
        pub name: String => folded,
        /// Its nonce, in base64.
        pub nonce: String => folded,
        /// Ciphertext and tag, in base64.
        pub sealed: String => folded,
        /// Id of the key that opens it.
        pub key_id: String => folded,
        /// Its last characters, where it is long.
        pub hint: Option<String> => folded,
        /// When it was set; sealing it with another key is not setting it.
        pub set_at: Instant => folded,
        /// Who set it.
        pub set_by: String => folded,
    }
    beside { workspace_id: WorkspaceId => folded }
}

impl Tx {
    /// Stores a sealed secret in place of the one of its name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn secret_put(&mut self, secret: &StoredSecret) -> Result<()> {
        self.touch(FoldedTable::Secret, RowKey::Text(secret.name.clone())).await?;
        on_db!(self, |c| secret.insert(sqlx::query(SECRET_PUT), &self.workspace).execute(c).await.map(|_| ()))
    }

    /// The sealed secrets, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn secret_list(&mut self) -> Result<Vec<StoredSecret>> {
        on_db!(self, |c| sqlx::query_as(SECRET_LIST).bind(self.workspace).fetch_all(c).await)
    }

    /// Removes a secret; false where there is none of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn secret_delete(&mut self, name: &str) -> Result<bool> {
        self.touch(FoldedTable::Secret, RowKey::Text(name.to_owned())).await?;
        let n_rows = on_db!(self, |c| sqlx::query(SECRET_DELETE)
            .bind(self.workspace)
            .bind(name)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }
}
