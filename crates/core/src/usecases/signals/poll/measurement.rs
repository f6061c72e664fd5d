//! Readings as they are stored.

use jiff::Timestamp;

use crate::domain::{ArmSums, Experiment, Measurement, Outcome, Reading, SignalSpec, VariantReading};
use crate::ids::MeasurementId;
use crate::usecases::Runtime;
use crate::usecases::kernel::level::of_everybody;

/// A reading by variant as it is stored, an arm each.
pub(super) fn measurements(
    runtime: &Runtime,
    outcome: &Outcome,
    experiment: &Experiment,
    signal: &SignalSpec,
    phase: i32,
    reading: &Reading<Vec<VariantReading>>,
    now: Timestamp,
) -> Vec<Measurement> {
    let stored = |arm: &VariantReading| Measurement {
        id: runtime.ids.next::<MeasurementId>(),
        outcome: outcome.id,
        experiment: Some(experiment.id),
        signal: signal.name.clone(),
        variant: Some(arm.variant),
        phase: Some(phase),
        measured_at: now,
        window: reading.window,
        sums: arm.sums,
        cohort: arm.cohort,
        units: arm.units,
        source: signal.source.clone(),
        query_hash: reading.query_hash.clone(),
        raw_hash: reading.raw_hash.clone(),
    };
    reading.data.iter().map(stored).collect()
}

/// A reading of everybody in an experiment, whatever they saw.
pub(super) fn level(
    runtime: &Runtime,
    experiment: &Experiment,
    signal: &SignalSpec,
    reading: &Reading<ArmSums>,
    now: Timestamp,
) -> Measurement {
    of_everybody(runtime, (experiment.outcome, Some(experiment.id)), signal, reading, now)
}
