//! Values that count once: sealed states, ids of pushed readings.

use std::collections::HashSet;

use super::codec::Instant;
use super::columns::{ROWS, columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use crate::error::Result;
use crate::ids::WorkspaceId;

statements! {
    NONCE_INSERT = sql!(NonceRow::INSERT, " ON CONFLICT (workspace_id, kind, value) DO NOTHING");
    NONCE_INSERT_ROWS = sql!(NonceRow::INSERT_ROWS, " ON CONFLICT (workspace_id, kind, value) DO NOTHING RETURNING value");
    NONCE_SWEEP = "DELETE FROM nonce WHERE workspace_id = $1 AND expires_at <= $2";
}

columns! {
    pub(super) struct NonceRow in "nonce" {
        kind: String => volatile("unchecked: whether a value may be used again"),
        value: String => volatile("unchecked: whether a value may be used again"),
        expires_at: Instant => volatile("unchecked: whether a value may be used again"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

impl Tx {
    /// Forgets the values that may be used again. Before [`Self::nonce_use`], in the same transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nonces_expire(&mut self, now: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(NONCE_SWEEP).bind(self.workspace).bind(Instant(now)).execute(c).await.map(|_| ()))
    }

    /// Uses up values of a kind, each with the time until which that counts; those that were not used before.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn nonces_use(
        &mut self,
        kind: &str,
        values: &[(String, jiff::Timestamp)],
    ) -> Result<HashSet<String>> {
        let mut new = HashSet::new();
        let (whole, rest) = values.as_chunks::<ROWS>();
        for chunk in whole {
            let row = |(value, until): &(String, jiff::Timestamp)| NonceRow {
                kind: kind.to_owned(),
                value: value.clone(),
                expires_at: Instant(*until),
            };
            let rows: Vec<NonceRow> = chunk.iter().map(row).collect();
            let found: Vec<String> = on_db!(self, |c| rows
                .iter()
                .fold(sqlx::query(NONCE_INSERT_ROWS), |query, row| row.insert(query, &self.workspace))
                .try_map(|row: _| sqlx::Row::try_get(&row, 0))
                .fetch_all(c)
                .await)?;
            new.extend(found);
        }
        for (value, until) in rest {
            if self.nonce_use(kind, value, *until).await? {
                new.insert(value.clone());
            }
        }
        Ok(new)
    }

    /// Uses a value up; false when it was used before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nonce_use(&mut self, kind: &str, value: &str, expires_at: jiff::Timestamp) -> Result<bool> {
        let row = NonceRow { kind: kind.to_owned(), value: value.to_owned(), expires_at: Instant(expires_at) };
        let n_rows = on_db!(self, |c| row
            .insert(sqlx::query(NONCE_INSERT), &self.workspace)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }
}
