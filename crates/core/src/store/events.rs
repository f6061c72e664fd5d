//! The audit log's lines.

use serde_json::Value;
use uuid::Uuid;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use crate::audit::{EventKind, LogEntry, NewEvent, Subject, SubjectKind};
use crate::digest::canonical_json;
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;
use crate::principal::Principal;

statements! {
    EVENT_INSERT = EventRow::INSERT;
    HEAD_SET = "UPDATE workspace SET log_seq = $2, log_head = $3 WHERE id = $1 AND log_seq = $4";
    HEAD_GET = "SELECT log_seq, log_head FROM workspace WHERE id = $1";
    EVENT_LAST_AT = "SELECT at FROM event WHERE workspace_id = $1 ORDER BY seq DESC LIMIT 1";
    EVENT_PAGE = sql!("SELECT ", EventRow::COLUMNS, "
        FROM event WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3");
    EVENT_STEPS_OF_SUBJECT = sql!("SELECT ", EventRow::COLUMNS, "
        FROM event WHERE workspace_id = $1 AND seq > 0 AND subject_id = $2 AND is_step ORDER BY seq DESC LIMIT $3");
    EVENT_LAST_STEP = "
        SELECT hash FROM event WHERE workspace_id = $1 AND seq > 0 AND subject_id = $2 AND is_step ORDER BY seq DESC LIMIT 1";
    EVENT_OF_WRITERS = sql!("SELECT ", EventRow::COLUMNS, "
        FROM event WHERE workspace_id = $1 AND seq > 0 AND subject_kind = 'writer' ORDER BY seq");
    EVENT_OF_HUMAN = "
        SELECT seq FROM event WHERE workspace_id = $1 AND seq > $2 AND principal LIKE '{\"kind\":\"human\",%'
        ORDER BY seq LIMIT 1";
    EVENT_STEP_KINDS = "SELECT DISTINCT kind, is_step FROM event WHERE workspace_id = $1";
    EVENT_LAST_OF_KIND = sql!("SELECT ", EventRow::COLUMNS, "
        FROM event WHERE workspace_id = $1 AND seq > 0 AND subject_id = $2 AND kind = $3 AND seq < $4 ORDER BY seq DESC LIMIT 1");
    EVENT_FLAG_WAS_SET = "
        SELECT COUNT(*) FROM event WHERE workspace_id = $1 AND kind = $2 AND payload LIKE $3";
    EVENT_OF_SUBJECT = sql!("SELECT ", EventRow::COLUMNS, "
        FROM event WHERE workspace_id = $1 AND seq > 0 AND subject_id = $2 ORDER BY seq DESC LIMIT $3");
}

columns! {
    // The lines are the log: each carries the hash of the one before.
    pub(super) struct EventRow in "event" {
        workspace_id: WorkspaceId => folded,
        seq: i64 => folded,
        at: Instant => folded,
        kind: String => folded,
        is_step: bool => folded,
        subject_kind: SubjectKind => folded,
        subject_id: Uuid => folded,
        principal: String => folded,
        payload: String => folded,
        prev: String => folded,
        previous_step: Option<String> => folded,
        writer: Option<String> => folded,
        hash: String => folded,
        writer_signature: Option<String> => folded,
    }
    beside {}
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
            previous_step: row.previous_step,
            writer: row.writer,
            hash: row.hash,
            writer_signature: row.writer_signature,
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

    /// When the log's last line was written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_last_at(&mut self) -> Result<Option<jiff::Timestamp>> {
        let row: Option<(Instant,)> =
            on_db!(self, |c| sqlx::query_as(EVENT_LAST_AT).bind(self.workspace).fetch_optional(c).await)?;
        Ok(row.map(|(at,)| at.0))
    }

    /// Appends a line to the log. The account that writes enrols itself with its first line, right after the line that begins a log.
    ///
    /// # Errors
    /// When the database fails, or when somebody else appended at the same time.
    pub async fn event_append(&mut self, event: NewEvent, at: jiff::Timestamp) -> Result<LogEntry> {
        let begins = self.log_head().await?.0 == 0;
        if !begins {
            self.enrol_writer(at).await?;
        }
        let entry = self.append(event, at).await?;
        if begins {
            self.enrol_writer(at).await?;
        }
        Ok(entry)
    }

    async fn enrol_writer(&mut self, at: jiff::Timestamp) -> Result<()> {
        let Some(writer) = self.writer.clone().filter(|_| !self.is_writer_enrolled) else { return Ok(()) };
        let subject = Subject::from(writer.enrolled());
        if self.event_last_of_kind(subject.id, EventKind::WriterEnrolled, i64::MAX).await?.is_none() {
            let payload = serde_json::to_value(writer.enrolled()).map_err(unwritable)?;
            let principal = Principal::system("store");
            self.append(NewEvent { kind: EventKind::WriterEnrolled, subject, principal, payload }, at).await?;
        }
        self.is_writer_enrolled = true;
        Ok(())
    }

    async fn append(&mut self, event: NewEvent, at: jiff::Timestamp) -> Result<LogEntry> {
        let (seq, head) = self.log_head().await?;
        let is_step = event.kind.is_step();
        let mut entry = LogEntry::chained(self.workspace, seq + 1, &head, at, event).map_err(unwritable)?;
        if let Some(writer) = self.writer.clone() {
            let previous = if is_step { self.event_last_step(entry.subject.id).await? } else { None };
            entry = entry.written_by(&writer, previous).map_err(unwritable)?;
        }
        let row = EventRow {
            workspace_id: entry.workspace,
            seq: entry.seq,
            at: Instant(entry.at),
            kind: entry.kind.clone(),
            is_step,
            subject_kind: entry.subject.kind,
            subject_id: entry.subject.id,
            principal: canonical_json(&entry.principal).map_err(unwritable)?,
            payload: canonical_json(&entry.payload).map_err(unwritable)?,
            prev: entry.prev.clone(),
            previous_step: entry.previous_step.clone(),
            writer: entry.writer.clone(),
            hash: entry.hash.clone(),
            writer_signature: entry.writer_signature.clone(),
        };
        on_db!(self, |c| row.insert(sqlx::query(EVENT_INSERT)).execute(c).await.map(|_| ()))?;
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
        let first = self.appended.as_ref().map_or(entry.seq, |(first, ..)| *first);
        self.appended = Some((first, entry.seq, entry.hash.clone()));
        Ok(entry)
    }

    async fn event_last_step(&mut self, subject: Uuid) -> Result<Option<String>> {
        on_db!(self, |c| sqlx::query_scalar(EVENT_LAST_STEP).bind(self.workspace).bind(subject).fetch_optional(c).await)
    }

    /// The lines about writers, in order.
    ///
    /// # Errors
    /// As [`Self::event_page`].
    pub async fn event_of_writers(&mut self) -> Result<Vec<LogEntry>> {
        let rows: Vec<EventRow> =
            on_db!(self, |c| sqlx::query_as(EVENT_OF_WRITERS).bind(self.workspace).fetch_all(c).await)?;
        rows.into_iter().map(LogEntry::try_from).collect()
    }

    /// Whether a member's act is in the log after a line.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_is_signed_after(&mut self, seq: i64) -> Result<bool> {
        let found: Option<i64> = on_db!(self, |c| sqlx::query_scalar(EVENT_OF_HUMAN)
            .bind(self.workspace)
            .bind(seq)
            .fetch_optional(c)
            .await)?;
        Ok(found.is_some())
    }

    /// Each kind of line that there is, with whether its lines are stored as steps.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_step_kinds(&mut self) -> Result<Vec<(String, bool)>> {
        on_db!(self, |c| sqlx::query_as(EVENT_STEP_KINDS).bind(self.workspace).fetch_all(c).await)
    }

    /// Whether the log has this line with this hash.
    ///
    /// # Errors
    /// When the database fails, or the line cannot be read.
    pub async fn event_is(&mut self, seq: i64, hash: &str) -> Result<bool> {
        let line = self.event_page(seq - 1, 1).await?.pop();
        Ok(line.is_some_and(|line| line.seq == seq && line.hash == hash))
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

    /// The last line of a kind about a subject before line `before`.
    ///
    /// # Errors
    /// As [`Self::event_page`].
    pub async fn event_last_of_kind(
        &mut self,
        subject: Uuid,
        kind: EventKind,
        before: i64,
    ) -> Result<Option<LogEntry>> {
        let row: Option<EventRow> = on_db!(self, |c| sqlx::query_as(EVENT_LAST_OF_KIND)
            .bind(self.workspace)
            .bind(subject)
            .bind(kind.as_str())
            .bind(before)
            .fetch_optional(c)
            .await)?;
        row.map(LogEntry::try_from).transpose()
    }

    /// Whether the runtime ever put a flag anywhere.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_flag_was_set(&mut self, key: &str) -> Result<bool> {
        let (count,): (i64,) = on_db!(self, |c| sqlx::query_as(EVENT_FLAG_WAS_SET)
            .bind(self.workspace)
            .bind(EventKind::FlagSet.as_str())
            .bind(format!("%\"key\":\"{key}\"%"))
            .fetch_one(c)
            .await)?;
        Ok(count > 0)
    }

    /// The newest log lines of a subject that changed its state, newest first: no readings, notes or refusals.
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

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(Code::Internal, "an event cannot be written as JSON").because(error)
}

#[cfg(test)]
mod tests {
    use crate::audit::EventKind;

    /// A kind of line of a newer program is written by it, so the migration need not know it.
    #[test]
    fn what_the_migration_leaves_out_of_the_steps_is_what_changes_no_state() {
        for text in [
            include_str!("../../../../migrations/sqlite/0012_writers.sql"),
            include_str!("../../../../migrations/postgres/0012_writers.sql"),
        ] {
            for kind in EventKind::all() {
                assert_eq!(!text.contains(&format!("'{kind}'")), kind.is_step(), "{kind}");
            }
        }
    }
}
