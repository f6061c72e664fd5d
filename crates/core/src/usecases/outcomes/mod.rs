//! Outcomes: planned from the file, applied, activated, and ended.

mod activate;
mod apply;
pub(super) mod attainment;
mod end;
mod plan;
mod series;

use crate::error::Result;
use crate::usecases::Runtime;
use crate::usecases::kernel::lookup::outcome_named;

pub use activate::Activated;
pub use apply::Applied;
pub use attainment::Attainment;

/// The use cases about outcomes.
#[derive(Clone, Copy)]
pub struct Outcomes<'r>(pub(super) &'r Runtime);

impl Outcomes<'_> {
    /// Says that an outcome is unknown before anything is asked about it.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`].
    pub async fn require(self, reference: &str) -> Result<()> {
        let mut tx = self.0.read().await?;
        outcome_named(&mut tx, reference).await.map(|_| ())
    }
}
