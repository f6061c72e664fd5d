//! Asking a source for the arms of an experiment, phase by phase.

use jiff::Timestamp;

use crate::config::Config;
use crate::domain::{Experiment, Measurement, Reading, SignalSpec, Variant, VariantReading, Window};
use crate::error::{Error, Result};
use crate::ids::ExperimentId;
use crate::ports::VariantRequest;
use crate::store::AllocationPhase;
use crate::usecases::Runtime;
use crate::usecases::kernel::history::marks_of;
use crate::usecases::kernel::phases::{on_until, window_until};
use crate::usecases::kernel::turns::{Urgency, queued_source};
use crate::usecases::kernel::workspace_file::is_pushed;

/// Readings by allocation phase.
pub(super) type ByPhase = Vec<(i32, Reading<Vec<VariantReading>>)>;

/// One reading for each allocation phase, all of one instant where the source can do so. A source that pushes has nothing to be asked: its latest readings are taken.
#[tracing::instrument(level = "debug", name = "poll.phases", skip_all, fields(signal = %signal.name, source = %signal.source))]
pub(super) async fn read_phases(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    signal: &SignalSpec,
    phases: &[AllocationPhase],
    now: Timestamp,
) -> Result<ByPhase> {
    let is_sticky = signal.contract.as_ref().is_some_and(|contract| contract.exposures.is_sticky);
    let windows = phases.iter().filter_map(|phase| Some((phase, window_until(phase, now)?)));
    if is_pushed(config, &signal.source) {
        let mut readings = Vec::new();
        for (phase, window) in windows {
            let latest = latest_pushed(runtime, experiment.id, signal, phase.phase, window).await?;
            readings.extend(latest.map(|reading| (phase.phase, reading)));
        }
        return Ok(readings);
    }
    let (numbers, requests): (Vec<i32>, Vec<VariantRequest>) = windows
        .map(|(phase, window)| {
            let request = VariantRequest {
                experiment: experiment.slug.clone(),
                flag_key: experiment.hypothesis.flag_key.clone(),
                window,
                launched_at: experiment.launched_at.unwrap_or(now),
                as_of: now,
                on_until: on_until(phases, phase, is_sticky).filter(|changed| *changed <= now),
            };
            (phase.phase, request)
        })
        .unzip();
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let readings = queued_source(runtime, config, &signal.source, Urgency::Urgent)
        .await?
        .by_phase(signal, &requests)
        .await
        .map_err(Error::from)?;
    Ok(numbers.into_iter().zip(readings).collect())
}

async fn latest_pushed(
    runtime: &Runtime,
    experiment: ExperimentId,
    signal: &SignalSpec,
    phase: i32,
    window: Window,
) -> Result<Option<Reading<Vec<VariantReading>>>> {
    let mut tx = runtime.read().await?;
    let marks = marks_of(&mut tx, experiment).await?;
    let mut data = Vec::new();
    let mut latest: Option<Measurement> = None;
    for variant in [Variant::Control, Variant::Treatment] {
        let mut before = Timestamp::MAX;
        while let Some(found) = tx.measurement_latest(experiment, &signal.name, phase, variant, before).await? {
            before = found.measured_at;
            if marks.count(&signal.name, found.measured_at, None) {
                data.push(VariantReading { variant, sums: found.sums, cohort: found.cohort, units: found.units });
                latest = Some(found);
                break;
            }
        }
    }
    Ok(latest.map(|found| Reading {
        data,
        window: Window { from: window.from, to: found.window.to },
        query_hash: found.query_hash,
        raw_hash: found.raw_hash,
        warnings: Vec::new(),
    }))
}
