//! Experiments without a control group: weekly levels before and after the launch.
//!
//! Each week is read once and kept, so that a result rests on readings that do not change under it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::logged::log_readings;
use super::measurement::level;
use crate::config::Config;
use crate::domain::{ArmSums, Experiment, Plan, Reading, SignalSpec, Window};
use crate::error::{Error, Result};
use crate::ports::{ReadError, SignalSource as _};
use crate::present::Scale;
use crate::stats::SeriesRules;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::turns::{Urgency, queued_source};

/// Weeks before the launch that plans of earlier versions look at.
const WEEKS_BEFORE_MEANS: i64 = 12;
/// Weeks before the launch that are looked at: a year to compare with, and as many weeks beside it as the placebos need.
const WEEKS_BEFORE: i64 = 78;
/// Whole weeks that have to be left for the first week with data to be left out.
const MIN_WEEKS: usize = 4;
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

/// Reads the weeks that are not known yet. Written are only those that were read before one that could not be.
pub(super) async fn read_weeks(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    plan: &Plan,
    target: f64,
    now: Timestamp,
) -> Result<Weeks> {
    let signal = &plan.signal;
    let rules = plan.series_rules();
    let weeks_before = match rules {
        SeriesRules::Means => WEEKS_BEFORE_MEANS,
        SeriesRules::Adjusted => WEEKS_BEFORE,
    };
    let launched_at = experiment.launched_at.unwrap_or(now);
    let mut tx = runtime.read().await?;
    let stored = tx.measurement_series(experiment.id, &signal.name, MAX_WEEKS).await?;
    drop(tx);
    let known: BTreeMap<Timestamp, ArmSums> = stored
        .iter()
        .filter(|reading| reading.variant.is_none())
        .map(|reading| (reading.window.to, reading.sums))
        .collect();
    let source = queued_source(runtime, config, &signal.source, Urgency::Ordinary).await?;
    let mut weeks = Weeks::default();
    let week = |number: i64| -> Result<Window> {
        let from = launched_at.checked_add(WEEK * i32::try_from(number).unwrap_or(i32::MAX)).map_err(too_long)?;
        Ok(Window { from, to: from.checked_add(WEEK).map_err(too_long)? })
    };
    for number in 0.. {
        let window = week(number)?;
        if window.to > now {
            break;
        }
        let sums = match known.get(&window.to) {
            Some(sums) => *sums,
            None => match whole(signal, window, source.level(signal, window).await) {
                Ok(reading) => weeks.take(reading),
                Err(error) => {
                    keep(runtime, experiment, signal, &weeks.new, now).await?;
                    return Err(error.into());
                }
            },
        };
        weeks.post.extend(sums.value());
    }
    // From the launch backwards: a series that has a hole begins after the hole, and what lies before it is not asked for.
    let mut before = History::default();
    for number in 1..=weeks_before {
        let window = week(-number)?;
        let sums = match known.get(&window.to) {
            Some(sums) => Some(*sums),
            None => match source.level(signal, window).await {
                // A sum over no rows is NULL and no number.
                Err(ReadError::Shape { .. }) if rules == SeriesRules::Adjusted => None,
                read => match whole(signal, window, read) {
                    Ok(reading) => Some(weeks.take(reading)),
                    Err(error) => {
                        keep(runtime, experiment, signal, &weeks.new, now).await?;
                        return Err(error.into());
                    }
                },
            },
        };
        let Some((sums, value)) = sums.and_then(|sums| Some((sums, sums.value()?))) else { break };
        before.add(value, matches!(sums, ArmSums::Value { .. }));
    }
    weeks.pre = before.weeks(rules);
    let sums = weeks.new.last().map(|reading| &reading.data).or(stored.last().map(|reading| &reading.sums));
    weeks.scale = signal.scale(target, sums);
    Ok(weeks)
}

