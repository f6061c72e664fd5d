//! What the outcome file would change of what is applied.

use super::Outcomes;
use crate::error::Result;
use crate::usecases::kernel::file_plan::{FilePlan, proposal};

impl Outcomes<'_> {
    /// What [`Self::apply`] would do.
    ///
    /// # Errors
    /// [`crate::Code::ConfigInvalid`] for a file with errors.
    #[tracing::instrument(level = "debug", name = "outcomes.plan", skip_all)]
    pub async fn plan(self) -> Result<FilePlan> {
        Ok(proposal(self.0).await?.1.plan)
    }
}
