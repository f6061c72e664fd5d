//! Reading the log.

use super::AuditLog;
use crate::audit::LogEntry;
use crate::domain::MemberOpening;
use crate::error::Result;
use crate::usecases::kernel::keyring::keyring;

impl AuditLog<'_> {
    /// Up to `limit` lines after line `after`.
    ///
    /// # Errors
    /// [`crate::Code::AuditBroken`] for a line that cannot be read.
    #[tracing::instrument(level = "debug", name = "audit_log.page", skip_all)]
    pub async fn page(self, after: i64, limit: i64) -> Result<Vec<LogEntry>> {
        self.0.read().await?.event_page(after, limit.clamp(1, 1000)).await
    }

    /// What opens the commitments in the log: the members' names and e-mails, where they are what the log commits to.
    ///
    /// # Errors
    /// When the database fails, or the log does not say which keys count.
    #[tracing::instrument(level = "debug", name = "audit_log.openings", skip_all)]
    pub async fn openings(self) -> Result<Vec<MemberOpening>> {
        let mut tx = self.0.read().await?;
        let ring = keyring(self.0, &mut tx).await?;
        let is_meant = |opening: &MemberOpening| {
            ring.commitments_of(opening.member).is_some_and(|commitments| opening.opens(&commitments))
        };
        Ok(tx.member_opening_list().await?.into_iter().filter(is_meant).collect())
    }

    /// Number of the audit log's last line: it grows with every change of state.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "audit_log.position", skip_all)]
    pub async fn position(self) -> Result<i64> {
        let mut tx = self.0.read().await?;
        Ok(tx.log_head().await?.0)
    }
}
