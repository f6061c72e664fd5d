//! Values that count once.

use jiff::SignedDuration;

use super::Sessions;
use crate::error::Result;
use crate::usecases::kernel::text::bounded;

impl Sessions<'_> {
    /// Uses a value up for `ttl`: true the first time, false when it was used before.
    ///
    /// # Errors
    /// [`crate::Code::InvalidInput`] for an empty or very long value; when the database fails.
    #[tracing::instrument(level = "debug", name = "sessions.use_once", skip_all)]
    pub async fn use_once(self, kind: &str, value: &str, ttl: SignedDuration) -> Result<bool> {
        let value = bounded("value", value, 200)?;
        let now = self.0.now();
        let expires_at = now.checked_add(ttl).unwrap_or(now);
        let mut tx = self.0.write().await?;
        tx.nonces_expire(now).await?;
        let is_first = tx.nonce_use(kind, &value, expires_at).await?;
        tx.commit().await?;
        Ok(is_first)
    }
}
