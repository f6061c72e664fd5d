//! Leases: who does what, so that several programs share the work and nothing happens twice.

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use crate::error::Result;

statements! {
    LEASE_TAKE = sql!(LeaseRow::INSERT, "
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE lease.expires_at <= $4 OR lease.expires_at > $5 OR lease.holder = excluded.holder
        RETURNING holder");
    LEASE_RENEW = "UPDATE lease SET expires_at = $3 WHERE name = $1 AND holder = $2";
    LEASE_LIVE = "SELECT COUNT(*) FROM lease WHERE name = $1 AND expires_at > $2 AND expires_at <= $3";
    LEASE_RELEASE = "DELETE FROM lease WHERE name = $1 AND holder = $2";
}

columns! {
    // Who holds a lease works; every step is checked by itself.
    pub(super) struct LeaseRow in "lease" {
        name: String => volatile("who works, not what is done"),
        holder: String => volatile("who works, not what is done"),
        expires_at: Instant => volatile("who works, not what is done"),
    }
    beside {}
}

impl Tx {
    fn lease_name(&self, name: &str) -> String {
        format!("{}/{name}", self.workspace)
    }

    /// Takes the lease `name`; false when another holder has it. One that ends later than `latest` was taken by a clock that was
    /// wrong, and counts for nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_take(
        &mut self,
        name: &str,
        holder: &str,
        until: jiff::Timestamp,
        (now, latest): (jiff::Timestamp, jiff::Timestamp),
    ) -> Result<bool> {
        let wanted = LeaseRow { name: self.lease_name(name), holder: holder.to_owned(), expires_at: Instant(until) };
        let (sql, now, latest) = (LEASE_TAKE, Instant(now), Instant(latest));
        let row = on_db!(self, |c| wanted
            .insert(sqlx::query(sql))
            .bind(now)
            .bind(latest)
            .fetch_optional(c)
            .await
            .map(|row| row.map(|_| ())))?;
        Ok(row.is_some())
    }

    /// Renews the lease; false when it was lost: it ran out and somebody else took it. One that ran out and that nobody took
    /// is still ours.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_renew(&mut self, name: &str, holder: &str, until: jiff::Timestamp) -> Result<bool> {
        let name = self.lease_name(name);
        let n_rows = on_db!(self, |c| sqlx::query(LEASE_RENEW)
            .bind(&name)
            .bind(holder)
            .bind(Instant(until))
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// Whether somebody has the lease.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_is_taken(
        &mut self,
        name: &str,
        (now, latest): (jiff::Timestamp, jiff::Timestamp),
    ) -> Result<bool> {
        let name = self.lease_name(name);
        let (n,): (i64,) = on_db!(self, |c| sqlx::query_as(LEASE_LIVE)
            .bind(&name)
            .bind(Instant(now))
            .bind(Instant(latest))
            .fetch_one(c)
            .await)?;
        Ok(n > 0)
    }

    /// Gives the lease back; false when it was lost: it ran out and somebody else took it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_release(&mut self, name: &str, holder: &str) -> Result<bool> {
        let name = self.lease_name(name);
        let n_rows = on_db!(self, |c| sqlx::query(LEASE_RELEASE)
            .bind(&name)
            .bind(holder)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }
}
