//! The readings of an outcome's signal.

use super::Outcomes;
use crate::domain::Measurement;
use crate::error::Result;
use crate::usecases::kernel::lookup::outcome_named;

impl Outcomes<'_> {
    /// Readings of the whole population of an outcome's signal, oldest first.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`].
    #[tracing::instrument(level = "debug", name = "outcomes.series", skip_all, fields(reference))]
    pub async fn series(self, reference: &str, limit: i64) -> Result<Vec<Measurement>> {
        let mut tx = self.0.read().await?;
        let outcome = outcome_named(&mut tx, reference).await?;
        let mut series = tx.measurement_levels(outcome.id, &outcome.spec.signal.name, limit).await?;
        series.reverse();
        Ok(series)
    }
}
