//! Dry runs of an experiment's plan on the outcome's own history, or on a stated baseline.

use schemars::JsonSchema;
use serde::Serialize;

use super::Experiments;
use crate::dry_run::DryRunReport;
use crate::error::{Code, Error, Result};
use crate::present::Scale;
use crate::usecases::kernel::dry_run::{DryRunRequest, Prepared, prepare};
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::scale::scale_of;

/// A dry run as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DryRunView {
    /// Slug.
    pub experiment: String,
    /// What the units were drawn from.
    pub basis: String,
    /// What had to be assumed, as sentences.
    pub assumptions: Vec<String>,
    /// What came out.
    #[serde(flatten)]
    pub report: DryRunReport,
    /// How effects are written for people.
    #[serde(skip)]
    pub scale: Scale,
}

impl Experiments<'_> {
    /// Plays the decision policy of an experiment before it runs. `progress` hears of finished runs and of all.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::InvalidInput`] where the baseline or the traffic is neither known nor given, or the design
    /// has no control.
    #[tracing::instrument(level = "debug", name = "experiments.dry_run", skip_all, fields(reference))]
    pub async fn dry_run(
        self,
        reference: &str,
        request: &DryRunRequest,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<DryRunView> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, reference).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        let Prepared { dry_run, basis, assumptions } = prepare(&mut tx, &outcome, &experiment, request).await?;
        let scale = scale_of(&mut tx, &outcome).await?;
        drop(tx);
        let report = tokio::task::spawn_blocking(move || dry_run.run(progress))
            .await
            .map_err(|e| Error::new(Code::Internal, "the dry run did not finish").because(e))??;
        Ok(DryRunView { experiment: experiment.slug.to_string(), basis, assumptions, report, scale })
    }
}
