//! The members' addresses, for who compares them with the outcome file.

use super::Members;
use crate::error::Result;
use crate::usecases::kernel::keyring::keyring_or_none;
use crate::usecases::kernel::people::People;

impl Members<'_> {
    /// The e-mail of each member whose name is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn emails(self) -> Result<Vec<String>> {
        let mut tx = self.0.read().await?;
        let ring = keyring_or_none(self.0, &mut tx).await;
        Ok(People::of(&mut tx, &ring).await?.emails())
    }
}
