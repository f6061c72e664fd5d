//! How values of an outcome's signal are written.

use crate::domain::{ConstraintBound, Outcome, SignalSpec};
use crate::error::Result;
use crate::ids::ExperimentId;
use crate::stats::Scale;
use crate::store::Tx;

/// As the file says, and as the latest reading tells: a share of counted units is a share, whatever its unit says.
pub(in crate::usecases) async fn scale_of(tx: &mut Tx, outcome: &Outcome) -> Result<Scale> {
    let spec = &outcome.spec;
    let latest = tx.measurement_latest_level(outcome.id, &spec.signal.name).await?;
    Ok(spec.scale(latest.as_ref().map(|reading| &reading.sums)))
}

/// How values of a constraint's signal are written, as its limit and a reading of the experiment tell; `None` where nothing tells.
pub(in crate::usecases) async fn scale_of_bound(
    tx: &mut Tx,
    experiment: ExperimentId,
    signal: &SignalSpec,
    bound: &ConstraintBound,
) -> Result<Option<Scale>> {
    let read = tx.measurement_series(experiment, &signal.name, 1).await?;
    Ok(bound.scale(signal, read.first().map(|reading| &reading.sums)))
}
