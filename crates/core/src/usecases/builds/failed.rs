//! A build that failed, and another try.

use super::Builds;
use crate::domain::ExperimentStatus;
use crate::error::Result;
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::usecases::kernel::built::default_branch;
use crate::usecases::kernel::check::approval;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::gate_step::close_questions;
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::questions::ask_after_failure;
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::text::bounded;

impl Builds<'_> {
    /// Takes the report that a build failed, and asks a human whether it may be tried again.
    ///
    /// # Errors
    /// [`crate::Code::Conflict`] when the experiment is not being built.
    #[tracing::instrument(level = "debug", name = "builds.failed", skip_all, fields(reference))]
    pub async fn failed(self, reference: &str, reason: &str, by: &Principal) -> Result<ExperimentStatus> {
        let reason = bounded("reason", reason, 4000)?;
        let mut tx = self.0.write().await?;
        let mut experiment = experiment_named(&mut tx, reference).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        let context = StepContext { says: Some(reason.clone()), ..StepContext::default() };
        let event = ExperimentEvent::ReportedFailed { reason: reason.clone() };
        experiment_step(self.0, &mut tx, &outcome, &mut experiment, event, by, &context).await?;
        ask_after_failure(self.0, &mut tx, &outcome, &experiment, &reason, by).await?;
        tx.commit().await?;
        Ok(experiment.state.status)
    }

    /// Lets a failed build be tried again.
    ///
    /// # Errors
    /// [`crate::Code::Conflict`] when the build has not failed; [`crate::Code::Forbidden`] for an agent.
    #[tracing::instrument(level = "debug", name = "builds.retry", skip_all, fields(reference))]
    pub async fn retry(self, reference: &str, by: &Principal) -> Result<ExperimentStatus> {
        // Asked before the transaction begins: a remote may take seconds.
        let branch = default_branch(self.0).await?;
        let mut tx = self.0.write().await?;
        let mut experiment = experiment_named(&mut tx, reference).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        let keyring = keyring(self.0, &mut tx).await?;
        let mut context = StepContext::default();
        if approval(&mut tx, &keyring, &experiment).await?.base.is_none() {
            // Nobody signed where to begin: what happened to be checked out at the approval binds nobody.
            experiment.base_commit = None;
            context.base = branch.map(|branch| branch.commit);
        }
        let asked = Some(ExperimentStatus::FailedBuild);
        close_questions(self.0, &mut tx, experiment.id, asked, "the build is tried again").await?;
        let event = ExperimentEvent::Retried;
        experiment_step(self.0, &mut tx, &outcome, &mut experiment, event, by, &context).await?;
        tx.commit().await?;
        Ok(experiment.state.status)
    }
}
