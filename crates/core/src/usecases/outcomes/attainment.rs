//! Is the outcome reached? The level against the target, with an interval of its own, held for the stated dwell time.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{ArmSums, Direction, Measurement, Outcome, Target};
use crate::error::Result;
use crate::present::number;
use crate::stats::{self, Alpha, SeriesVerdict, level_vs_target, rate_confidence};
use crate::store::Tx;

/// Readings that are looked at.
const MAX_READINGS: i64 = 400;
/// Most blocks of a level that is no rate.
const MAX_BLOCKS: usize = 12;

/// How an outcome stands against its target. Observational: it does not say why.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Attainment {
    /// Of the latest level against the target.
    pub verdict: SeriesVerdict,
    /// Since when the level has been beyond the target at every reading.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// True when it held for the dwell time, so that a human may confirm.
    pub is_met: bool,
    /// The same as a sentence.
    pub says: String,
}

/// Holds the stored levels of an outcome against its target. `latest`: the newest of them.
pub(in crate::usecases) async fn attainment(
    tx: &mut Tx,
    outcome: &Outcome,
    latest: Option<&Measurement>,
) -> Result<Attainment> {
    let target = &outcome.spec.target;
    let alpha = Alpha::try_new(outcome.spec.alpha()).unwrap_or_default();
    // Most outcomes are under way: where the latest rate is not beyond the target, the earlier ones say nothing.
    let latest = latest.map(std::slice::from_ref).unwrap_or_default();
    if is_rate(latest, target) {
        let attainment = judge(latest, target, alpha);
        if attainment.verdict != SeriesVerdict::TargetMet {
            return Ok(attainment);
        }
    }
    let readings = tx.measurement_levels(outcome.id, &outcome.spec.signal.name, MAX_READINGS).await?;
    Ok(judge(&readings, target, alpha))
}

/// Whether the newest reading is a rate that can be compared with the target.
fn is_rate(readings: &[Measurement], target: &Target) -> bool {
    let is_share = target.to > 0.0 && target.to < 1.0;
    is_share && readings.first().is_some_and(|reading| matches!(reading.sums, ArmSums::Proportion { .. }))
}

/// `readings`: newest first.
fn judge(readings: &[Measurement], target: &Target, alpha: Alpha) -> Attainment {
    let direction = match target.direction {
        Direction::Increase => stats::Direction::Increase,
        Direction::Decrease => stats::Direction::Decrease,
    };
    let is_rate = is_rate(readings, target);
    let verdict_of =
        |reading: &Measurement| rate_verdict(reading, target, alpha).unwrap_or(SeriesVerdict::NotDistinguishable);
    let sign = target.direction.sign();
    let is_beyond = |reading: &&Measurement| {
        if is_rate {
            verdict_of(reading) == SeriesVerdict::TargetMet
        } else {
            reading.sums.value().is_some_and(|value| sign * value >= sign * target.to)
        }
    };
    let verdict = match readings.first() {
        Some(latest) if is_rate => verdict_of(latest),
        _ => level_vs_target(&blocks(readings), target.to, alpha).verdict(target.to, direction),
    };
    let run: Vec<&Measurement> = readings.iter().take_while(is_beyond).collect();
    let since = run.last().map(|first| first.window.to);
    let held = match (run.first(), run.last()) {
        (Some(last), Some(first)) => last.window.to.duration_since(first.window.to),
        _ => jiff::SignedDuration::ZERO,
    };
    let is_long = held >= target.dwell.get();
    let is_met = verdict == SeriesVerdict::TargetMet && is_long;
    let days = number((held.as_secs_f64() / 86_400.0).round());
    let says = match verdict {
        SeriesVerdict::TargetMet if is_long => {
            format!("the level is beyond the target and has stayed there for {days} days")
        }
        SeriesVerdict::TargetMet => {
            format!("the level has been beyond the target for {days} days; it must stay there for {}", target.dwell)
        }
        SeriesVerdict::TargetMissed => "the level has not reached the target".to_owned(),
        SeriesVerdict::Moved | SeriesVerdict::NotDistinguishable => {
            "the level cannot be distinguished from the target yet".to_owned()
        }
    };
    Attainment { verdict, since, is_met, says }
}