/// A week as it was asked for, of which its source has no doubts: it is kept, and judged ever after.
fn whole(
    signal: &SignalSpec,
    asked: Window,
    read: std::result::Result<Reading<ArmSums>, ReadError>,
) -> std::result::Result<Reading<ArmSums>, ReadError> {
    let reading = read?;
    let refused = |problem: String, hint: &str| ReadError::Shape {
        source_name: signal.source.clone(),
        signal: signal.name.clone(),
        problem,
        hint: hint.to_owned(),
    };
    if reading.window != asked {
        return Err(refused(
            format!(
                "of the week from {} to {} it read {} to {}",
                asked.from, asked.to, reading.window.from, reading.window.to
            ),
            "weeks before and after a launch must be read as they are: use a source that reads by instants, such as `type: sql`",
        ));
    }
    match reading.warnings.first() {
        None => Ok(reading),
        Some(doubt) => {
            Err(refused(format!("it doubts the week itself: {doubt}"), "the week is read again until it is whole"))
        }
    }
}

/// Keeps the weeks that were read before one could not be, so that they are not asked for again.
async fn keep(
    runtime: &Runtime,
    experiment: &Experiment,
    signal: &SignalSpec,
    new: &[Reading<ArmSums>],
    now: Timestamp,
) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let mut tx = runtime.write().await?;
    if store_weeks(runtime, &mut tx, experiment, signal, new, now).await? > 0 {
        log_readings(&mut tx, experiment.id, now, None).await?;
    }
    tx.commit().await
}

impl Weeks {
    /// Keeps a reading to be stored, and hands back what it says.
    fn take(&mut self, reading: Reading<ArmSums>) -> ArmSums {
        let sums = reading.data;
        self.new.push(reading);
        sums
    }
}

/// The weeks before the launch.
#[derive(Debug, Default)]
struct History {
    /// The last one first.
    values: Vec<f64>,
    /// Whether the values are bare: a count over a week without data is 0 and no missing value.
    are_bare: bool,
}

impl History {
    fn add(&mut self, value: f64, is_bare: bool) {
        self.are_bare |= is_bare;
        self.values.push(value);
    }

    /// Those that count, oldest first. A history begins with its data: of bare values, zeros before the first other value are weeks before the
    /// data began. The first week with data is rarely a whole one, so it is left out where enough weeks are left (STATS.md 2.9).
    fn weeks(mut self, rules: SeriesRules) -> Vec<f64> {
        self.values.reverse();
        if rules == SeriesRules::Means || !self.are_bare {
            return self.values;
        }
        let n_empty = self.values.iter().take_while(|value| value.abs() <= 0.0).count();
        let is_partial = n_empty > 0 && self.values.len() - n_empty > MIN_WEEKS;
        self.values.split_off(n_empty + usize::from(is_partial))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn history(values: &[f64], are_bare: bool) -> History {
        let mut history = History::default();
        values.iter().rev().for_each(|value| history.add(*value, are_bare));
        history
    }

    #[test]
    fn zeros_before_the_first_data_are_no_weeks() {
        let weeks = |values: &[f64]| history(values, true).weeks(SeriesRules::Adjusted);
        assert_eq!(weeks(&[0.0, 0.0, 2.0, 6.0, 0.0, 5.0, 6.0]), [6.0, 0.0, 5.0, 6.0], "a later zero is a level");
        assert_eq!(weeks(&[0.0, 2.0, 6.0, 5.0, 6.0]), [2.0, 6.0, 5.0, 6.0], "four weeks are needed");
        assert_eq!(weeks(&[2.0, 6.0, 5.0, 6.0, 7.0, 7.0]).len(), 6, "where no week is empty, all are whole");
        assert!(weeks(&[0.0, 0.0]).is_empty());
    }

    #[test]
    fn a_share_of_nobody_is_a_level_and_earlier_plans_count_zeros() {
        let share = history(&[0.0, 0.1, 0.1, 0.1, 0.1, 0.1], false);
        assert_eq!(share.weeks(SeriesRules::Adjusted).len(), 6);
        let earlier = history(&[0.0, 6.0, 6.0, 6.0, 6.0, 6.0], true);
        assert_eq!(earlier.weeks(SeriesRules::Means).len(), 6);
    }
}
