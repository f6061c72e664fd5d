//! The flag of an experiment: its position, and the message that puts it there.

use std::time::Duration;

use tokio::time::timeout;

use super::attached_flag::drift_of;
use super::phases::is_on;
use super::workspace_file::{config, flag_service};
use crate::domain::{Experiment, ExperimentStatus, FlagFacts, FlagFound, FlagPosition, Message, MessageKey};
use crate::error::{Code, Error, Result, error_chain};
use crate::ports::{FlagError, FlagState};
use crate::store::{AllocationPhase, Tx};
use crate::usecases::Runtime;

/// Puts the flag's next position in the outbox; an older one that was not delivered is overtaken.
pub(in crate::usecases) async fn queue_flag(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    pct: u8,
) -> Result<()> {
    let now = runtime.now();
    tx.outbox_overtake_flag(experiment.id, now).await?;
    let key = MessageKey::Flag(experiment.id, tx.log_head().await?.0);
    tx.outbox_insert(runtime.ids.next(), &Message::Flag(position_of(experiment, pct)), &key, now).await
}

/// A position of an experiment's flag.
pub(in crate::usecases) fn position_of(experiment: &Experiment, treatment_pct: u8) -> FlagPosition {
    FlagPosition {
        experiment: experiment.slug.to_string(),
        key: experiment.hypothesis.flag_key.clone(),
        description: experiment.hypothesis.title.clone(),
        treatment_pct,
    }
}

/// Where the flag of an experiment should be by what is stored, to compare it with where it is.
pub(in crate::usecases) fn expected_position(experiment: &Experiment, phases: &[AllocationPhase]) -> FlagState {
    let pct = match (experiment.state.status, is_on(phases)) {
        (ExperimentStatus::Shipped, _) => 100,
        (_, true) => experiment.hypothesis.rollout.pct(experiment.state.step).unwrap_or(0),
        (_, false) => 0,
    };
    flag_position(&experiment.hypothesis.flag_key, pct)
}

/// The flag's position for a treatment share; 0 % is off.
pub(in crate::usecases) fn flag_position(key: &str, pct: u8) -> FlagState {
    if pct == 0 { FlagState::off(key) } else { FlagState::on(key, pct) }
}

/// How long a person waits for what a flag service says of a key.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the flag service says of a key before it is used; `None` where the outcome file names no service.
pub(in crate::usecases) async fn look_at_flag(runtime: &Runtime, key: &str) -> Option<FlagFacts> {
    let config = config(runtime).await.ok()?;
    let kind = config.flags.as_ref()?.kind;
    let not_read = |service: &str, problem: String| FlagFacts {
        service: service.to_owned(),
        found: FlagFound::NotRead { problem },
    };
    let service = match flag_service(runtime, &config).await {
        Ok(service) => service?,
        Err(error) => return Some(not_read(kind, error_chain(&error))),
    };
    let found = match timeout(PATIENCE, service.read(key)).await {
        Ok(Ok(None)) => FlagFound::Nothing,
        Ok(Ok(Some(FlagState { is_on: true, treatment_pct, .. }))) if treatment_pct > 0 => {
            FlagFound::On { treatment_pct }
        }
        Ok(Ok(Some(_))) => FlagFound::Off,
        Ok(Err(FlagError::Foreign { problem, .. } | FlagError::Invalid { problem })) => {
            FlagFound::Otherwise { problem }
        }
        Ok(Err(error)) => return Some(not_read(service.name(), error_chain(&error))),
        Err(_) => return Some(not_read(service.name(), format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    Some(FlagFacts { service: service.name().to_owned(), found })
}

/// A decision that goes on with the treatment rests on where the flag is: somebody who moved it is seen before anything is signed. One
/// that is on its way, or cannot be read, is told elsewhere.
///
/// # Errors
/// [`Code::ContextChanged`] with where it is.
pub(in crate::usecases) async fn refuse_moved_flag(runtime: &Runtime, experiment: &Experiment) -> Result<()> {
    let mut tx = runtime.read().await?;
    if tx.outbox_is_flag_waiting(experiment.id).await? {
        return Ok(());
    }
    let phases = tx.phase_list(experiment.id).await?;
    drop(tx);
    let Ok(Some(service)) = flag_service(runtime, &*config(runtime).await?).await else { return Ok(()) };
    let expected = expected_position(experiment, &phases);
    match timeout(PATIENCE, drift_of(service.as_ref(), experiment, &expected)).await {
        Ok(Ok(Some(drift))) => Err(Error::new(Code::ContextChanged, drift.to_string())
            .hint("`outcome-runtime poll` sees it too, and what follows; then look at the gate again")),
        Ok(Ok(None) | Err(_)) | Err(_) => Ok(()),
    }
}

/// Nobody launches on a flag that gives somebody the treatment already.
///
/// # Errors
/// [`Code::Conflict`] with where it is.
pub(in crate::usecases) async fn refuse_taken_flag(runtime: &Runtime, key: &str) -> Result<()> {
    let Some(FlagFacts { service, found }) = look_at_flag(runtime, key).await else { return Ok(()) };
    match found.is_taken() {
        None => Ok(()),
        Some(problem) => Err(Error::new(Code::Conflict, format!("the flag `{key}` of {service} {problem}"))
            .hint("turn it off there, then decide again; or propose the hypothesis with a key that is free")),
    }
}
