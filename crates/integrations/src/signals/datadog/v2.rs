//! The second version of the API: points, and numbers that Datadog makes of a whole window.
//! <https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-data-across-multiple-products>
//!
//! Kinds and units that are not known are passed over: only the numbers are read. An answer does not say how far its points are apart, so
//! that is taken from their times.

use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::Window;
use outcome_core::ports::ReadError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::api::{Number, Told};
use super::points::Line;
use super::{DatadogSource, Found, Lines, too_many};

/// Windows of scalars end at such a border: that of the buckets of a day.
const BORDER: i64 = 300;

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<Data<T>>,
    /// A text, or a list of them.
    errors: Option<Value>,
}

#[derive(Deserialize)]
struct Data<T> {
    attributes: T,
}

#[derive(Deserialize)]
struct Points {
    series: Vec<Series>,
    /// Milliseconds.
    times: Vec<Number>,
    /// Of each series, a value for each time.
    values: Vec<Vec<Number>>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    group_tags: Vec<String>,
}

#[derive(Deserialize)]
struct Columns {
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    /// `number`, or the name of a group.
    r#type: String,
    values: Vec<Value>,
}

impl DatadogSource {
    async fn ask_v2<T: DeserializeOwned>(
        &self,
        of: &str,
        kind: &str,
        attributes: Value,
    ) -> Result<(T, Option<Timestamp>), ReadError> {
        let url = self.api.address(&["api", "v2", "query", kind]);
        let body = json!({ "data": { "type": format!("{kind}_request"), "attributes": attributes } });
        let Told { value, at } = self.api.ask::<Answer<T>>(of, |client| client.post(url.clone()).json(&body)).await?;
        if let Some(said) = value.errors.as_ref().and_then(said) {
            return Err(self.said(of, &said));
        }
        let data = value.data.ok_or_else(|| self.api.shape(of, "`data` is missing"))?;
        Ok((data.attributes, at))
    }

    /// The lines of a query, and when it was answered.
    pub(super) async fn points_v2(
        &self,
        of: &str,
        query: &str,
        window: Window,
    ) -> Result<(Lines, Option<Timestamp>), ReadError> {
        let attributes = json!({
            "from": window.from.as_millisecond(), "to": window.to.as_millisecond(),
            "queries": [{ "data_source": "metrics", "name": "a", "query": query }], "formulas": [{ "formula": "a" }],
        });
        let (points, at) = self.ask_v2::<Points>(of, "timeseries", attributes).await?;
        if points.values.len() != points.series.len() {
            let problem = format!("it has {} series and {} lists of values", points.series.len(), points.values.len());
            return Err(self.api.shape(of, problem));
        }
        if points.values.iter().any(|values| values.len() != points.times.len()) {
            return Err(self.api.shape(of, "`times` and `values` are not equally long"));
        }
        let interval = match (between(&points.times), points.series.is_empty()) {
            (Some(interval), _) => interval,
            (None, true) => return Ok((Vec::new(), at)),
            (None, false) => {
                return Err(self.no_line(
                    of,
                    "it has fewer than two points, so it is not known of how much time each is: ask for more time, or with `api: v1`",
                ));
            }
        };
        let lines = points.series.iter().zip(&points.values).map(|(series, values)| {
            let scope = Some(series.group_tags.join(",")).filter(|tags| !tags.is_empty());
            (scope, Line { interval, points: points.times.iter().copied().zip(values.iter().copied()).collect() })
        });
        Ok((lines.collect(), at))
    }

    /// What Datadog makes of a window. It ends at a border of buckets, and so long ago that the last one is filled.
    pub(super) async fn scalar(
        &self,
        of: &str,
        aggregator: &str,
        query: &str,
        window: Window,
    ) -> Result<Found, ReadError> {
        let read = self.within(of, window, window.to)?;
        let (found, now) = self.scalar_of(of, aggregator, query, read).await?;
        let border = SignedDuration::from_secs(BORDER);
        let sure = now.and_then(|now| now.checked_sub(border).ok()).unwrap_or(window.to);
        let (value, read) = if sure < read.to {
            // Its last bucket was still being filled.
            let read = self.within(of, window, sure)?;
            (self.scalar_of(of, aggregator, query, read).await?.0, read)
        } else {
            (found, read)
        };
        Ok((value, read, vec![(read.from.as_second(), value)]))
    }

    /// The part of a window that ends at the last border up to then.
    fn within(&self, of: &str, window: Window, until: Timestamp) -> Result<Window, ReadError> {
        let seconds = until.as_second() - until.as_second().rem_euclid(BORDER);
        let to = Timestamp::from_second(seconds).unwrap_or(until).min(window.to);
        match window.from < to {
            true => Ok(Window { from: window.from, to }),
            false => Err(self.no_line(of, "the window has no five minutes that are over")),
        }
    }

    async fn scalar_of(
        &self,
        of: &str,
        aggregator: &str,
        query: &str,
        window: Window,
    ) -> Result<(f64, Option<Timestamp>), ReadError> {
        let attributes = json!({
            "from": window.from.as_millisecond(), "to": window.to.as_millisecond(),
            "queries": [{ "data_source": "metrics", "name": "a", "query": query, "aggregator": aggregator }],
            "formulas": [{ "formula": "a" }],
        });
        let (found, at) = self.ask_v2::<Columns>(of, "scalar", attributes).await?;
        let numbers: Vec<&Column> = found.columns.iter().filter(|column| column.r#type == "number").collect();
        let values = match numbers.as_slice() {
            [column] => column.values.as_slice(),
            [] => return Err(self.no_line(of, "it has no column of numbers")),
            several => return Err(self.no_line(of, format!("it has {} columns of numbers", several.len()))),
        };
        let value = match values {
            [value] => super::super::api::part::<Number>("data.attributes.columns.values", value)
                .map_err(|problem| self.api.shape(of, problem))?,
            [] => return Err(self.no_line(of, "it has no value: nothing was measured, or the metric's name is wrong")),
            several => return Err(self.no_line(of, too_many(several.len(), &[]))),
        };
        // Null is nothing that was measured, and not 0.
        let value = value.0.ok_or_else(|| self.no_line(of, "its value is null: nothing was measured in the window"))?;
        Ok((value, at))
    }
}

/// What an answer of status 200 says went wrong.
fn said(errors: &Value) -> Option<String> {
    let texts: Vec<&str> = match errors {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let said = texts.join("; ");
    (!said.trim().is_empty()).then_some(said)
}

/// Seconds between the points; `None` of fewer than two.
fn between(times: &[Number]) -> Option<Number> {
    let millis: Vec<i64> = times.iter().filter_map(|at| at.whole()).collect();
    let gaps = millis.iter().zip(millis.iter().skip(1)).map(|(one, next)| (next - one) / 1000);
    gaps.filter(|gap| *gap > 0).min().map(|gap| Number(Some(gap as f64)))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn points_are_as_far_apart_as_the_closest_two() {
        // As recorded from the service.
        let times = [1_711_977_645_000.0, 1_711_977_705_000.0, 1_711_980_225_000.0].map(|at| Number(Some(at)));
        assert_eq!(between(&times), Some(Number(Some(60.0))));
        assert_eq!(between(&times[..1]), None);
        assert_eq!(between(&[]), None);
    }

    #[test]
    fn errors_are_a_text_or_several() {
        assert_eq!(said(&json!("no such metric")), Some("no such metric".to_owned()));
        assert_eq!(said(&json!(["one", "two"])), Some("one; two".to_owned()));
        assert_eq!((said(&json!("")), said(&Value::Null), said(&json!([]))), (None, None, None));
    }
}
