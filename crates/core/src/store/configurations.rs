//! Texts of outcome files that were proposed or applied. Which one counts is in the log.

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use crate::digest::sha256_hex;
use crate::error::Result;
use crate::ids::WorkspaceId;

statements! {
    CONFIGURATION_INSERT = sql!(ConfigurationRow::INSERT, " ON CONFLICT (workspace_id, hash) DO NOTHING");
    CONFIGURATION_GET = "SELECT content FROM configuration WHERE workspace_id = $1 AND hash = $2";
}

columns! {
    pub(super) struct ConfigurationRow in "configuration" {
        hash: String => volatile("to look up by; the one in the log counts"),
        content: String => folded,
        proposed_at: Instant => volatile("shown"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

impl Tx {
    /// Keeps the text of an outcome file, once. Returns its SHA-256.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration_insert(&mut self, text: &str, at: jiff::Timestamp) -> Result<String> {
        let row = ConfigurationRow { hash: sha256_hex(text), content: text.to_owned(), proposed_at: Instant(at) };
        on_db!(self, |c| row.insert(sqlx::query(CONFIGURATION_INSERT), &self.workspace).execute(c).await.map(|_| ()))?;
        Ok(row.hash)
    }

    /// The text with this SHA-256. `None` where it is not there, or is another one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration_get(&mut self, hash: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = on_db!(self, |c| sqlx::query_as(CONFIGURATION_GET)
            .bind(self.workspace)
            .bind(hash)
            .fetch_optional(c)
            .await)?;
        Ok(row.map(|(text,)| text).filter(|text| sha256_hex(text) == hash))
    }
}
