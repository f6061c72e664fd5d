//! The ends of an outcome: abandoned, achieved, expired.

use super::Outcomes;
use super::attainment::attainment;
use crate::domain::{Assurance, Outcome, OutcomeStatus, Verdict};
use crate::error::{Code, Error, Result};
use crate::lifecycle::OutcomeEvent;
use crate::principal::Principal;
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::decision::sign_for_outcome;
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::outcome_step::outcome_step;
use crate::usecases::kernel::unlock::Unlock;

impl Outcomes<'_> {
    /// Gives an outcome up. Its open experiments stay where they are, to be ended one by one.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is over or experiments are under way.
    #[tracing::instrument(level = "debug", name = "outcomes.abandon", skip_all, fields(reference))]
    pub async fn abandon(self, reference: &str, unlock: &Unlock) -> Result<OutcomeStatus> {
        end_outcome(self.0, reference, Verdict::Abandon, unlock, Assurance::A3).await
    }

    /// Confirms that an outcome is achieved.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is not active, or the metric is not there.
    #[tracing::instrument(level = "debug", name = "outcomes.confirm", skip_all, fields(reference))]
    pub async fn confirm(self, reference: &str, unlock: &Unlock) -> Result<OutcomeStatus> {
        let mut tx = self.0.read().await?;
        let outcome = outcome_named(&mut tx, reference).await?;
        let attainment = attainment(&mut tx, &outcome, self.0.now()).await?;
        drop(tx);
        if !attainment.is_met {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "`{}` is not at its target of {} yet: {}",
                    outcome.spec.slug, outcome.spec.target.to, attainment.says
                ),
            )
            .hint(
                "`outcome-runtime status` shows how far it is; `outcome-runtime poll` reads the days that are over",
            ));
        }
        end_outcome(self.0, reference, Verdict::ConfirmAchieved, unlock, Assurance::A3).await
    }

    /// Outcomes whose deadline has passed become expired.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "outcomes.sweep", skip_all)]
    pub async fn sweep(self) -> Result<Vec<String>> {
        let now = self.0.now();
        let by = Principal::system("deadline");
        let mut expired = Vec::new();
        let is_over = |outcome: &Outcome| outcome.state.deadline.is_some_and(|deadline| deadline <= now);
        // Where nothing is over, nothing is locked.
        if !self.0.read().await?.outcome_list(Some(OutcomeStatus::Active)).await?.iter().any(is_over) {
            return Ok(expired);
        }
        let mut tx = self.0.write().await?;
        for mut outcome in tx.outcome_list(Some(OutcomeStatus::Active)).await? {
            if is_over(&outcome) {
                outcome_step(self.0, &mut tx, &mut outcome, None, OutcomeEvent::Expired, &by).await?;
                expired.push(outcome.spec.slug.to_string());
            }
        }
        tx.commit().await?;
        Ok(expired)
    }
}

async fn end_outcome(
    runtime: &Runtime,
    reference: &str,
    verdict: Verdict,
    unlock: &Unlock,
    needed: Assurance,
) -> Result<OutcomeStatus> {
    let mut tx = runtime.read().await?;
    let outcome = outcome_named(&mut tx, reference).await?;
    let open = tx.experiment_list_open(Some(outcome.id)).await?;
    drop(tx);
    if let Some(live) = open.iter().find(|experiment| experiment.state.status.is_polled()) {
        return Err(Error::new(Code::Conflict, format!("experiment `{}` is {}", live.slug, live.state.status))
            .hint("conclude it first: its flag is on"));
    }
    let (decision, signer) = sign_for_outcome(runtime, &outcome, verdict, None, unlock, needed).await?;
    let mut tx = runtime.write().await?;
    let mut outcome = outcome_named(&mut tx, reference).await?;
    let event = match verdict {
        Verdict::Abandon => OutcomeEvent::Abandoned { decision },
        _ => OutcomeEvent::Achieved { decision },
    };
    outcome_step(runtime, &mut tx, &mut outcome, None, event, &signer.principal()).await?;
    tx.commit().await?;
    anchor_quietly(runtime, &signer).await;
    Ok(outcome.state.status)
}
