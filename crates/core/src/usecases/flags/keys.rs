//! Where each flag should be, and where it is.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::Flags;
use super::test::applied;
use crate::domain::{Experiment, ExperimentStatus};
use crate::error::{Error, Result, error_chain};
use crate::ports::flags;
use crate::usecases::kernel::flag::flag_position;
use crate::usecases::kernel::phases::is_on;

/// How long one flag may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A flag of the runtime's.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FlagLine {
    /// Its key.
    pub key: String,
    /// The experiment to which it belongs.
    pub experiment: String,
    /// Where the experiment stands.
    pub status: ExperimentStatus,
    /// Share of units that should get the treatment; 0 is off.
    pub expected_pct: u8,
    /// True when a message that moves it is still waiting, so that a difference means nothing yet.
    pub is_moving: bool,
    /// Where it is instead, or why it could not be read. Absent when it is where it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Flags<'_> {
    /// The flags of experiments that were ever live, newest first, each read back.
    ///
    /// # Errors
    /// Without a flag service, and when the database fails. A flag that cannot be read is a line with its reason.
    #[tracing::instrument(level = "debug", name = "flags.list", skip_all)]
    pub async fn list(self) -> Result<Vec<FlagLine>> {
        let (_, service) = applied(self.0).await?;
        let mut tx = self.0.read().await?;
        let mut found = Vec::new();
        let ended = tx.experiment_list_ended_live().await?;
        let open = tx.experiment_list_under_way(None).await?;
        for experiment in open.into_iter().filter(|open| open.launched_at.is_some()).chain(ended).rev() {
            let is_on = is_on(&tx.phase_list(experiment.id).await?);
            let is_moving = tx.outbox_is_flag_waiting(experiment.id).await?;
            found.push(line(&experiment, is_on, is_moving));
        }
        drop(tx);
        for line in &mut found {
            let expected = flag_position(&line.key, line.expected_pct);
            line.problem = match timeout(PATIENCE, flags::drift(service.as_ref(), &expected)).await {
                Ok(Ok(drift)) => drift.map(|drift| drift.to_string()),
                Ok(Err(error)) => Some(error_chain(&Error::from(error))),
                Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
            };
        }
        Ok(found)
    }
}

fn line(experiment: &Experiment, is_on: bool, is_moving: bool) -> FlagLine {
    let status = experiment.state.status;
    let expected_pct = match (status, is_on) {
        (ExperimentStatus::Shipped, _) => 100,
        (_, true) => experiment.hypothesis.rollout.pct(experiment.state.step).unwrap_or(0),
        (_, false) => 0,
    };
    FlagLine {
        key: experiment.hypothesis.flag_key.clone(),
        experiment: experiment.slug.to_string(),
        status,
        expected_pct,
        is_moving,
        problem: None,
    }
}
