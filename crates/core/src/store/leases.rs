//! Leases: who does what, so that several programs share the work and nothing happens twice.

use super::{Instant, Tx, on_db, statements};
use crate::error::Result;

statements! {
    LEASE_TAKE = "
        INSERT INTO lease (name, holder, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE lease.expires_at <= $4 OR lease.holder = excluded.holder
        RETURNING holder";
    LEASE_RELEASE = "DELETE FROM lease WHERE name = $1 AND holder = $2";
}

impl Tx {
    fn lease_name(&self, name: &str) -> String {
        format!("{}/{name}", self.workspace)
    }

    /// Takes or renews the lease `name`; false when another holder has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_take(
        &mut self,
        name: &str,
        holder: &str,
        until: jiff::Timestamp,
        now: jiff::Timestamp,
    ) -> Result<bool> {
        let name = self.lease_name(name);
        let row: Option<(String,)> = on_db!(self, |c| sqlx::query_as(LEASE_TAKE)
            .bind(&name)
            .bind(holder)
            .bind(Instant(until))
            .bind(Instant(now))
            .fetch_optional(c)
            .await)?;
        Ok(row.is_some())
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_release(&mut self, name: &str, holder: &str) -> Result<()> {
        let name = self.lease_name(name);
        on_db!(self, |c| sqlx::query(LEASE_RELEASE).bind(&name).bind(holder).execute(c).await.map(|_| ()))
    }
}
