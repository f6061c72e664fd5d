//! What the clocks of machines showed, and which are not believed.

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Conn, Tx, on_db};
use super::error::db_error;
use super::statement::statements;
use crate::error::Result;
use crate::ids::WorkspaceId;

statements! {
    CLOCK_GET = sql!("SELECT ", MachineClock::COLUMNS, " FROM machine_clock WHERE workspace_id = $1 AND boot = $2");
    CLOCK_PUT = sql!(MachineClock::INSERT, "
        ON CONFLICT (workspace_id, boot) DO UPDATE SET believed_at = excluded.believed_at,
            up_micros = excluded.up_micros, doubt = excluded.doubt, seen_at = excluded.seen_at");
    CLOCK_SWEEP = "DELETE FROM machine_clock WHERE workspace_id = $1 AND seen_at < $2";
    CLOCK_DOUBTS = sql!("SELECT ", MachineClock::COLUMNS, " FROM machine_clock
        WHERE workspace_id = $1 AND doubt IS NOT NULL AND seen_at >= $2 ORDER BY seen_at DESC LIMIT 10");
}

columns! {
    /// The clock of one start of one machine.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct MachineClock in "machine_clock" {
        /// Which start of which machine.
        pub boot: String => volatile("tells machines apart"),
        /// What the clock showed when it was last believed.
        pub believed_at: Option<Instant> => volatile("unchecked: whether the clock is believed"),
        /// The machine's uptime then, in microseconds.
        pub up_micros: i64 => volatile("unchecked: whether the clock is believed"),
        /// Why it is not believed now.
        pub doubt: Option<String> => volatile("shown"),
        /// When it was looked at, by the best clock there is.
        pub seen_at: Instant => volatile("how long it is kept and shown"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

impl Tx {
    /// The clock of one start of a machine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clock_get(&mut self, boot: &str) -> Result<Option<MachineClock>> {
        on_db!(self, |c| sqlx::query_as(CLOCK_GET).bind(self.workspace).bind(boot).fetch_optional(c).await)
    }

    /// Keeps it, and forgets what was not looked at since `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clock_put(&mut self, clock: &MachineClock, before: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| clock.insert(sqlx::query(CLOCK_PUT), &self.workspace).execute(c).await.map(|_| ()))?;
        on_db!(self, |c| sqlx::query(CLOCK_SWEEP)
            .bind(self.workspace)
            .bind(Instant(before))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Clocks that were not believed when they were last looked at, at `since` or later, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clock_doubts(&mut self, since: jiff::Timestamp) -> Result<Vec<MachineClock>> {
        on_db!(self, |c| sqlx::query_as(CLOCK_DOUBTS).bind(self.workspace).bind(Instant(since)).fetch_all(c).await)
    }

    /// The database server's own clock; `None` for a database that is a file of this machine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clock_of_server(&mut self) -> Result<Option<jiff::Timestamp>> {
        let Conn::Postgres(tx) = &mut self.conn else { return Ok(None) };
        let (now,): (Instant,) =
            sqlx::query_as("SELECT clock_timestamp()").fetch_one(&mut **tx).await.map_err(db_error)?;
        Ok(Some(now.0))
    }
}
