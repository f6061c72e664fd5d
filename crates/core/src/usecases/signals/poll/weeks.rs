//! Experiments without a control group: weekly levels before and after the launch.
//!
//! Each week is read once and kept, so that a result rests on readings that do not change under it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::measurement::level;
use crate::config::Config;
use crate::domain::{ArmSums, Experiment, Reading, SignalSpec, Window};
use crate::error::{Error, Result};
use crate::present::Scale;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::workspace_file::source;

/// Weeks before the launch that are looked at.
const WEEKS_BEFORE: i64 = 12;
/// Most weeks of one experiment that are read back.
const MAX_WEEKS: i64 = 1000;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The weekly levels of one series, in time order, and what was read just now.
#[derive(Debug, Clone, Default)]
pub(super) struct Weeks {
    /// Before the launch.
    pub(super) pre: Vec<f64>,
    /// After it, whole weeks only.
    pub(super) post: Vec<f64>,
    /// How they are written.
    pub(super) scale: Scale,
    /// To be stored.
    pub(super) new: Vec<Reading<ArmSums>>,
}

/// Reads the weeks that are not known yet. Nothing is written here.
pub(super) async fn read_weeks(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    signal: &SignalSpec,
    target: f64,
    now: Timestamp,
) -> Result<Weeks> {
    let launched_at = experiment.launched_at.unwrap_or(now);
    let mut tx = runtime.read().await?;
    let stored = tx.measurement_series(experiment.id, &signal.name, MAX_WEEKS).await?;
    drop(tx);
    let known: BTreeMap<Timestamp, Option<f64>> = stored
        .iter()
        .filter(|reading| reading.variant.is_none())
        .map(|reading| (reading.window.to, reading.sums.value()))
        .collect();
    let mut weeks = Weeks::default();
    for number in -WEEKS_BEFORE.. {
        let from = launched_at.checked_add(WEEK * i32::try_from(number).unwrap_or(i32::MAX)).map_err(too_long)?;
        let to = from.checked_add(WEEK).map_err(too_long)?;
        if to > now {
            break;
        }
        let value = match known.get(&to) {
            Some(value) => *value,
            None => {
                let reading = read_week(runtime, config, signal, Window { from, to }).await?;
                let value = reading.data.value();
                weeks.new.push(reading);
                value
            }
        };
        match value {
            Some(value) if number < 0 => weeks.pre.push(value),
            Some(value) => weeks.post.push(value),
            // A series that has a hole before the launch begins after the hole.
            None if number < 0 => weeks.pre.clear(),
            None => {}
        }
    }
    let sums = weeks.new.last().map(|reading| &reading.data).or(stored.last().map(|reading| &reading.sums));
    weeks.scale = signal.scale(target, sums);
    Ok(weeks)
}

async fn read_week(
    runtime: &Runtime,
    config: &Config,
    signal: &SignalSpec,
    window: Window,
) -> Result<Reading<ArmSums>> {
    source(runtime, config, &signal.source)?.level(signal, window).await.map_err(Error::from)
}

/// Keeps the weeks that were read. Returns how many.
pub(super) async fn store_weeks(
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
        let key = format!("week/{}/{}/{}", experiment.id, signal.name, reading.window.to);
        n_new += usize::from(tx.measurement_insert(&measurement, &key).await?);
    }
    Ok(n_new)
}

fn too_long(error: jiff::Error) -> Error {
    Error::new(crate::error::Code::Internal, "a week is outside the calendar").because(error)
}
