//! The history of an experiment: the statistics once more over its stored readings.

use super::Experiments;
use crate::error::Result;
use crate::usecases::kernel::history::{HistoryPoint, history_of, plan_of};
use crate::usecases::kernel::lookup::experiment_named;

impl Experiments<'_> {
    /// Every poll of an experiment and what the statistics made of it, from its stored readings.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`]; [`crate::Code::Conflict`] before its launch; [`crate::Code::StateTampered`] for a plan that is not the
    /// approved one.
    #[tracing::instrument(level = "debug", name = "experiments.history", skip_all, fields(reference))]
    pub async fn history(self, reference: &str) -> Result<Vec<HistoryPoint>> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, reference).await?;
        let plan = plan_of(&experiment)?;
        history_of(&mut tx, &experiment, &plan).await?.points()
    }
}
