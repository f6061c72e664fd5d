//! The line of the log that holds what was stored of an experiment at an instant.

use jiff::Timestamp;

use crate::audit::{EventKind, PollLine, chain_of, poll_key};
use crate::domain::Said;
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::kernel::digest::readings_digest;
use crate::usecases::kernel::event::new_event;

/// Logs the digest of the readings that were stored for an experiment at an instant, with what a poll made of them.
pub(in crate::usecases::signals) async fn log_readings(
    tx: &mut Tx,
    experiment: ExperimentId,
    at: Timestamp,
    said: Option<Said>,
) -> Result<()> {
    let stored = tx.measurement_of_poll(experiment, at).await?;
    let before = tx.event_last_of_kind(experiment.0, EventKind::ExperimentMeasured, i64::MAX).await?;
    let (key, digest) = (poll_key(experiment, at), readings_digest(&stored)?);
    let end = before.as_ref().map(chain_of);
    let payload = PollLine::after(end.as_deref(), key, digest, stored.len())
        .map_err(|e| Error::new(Code::Internal, "a line about readings cannot be written").because(e))?
        .saying(said);
    let by = Principal::system("poll");
    tx.event_append(new_event(EventKind::ExperimentMeasured, experiment.into(), &by, &payload)?, at).await?;
    Ok(())
}