fn rate_verdict(reading: &Measurement, target: &Target, alpha: Alpha) -> Option<SeriesVerdict> {
    let ArmSums::Proportion { n, successes } = reading.sums else { return None };
    let counted = rate_confidence(u64::try_from(successes).ok()?, u64::try_from(n).ok()?, target.to, alpha).ok()?;
    let (better, worse) = match target.direction {
        Direction::Increase => (counted.ci.lower? > target.to, counted.ci.upper? < target.to),
        Direction::Decrease => (counted.ci.upper? < target.to, counted.ci.lower? > target.to),
    };
    Some(match (better, worse) {
        (true, _) => SeriesVerdict::TargetMet,
        (_, true) => SeriesVerdict::TargetMissed,
        _ => SeriesVerdict::NotDistinguishable,
    })
}

/// Values of windows that do not overlap, in time order.
fn blocks(readings: &[Measurement]) -> Vec<f64> {
    let mut values = Vec::new();
    let mut border: Option<Timestamp> = None;
    for reading in readings {
        if values.len() < MAX_BLOCKS
            && border.is_none_or(|border| reading.window.to <= border)
            && let Some(value) = reading.sums.value()
        {
            values.push(value);
            border = Some(reading.window.from);
        }
    }
    values.reverse();
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Period, Window};
    use crate::ids::{MeasurementId, OutcomeId};

    fn target(direction: Direction, to: f64) -> Target {
        Target { direction, from: 0.3, to, confidence: 0.95, baseline_tolerance: 0.2, dwell: Period::from_days(7) }
    }

    /// One reading a day, newest first, each over the seven days before.
    fn daily(sums: impl Fn(i64) -> ArmSums, n_days: i64) -> Vec<Measurement> {
        let start: Timestamp = "2026-10-01T00:00:00Z".parse().unwrap();
        let at = |day: i64| start + jiff::SignedDuration::from_hours(24 * day);
        let reading = |day: i64| Measurement {
            cohort: None,
            units: None,
            id: MeasurementId(uuid::Uuid::nil()),
            outcome: OutcomeId(uuid::Uuid::nil()),
            experiment: None,
            signal: "retention".to_owned(),
            variant: None,
            phase: None,
            measured_at: at(day),
            window: Window { from: at(day - 7), to: at(day) },
            sums: sums(day),
            source: "game".to_owned(),
            query_hash: String::new(),
            raw_hash: String::new(),
        };
        (0..n_days).rev().map(reading).collect()
    }

    fn rate(successes: i64) -> ArmSums {
        ArmSums::Proportion { n: 10_000, successes }
    }

    #[test]
    fn a_rate_must_be_clearly_beyond_the_target_for_the_whole_dwell_time() {
        let up = target(Direction::Increase, 0.35);
        let held = judge(&daily(|day| rate(if day < 5 { 3000 } else { 3800 }), 13), &up, Alpha::DEFAULT);
        assert_eq!((held.verdict, held.is_met), (SeriesVerdict::TargetMet, true), "{held:?}");
        let short = judge(&daily(|day| rate(if day < 9 { 3000 } else { 3800 }), 13), &up, Alpha::DEFAULT);
        assert_eq!((short.verdict, short.is_met), (SeriesVerdict::TargetMet, false), "{short:?}");
        let near = judge(&daily(|_| rate(3510), 13), &up, Alpha::DEFAULT);
        assert_eq!((near.verdict, near.is_met), (SeriesVerdict::NotDistinguishable, false));
        let down = judge(&daily(|_| rate(3000), 13), &target(Direction::Decrease, 0.35), Alpha::DEFAULT);
        assert!(down.is_met && down.says.contains("12 days"), "{down:?}");
    }

    #[test]
    fn an_amount_is_judged_on_windows_that_do_not_overlap() {
        let down = target(Direction::Decrease, 20.0);
        let minutes = |day: i64| ArmSums::Value { value: 10.0 + f64::from(i32::try_from(day % 3).unwrap()) };
        let few = judge(&daily(minutes, 21), &down, Alpha::DEFAULT);
        assert!(!few.is_met, "three weeks are too few: {few:?}");
        let enough = judge(&daily(minutes, 70), &down, Alpha::DEFAULT);
        assert!(enough.is_met, "{enough:?}");
    }

    #[test]
    fn nothing_read_is_nothing_reached() {
        let none = judge(&[], &target(Direction::Increase, 0.35), Alpha::DEFAULT);
        assert_eq!((none.is_met, none.since), (false, None));
    }
}
