//! What can be asked of Mixpanel, and the shapes of its answers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::Window;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::api::{Count, Number, part};

/// What a signal's `metric` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Metric<'m> {
    /// Different users of an event.
    Users(&'m str),
    /// How often an event came.
    Events(&'m str),
    /// A saved funnel.
    Funnel(u64),
    /// A saved Insights report.
    Insights(u64),
}

pub(super) fn metric(text: &str) -> Metric<'_> {
    let text = text.trim();
    let number = |prefix: &str| text.strip_prefix(prefix)?.trim().parse().ok();
    if let Some(id) = number("funnel/") {
        Metric::Funnel(id)
    } else if let Some(id) = number("insights/") {
        Metric::Insights(id)
    } else if let Some(event) = text.strip_prefix("total/") {
        Metric::Events(event.trim())
    } else {
        Metric::Users(text)
    }
}

#[derive(Deserialize)]
pub(super) struct Segmentation {
    pub(super) data: SegmentationData,
}

#[derive(Deserialize)]
pub(super) struct SegmentationData {
    /// The days; not sorted.
    pub(super) series: Vec<String>,
    /// Of each event, by day. A day may be absent.
    pub(super) values: BTreeMap<String, BTreeMap<String, Number>>,
}

#[derive(Deserialize)]
pub(super) struct Funnels {
    pub(super) data: BTreeMap<String, Bucket>,
}

#[derive(Deserialize)]
pub(super) struct Bucket {
    pub(super) analysis: Analysis,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Analysis {
    pub(super) starting_amount: Count,
    pub(super) completion: Count,
}

#[derive(Deserialize)]
pub(super) struct Insights {
    pub(super) date_range: DateRange,
    pub(super) computed_at: Option<String>,
    pub(super) series: Value,
}

#[derive(Deserialize)]
pub(super) struct DateRange {
    pub(super) from_date: String,
    pub(super) to_date: String,
}

#[derive(Deserialize)]
pub(super) struct SavedFunnel {
    pub(super) funnel_id: u64,
    pub(super) name: Option<String>,
}

/// The numbers in nested maps, at most a few, with their places.
pub(super) fn leaves(path: &str, value: &Value) -> Result<Vec<(String, Number)>, String> {
    let mut open = vec![(path.to_owned(), value)];
    let mut found = Vec::new();
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(map) => open.extend(map.values().map(|value| (format!("{path}.*"), value))),
            other => found.push((path.clone(), part(&path, other)?)),
        }
    }
    Ok(found)
}

/// A report's time: from the beginning of its first day to the end of its last, which is written as its last millisecond.
pub(super) fn span(range: &DateRange) -> Option<Window> {
    let from: Timestamp = range.from_date.parse().ok()?;
    let to: Timestamp = range.to_date.parse().ok()?;
    let last = to.as_millisecond().rem_euclid(1000) == 999;
    let to = if last { to.checked_add(SignedDuration::from_millis(1)).ok()? } else { to };
    (from < to).then_some(Window { from, to })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_metric_names_an_event_or_what_is_saved() {
        assert_eq!(metric("Signed up"), Metric::Users("Signed up"));
        assert_eq!(metric("total/Signed up"), Metric::Events("Signed up"));
        assert_eq!(metric("funnel/7509"), Metric::Funnel(7509));
        assert_eq!(metric("insights/42"), Metric::Insights(42));
        assert_eq!(metric("funnel/seven"), Metric::Users("funnel/seven"));
    }

    #[test]
    fn a_report_says_its_own_time() {
        let of = |from: &str, to: &str| span(&DateRange { from_date: from.to_owned(), to_date: to.to_owned() });
        let found = of("2020-08-31T00:00:00-07:00", "2020-09-12T23:59:59.999000-07:00").unwrap();
        assert_eq!(
            (found.from.to_string(), found.to.to_string()),
            ("2020-08-31T07:00:00Z".into(), "2020-09-13T07:00:00Z".into())
        );
        assert_eq!(of("2020-08-31T00:00:00Z", "2020-08-31T00:00:00Z"), None);
        assert_eq!(of("last week", "2020-08-31T00:00:00Z"), None);
    }
}
