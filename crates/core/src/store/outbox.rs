//! Messages that were decided together with a change of state and are delivered after it.

use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::error::must_hit;
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{Closing, Message, MessageKey, MessageKind, UnreadableMessage};
use crate::error::{Code, Error, Result};
use crate::ids::{ExperimentId, MessageId, WorkspaceId};

statements! {
    OUTBOX_INSERT = sql!(OutboxRow::INSERT, " ON CONFLICT (workspace_id, natural_key) DO NOTHING");
    OUTBOX_DUE = sql!("SELECT ", OutboxRow::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND delivered_at IS NULL AND (next_attempt_at <= $2 OR next_attempt_at > $5)
            AND CASE WHEN kind = 'flag' THEN $3 ELSE NOT $3 END
        ORDER BY created_at, id LIMIT $4");
    OUTBOX_OPEN = sql!("SELECT ", OutboxRow::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND delivered_at IS NULL ORDER BY created_at, id LIMIT $2");
    OUTBOX_CLOSE = "
        UPDATE outbox SET delivered_at = $3, closed_as = $4, attempts = attempts + 1, last_error = NULL
        WHERE workspace_id = $1 AND id = $2 AND delivered_at IS NULL";
    OUTBOX_N_WAITING = "
        SELECT COUNT(*) FROM outbox
        WHERE workspace_id = $1 AND kind = $2 AND subject_id = $3 AND delivered_at IS NULL";
    OUTBOX_FAILED = "
        UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $3, last_error = $4
        WHERE workspace_id = $1 AND id = $2";
    OUTBOX_CLAIM = "
        UPDATE outbox SET next_attempt_at = $4
        WHERE workspace_id = $1 AND id = $2 AND next_attempt_at = $3 AND delivered_at IS NULL";
    OUTBOX_POSTPONE = "UPDATE outbox SET next_attempt_at = $3 WHERE workspace_id = $1 AND id = $2";
    OUTBOX_FLAGS_FAILING = sql!("SELECT ", OutboxRow::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND kind = $2 AND delivered_at IS NULL AND attempts > 0 ORDER BY created_at, id");
    OUTBOX_BY_KEY = sql!("SELECT ", OutboxRow::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND natural_key = $2 AND (delivered_at IS NULL OR closed_as = $3)");
    OUTBOX_N_OPEN = "SELECT COUNT(*) FROM outbox WHERE workspace_id = $1 AND delivered_at IS NULL";
    OUTBOX_REOPEN = "
        UPDATE outbox SET delivered_at = NULL, closed_as = NULL, next_attempt_at = $3
        WHERE workspace_id = $1 AND id = $2 AND (delivered_at IS NULL OR closed_as = $4)";
    OUTBOX_OVERTAKE = "
        UPDATE outbox SET delivered_at = $4, closed_as = $5
        WHERE workspace_id = $1 AND kind = $2 AND subject_id = $3 AND delivered_at IS NULL";
    OUTBOX_WAITING = "
        SELECT id FROM outbox WHERE workspace_id = $1 AND kind = $2 AND subject_id = $3 AND delivered_at IS NULL";
    OUTBOX_N_CLOSED = "SELECT COUNT(*) FROM outbox WHERE workspace_id = $1 AND closed_as = $2";
    OUTBOX_LIST_CLOSED = sql!("SELECT ", OutboxRow::COLUMNS, " FROM outbox
        WHERE workspace_id = $1 AND closed_as = $2 ORDER BY created_at DESC, id DESC LIMIT $3");
}

columns! {
    /// A message as it is stored.
    #[derive(Debug, Clone)]
    pub(super) struct OutboxRow in "outbox" {
        id: MessageId => folded,
        kind: String => folded,
        natural_key: String => folded,
        subject_id: Option<Uuid> => folded,
        payload: Json<Value> => folded,
        created_at: Instant => folded,
        attempts: i64 => volatile("how long until the next try"),
        last_error: Option<String> => volatile("shown"),
        next_attempt_at: Instant => volatile("when it is tried next"),
    }
    beside {
        workspace_id: WorkspaceId => folded,
        delivered_at: Option<Instant> => folded,
        closed_as: Option<String> => folded,
    }
}

/// A message in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedMessage {
    /// Its id.
    pub id: MessageId,
    /// Its kind as it is stored; a newer program may know more of them.
    pub kind: String,
    /// What makes it the same message. The same for each attempt.
    pub key: String,
    /// What it is about: an experiment, a gate, an outcome. Absent for notices of earlier programs.
    pub subject: Option<Uuid>,
    /// What it says, if this program can read it.
    pub message: Result<Message, UnreadableMessage>,
    /// When it was decided.
    pub created_at: jiff::Timestamp,
    /// Tries so far.
    pub attempts: i64,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it is tried next, if it waits.
    pub next_attempt_at: jiff::Timestamp,
}

impl From<OutboxRow> for QueuedMessage {
    fn from(row: OutboxRow) -> Self {
        Self {
            message: Message::read(&row.kind, &row.payload.0),
            id: row.id,
            kind: row.kind,
            key: row.natural_key,
            subject: row.subject_id,
            created_at: row.created_at.0,
            attempts: row.attempts,
            last_error: row.last_error,
            next_attempt_at: row.next_attempt_at.0,
        }
    }
}

impl Tx {
    /// Puts a message in the outbox, once for its key: again, it changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_insert(
        &mut self,
        id: MessageId,
        message: &Message,
        key: &MessageKey,
        at: jiff::Timestamp,
    ) -> Result<()> {
        let at = Instant(at);
        let payload = message
            .payload()
            .map_err(|e| Error::new(Code::Internal, "a message cannot be written as JSON").because(e))?;
        let row = OutboxRow {
            id,
            kind: message.kind().as_str().to_owned(),
            natural_key: key.to_string(),
            subject_id: Some(key.subject()),
            payload: Json(payload),
            created_at: at,
            attempts: 0,
            last_error: None,
            next_attempt_at: at,
        };
        let n_rows = on_db!(self, |c| row
            .insert(sqlx::query(OUTBOX_INSERT), &self.workspace, &None, &None)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        // Again, it changes nothing.
        if n_rows == 1 {
            self.touch_new(FoldedTable::Outbox, RowKey::Id(id.0));
        }
        Ok(())
    }

    /// Messages that should be tried now, oldest first. A time after
    /// `latest` was set by a clock that was wrong, and counts for nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_due(
        &mut self,
        is_flag: bool,
        (now, latest): (jiff::Timestamp, jiff::Timestamp),
        limit: i64,
    ) -> Result<Vec<QueuedMessage>> {
        let rows: Vec<OutboxRow> = on_db!(self, |c| sqlx::query_as(OUTBOX_DUE)
            .bind(self.workspace)
            .bind(Instant(now))
            .bind(is_flag)
            .bind(limit)
            .bind(Instant(latest))
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(QueuedMessage::from).collect())
    }

    /// Keeps others from delivering a message until then; false where somebody was faster.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_claim(&mut self, queued: &QueuedMessage, until: jiff::Timestamp) -> Result<bool> {
        let n_rows = on_db!(self, |c| sqlx::query(OUTBOX_CLAIM)
            .bind(self.workspace)
            .bind(queued.id)
            .bind(Instant(queued.next_attempt_at))
            .bind(Instant(until))
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// Messages that were not delivered yet, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_open(&mut self, limit: i64) -> Result<Vec<QueuedMessage>> {
        let rows: Vec<OutboxRow> =
            on_db!(self, |c| sqlx::query_as(OUTBOX_OPEN).bind(self.workspace).bind(limit).fetch_all(c).await)?;
        Ok(rows.into_iter().map(QueuedMessage::from).collect())
    }

    /// Closes a message; false when it was closed meanwhile: delivered by another program, or overtaken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_close(&mut self, id: MessageId, closing: Closing, at: jiff::Timestamp) -> Result<bool> {
        self.touch(FoldedTable::Outbox, RowKey::Id(id.0)).await?;
        let n_rows = on_db!(self, |c| sqlx::query(OUTBOX_CLOSE)
            .bind(self.workspace)
            .bind(id)
            .bind(Instant(at))
            .bind(closing.as_str())
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// True while a position of an experiment's flag is not delivered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_is_flag_waiting(&mut self, experiment: ExperimentId) -> Result<bool> {
        let (n_waiting,): (i64,) = on_db!(self, |c| sqlx::query_as(OUTBOX_N_WAITING)
            .bind(self.workspace)
            .bind(MessageKind::Flag.as_str())
            .bind(experiment.0)
            .fetch_one(c)
            .await)?;
        Ok(n_waiting > 0)
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

    /// Sets when a message is tried next, without a try. It may be gone or closed meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_postpone(&mut self, id: MessageId, next: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(OUTBOX_POSTPONE)
            .bind(self.workspace)
            .bind(id)
            .bind(Instant(next))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Positions of flags that could not be written so far, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_flags_failing(&mut self) -> Result<Vec<QueuedMessage>> {
        let rows: Vec<OutboxRow> = on_db!(self, |c| sqlx::query_as(OUTBOX_FLAGS_FAILING)
            .bind(self.workspace)
            .bind(MessageKind::Flag.as_str())
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(QueuedMessage::from).collect())
    }

    /// The message with this key, if it waits or is a dead letter.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_by_key(&mut self, key: &str) -> Result<Option<QueuedMessage>> {
        let row: Option<OutboxRow> = on_db!(self, |c| sqlx::query_as(OUTBOX_BY_KEY)
            .bind(self.workspace)
            .bind(key)
            .bind(Closing::DeadLetter.as_str())
            .fetch_optional(c)
            .await)?;
        Ok(row.map(QueuedMessage::from))
    }

    /// How many messages wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_n_open(&mut self) -> Result<i64> {
        let (n_open,): (i64,) =
            on_db!(self, |c| sqlx::query_as(OUTBOX_N_OPEN).bind(self.workspace).fetch_one(c).await)?;
        Ok(n_open)
    }

    /// Makes a message due now, one that waits or a dead letter; false when it is neither.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_reopen(&mut self, id: MessageId, now: jiff::Timestamp) -> Result<bool> {
        self.touch(FoldedTable::Outbox, RowKey::Id(id.0)).await?;
        let n_rows = on_db!(self, |c| sqlx::query(OUTBOX_REOPEN)
            .bind(self.workspace)
            .bind(id)
            .bind(Instant(now))
            .bind(Closing::DeadLetter.as_str())
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// Closes undelivered positions of an experiment's flag: a later one takes their place. There may be none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_overtake_flag(&mut self, experiment: ExperimentId, at: jiff::Timestamp) -> Result<()> {
        let kind = MessageKind::Flag.as_str();
        let closed: Vec<(MessageId,)> = on_db!(self, |c| sqlx::query_as(OUTBOX_WAITING)
            .bind(self.workspace)
            .bind(kind)
            .bind(experiment.0)
            .fetch_all(c)
            .await)?;
        for (id,) in closed {
            self.touch(FoldedTable::Outbox, RowKey::Id(id.0)).await?;
        }
        on_db!(self, |c| sqlx::query(OUTBOX_OVERTAKE)
            .bind(self.workspace)
            .bind(kind)
            .bind(experiment.0)
            .bind(Instant(at))
            .bind(Closing::Overtaken.as_str())
            .execute(c)
            .await
            .map(|_| ()))?;
        Ok(())
    }

    /// How many messages were closed in this way, and the newest of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_closed_as(&mut self, closing: Closing) -> Result<(i64, Option<QueuedMessage>)> {
        let (n_closed,): (i64,) = on_db!(self, |c| sqlx::query_as(OUTBOX_N_CLOSED)
            .bind(self.workspace)
            .bind(closing.as_str())
            .fetch_one(c)
            .await)?;
        let newest = self.outbox_list_closed_as(closing, 1).await?.pop();
        Ok((n_closed, newest))
    }

    /// Messages that were closed in this way, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_list_closed_as(&mut self, closing: Closing, limit: i64) -> Result<Vec<QueuedMessage>> {
        let rows: Vec<OutboxRow> = on_db!(self, |c| sqlx::query_as(OUTBOX_LIST_CLOSED)
            .bind(self.workspace)
            .bind(closing.as_str())
            .bind(limit)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(QueuedMessage::from).collect())
    }
}
