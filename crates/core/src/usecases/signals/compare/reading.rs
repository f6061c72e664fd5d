//! What the source says about an experiment that ran elsewhere: its units, who had seen its flag before, and how the arms came over time.

use jiff::{SignedDuration, Timestamp};

use super::request::MetricCompareRequest;
use crate::domain::{SignalSpec, Slug, Variant, VariantReading, Window};
use crate::error::Result;
use crate::ports::{SignalSource, VariantRequest};

/// How far back a unit may have seen the same flag: what it did then is no value from before.
const BEFORE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Buckets of time in which the arms are counted, at most; none is shorter than a day.
const BUCKETS: i64 = 60;
const DAY: i64 = 86_400;

/// Units of both arms in a bucket of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    pub(super) window: Window,
    /// Control, treatment.
    pub(super) n: [i64; 2],
}

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    /// Of all units that saw the flag first in the time of the experiment.
    pub(super) arms: Vec<VariantReading>,
    /// Those with a unit, in the order of time.
    pub(super) buckets: Vec<Bucket>,
    /// Units that saw it earlier.
    pub(super) n_before: i64,
}

impl Read {
    /// From the first bucket with a unit to the end of the last one.
    pub(super) fn seen_in(&self) -> Option<Window> {
        let (first, last) = (self.buckets.first()?, self.buckets.last()?);
        Some(Window { from: first.window.from, to: last.window.to })
    }
}

/// Asks once for all of it. A unit counts where it was seen first.
pub(super) async fn read(
    source: &dyn SignalSource,
    signal: &SignalSpec,
    request: &MetricCompareRequest,
    window: Window,
    now: Timestamp,
) -> Result<Read> {
    let before = Window { from: window.from.checked_sub(BEFORE).unwrap_or(Timestamp::MIN), to: window.from };
    let windows: Vec<Window> = [window, before].into_iter().chain(buckets(window)).collect();
    let asked: Vec<VariantRequest> = windows
        .iter()
        .map(|part| VariantRequest {
            experiment: Slug::from_title(&request.flag),
            flag_key: request.flag.clone(),
            window: *part,
            launched_at: before.from,
            as_of: now,
            on_until: request.to.filter(|to| *to < now),
        })
        .collect();
    let mut readings = source.by_phase(signal, &asked).await?.into_iter().map(|reading| reading.data);
    let arms = readings.next().unwrap_or_default();
    let n_before = readings.next().map_or(0, |arms| n_of(&arms).into_iter().sum());
    let counted = windows.into_iter().skip(2).zip(readings).map(|(window, arms)| Bucket { window, n: n_of(&arms) });
    Ok(Read { arms, buckets: counted.filter(|bucket| bucket.n != [0, 0]).collect(), n_before })
}

/// Control and treatment; none where nobody saw an arm.
pub(super) fn both(arms: &[VariantReading]) -> [Option<&VariantReading>; 2] {
    [Variant::Control, Variant::Treatment].map(|variant| arms.iter().find(|arm| arm.variant == variant))
}

/// Units of control and treatment.
pub(super) fn n_of(arms: &[VariantReading]) -> [i64; 2] {
    both(arms).map(|arm| arm.and_then(|arm| arm.sums.n()).unwrap_or(0))
}

fn buckets(window: Window) -> impl Iterator<Item = Window> {
    let seconds = window.to.duration_since(window.from).as_secs();
    let days = (seconds / DAY / BUCKETS + i64::from(seconds / DAY % BUCKETS > 0)).max(1);
    let length = SignedDuration::from_secs(days * DAY);
    let begins = std::iter::successors(Some(window.from), move |begin| {
        begin.checked_add(length).ok().filter(|next| *next < window.to)
    });
    begins.map(move |from| Window { from, to: from.checked_add(length).unwrap_or(window.to).min(window.to) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_the_window_once() {
        let from: Timestamp = "2026-10-01T00:00:00Z".parse().unwrap();
        for (hours, want) in [(1, 1), (24, 1), (25, 2), (24 * 60, 60), (24 * 61, 31), (24 * 400, 58)] {
            let window = Window { from, to: from + SignedDuration::from_hours(hours) };
            let all: Vec<Window> = buckets(window).collect();
            assert_eq!(all.len(), want, "{hours}");
            assert_eq!((all[0].from, all[want - 1].to), (window.from, window.to));
            assert!(all.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].from < pair[0].to));
        }
    }
}
