//! People: they resume what a fault of a source paused, once the source is well.

use anyhow::Result;
use jiff::SignedDuration;
use outcome_core::domain::{Experiment, ExperimentStatus, PauseCause, Verdict};
use outcome_tests::lab::Lab;

use super::sources::Sources;

/// A source is believed to be well after this long.
const WELL: SignedDuration = SignedDuration::from_mins(30);

/// What people did.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) n_resumed: usize,
}

impl People {
    pub(super) async fn resume(&mut self, lab: &Lab, sources: &Sources, standing: &[Experiment]) -> Result<()> {
        let now = lab.runtime.now();
        let latest = sources.latest_of_experiments(now);
        if latest.iter().any(|(_, episode)| now < episode.to + WELL) {
            return Ok(());
        }
        for Experiment { slug, state, .. } in standing {
            let cause = state.pause.as_ref().map(|pause| pause.cause);
            let is_of_source = matches!(
                cause,
                Some(PauseCause::QueryFailing | PauseCause::StaleSignal | PauseCause::ArmWithoutExposure)
            );
            if state.status == ExperimentStatus::Paused && is_of_source {
                lab.act(slug.as_str(), Verdict::Resume).await?;
                self.n_resumed += 1;
            }
        }
        Ok(())
    }
}
