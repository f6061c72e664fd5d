//! Where the flag of an experiment belongs: by the log, and never by what a message says. A message only says that it is to be looked at.

use crate::domain::{Experiment, ExperimentStatus, FlagPosition};
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::store::{QueuedMessage, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::check::flag_shares;
use crate::usecases::kernel::flag::position_of;
use crate::usecases::kernel::keyring::keyring;

/// Where a flag belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::usecases) enum Aim {
    /// Here, as the log says. Also where it was before, in percent: it may still be there.
    At(FlagPosition, Vec<u8>),
    /// Off: what is stored about the experiment is not what the log says. Turning off is safe.
    Off(FlagPosition, String),
    /// Nowhere: it is no flag of ours. The sentence says why.
    Nowhere(String),
}

/// Where the flag belongs that a message is about.
pub(super) async fn aim_of(runtime: &Runtime, tx: &mut Tx, queued: &QueuedMessage) -> Result<Aim> {
    let experiment = match queued.subject {
        Some(subject) => tx.experiment_get(ExperimentId(subject)).await?,
        None => None,
    };
    match experiment {
        Some(experiment) => aim(runtime, tx, &experiment).await,
        None => Ok(Aim::Nowhere("a message about a flag names no experiment, and is not followed".to_owned())),
    }
}

/// Where the flag of an experiment belongs.
pub(in crate::usecases) async fn aim(runtime: &Runtime, tx: &mut Tx, experiment: &Experiment) -> Result<Aim> {
    let at = |treatment_pct| position_of(experiment, treatment_pct);
    let keyring = keyring(runtime, tx).await?;
    match Box::pin(flag_shares(tx, &keyring, experiment)).await {
        Ok(_) if experiment.state.status == ExperimentStatus::Detached => {
            Ok(Aim::Nowhere("it is guarded no more, and its flag stays as it is".to_owned()))
        }
        Ok(shares) => Ok(Aim::At(at(shares.last().copied().unwrap_or(0)), shares)),
        Err(error) if is_broken(&error) => match tx.event_flag_was_set(&experiment.hypothesis.flag_key).await? {
            true => Ok(Aim::Off(at(0), error.message().to_owned())),
            // The key may have been exchanged, too.
            false => Ok(Aim::Nowhere(format!("{}, and the runtime never set its flag", error.message()))),
        },
        Err(error) => Err(error),
    }
}

/// Whether nothing can be decided because what is stored is not what was written.
pub(in crate::usecases) fn is_broken(error: &Error) -> bool {
    matches!(error.code(), Code::StateTampered | Code::AuditBroken)
}
