//! Asking a source for the arms of an experiment, phase by phase.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::cohorts::{Known, Series, sealed_contract};
use crate::config::Config;
use crate::domain::{Contract, Experiment, Measurement, Reading, SignalSpec, Variant, VariantReading, Window};
use crate::error::{Code, Error, Result, error_chain};
use crate::ids::ExperimentId;
use crate::ports::{PartRequest, SignalSource as _, VariantRequest};
use crate::store::AllocationPhase;
use crate::usecases::Runtime;
use crate::usecases::kernel::history::marks_of;
use crate::usecases::kernel::phases::{is_on, on_until, window_until};
use crate::usecases::kernel::turns::{QueuedSource, Urgency, queued_source};
use crate::usecases::kernel::workspace_file::is_pushed;

/// Parts that lie further apart are asked for one by one.
const APART: SignedDuration = SignedDuration::from_hours(24);

/// Readings by allocation phase.
pub(super) type ByPhase = Vec<(i32, Reading<Vec<VariantReading>>)>;

/// What a source said of the arms.
#[derive(Default)]
pub(super) struct ReadArms {
    pub(super) by_phase: ByPhase,
    /// How long it took to answer.
    pub(super) took: Duration,
    /// Whether some of its units had been sealed.
    pub(super) has_cohorts: bool,
}

/// One reading for each allocation phase, all of one instant where the source can do so. A source that pushes has nothing to be asked: its latest readings are taken.
#[tracing::instrument(level = "debug", name = "poll.phases", skip_all, fields(signal = %signal.name, source = %signal.source))]
pub(super) async fn read_phases(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    signal: &SignalSpec,
    phases: &[AllocationPhase],
    now: Timestamp,
) -> Result<ReadArms> {
    if is_pushed(config, &signal.source) {
        let mut readings = Vec::new();
        for phase in phases {
            let Some(window) = window_until(phase, now) else { continue };
            let latest = latest_pushed(runtime, experiment.id, signal, phase.phase, window).await?;
            readings.extend(latest.map(|reading| (phase.phase, reading)));
        }
        return Ok(ReadArms { by_phase: readings, ..ReadArms::default() });
    }
    let asked = requests(experiment, signal, phases, now);
    if asked.is_empty() {
        return Ok(ReadArms::default());
    }
    let source = queued_source(runtime, config, &signal.source, Urgency::Urgent).await?;
    let series = match sealed_contract(&*source, signal) {
        Some(contract) => Some((contract, Series::of(runtime, &*source, experiment, signal).await?)),
        None => None,
    };
    let sealed = series.as_ref().filter(|(_, series)| !series.cohorts.is_empty());
    // A pause is looked at with everything that the source says now.
    if let Some((contract, series)) = sealed.filter(|(_, series)| is_on(phases) && !series.is_stale(now)) {
        match read_rest(&source, signal, contract, series, &asked).await {
            Err(error) if error.code() != Code::SignalTimeout => {
                tracing::warn!(
                    signal = signal.name,
                    "Every unit is read, since cohorts cannot be: {}",
                    error_chain(&error)
                );
            }
            read => return read.map(|by_phase| ReadArms { by_phase, took: source.took(), has_cohorts: true }),
        }
    }
    let (numbers, requests): (Vec<i32>, Vec<VariantRequest>) = asked.iter().cloned().unzip();
    let by_phase = match source.by_phase(signal, &requests).await.map_err(Error::from) {
        Ok(readings) => numbers.into_iter().zip(readings).collect(),
        Err(error) => match sealed.filter(|_| error.code() == Code::SignalTimeout) {
            Some((contract, series)) => read_rest(&source, signal, contract, series, &asked).await?,
            None => return Err(error),
        },
    };
    Ok(ReadArms { by_phase, took: source.took(), has_cohorts: sealed.is_some() })
}

/// What is asked about each phase that had begun by an instant.
pub(super) fn requests(
    experiment: &Experiment,
    signal: &SignalSpec,
    phases: &[AllocationPhase],
    now: Timestamp,
) -> Vec<(i32, VariantRequest)> {
    let is_sticky = signal.contract.as_ref().is_some_and(|contract| contract.exposures.is_sticky);
    let request = |phase: &AllocationPhase| {
        let request = VariantRequest {
            experiment: experiment.slug.clone(),
            flag_key: experiment.hypothesis.flag_key.clone(),
            window: window_until(phase, now)?,
            launched_at: experiment.launched_at.unwrap_or(now),
            as_of: now,
            on_until: on_until(phases, phase, is_sticky).filter(|changed| *changed <= now),
        };
        Some((phase.phase, request))
    };
    phases.iter().filter_map(request).collect()
}

/// Asks only for the units whose values can still change, and adds what is known of the others.
async fn read_rest(
    source: &QueuedSource,
    signal: &SignalSpec,
    contract: &Contract,
    series: &Series,
    asked: &[(i32, VariantRequest)],
) -> Result<ByPhase> {
    let last = asked.len().saturating_sub(1);
    let known = asked.iter().enumerate().map(|(position, (phase, request))| {
        let known = Known::of(&series.cohorts, contract.matures_after(), *phase, request);
        if position == last { known.opened() } else { known }
    });
    let known: Vec<Known<'_>> = known.collect();
    let open = known.iter().zip(asked).filter(|(known, _)| !known.is_whole());
    let parts: Vec<PartRequest> =
        open.map(|(known, (_, request))| PartRequest { of: request.clone(), part: known.open }).collect();
    let mut said = Vec::with_capacity(parts.len());
    // A statement reads everything from its first part on: a few units of long ago are asked for by themselves.
    for parts in parts.chunk_by(|one, next| next.part.from.duration_since(one.part.to) < APART) {
        said.extend(source.by_part(signal, parts).await.map_err(Error::from)?);
    }
    let mut said = said.into_iter();
    let mut readings = Vec::with_capacity(asked.len());
    for (known, (phase, request)) in known.iter().zip(asked) {
        let open = if known.is_whole() { None } else { said.next() };
        readings.push((*phase, known.total(&signal.name, request.window, open)?));
    }
    Ok(readings)
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
        raw: None,
        warnings: Vec::new(),
    }))
}
