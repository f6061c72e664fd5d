//! Messages that were decided together with a change of state and are delivered after it.

use serde_json::Value;
use sqlx::types::Json;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::error::must_hit;
use super::statement::statements;
use crate::error::Result;
use crate::ids::{MessageId, WorkspaceId};

statements! {
    OUTBOX_INSERT = sql!(Message::INSERT, " ON CONFLICT (workspace_id, natural_key) DO NOTHING");
    OUTBOX_DUE = sql!("SELECT ", Message::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND delivered_at IS NULL AND next_attempt_at <= $2 ORDER BY created_at, id LIMIT $3");
    OUTBOX_OPEN = sql!("SELECT ", Message::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND delivered_at IS NULL ORDER BY created_at, id LIMIT $2");
    OUTBOX_DONE = "
        UPDATE outbox SET delivered_at = $3, attempts = attempts + 1, last_error = NULL
        WHERE workspace_id = $1 AND id = $2 AND delivered_at IS NULL";
    OUTBOX_LATEST = sql!("SELECT ", Message::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND kind = $2 AND natural_key LIKE $3 ORDER BY created_at DESC, id DESC LIMIT 1");
    OUTBOX_FAILED = "
        UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $3, last_error = $4
        WHERE workspace_id = $1 AND id = $2";
    OUTBOX_DROP_OLDER = "
        UPDATE outbox SET delivered_at = $4, last_error = 'overtaken by a later message'
        WHERE workspace_id = $1 AND kind = $2 AND natural_key LIKE $3 AND delivered_at IS NULL";
}

columns! {
    /// A message.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Message in "outbox" {
        /// Its id.
        pub id: MessageId => volatile("tells messages apart"),
        /// Who delivers it: `flag`, `notify`.
        pub kind: String => volatile("unchecked: who delivers it"),
        /// What makes it the same message.
        pub natural_key: String => volatile("unchecked: whether it is sent at all"),
        /// Its content.
        pub payload: Json<Value> => volatile("unchecked: where a flag is put"),
        /// When it was decided.
        pub created_at: Instant => volatile("unchecked: which message of a flag is the latest"),
        /// Tries so far.
        pub attempts: i64 => volatile("how long until the next try"),
        /// Why the last try failed.
        pub last_error: Option<String> => volatile("shown"),
    }
    beside {
        workspace_id: WorkspaceId => folded,
        next_attempt_at: Instant => volatile("when it is tried next"),
        delivered_at: Option<Instant> => volatile("unchecked: whether it is sent at all"),
    }
}

impl Tx {
    /// Puts a message in the outbox, once for its natural key: again, it changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_insert(
        &mut self,
        id: MessageId,
        kind: &str,
        natural_key: &str,
        payload: &Value,
        at: jiff::Timestamp,
    ) -> Result<()> {
        let at = Instant(at);
        let (kind, natural_key, payload) = (kind.to_owned(), natural_key.to_owned(), Json(payload.clone()));
        let message = Message { id, kind, natural_key, payload, created_at: at, attempts: 0, last_error: None };
        on_db!(self, |c| message
            .insert(sqlx::query(OUTBOX_INSERT), &self.workspace, &at, &None)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Messages that should be tried now, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_due(&mut self, now: jiff::Timestamp, limit: i64) -> Result<Vec<Message>> {
        on_db!(self, |c| sqlx::query_as(OUTBOX_DUE)
            .bind(self.workspace)
            .bind(Instant(now))
            .bind(limit)
            .fetch_all(c)
            .await)
    }

    /// Messages that were not delivered yet, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_open(&mut self, limit: i64) -> Result<Vec<Message>> {
        on_db!(self, |c| sqlx::query_as(OUTBOX_OPEN).bind(self.workspace).bind(limit).fetch_all(c).await)
    }

    /// Notes that a message was delivered; false when it was closed meanwhile: delivered by another program, or overtaken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_done(&mut self, id: MessageId, at: jiff::Timestamp) -> Result<bool> {
        let n_rows = on_db!(self, |c| sqlx::query(OUTBOX_DONE)
            .bind(self.workspace)
            .bind(id)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// The newest message of `kind` whose key begins with `prefix`, delivered or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_latest(&mut self, kind: &str, prefix: &str) -> Result<Option<Message>> {
        let pattern = format!("{prefix}%");
        on_db!(self, |c| sqlx::query_as(OUTBOX_LATEST)
            .bind(self.workspace)
            .bind(kind)
            .bind(&pattern)
            .fetch_optional(c)
            .await)
    }

    /// Notes a failed try and when to try again.
    ///
    /// # Errors
    /// [`crate::Code::RowMissing`].
    pub async fn outbox_failed(&mut self, id: MessageId, next: jiff::Timestamp, error: &str) -> Result<()> {
        let n_rows = on_db!(self, |c| sqlx::query(OUTBOX_FAILED)
            .bind(self.workspace)
            .bind(id)
            .bind(Instant(next))
            .bind(error)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        must_hit(n_rows, "outbox", id)
    }

    /// Closes undelivered messages of `kind` whose key begins with `prefix`: a later one takes their place. There may be
    /// none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_overtake(&mut self, kind: &str, prefix: &str, at: jiff::Timestamp) -> Result<()> {
        let pattern = format!("{prefix}%");
        on_db!(self, |c| sqlx::query(OUTBOX_DROP_OLDER)
            .bind(self.workspace)
            .bind(kind)
            .bind(&pattern)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|_| ()))
    }
}
