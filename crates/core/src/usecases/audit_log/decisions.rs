//! The signed decisions about something, as they were signed.

use super::AuditLog;
use crate::domain::SignedDecision;
use crate::error::{Code, Error, Result};
use crate::usecases::kernel::lookup::{experiment_named, gate_named};

impl AuditLog<'_> {
    /// The signed decisions about a gate, an experiment (those of its gates included) or an outcome, oldest first. What a script
    /// outside of this program verifies.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    #[tracing::instrument(level = "debug", name = "audit_log.decisions", skip_all)]
    pub async fn decisions(self, name: &str) -> Result<Vec<SignedDecision>> {
        let mut tx = self.0.read().await?;
        let mut found = Vec::new();
        match experiment_named(&mut tx, name).await {
            Ok(experiment) => {
                for gate in tx.gate_list(Some(experiment.id), 1_000).await? {
                    found.extend(tx.decision_list(gate.id.0).await?);
                }
                found.extend(tx.decision_list(experiment.id.0).await?);
                found.sort_by_key(|signed| signed.decision().log_seq);
                return Ok(found);
            }
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
        match gate_named(&mut tx, name).await {
            Ok((gate, _)) => return tx.decision_list(gate.id.0).await,
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
        match tx.outcome_by_slug(name).await? {
            Some(outcome) => tx.decision_list(outcome.id.0).await,
            None => Err(Error::not_found("gate, experiment or outcome", name)
                .hint("`outcome-runtime status` lists them; `outcome-runtime gate list` the gates that wait")),
        }
    }
}
