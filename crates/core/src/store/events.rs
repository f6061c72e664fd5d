//! The audit log's lines.

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Instant, Tx, on_db, statements};
use crate::audit::{LogEntry, NewEvent, Subject, SubjectKind};
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;
use crate::signing::canonical_json;

statements! {
    EVENT_INSERT = "
        INSERT INTO event (workspace_id, seq, at, kind, subject_kind, subject_id, principal, payload, prev, hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    HEAD_SET = "UPDATE workspace SET log_seq = $2, log_head = $3 WHERE id = $1 AND log_seq = $4";
    HEAD_GET = "SELECT log_seq, log_head FROM workspace WHERE id = $1";
    EVENT_PAGE = "
        SELECT workspace_id, seq, at, kind, subject_kind, subject_id, principal, payload, prev, hash
        FROM event WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    // Every poll leaves a line; what replays a state must not have to read them all.
    EVENT_STEPS_OF_SUBJECT = "
        SELECT workspace_id, seq, at, kind, subject_kind, subject_id, principal, payload, prev, hash
        FROM event WHERE workspace_id = $1 AND subject_id = $2 AND kind NOT LIKE '%.measured'
        ORDER BY seq DESC LIMIT $3";
    EVENT_OF_SUBJECT = "
        SELECT workspace_id, seq, at, kind, subject_kind, subject_id, principal, payload, prev, hash
        FROM event WHERE workspace_id = $1 AND subject_id = $2 ORDER BY seq DESC LIMIT $3";
}

#[derive(FromRow)]
struct EventRow {
    workspace_id: WorkspaceId,
    seq: i64,
    at: Instant,
    kind: String,
    subject_kind: SubjectKind,
    subject_id: Uuid,
    principal: String,
    payload: String,
    prev: String,
    hash: String,
}

impl TryFrom<EventRow> for LogEntry {
    type Error = Error;
    fn try_from(row: EventRow) -> Result<Self> {
        let damaged = |e: serde_json::Error| {
            Error::new(Code::AuditBroken, format!("line {} of the audit log cannot be read", row.seq))
                .hint("another program wrote to the database; run `outcome-runtime audit verify` against a backup")
                .because(e)
        };
        Ok(Self {
            workspace: row.workspace_id,
            seq: row.seq,
            at: row.at.0,
            kind: row.kind,
            subject: Subject { kind: row.subject_kind, id: row.subject_id },
            principal: serde_json::from_str(&row.principal).map_err(damaged)?,
            payload: serde_json::from_str::<Value>(&row.payload).map_err(damaged)?,
            prev: row.prev,
            hash: row.hash,
        })
    }
}

impl Tx {
    /// Number and hash of the log's last line.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_head(&mut self) -> Result<(i64, String)> {
        let row: Option<(i64, String)> =
            on_db!(self, |c| sqlx::query_as(HEAD_GET).bind(self.workspace).fetch_optional(c).await)?;
        row.ok_or_else(|| Error::new(Code::WorkspaceNotFound, "the database does not contain this workspace"))
    }

    /// Appends a line to the log.
    ///
    /// # Errors
    /// When the database fails, or when somebody else appended at the same time.
    pub async fn event_append(&mut self, event: NewEvent, at: jiff::Timestamp) -> Result<LogEntry> {
        let (seq, head) = self.log_head().await?;
        let json = |e: serde_json::Error| Error::new(Code::Internal, "an event cannot be written as JSON").because(e);
        let entry = LogEntry::chained(self.workspace, seq + 1, &head, at, event).map_err(json)?;
        let principal = canonical_json(&entry.principal).map_err(json)?;
        let payload = canonical_json(&entry.payload).map_err(json)?;
        on_db!(self, |c| sqlx::query(EVENT_INSERT)
            .bind(entry.workspace)
            .bind(entry.seq)
            .bind(Instant(entry.at))
            .bind(&entry.kind)
            .bind(entry.subject.kind)
            .bind(entry.subject.id)
            .bind(&principal)
            .bind(&payload)
            .bind(&entry.prev)
            .bind(&entry.hash)
            .execute(c)
            .await
            .map(|_| ()))?;
        let n_changed = on_db!(self, |c| sqlx::query(HEAD_SET)
            .bind(entry.workspace)
            .bind(entry.seq)
            .bind(&entry.hash)
            .bind(seq)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        if n_changed != 1 {
            return Err(Error::new(Code::Conflict, "another program wrote to the log at the same time")
                .hint("nothing was changed; try again"));
        }
        Ok(entry)
    }

    /// Up to `limit` lines after line `after`, in order.
    ///
    /// # Errors
    /// [`Code::AuditBroken`] for a line that cannot be read.
    pub async fn event_page(&mut self, after: i64, limit: i64) -> Result<Vec<LogEntry>> {
        let rows: Vec<EventRow> = on_db!(self, |c| sqlx::query_as(EVENT_PAGE)
            .bind(self.workspace)
            .bind(after)
            .bind(limit)
            .fetch_all(c)
            .await)?;
        rows.into_iter().map(LogEntry::try_from).collect()
    }

    /// The latest `limit` lines about a subject, newest first.
    ///
    /// # Errors
    /// As [`Self::event_page`].
    pub async fn event_of_subject(&mut self, subject: Uuid, limit: i64) -> Result<Vec<LogEntry>> {
        let rows: Vec<EventRow> = on_db!(self, |c| sqlx::query_as(EVENT_OF_SUBJECT)
            .bind(self.workspace)
            .bind(subject)
            .bind(limit)
            .fetch_all(c)
            .await)?;
        rows.into_iter().map(LogEntry::try_from).collect()
    }

    /// The newest log lines of a subject that may have changed its state, newest first: all but readings.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_steps_of_subject(&mut self, subject: Uuid, limit: i64) -> Result<Vec<LogEntry>> {
        let rows: Vec<EventRow> = on_db!(self, |c| sqlx::query_as(EVENT_STEPS_OF_SUBJECT)
            .bind(self.workspace)
            .bind(subject)
            .bind(limit)
            .fetch_all(c)
            .await)?;
        rows.into_iter().map(LogEntry::try_from).collect()
    }
}
