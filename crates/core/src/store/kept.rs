//! What is kept for a stated time: raw answers of sources, and how far levels were thinned.

use jiff::Timestamp;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use crate::error::Result;
use crate::ids::WorkspaceId;

/// Raw answers that are forgotten in one transaction.
const ANSWERS_AT_ONCE: i64 = 2000;

statements! {
    ANSWER_PUT = sql!(RawAnswerRow::INSERT, "
        ON CONFLICT (workspace_id, hash) DO UPDATE SET packed = excluded.packed, read_at = excluded.read_at");
    ANSWER_GET = sql!("SELECT ", RawAnswerRow::COLUMNS, " FROM raw_answer WHERE workspace_id = $1 AND hash = $2");
    ANSWER_IS_OLD = "SELECT hash FROM raw_answer WHERE workspace_id = $1 AND read_at < $2 LIMIT 1";
    ANSWER_SWEEP = "
        DELETE FROM raw_answer WHERE workspace_id = $1 AND hash IN (
            SELECT hash FROM raw_answer WHERE workspace_id = $1 AND read_at < $2 ORDER BY read_at LIMIT $3)";
    THINNED_GET = sql!("SELECT ", RetentionRow::COLUMNS, " FROM retention WHERE workspace_id = $1");
    THINNED_PUT = sql!(RetentionRow::INSERT, "
        ON CONFLICT (workspace_id) DO UPDATE SET levels_until = excluded.levels_until");
}

columns! {
    /// What a source answered, packed.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RawAnswerRow in "raw_answer" {
        /// SHA-256 of what was packed.
        pub hash: String => volatile("it is held against the text"),
        /// The text, compressed.
        pub packed: Vec<u8> => volatile("its hash is held against its name"),
        /// When it was said last.
        pub read_at: Instant => volatile("unchecked: how long it is kept"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

columns! {
    pub(super) struct RetentionRow in "retention" {
        levels_until: Instant => volatile("unchecked: which days are thinned"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

impl Tx {
    /// Keeps what a source answered. The same answer is kept once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn raw_answer_put(&mut self, row: &RawAnswerRow) -> Result<()> {
        on_db!(self, |c| row.insert(sqlx::query(ANSWER_PUT), &self.workspace).execute(c).await.map(|_| ()))
    }

    /// What a source answered, by its hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn raw_answer_get(&mut self, hash: &str) -> Result<Option<RawAnswerRow>> {
        on_db!(self, |c| sqlx::query_as(ANSWER_GET).bind(self.workspace).bind(hash).fetch_optional(c).await)
    }

    /// Whether an answer was last said before an instant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn raw_answer_is_old(&mut self, before: Timestamp) -> Result<bool> {
        let found: Option<String> = on_db!(self, |c| sqlx::query_scalar(ANSWER_IS_OLD)
            .bind(self.workspace)
            .bind(Instant(before))
            .fetch_optional(c)
            .await)?;
        Ok(found.is_some())
    }

    /// Forgets some of the answers that were last said before an instant; how many. 0 when there is none left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn raw_answer_sweep(&mut self, before: Timestamp) -> Result<u64> {
        on_db!(self, |c| sqlx::query(ANSWER_SWEEP)
            .bind(self.workspace)
            .bind(Instant(before))
            .bind(ANSWERS_AT_ONCE)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))
    }

    /// Up to which instant levels were thinned; `None` where they never were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn levels_thinned_until(&mut self) -> Result<Option<Timestamp>> {
        let row: Option<RetentionRow> =
            on_db!(self, |c| sqlx::query_as(THINNED_GET).bind(self.workspace).fetch_optional(c).await)?;
        Ok(row.map(|row| row.levels_until.0))
    }

    /// Notes up to which instant levels were thinned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn levels_thinned(&mut self, until: Timestamp) -> Result<()> {
        let row = RetentionRow { levels_until: Instant(until) };
        on_db!(self, |c| row.insert(sqlx::query(THINNED_PUT), &self.workspace).execute(c).await.map(|_| ()))
    }
}
