//! The error budget of an outcome: its experiments share one alpha, so that more of them do not find more by chance.

use crate::domain::Experiment;
use crate::error::Result;
use crate::store::Tx;

/// The part of its outcome's error budget that an experiment has, or would take now.
///
/// An experiment that ended without a launch has looked at no data and gives its part back.
pub(in crate::usecases) async fn budget_part(tx: &mut Tx, experiment: &Experiment) -> Result<u32> {
    if let Some(part) = experiment.state.budget_part {
        return Ok(part);
    }
    let taken = tx.experiment_budget_parts(experiment.outcome).await?;
    Ok((0..=u32::MAX).find(|part| !taken.contains(part)).unwrap_or(u32::MAX))
}
