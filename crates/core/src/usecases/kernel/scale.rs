//! How values of an outcome's signal are written.

use crate::domain::Outcome;
use crate::error::Result;
use crate::stats::Scale;
use crate::store::Tx;

/// As the file says, and as the latest reading tells: a share of counted units is a share, whatever its unit says.
pub(in crate::usecases) async fn scale_of(tx: &mut Tx, outcome: &Outcome) -> Result<Scale> {
    let spec = &outcome.spec;
    let latest = tx.measurement_latest_level(outcome.id, &spec.signal.name).await?;
    Ok(spec.scale(latest.as_ref().map(|reading| &reading.sums)))
}
