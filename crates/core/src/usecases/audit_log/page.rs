//! Reading the log.

use super::AuditLog;
use crate::audit::LogEntry;
use crate::error::Result;

impl AuditLog<'_> {
    /// Up to `limit` lines after line `after`.
    ///
    /// # Errors
    /// [`crate::Code::AuditBroken`] for a line that cannot be read.
    #[tracing::instrument(level = "debug", name = "audit_log.page", skip_all)]
    pub async fn page(self, after: i64, limit: i64) -> Result<Vec<LogEntry>> {
        self.0.read().await?.event_page(after, limit.clamp(1, 1000)).await
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
