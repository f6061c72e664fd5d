//! What became of a notice in each channel. The message itself is in `outbox`; here is a row for each channel that was tried.

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::error::must_hit;
use super::statement::statements;
use crate::domain::Closing;
use crate::error::Result;
use crate::ids::{MessageId, WorkspaceId};

statements! {
    // The number of attempts is compared, so that of two programs only one has the attempt.
    DELIVERY_CLAIM = sql!(DeliveryRow::INSERT, "
        ON CONFLICT (workspace_id, message_id, channel) DO UPDATE
        SET attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at
        WHERE delivery.closed_as IS NULL AND delivery.attempts = excluded.attempts - 1");
    DELIVERY_LIST = sql!("SELECT ", DeliveryRow::COLUMNS, " FROM delivery
        WHERE workspace_id = $1 AND message_id = $2 ORDER BY channel");
    DELIVERY_CLOSE = "
        UPDATE delivery SET closed_at = $4, closed_as = $5, last_error = $6
        WHERE workspace_id = $1 AND message_id = $2 AND channel = $3";
    DELIVERY_FAILED = "
        UPDATE delivery SET next_attempt_at = $4, last_error = $5
        WHERE workspace_id = $1 AND message_id = $2 AND channel = $3";
    DELIVERY_REOPEN = "
        UPDATE delivery SET closed_at = NULL, closed_as = NULL, next_attempt_at = $3,
            attempts = CASE WHEN closed_as IS NULL THEN attempts ELSE 0 END
        WHERE workspace_id = $1 AND message_id = $2 AND (closed_as IS NULL OR closed_as = $4)";
}

columns! {
    /// A notice in a channel, as it is stored.
    #[derive(Debug, Clone)]
    pub(super) struct DeliveryRow in "delivery" {
        message_id: MessageId => volatile("unchecked: whether it is sent at all"),
        channel: String => volatile("unchecked: whether it is sent at all"),
        attempts: i64 => volatile("how long until the next try"),
        next_attempt_at: Instant => volatile("when it is tried next"),
        last_error: Option<String> => volatile("shown"),
        closed_as: Option<String> => volatile("unchecked: whether it is sent at all"),
    }
    beside {
        workspace_id: WorkspaceId => folded,
        closed_at: Option<Instant> => volatile("nothing reads it"),
    }
}

/// A notice in a channel that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The channel's kind.
    pub channel: String,
    /// Tries so far, the one under way included.
    pub attempts: i64,
    /// When it is tried next, if it is open.
    pub next_attempt_at: jiff::Timestamp,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// Where it stands.
    pub state: DeliveryState,
}

/// Where a notice in a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried again.
    Open,
    /// The channel took it.
    Delivered,
    /// It is not tried again by itself.
    Dead,
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        let state = match row.closed_as.as_deref() {
            None => DeliveryState::Open,
            Some(closing) if closing == Closing::DeadLetter.as_str() => DeliveryState::Dead,
            Some(_) => DeliveryState::Delivered,
        };
        Self {
            channel: row.channel,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.0,
            last_error: row.last_error,
            state,
        }
    }
}

impl Tx {
    /// Takes the next attempt; false when another program has it, or the channel has the notice. `attempts`: this one
    /// included. `next`: when it is tried again if nothing is heard of this attempt.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_claim(
        &mut self,
        message: MessageId,
        channel: &str,
        attempts: i64,
        next: jiff::Timestamp,
    ) -> Result<bool> {
        let row = DeliveryRow {
            message_id: message,
            channel: channel.to_owned(),
            attempts,
            next_attempt_at: Instant(next),
            last_error: None,
            closed_as: None,
        };
        let n_rows = on_db!(self, |c| row
            .insert(sqlx::query(DELIVERY_CLAIM), &self.workspace, &None)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// The channels in which a message was tried.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_list(&mut self, message: MessageId) -> Result<Vec<Delivery>> {
        let rows: Vec<DeliveryRow> =
            on_db!(self, |c| sqlx::query_as(DELIVERY_LIST).bind(self.workspace).bind(message).fetch_all(c).await)?;
        Ok(rows.into_iter().map(Delivery::from).collect())
    }

    /// Closes a message in a channel: it arrived, or it is given up with this error.
    ///
    /// # Errors
    /// [`crate::Code::RowMissing`].
    pub async fn delivery_close(
        &mut self,
        message: MessageId,
        channel: &str,
        closing: Closing,
        error: Option<&str>,
        at: jiff::Timestamp,
    ) -> Result<()> {
        let n_rows = on_db!(self, |c| sqlx::query(DELIVERY_CLOSE)
            .bind(self.workspace)
            .bind(message)
            .bind(channel)
            .bind(Instant(at))
            .bind(closing.as_str())
            .bind(error)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        must_hit(n_rows, "delivery", message)
    }

    /// Notes a failed attempt and when to try again.
    ///
    /// # Errors
    /// [`crate::Code::RowMissing`].
    pub async fn delivery_failed(
        &mut self,
        message: MessageId,
        channel: &str,
        next: jiff::Timestamp,
        error: &str,
    ) -> Result<()> {
        let n_rows = on_db!(self, |c| sqlx::query(DELIVERY_FAILED)
            .bind(self.workspace)
            .bind(message)
            .bind(channel)
            .bind(Instant(next))
            .bind(error)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        must_hit(n_rows, "delivery", message)
    }

    /// Makes a message due now in every channel that does not have it. What was given up gets all its attempts again. There
    /// may be none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_reopen(&mut self, message: MessageId, now: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(DELIVERY_REOPEN)
            .bind(self.workspace)
            .bind(message)
            .bind(Instant(now))
            .bind(Closing::DeadLetter.as_str())
            .execute(c)
            .await
            .map(|_| ()))
    }
}
