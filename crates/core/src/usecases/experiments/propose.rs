//! Bringing a kept hypothesis to the portfolio gate.

use super::Experiments;
use crate::error::{Code, Error, Result};
use crate::hypotheses::conflict_between;
use crate::principal::{Principal, PrincipalKind};
use crate::usecases::kernel::flag::look_at_flag;
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::proposal::{propose, require_active};

impl Experiments<'_> {
    /// Brings a kept hypothesis to the portfolio gate.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is no longer a hypothesis, or gets in the way of another.
    #[tracing::instrument(level = "debug", name = "experiments.propose", skip_all, fields(reference))]
    pub async fn propose(self, reference: &str, by: &Principal) -> Result<String> {
        let mut tx = self.0.read().await?;
        let key = experiment_named(&mut tx, reference).await?.hypothesis.flag_key;
        drop(tx);
        let flag = Box::pin(look_at_flag(self.0, &key)).await;
        let mut tx = self.0.write().await?;
        let mut experiment = experiment_named(&mut tx, reference).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        require_active(&outcome)?;
        if by.kind() == PrincipalKind::Agent && experiment.parent.is_some() {
            return Err(Error::new(Code::Forbidden, "only its human author can propose a successor"));
        }
        for other in tx.experiment_list_open(Some(outcome.id)).await? {
            if other.id != experiment.id
                && other.state.status.occupies_slot()
                && let Some(conflict) = conflict_between(&experiment.hypothesis, &other.hypothesis)
            {
                return Err(Error::new(
                    Code::Conflict,
                    format!("`{}` cannot be proposed: {conflict}", experiment.slug),
                )
                .hint("conclude the other experiment first"));
            }
        }
        propose(self.0, &mut tx, &outcome, &mut experiment, by, flag).await?;
        tx.commit().await?;
        Ok(experiment.slug.to_string())
    }
}
