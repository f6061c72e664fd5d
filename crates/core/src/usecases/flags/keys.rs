//! Where each flag should be, and where it is.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::Flags;
use super::test::applied;
use crate::domain::{Experiment, ExperimentStatus, text_enum};
use crate::error::{Error, Result, error_chain};
use crate::ports::FlagState;
use crate::usecases::kernel::attached_flag::drift_of;
use crate::usecases::kernel::flag::{expected_position, flag_position};
use crate::usecases::outbox::stuck::flag_problem as stuck_problem;

/// How long all flags together may take.
const PATIENCE: Duration = Duration::from_secs(20);

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
    /// What is known of it.
    pub state: FlagLineState,
    /// Where it is instead, why it could not be moved, or why it could not be read. Absent when it is where it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

text_enum! {
    /// What is known of a flag.
    pub enum FlagLineState {
        /// It is where it should be.
        InPlace,
        /// A message that moves it is waiting, and was not tried yet.
        Moving,
        /// It could not be moved so far.
        Stuck,
        /// It is elsewhere.
        Elsewhere,
        /// It could not be read.
        NotRead,
    }
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
        let failing = tx.outbox_flags_failing().await?;
        let now = self.0.now();
        let mut live: Vec<_> = open.into_iter().filter(|open| open.launched_at.is_some()).chain(ended).collect();
        live.sort_unstable_by_key(|experiment| std::cmp::Reverse((experiment.created_at, experiment.id)));
        for experiment in &live {
            let expected = expected_position(experiment, &tx.phase_list(experiment.id).await?);
            let stuck = failing.iter().find(|queued| queued.subject == Some(experiment.id.0));
            let mut line = line(experiment, &expected);
            if let Some(queued) = stuck {
                line.state = FlagLineState::Stuck;
                line.problem = stuck_problem(queued, now);
            } else if tx.outbox_is_flag_waiting(experiment.id).await? {
                line.state = FlagLineState::Moving;
            }
            found.push(line);
        }
        drop(tx);
        let until = Instant::now() + PATIENCE;
        for (line, experiment) in found.iter_mut().zip(&live).filter(|(line, _)| line.state != FlagLineState::Stuck) {
            let expected = flag_position(&line.key, line.expected_pct);
            let (state, problem) = match timeout_at(until, drift_of(service.as_ref(), experiment, &expected)).await {
                Ok(Ok(None)) => (FlagLineState::InPlace, None),
                Ok(Ok(Some(drift))) => (FlagLineState::Elsewhere, Some(drift.to_string())),
                Ok(Err(error)) => (FlagLineState::NotRead, Some(error_chain(&Error::from(error)))),
                Err(_) => (FlagLineState::NotRead, Some("the flag service took too long for all of them".to_owned())),
            };
            if line.state != FlagLineState::Moving || state == FlagLineState::InPlace {
                line.state = state;
            }
            line.problem = problem;
        }
        Ok(found)
    }
}

fn line(experiment: &Experiment, expected: &FlagState) -> FlagLine {
    FlagLine {
        key: expected.key.clone(),
        experiment: experiment.slug.to_string(),
        status: experiment.state.status,
        expected_pct: expected.treatment_pct,
        state: FlagLineState::InPlace,
        problem: None,
    }
}
