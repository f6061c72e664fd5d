//! Bare values are judged by the day: the last day of the treatment's units, and everybody's days before the launch, which tell how
//! much the value moves by itself. Each of those is read once and kept.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::arms::{ByPhase, read_phase, read_phases};
use super::measurement::level;
use crate::config::Config;
use crate::domain::{ArmSums, Experiment, GuardrailPlan, Reading, SignalSpec, Window};
use crate::error::{Error, Result};
use crate::store::{AllocationPhase, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::history::marks_of;
use crate::usecases::kernel::workspace_file::{is_pushed, reads_level, source};

/// What a limit on a bare value is judged on: a day, whatever window the signal is shown over. Readings that count are at least as
/// far apart.
pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Days before the launch that are looked at.
const DAYS_BEFORE: i32 = 28;
/// Most readings of one signal of one experiment that are read back.
const MAX_READINGS: i64 = 1_000_000;
/// How long reading the days before the launch may take; what comes later is left, and tried again by the next poll.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everybody's days before the launch, and what was read of them just now.
#[derive(Debug, Clone, Default)]
pub(super) struct DaysBefore {
    /// In time order.
    pub(super) values: Vec<f64>,
    /// To be stored.
    pub(super) new: Vec<Reading<ArmSums>>,
}

/// The readings of a constraint by variant: of all phases where units are counted, else of the last day of the present phase.
pub(super) async fn read_by_variant(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    guardrail: &GuardrailPlan,
    phases: &[AllocationPhase],
    now: Timestamp,
) -> Result<ByPhase> {
    let signal = &guardrail.signal;
    let whole = read_phases(runtime, config, experiment, signal, phases, now).await?;
    if !guardrail.is_judged_by_day() || !is_bare(&whole) || is_pushed(config, &signal.source) {
        return Ok(whole);
    }
    let Some(last) = phases.iter().rfind(|phase| phase.started_at.0 < now) else { return Ok(whole) };
    let to = last.ended_at.map_or(now, |ended| ended.0).min(now);
    let from = to.checked_sub(DAY).unwrap_or(to).max(last.started_at.0);
    let day = read_phase(runtime, config, experiment, signal, last.phase, Window { from, to }, now).await?;
    Ok(day.into_iter().map(|reading| (last.phase, reading)).collect())
}

/// Whether these are values of which no units are counted that did something or did not.
pub(super) fn is_bare(readings: &ByPhase) -> bool {
    let mut arms = readings.iter().flat_map(|(_, reading)| &reading.data);
    arms.any(|arm| !matches!(arm.sums, ArmSums::Proportion { .. }))
}

/// Everybody's days before the launch, from the store or, once, from the source. A day that cannot be read is left out.
pub(super) async fn read_days_before(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    signal: &SignalSpec,
) -> Result<DaysBefore> {
    let Some(launched_at) = experiment.launched_at else { return Ok(DaysBefore::default()) };
    let values = stored(runtime, experiment, signal, launched_at).await?;
    if !values.is_empty() || !reads_level(config, signal) {
        return Ok(DaysBefore { values, new: Vec::new() });
    }
    let asked = tokio::time::timeout(PATIENCE, ask(runtime, config, signal, launched_at)).await;
    let Ok(new) = asked else {
        tracing::warn!(experiment = %experiment.slug, signal = %signal.name, "The days before the launch could not be read in time");
        return Ok(DaysBefore::default());
    };
    let new = new?;
    Ok(DaysBefore { values: new.iter().filter_map(|reading| reading.data.value()).collect(), new })
}

async fn stored(
    runtime: &Runtime,
    experiment: &Experiment,
    signal: &SignalSpec,
    launched_at: Timestamp,
) -> Result<Vec<f64>> {
    let mut tx = runtime.read().await?;
    let marks = marks_of(&mut tx, experiment.id).await?;
    let mut days = tx.measurement_series(experiment.id, &signal.name, MAX_READINGS).await?;
    days.retain(|day| day.variant.is_none() && day.window.to <= launched_at);
    days.retain(|day| marks.count(&signal.name, day.measured_at, None));
    days.sort_by_key(|day| day.window.to);
    Ok(days.iter().filter_map(|day| day.sums.value()).collect())
}

async fn ask(
    runtime: &Runtime,
    config: &Config,
    signal: &SignalSpec,
    launched_at: Timestamp,
) -> Result<Vec<Reading<ArmSums>>> {
    let source = source(runtime, config, &signal.source)?;
    let mut days = Vec::new();
    for number in (1..=DAYS_BEFORE).rev() {
        let at = |n: i32| launched_at.checked_sub(DAY * n).unwrap_or(launched_at);
        match source.level(signal, Window { from: at(number), to: at(number - 1) }).await.map_err(Error::from) {
            Ok(day) => days.extend(Some(day).filter(|day| day.data.value().is_some())),
            Err(error) => tracing::debug!(signal = %signal.name, "A day before the launch could not be read: {error}"),
        }
    }
    Ok(days)
}

/// Keeps the days that were read. Returns how many.
pub(super) async fn store_days(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    signal: &SignalSpec,
    new: &[Reading<ArmSums>],
    now: Timestamp,
) -> Result<usize> {
    let mut n_new = 0;
    for reading in new {
        let measurement = level(runtime, experiment, signal, reading, now);
        let key = format!("day/{}/{}/{}", experiment.id, signal.name, reading.window.to);
        n_new += usize::from(tx.measurement_insert(&measurement, &key).await?);
    }
    Ok(n_new)
}
