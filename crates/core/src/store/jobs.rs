//! What is to be read, and who reads it. A job belongs to whoever holds it for as long as that program shows that it is alive.
//!
//! **Invariant**: a job is taken, held and finished under the workspace's write lock, and finished by its holder alone.

use jiff::Timestamp;
use uuid::Uuid;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use crate::error::Result;
use crate::ids::{OutcomeId, WorkspaceId};

statements! {
    // A time that lies further away than `$9` was set by a clock that was wrong, or for a longer interval.
    JOB_PUT = sql!(QueuedJob::INSERT, "
        ON CONFLICT (workspace_id, subject_id, signal) DO UPDATE SET source = excluded.source, urgency = excluded.urgency,
            due_at = CASE WHEN job.due_at > $9 THEN excluded.due_at ELSE job.due_at END");
    JOB_LIST = sql!("SELECT ", QueuedJob::COLUMNS, " FROM job WHERE workspace_id = $1");
    JOB_SIGNALS = "SELECT signal FROM job WHERE workspace_id = $1 AND subject_id = $2";
    JOB_DELETE = "DELETE FROM job WHERE workspace_id = $1 AND subject_id = $2 AND signal = $3";
    JOB_WAKE = "
        UPDATE job SET due_at = $2
        WHERE workspace_id = $1 AND due_at > $2 AND outcome_id = COALESCE($3, outcome_id)
            AND (holder IS NULL OR holder NOT IN
                (SELECT holder FROM worker WHERE workspace_id = $1 AND alive_until > $4 AND alive_until <= $5))";
    // What is read follows from the health of its signals: it is due, too.
    HEALTH_WAKE_ALL = "
        UPDATE signal_health SET due_at = $2
        WHERE workspace_id = $1 AND due_at > $2 AND subject_id IN
            (SELECT subject_id FROM job WHERE workspace_id = $1 AND outcome_id = COALESCE($3, outcome_id))";
    JOB_WAKE_ONE = "
        UPDATE job SET due_at = $4
        WHERE workspace_id = $1 AND subject_id = $2 AND signal = $3 AND (due_at > $4 OR holder IS NOT NULL)";
    JOB_NEXT = "SELECT due_at FROM job WHERE workspace_id = $1 AND holder IS NULL ORDER BY due_at LIMIT 1";
    JOB_SOURCES = "
        SELECT DISTINCT source FROM job
        WHERE workspace_id = $1 AND (due_at <= $2 OR $3) AND outcome_id = COALESCE($4, outcome_id)
            AND (holder IS NULL OR holder <> $6 AND holder NOT IN
                (SELECT holder FROM worker WHERE workspace_id = $1 AND alive_until > $7 AND alive_until <= $5))
        ORDER BY source";
    JOB_CLAIM = sql!("
        UPDATE job SET holder = $6
        WHERE workspace_id = $1 AND (subject_id, signal) IN (
            SELECT subject_id, signal FROM job
            WHERE workspace_id = $1 AND source = $7 AND (due_at <= $2 OR $3) AND outcome_id = COALESCE($4, outcome_id)
                AND urgency = $9
                AND (holder IS NULL OR holder <> $6 AND holder NOT IN
                    (SELECT holder FROM worker WHERE workspace_id = $1 AND alive_until > $10 AND alive_until <= $5))
            ORDER BY due_at LIMIT $8)
        RETURNING ", QueuedJob::COLUMNS);
    JOB_HOLDER = "SELECT holder FROM job WHERE workspace_id = $1 AND subject_id = $2 AND signal = $3";
    JOB_FINISH = "
        UPDATE job SET holder = NULL, due_at = CASE WHEN due_at = $5 THEN $6 ELSE due_at END
        WHERE workspace_id = $1 AND subject_id = $2 AND signal = $3 AND holder = $4";
    JOB_HELD_BY = sql!("SELECT ", QueuedJob::COLUMNS, " FROM job WHERE workspace_id = $1 AND holder = $2");
    JOB_RELEASE = "UPDATE job SET holder = NULL WHERE workspace_id = $1 AND holder = $2";
    JOB_IS_HELD = "
        SELECT COUNT(*) FROM job
        WHERE workspace_id = $1 AND holder IN
            (SELECT holder FROM worker WHERE workspace_id = $1 AND alive_until > $2 AND alive_until <= $3)";
    WORKER_PUT = sql!(WorkerRow::INSERT, "
        ON CONFLICT (workspace_id, holder) DO UPDATE SET alive_until = excluded.alive_until");
    WORKER_DELETE = "DELETE FROM worker WHERE workspace_id = $1 AND (holder = $2 OR alive_until < $3)";
}

/// Urgency of an experiment that is under way: danger is looked for first.
pub const URGENT: i64 = 0;
/// Urgency of the level of an outcome.
pub const ORDINARY: i64 = 1;

columns! {
    /// What is to be read: an experiment with everything of it that is due, or the level of a signal of an outcome.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct QueuedJob in "job" {
        /// The experiment, or the outcome.
        pub subject_id: Uuid => volatile("unchecked: what is read next"),
        /// The signal of an outcome; empty for an experiment.
        pub signal: String => volatile("unchecked: what is read next"),
        /// The outcome.
        pub outcome_id: OutcomeId => volatile("unchecked: what is read next"),
        /// The connector in whose queue it stands.
        pub source: String => volatile("in which queue it stands"),
        /// [`URGENT`] or [`ORDINARY`].
        pub urgency: i64 => volatile("in which order it is read"),
        /// When.
        pub due_at: Instant => volatile("unchecked: when it is read next"),
        /// Who reads it now, or did when it died.
        pub holder: Option<String> => volatile("who works, not what is done"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

columns! {
    pub(super) struct WorkerRow in "worker" {
        holder: String => volatile("who works, not what is done"),
        alive_until: Instant => volatile("who works, not what is done"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

/// Which jobs somebody wants, and who. Those that another program holds are not among them while it is alive, nor those that
/// `holder` holds itself.
#[derive(Debug, Clone)]
pub struct WantedJobs<'w> {
    /// Due until now; the others too with `is_forced`.
    pub now: Timestamp,
    /// The same instant by the clock that programs say by that they are alive.
    pub alive_at: Timestamp,
    /// A program that says that it is alive for longer than until then used a clock that was wrong.
    pub latest: Timestamp,
    /// Whether they are due or not.
    pub is_forced: bool,
    /// Of one outcome and its experiments.
    pub outcome: Option<OutcomeId>,
    /// Who wants them.
    pub holder: &'w str,
}

/// Whose a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobHolder {
    /// Ours.
    Us,
    /// Somebody else's, or nobody's.
    Another,
    /// It is gone: there is nothing to be read any more.
    Gone,
}

impl Tx {
    /// Queues a job. One that is there keeps its time, unless that lies further away than `latest`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_put(&mut self, job: &QueuedJob, latest: Timestamp) -> Result<()> {
        on_db!(self, |c| job
            .insert(sqlx::query(JOB_PUT), &self.workspace)
            .bind(Instant(latest))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// All jobs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_list(&mut self) -> Result<Vec<QueuedJob>> {
        on_db!(self, |c| sqlx::query_as(JOB_LIST).bind(self.workspace).fetch_all(c).await)
    }

    /// The signals of a subject that are queued.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_signals(&mut self, subject: Uuid) -> Result<Vec<String>> {
        let rows: Vec<(String,)> =
            on_db!(self, |c| sqlx::query_as(JOB_SIGNALS).bind(self.workspace).bind(subject).fetch_all(c).await)?;
        Ok(rows.into_iter().map(|(signal,)| signal).collect())
    }

    /// Takes a job out of the queue, whoever holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_delete(&mut self, subject: Uuid, signal: &str) -> Result<()> {
        on_db!(self, |c| sqlx::query(JOB_DELETE)
            .bind(self.workspace)
            .bind(subject)
            .bind(signal)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Makes every wanted job due now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_wake(&mut self, wanted: &WantedJobs<'_>) -> Result<()> {
        on_db!(self, |c| sqlx::query(JOB_WAKE)
            .bind(self.workspace)
            .bind(Instant(wanted.now))
            .bind(wanted.outcome)
            .bind(Instant(wanted.alive_at))
            .bind(Instant(wanted.latest))
            .execute(c)
            .await
            .map(|_| ()))?;
        on_db!(self, |c| sqlx::query(HEALTH_WAKE_ALL)
            .bind(self.workspace)
            .bind(Instant(wanted.now))
            .bind(wanted.outcome)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Makes a job due at `at`, where it would be later; also while it is held.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_wake_one(&mut self, subject: Uuid, signal: &str, at: Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(JOB_WAKE_ONE)
            .bind(self.workspace)
            .bind(subject)
            .bind(signal)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// When the next job that nobody holds is due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_next(&mut self) -> Result<Option<Timestamp>> {
        let row: Option<(Instant,)> =
            on_db!(self, |c| sqlx::query_as(JOB_NEXT).bind(self.workspace).fetch_optional(c).await)?;
        Ok(row.map(|(at,)| at.0))
    }

    /// The sources in whose queues wanted jobs are, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_sources(&mut self, wanted: &WantedJobs<'_>) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = on_db!(self, |c| sqlx::query_as(JOB_SOURCES)
            .bind(self.workspace)
            .bind(Instant(wanted.now))
            .bind(wanted.is_forced)
            .bind(wanted.outcome)
            .bind(Instant(wanted.latest))
            .bind(wanted.holder)
            .bind(Instant(wanted.alive_at))
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(|(source,)| source).collect())
    }

    /// Takes up to `limit` wanted jobs from the queue of a source, of one urgency, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_claim(
        &mut self,
        wanted: &WantedJobs<'_>,
        source: &str,
        urgency: i64,
        limit: i64,
    ) -> Result<Vec<QueuedJob>> {
        on_db!(self, |c| sqlx::query_as(JOB_CLAIM)
            .bind(self.workspace)
            .bind(Instant(wanted.now))
            .bind(wanted.is_forced)
            .bind(wanted.outcome)
            .bind(Instant(wanted.latest))
            .bind(wanted.holder)
            .bind(source)
            .bind(limit)
            .bind(urgency)
            .bind(Instant(wanted.alive_at))
            .fetch_all(c)
            .await)
    }

    /// Whose a job is now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_holder(&mut self, job: &QueuedJob, holder: &str) -> Result<JobHolder> {
        let row: Option<(Option<String>,)> = on_db!(self, |c| sqlx::query_as(JOB_HOLDER)
            .bind(self.workspace)
            .bind(job.subject_id)
            .bind(&job.signal)
            .fetch_optional(c)
            .await)?;
        Ok(match row {
            None => JobHolder::Gone,
            Some((Some(held),)) if held == holder => JobHolder::Us,
            Some(_) => JobHolder::Another,
        })
    }

    /// Gives a job back and sets when it is due next, unless somebody wanted it sooner meanwhile; false where it is not held by `holder`
    /// any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_finish(&mut self, job: &QueuedJob, holder: &str, due_at: Timestamp) -> Result<bool> {
        let n_rows = on_db!(self, |c| sqlx::query(JOB_FINISH)
            .bind(self.workspace)
            .bind(job.subject_id)
            .bind(&job.signal)
            .bind(holder)
            .bind(job.due_at)
            .bind(Instant(due_at))
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// The jobs that `holder` holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_held_by(&mut self, holder: &str) -> Result<Vec<QueuedJob>> {
        on_db!(self, |c| sqlx::query_as(JOB_HELD_BY).bind(self.workspace).bind(holder).fetch_all(c).await)
    }

    /// Gives back everything that `holder` holds; it is as due as it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_release(&mut self, holder: &str) -> Result<()> {
        on_db!(self, |c| sqlx::query(JOB_RELEASE).bind(self.workspace).bind(holder).execute(c).await.map(|_| ()))
    }

    /// Whether some program that is alive holds a job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_is_held(&mut self, now: Timestamp, latest: Timestamp) -> Result<bool> {
        let (n,): (i64,) = on_db!(self, |c| sqlx::query_as(JOB_IS_HELD)
            .bind(self.workspace)
            .bind(Instant(now))
            .bind(Instant(latest))
            .fetch_one(c)
            .await)?;
        Ok(n > 0)
    }

    /// Says that a program is alive until then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn worker_put(&mut self, holder: &str, until: Timestamp) -> Result<()> {
        let row = WorkerRow { holder: holder.to_owned(), alive_until: Instant(until) };
        on_db!(self, |c| row.insert(sqlx::query(WORKER_PUT), &self.workspace).execute(c).await.map(|_| ()))
    }

    /// Forgets a program, and those that were not alive since `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn worker_delete(&mut self, holder: &str, before: Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(WORKER_DELETE)
            .bind(self.workspace)
            .bind(holder)
            .bind(Instant(before))
            .execute(c)
            .await
            .map(|_| ()))
    }
}
