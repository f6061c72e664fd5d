//! Readings of the whole population of an outcome.

use jiff::Timestamp;

use super::turns::shared::aligned;
use super::turns::{Urgency, queued_source};
use super::workspace_file::is_pushed;
use crate::config::Config;
use crate::domain::{ArmSums, Measurement, Outcome, Reading, SignalSpec, Window};
use crate::error::{Error, Result};
use crate::ids::{ExperimentId, MeasurementId, OutcomeId};
use crate::ports::SignalSource as _;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Reads the whole population from the source, in a window that ends now; from one that pushes, the newest reading is taken (`None` before the first).
pub(in crate::usecases) async fn read_level(
    runtime: &Runtime,
    config: &Config,
    outcome: &Outcome,
    signal: &SignalSpec,
    window: Window,
    urgency: Urgency,
) -> Result<Option<Reading<ArmSums>>> {
    if is_pushed(config, &signal.source) {
        let mut tx = runtime.read().await?;
        let latest = tx.measurement_latest_level(outcome.id, &signal.name).await?;
        return Ok(latest.map(|found| Reading {
            data: found.sums,
            window: found.window,
            query_hash: found.query_hash,
            raw_hash: found.raw_hash,
            raw: None,
            warnings: Vec::new(),
        }));
    }
    let source = queued_source(runtime, config, &signal.source, urgency).await?;
    // Where a vendor limits questions, those who ask at about the same time ask the same.
    let window = if source.limits().budget.is_some() { aligned(window) } else { window };
    source.level(signal, window).await.map(Some).map_err(Error::from)
}

/// A reading of the whole population as it is stored. `of`: its outcome, and the experiment that it is read for.
pub(in crate::usecases) fn of_everybody(
    runtime: &Runtime,
    of: (OutcomeId, Option<ExperimentId>),
    signal: &SignalSpec,
    reading: &Reading<ArmSums>,
    at: Timestamp,
) -> Measurement {
    Measurement {
        id: runtime.ids.next::<MeasurementId>(),
        outcome: of.0,
        experiment: of.1,
        signal: signal.name.clone(),
        variant: None,
        phase: None,
        measured_at: at,
        window: reading.window,
        sums: reading.data,
        cohort: None,
        units: None,
        source: signal.source.clone(),
        query_hash: reading.query_hash.clone(),
        raw_hash: reading.raw_hash.clone(),
    }
}

/// Stores a reading of the whole population.
pub(in crate::usecases) async fn store_level(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    signal: &SignalSpec,
    reading: &Reading<ArmSums>,
    at: Timestamp,
) -> Result<bool> {
    let measurement = of_everybody(runtime, (outcome.id, None), signal, reading, at);
    let key = format!("level/{}/{}/{}", outcome.id, signal.name, reading.window.to);
    tx.measurement_insert(&measurement, &key).await
}
