//! Values that count once: sealed states, ids of pushed readings.

use super::{Instant, Tx, on_db, statements};
use crate::error::Result;

statements! {
    NONCE_INSERT = "
        INSERT INTO nonce (workspace_id, kind, value, expires_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (workspace_id, kind, value) DO NOTHING";
    NONCE_SWEEP = "DELETE FROM nonce WHERE workspace_id = $1 AND expires_at <= $2";
}

impl Tx {
    /// Uses a value up; false when it was used before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nonce_use(
        &mut self,
        kind: &str,
        value: &str,
        expires_at: jiff::Timestamp,
        now: jiff::Timestamp,
    ) -> Result<bool> {
        on_db!(self, |c| sqlx::query(NONCE_SWEEP)
            .bind(self.workspace)
            .bind(Instant(now))
            .execute(c)
            .await
            .map(|_| ()))?;
        let n_rows = on_db!(self, |c| sqlx::query(NONCE_INSERT)
            .bind(self.workspace)
            .bind(kind)
            .bind(value)
            .bind(Instant(expires_at))
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }
}
