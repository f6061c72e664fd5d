//! From the points of a query to one number: only buckets whose time was over count.

use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::Window;

use super::super::api::Number;

/// A line of points, as either version of the API gives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Seconds between points.
    pub(super) interval: Number,
    /// Milliseconds, and the value.
    pub(super) points: Vec<(Number, Number)>,
}

/// How the points of a window become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combined {
    Avg,
    Sum,
    Min,
    Max,
    Last,
}

/// Who makes one number of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// We do, from its points.
    Ours(Combined),
    /// Datadog does, by an aggregator of its own, which only the second version of its API has.
    Theirs(&'static str),
}

/// A metric, taken apart: `sum($window):sum:orders{*}.as_count()`, as in a monitor. A bare name is its average over everything.
pub(super) fn parts(metric: &str) -> (Way, String) {
    let ways = [
        ("avg", Way::Ours(Combined::Avg)),
        ("sum", Way::Ours(Combined::Sum)),
        ("min", Way::Ours(Combined::Min)),
        ("max", Way::Ours(Combined::Max)),
        ("last", Way::Ours(Combined::Last)),
        ("mean", Way::Theirs("mean")),
        ("percentile", Way::Theirs("percentile")),
        ("area", Way::Theirs("area")),
        ("l2norm", Way::Theirs("l2norm")),
    ];
    let found = ways.iter().find_map(|(name, way)| {
        let rest = metric.trim().strip_prefix(name)?.strip_prefix("($window):")?;
        Some((*way, rest.trim()))
    });
    let (way, query) = found.unwrap_or((Way::Ours(Combined::Avg), metric.trim()));
    let is_name = query.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    (way, if is_name { format!("avg:{query}{{*}}") } else { query.to_owned() })
}

/// Points whose time was over.
#[derive(Debug, PartialEq)]
pub(super) struct Complete {
    pub(super) points: Vec<(Timestamp, f64)>,
    interval: SignedDuration,
}

/// The points that lie wholly in the window and were finished at `sure`. A point without a value is absent, and not 0.
pub(super) fn complete(line: &Line, window: Window, sure: Timestamp) -> Option<Complete> {
    let interval = line.interval.whole().filter(|seconds| (1..=31_536_000).contains(seconds))?;
    let interval = SignedDuration::from_secs(interval);
    let within = |at: Timestamp| {
        let end = at.checked_add(interval).ok();
        at >= window.from && end.is_some_and(|end| end <= window.to && end <= sure)
    };
    let points = line.points.iter().filter_map(|(at, value)| {
        let at = Timestamp::from_millisecond(at.whole()?).ok().filter(|at| within(*at))?;
        Some((at, value.0?))
    });
    Some(Complete { points: points.collect(), interval })
}

impl Complete {
    /// The value, and the window that it is of; `None` without a point.
    pub(super) fn combined(&self, way: Combined) -> Option<(f64, Window)> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        let values = || self.points.iter().map(|(_, value)| *value);
        let total: f64 = values().sum();
        let value = match way {
            Combined::Avg => total / self.points.len() as f64,
            Combined::Sum => total,
            Combined::Min => values().fold(f64::INFINITY, f64::min),
            Combined::Max => values().fold(f64::NEG_INFINITY, f64::max),
            Combined::Last => last.1,
        };
        let from = if way == Combined::Last { last.0 } else { first.0 };
        Some((value, Window { from, to: last.0.checked_add(self.interval).ok()? }))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_metric_says_how_its_points_are_combined() {
        let parts = |metric: &str| {
            let (way, query) = super::parts(metric);
            (way, query.leak() as &str)
        };
        assert_eq!(
            parts("sum($window):sum:orders{*}.as_count()"),
            (Way::Ours(Combined::Sum), "sum:orders{*}.as_count()")
        );
        assert_eq!(parts("checkout.latency.p95"), (Way::Ours(Combined::Avg), "avg:checkout.latency.p95{*}"));
        assert_eq!(parts("last($window):queue"), (Way::Ours(Combined::Last), "avg:queue{*}"));
        assert_eq!(parts(" last($window): avg:load{*}"), (Way::Ours(Combined::Last), "avg:load{*}"));
        assert_eq!(parts("percentile($window):p95:load{*}"), (Way::Theirs("percentile"), "p95:load{*}"));
        assert_eq!(parts("avg:load{*}"), (Way::Ours(Combined::Avg), "avg:load{*}"));
        assert_eq!(parts("sum:orders{*}"), (Way::Ours(Combined::Avg), "sum:orders{*}"));
    }

    #[test]
    fn only_points_that_are_over_count() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let point = |seconds: f64, value: Option<f64>| (Number(Some(seconds * 1000.0)), Number(value));
        let line = Line {
            interval: Number(Some(60.0)),
            points: vec![
                point(940.0, Some(9.0)),
                point(1000.0, Some(1.0)),
                point(1060.0, None),
                point(1120.0, Some(2.0)),
                point(1180.0, Some(100.0)),
            ],
        };
        let window = Window { from: at(1000), to: at(1220) };
        let found = complete(&line, window, at(1200)).unwrap();
        assert_eq!(found.points, [(at(1000), 1.0), (at(1120), 2.0)]);
        let read = Window { from: at(1000), to: at(1180) };
        assert_eq!(found.combined(Combined::Sum), Some((3.0, read)));
        assert_eq!(found.combined(Combined::Avg), Some((1.5, read)));
        assert_eq!(found.combined(Combined::Min), Some((1.0, read)));
        assert_eq!(found.combined(Combined::Max), Some((2.0, read)));
        assert_eq!(found.combined(Combined::Last), Some((2.0, Window { from: at(1120), to: at(1180) })));
        assert_eq!(complete(&line, window, at(1000)).unwrap().combined(Combined::Sum), None);
    }
}
