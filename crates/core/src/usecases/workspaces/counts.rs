//! What a monitor watches: whether the database answers, and how much there is of everything.

use std::collections::BTreeMap;

use super::Workspaces;
use crate::domain::{Closing, ExperimentStatus};
use crate::error::{Code, Error, Result};
use crate::store::Place;
use crate::usecases::kernel::resting::resting;

/// How much there is, without any name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Gates that are waiting for a human.
    pub n_open_gates: usize,
    /// Experiments in each status that some are in.
    pub experiments: BTreeMap<ExperimentStatus, i64>,
    /// Messages that have not arrived and are tried again.
    pub n_waiting_messages: i64,
    /// Messages that were given up.
    pub n_dead_letters: i64,
    /// Sources that do not answer and are left alone for a while.
    pub n_resting_sources: usize,
}

impl Workspaces<'_> {
    /// Reads a little from the database.
    ///
    /// # Errors
    /// When the database does not answer, or its file is not the one any more that was opened.
    #[tracing::instrument(level = "debug", name = "workspaces.is_reachable", skip_all)]
    pub async fn is_reachable(self) -> Result<()> {
        if self.0.database_place() != Place::Same {
            let shown = self.0.settings.database_shown();
            return Err(Error::new(Code::DatabaseUnavailable, format!("the database {shown} was moved or removed"))
                .hint("restore the file, and start this program again"));
        }
        self.0.read().await?.log_head().await.map(drop)
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "workspaces.counts", skip_all)]
    pub async fn counts(self) -> Result<Counts> {
        let mut tx = self.0.read().await?;
        let n_open_gates = tx.gate_list_open().await?.len();
        let experiments = tx.experiment_counts().await?.into_iter().collect();
        let n_waiting_messages = tx.outbox_n_open().await?;
        let (n_dead_letters, _) = tx.outbox_closed_as(Closing::DeadLetter).await?;
        let n_resting_sources = resting(&mut tx, self.0.now()).await?.len();
        Ok(Counts { n_open_gates, experiments, n_waiting_messages, n_dead_letters, n_resting_sources })
    }
}
