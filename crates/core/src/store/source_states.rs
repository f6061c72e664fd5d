//! Sources that are left alone for a while, and turns at accounts whose vendors limit questions.

use jiff::Timestamp;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use crate::error::Result;
use crate::ids::WorkspaceId;

statements! {
    STATE_PUT = sql!(SourceState::INSERT, "
        ON CONFLICT (workspace_id, source) DO UPDATE SET failures = excluded.failures,
            failing_since = excluded.failing_since, rests_until = excluded.rests_until, last_error = excluded.last_error");
    STATE_LIST = sql!("SELECT ", SourceState::COLUMNS, " FROM source_state WHERE workspace_id = $1 ORDER BY source");
    STATE_DELETE = "DELETE FROM source_state WHERE workspace_id = $1 AND source = $2";
    // Locks the account's row on PostgreSQL, so that turns are counted by one program at a time, of whichever workspace.
    ACCOUNT_LOCK = sql!(AccountRow::INSERT, "
        ON CONFLICT (name) DO UPDATE SET n_turns = account.n_turns + 1");
    TURN_INSERT = sql!(TurnRow::INSERT);
    TURN_END = "UPDATE account_turn SET ended_at = $3 WHERE account = $1 AND id = $2";
    TURN_SWEEP = "DELETE FROM account_turn WHERE account = $1 AND began_at < $2";
    TURN_OPEN = "SELECT COUNT(*) FROM account_turn WHERE account = $1 AND ended_at IS NULL AND began_at > $2";
    TURN_BEGUN = "SELECT began_at FROM account_turn WHERE account = $1 AND began_at > $2 ORDER BY began_at";
}

columns! {
    /// A source that fails and is left alone for a while.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SourceState in "source_state" {
        /// Its connector.
        pub source: String => volatile("shown"),
        /// Failures in a row.
        pub failures: i64 => volatile("shown"),
        /// When the first of them was.
        pub failing_since: Instant => volatile("shown"),
        /// When it is asked again.
        pub rests_until: Instant => volatile("shown"),
        /// The last failure, cut and redacted.
        pub last_error: String => volatile("shown"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

columns! {
    pub(super) struct AccountRow in "account" {
        name: String => volatile("how often a vendor is asked"),
        n_turns: i64 => volatile("locks the row"),
    }
    beside {}
}

columns! {
    pub(super) struct TurnRow in "account_turn" {
        account: String => volatile("how often a vendor is asked"),
        id: String => volatile("how often a vendor is asked"),
        began_at: Instant => volatile("how often a vendor is asked"),
        ended_at: Option<Instant> => volatile("how often a vendor is asked"),
    }
    beside {}
}

impl Tx {
    /// Keeps that a source fails.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn source_state_put(&mut self, state: &SourceState) -> Result<()> {
        on_db!(self, |c| state.insert(sqlx::query(STATE_PUT), &self.workspace).execute(c).await.map(|_| ()))
    }

    /// The sources that fail, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn source_state_list(&mut self) -> Result<Vec<SourceState>> {
        on_db!(self, |c| sqlx::query_as(STATE_LIST).bind(self.workspace).fetch_all(c).await)
    }

    /// Forgets that a source failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn source_state_delete(&mut self, source: &str) -> Result<()> {
        on_db!(self, |c| sqlx::query(STATE_DELETE).bind(self.workspace).bind(source).execute(c).await.map(|_| ()))
    }

    /// Locks an account until the end of the transaction, and forgets turns that began before `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account_lock(&mut self, account: &str, before: Timestamp) -> Result<()> {
        let row = AccountRow { name: account.to_owned(), n_turns: 0 };
        on_db!(self, |c| row.insert(sqlx::query(ACCOUNT_LOCK)).execute(c).await.map(|_| ()))?;
        on_db!(self, |c| sqlx::query(TURN_SWEEP).bind(account).bind(Instant(before)).execute(c).await.map(|_| ()))
    }

    /// Turns under way that began after `since`: an older one belongs to a program that died.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn turns_open(&mut self, account: &str, since: Timestamp) -> Result<i64> {
        let (n,): (i64,) =
            on_db!(self, |c| sqlx::query_as(TURN_OPEN).bind(account).bind(Instant(since)).fetch_one(c).await)?;
        Ok(n)
    }

    /// When the turns after `since` began, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn turns_begun(&mut self, account: &str, since: Timestamp) -> Result<Vec<Timestamp>> {
        let rows: Vec<(Instant,)> =
            on_db!(self, |c| sqlx::query_as(TURN_BEGUN).bind(account).bind(Instant(since)).fetch_all(c).await)?;
        Ok(rows.into_iter().map(|(at,)| at.0).collect())
    }

    /// Begins a turn.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn turn_begin(&mut self, account: &str, id: &str, at: Timestamp) -> Result<()> {
        let row = TurnRow { account: account.to_owned(), id: id.to_owned(), began_at: Instant(at), ended_at: None };
        on_db!(self, |c| row.insert(sqlx::query(TURN_INSERT)).execute(c).await.map(|_| ()))
    }

    /// Ends a turn.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn turn_end(&mut self, account: &str, id: &str, at: Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(TURN_END).bind(account).bind(id).bind(Instant(at)).execute(c).await.map(|_| ()))
    }
}
