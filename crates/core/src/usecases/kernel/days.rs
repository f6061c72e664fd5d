//! The days that an outcome's attainment rests on: which they are, and where they are kept.
//!
//! A day is 24 hours of UTC, whatever window the level is shown over. It is read once, when it is over, and kept, so that a proof rests on
//! readings that do not change under it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::digest::digest;
use super::level::of_everybody;
use crate::domain::{ArmSums, Measurement, Outcome, Reading, SignalSpec, Window};
use crate::error::{Code, Error, Result};
use crate::store::Tx;
use crate::usecases::Runtime;

pub(in crate::usecases) const DAY: SignedDuration = SignedDuration::from_hours(24);
const DAY_SECONDS: i64 = 86_400;

/// The instant at which the hour, the day, or whatever else UTC is cut into, began: what is told once in it has one key.
pub(in crate::usecases) fn start_of(unit: SignedDuration, at: Timestamp) -> Timestamp {
    let seconds = at.as_second();
    Timestamp::from_second(seconds - seconds.rem_euclid(unit.as_secs().max(1))).unwrap_or(at)
}

/// Days from the one of an instant to the one of another.
pub(in crate::usecases) fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second().div_euclid(DAY_SECONDS) - from.as_second().div_euclid(DAY_SECONDS)
}

/// The day so many days after the one of an instant.
pub(in crate::usecases) fn day_after(at: Timestamp, n: i64) -> Result<Window> {
    let number = at.as_second().div_euclid(DAY_SECONDS).saturating_add(n);
    let outside = |error| Error::new(Code::Internal, "a day is outside the calendar").because(error);
    let from = Timestamp::from_second(number.saturating_mul(DAY_SECONDS)).map_err(outside)?;
    Ok(Window { from, to: from.checked_add(DAY).map_err(outside)? })
}

/// The days of the primary signal that are kept, by the day's end. Those that another query or source answered are not among them.
pub(in crate::usecases) async fn stored_days(tx: &mut Tx, outcome: &Outcome) -> Result<BTreeMap<Timestamp, ArmSums>> {
    let signal = &outcome.spec.signal;
    let days = tx.measurement_days(outcome.id, &signal.name, &key_of(outcome, signal, "")?).await?;
    let is_day = |window: Window| day_after(window.from, 0).is_ok_and(|day| day == window);
    Ok(days.into_iter().filter(|day| is_day(day.window)).map(|day| (day.window.to, day.sums)).collect())
}

/// Keeps a day.
pub(in crate::usecases) async fn store_day(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    reading: &Reading<ArmSums>,
    at: Timestamp,
) -> Result<bool> {
    let signal = &outcome.spec.signal;
    let level = of_everybody(runtime, (outcome.id, None), signal, reading, at);
    // The log holds the phase of a reading and not its key, so this tells a day from a level.
    let measurement = Measurement { phase: Some(0), ..level };
    tx.measurement_insert(&measurement, &key_of(outcome, signal, &reading.window.to.to_string())?).await
}

/// Where a day is kept: a changed query is another series.
fn key_of(outcome: &Outcome, signal: &SignalSpec, to: &str) -> Result<String> {
    let SignalSpec { source, metric, method, funnel_steps, segment, query, contract, .. } = signal;
    let asked = digest(&json!([source, metric, method, funnel_steps, segment, query, contract]))?;
    let asked: String = asked.chars().take(16).collect();
    Ok(format!("day/{}/{}/{asked}/{to}", outcome.id, signal.name))
}
