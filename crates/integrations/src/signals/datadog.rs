//! Datadog: a metrics query over the window, by the v1 query API. <https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>,
//! read of the specification of 2026-08.
//!
//! v1 and not v2, because it answers with the points and their interval: only points whose time was over are taken, and the reading says
//! from when to when. It has values only: its metrics count requests and hosts, and not the units that were randomised.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use outcome_core::config::vendor::{
    Answers, Asked, Decode as _, Keymap, Node, Reporter, SignalVendor, secret, service_address,
};
use outcome_core::domain::{ArmSums, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::{Access, Api, Number, Product, Told, millis, no_advice, reading, resolved};

/// Datadog.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "datadog",
    example: "api_key: ${DD_API_KEY}\n      app_key: ${DD_APP_KEY}",
    asked: Asked::ByName(Answers { by_variant: false, funnels: false, segments: false }),
    keys: Keymap::new(DatadogFile::FIELDS, |generator| generator.subschema_for::<DatadogFile>()),
    read,
};

static PRODUCT: Product = Product {
    name: "Datadog",
    access: "check that both keys are of this organisation and site, and that the application key has the scopes \
             `timeseries_query` and `metrics_read`",
    page: "docs/connectors/datadog.md",
    reset_header: Some("x-ratelimit-reset"),
    advice: no_advice,
};

/// Published for time series, an organisation.
const PER_HOUR: u32 = 1600;

yaml_map! {
    /// Settings of a `datadog` source.
    DatadogFile("the config of a `datadog` source") {
        /// Address of the API of your site, such as `https://api.datadoghq.eu`.
        optional(signed) url: String = "https://api.datadoghq.com",
        /// API key, such as `${DD_API_KEY}`.
        required(signed) api_key_key: String,
        /// Application key, such as `${DD_APP_KEY}`.
        required(signed) app_key_key: String,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = DatadogFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "DD_URL", "https://api.datadoghq.eu", reporter);
    }
    if let Some(key) = &file.api_key_key {
        secret("api_key", "DD_API_KEY", key, reporter);
    }
    if let Some(key) = &file.app_key_key {
        secret("app_key", "DD_APP_KEY", key, reporter);
    }
    Some(Arc::new(DatadogSettings {
        url: file.url?.value,
        api_key: file.api_key_key?.value,
        app_key: file.app_key_key?.value,
    }))
}

#[derive(Debug)]
struct DatadogSettings {
    url: String,
    api_key: String,
    app_key: String,
}

impl SourceSettings for DatadogSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "url": self.url, "api_key": self.api_key, "app_key": self.app_key })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.url, &self.api_key, &self.app_key]
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let of = |text: &str| resolved(name, opening, text);
        let access = Access::Headers(vec![
            (HeaderName::from_static("dd-api-key"), "api_key", of(&self.api_key)?),
            (HeaderName::from_static("dd-application-key"), "app_key", of(&self.app_key)?),
        ]);
        Ok(Box::new(DatadogSource { api: Api::open(&PRODUCT, name, &of(&self.url)?, access)? }))
    }
}

struct DatadogSource {
    api: Api,
}

/// How the points of a window become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combined {
    Avg,
    Sum,
    Min,
    Max,
    Last,
}

/// A metric, taken apart: `sum($window):sum:orders{*}.as_count()`, as in a monitor. A bare name is its average over everything.
fn parts(metric: &str) -> (Combined, String) {
    let ways = [
        ("avg", Combined::Avg),
        ("sum", Combined::Sum),
        ("min", Combined::Min),
        ("max", Combined::Max),
        ("last", Combined::Last),
    ];
    let found = ways.iter().find_map(|(name, way)| {
        let rest = metric.trim().strip_prefix(name)?.strip_prefix("($window):")?;
        Some((*way, rest.trim()))
    });
    let (way, query) = found.unwrap_or((Combined::Avg, metric.trim()));
    let is_name = query.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    (way, if is_name { format!("avg:{query}{{*}}") } else { query.to_owned() })
}

#[derive(Deserialize)]
struct Answer {
    /// Absent where the answer is of something else.
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Series {
    /// Seconds between points.
    interval: Number,
    /// Milliseconds, and the value.
    pointlist: Vec<(Number, Number)>,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Valid {
    valid: bool,
}

#[derive(Deserialize)]
struct Names {
    metrics: Vec<String>,
}

/// Points whose time was over.
#[derive(Debug, PartialEq)]
struct Complete {
    points: Vec<(Timestamp, f64)>,
    interval: SignedDuration,
}

/// The points that lie wholly in the window and were finished at `sure`. A point without a value is absent, and not 0.
fn complete(series: &Series, window: Window, sure: Timestamp) -> Option<Complete> {
    let interval = series.interval.whole().filter(|seconds| (1..=31_536_000).contains(seconds))?;
    let interval = SignedDuration::from_secs(interval);
    let within = |at: Timestamp| {
        let end = at.checked_add(interval).ok();
        at >= window.from && end.is_some_and(|end| end <= window.to && end <= sure)
    };
    let points = series.pointlist.iter().filter_map(|(at, value)| {
        let at = Timestamp::from_millisecond(at.whole()?).ok().filter(|at| within(*at))?;
        Some((at, value.0?))
    });
    Some(Complete { points: points.collect(), interval })
}

impl Complete {
    /// The value, and the window that it is of; `None` without a point.
    fn combined(&self, way: Combined) -> Option<(f64, Window)> {
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

#[async_trait]
impl SignalSource for DatadogSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let url = self.api.address(&["api", "v1", "validate"]);
        let Told { value, at } = self.api.ask::<Valid>("the test", |client| client.get(url.clone())).await?;
        let latency_ms = millis(began);
        if !value.valid {
            return Err(self.api.unusable("it says that the API key is not valid", PRODUCT.access));
        }
        let mut notes = vec!["only queries are sent; whether the keys may do more was not tried".to_owned()];
        // The application key is looked at by a query only.
        if let Some(now) = at {
            let window = Window { from: now - SignedDuration::from_hours(1), to: now };
            self.series("the test", "avg:datadog.estimated_usage.hosts{*}", window).await?;
            notes.push("both keys may query".to_owned());
        }
        Ok(SourceReport {
            source: self.api.name().to_owned(),
            server: format!("Datadog at {}", self.api.place()),
            // The scopes of a key cannot be asked for, and no write was tried.
            is_read_only: false,
            latency_ms,
            risks: Vec::new(),
            notes,
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let (way, query) = parts(&signal.metric);
        let of = &signal.name;
        let (series, now) = self.series(of, &query, window).await?;
        let shape = |problem: String| ReadError::Shape {
            source_name: self.api.name().to_owned(),
            signal: of.clone(),
            problem,
            hint: "the query must give one line with points: try it in a notebook of Datadog over the same time"
                .to_owned(),
        };
        let series = match series.as_slice() {
            [one] => one,
            [] => {
                return Err(shape(
                    "it has no series: nothing was measured, or the metric's name or tags are wrong".into(),
                ));
            }
            several => {
                let scopes: Vec<_> = several
                    .iter()
                    .take(3)
                    .filter_map(|one| one.scope.as_deref())
                    .map(|text| self.api.clean(text))
                    .collect();
                let n = several.len();
                return Err(shape(format!(
                    "it has {n} series where one is expected, such as {}: leave `by {{...}}` out",
                    scopes.join("; ")
                )));
            }
        };
        // A bucket is filled for some time after its end, so the newest one is given another interval.
        let interval = SignedDuration::from_secs(series.interval.whole().unwrap_or(0));
        let sure = now.unwrap_or(window.to).checked_sub(interval).unwrap_or(window.to);
        let points =
            complete(series, window, sure).ok_or_else(|| shape("its `interval` is not a number of seconds".into()))?;
        let found = points.combined(way);
        let (value, read) =
            found.ok_or_else(|| shape("no point with a value lies in the window and is complete".to_owned()))?;
        let data = ArmSums::Value { value };
        check::sums(&data).map_err(shape)?;
        let used: Vec<_> = points.points.iter().map(|(at, value)| (at.as_second(), *value)).collect();
        Ok(reading(data, read, &json!(["datadog", signal.metric, window]), &used, Vec::new()))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        _: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        Err(self.api.unusable(
            format!("`{}` is asked by variant, and metrics of Datadog count requests and not units", signal.name),
            "read it from a source that knows who was exposed, such as `sql`",
        ))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let mut url = self.api.address(&["api", "v1", "validate"]);
        let Told { at, .. } = self.api.ask::<Valid>("the list", |client| client.get(url.clone())).await?;
        let Some(now) = at else { return Ok(Vec::new()) };
        url = self.api.address(&["api", "v1", "metrics"]);
        url.query_pairs_mut().append_pair("from", &(now.as_second() - 86_400).to_string());
        let Told { value, .. } = self.api.ask::<Names>("the list", |client| client.get(url.clone())).await?;
        let info = |name: String| MetricInfo { name: self.api.clean(&name), fields: Vec::new() };
        Ok(value.metrics.into_iter().take(1000).map(info).collect())
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    fn limits(&self) -> SourceLimits {
        SourceLimits { at_once: 4, budget: Some(Budget { n: PER_HOUR, per: Duration::from_hours(1) }) }
    }
}

impl DatadogSource {
    /// The series of a query, and when it was answered.
    async fn series(
        &self,
        of: &str,
        query: &str,
        window: Window,
    ) -> Result<(Vec<Series>, Option<Timestamp>), ReadError> {
        let mut url = self.api.address(&["api", "v1", "query"]);
        url.query_pairs_mut()
            .append_pair("from", &window.from.as_second().to_string())
            .append_pair("to", &window.to.as_second().to_string())
            .append_pair("query", query);
        let Told { value, at } = self.api.ask::<Answer>(of, |client| client.get(url.clone())).await?;
        // With `status: ok` too.
        if let Some(said) = value.error.filter(|said| !said.trim().is_empty()) {
            let said = self.api.clean(&said);
            return Err(self.api.query(of, said, "try the query in a notebook of Datadog".to_owned()));
        }
        Ok((value.series, at))
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
        assert_eq!(parts("sum($window):sum:orders{*}.as_count()"), (Combined::Sum, "sum:orders{*}.as_count()"));
        assert_eq!(parts("checkout.latency.p95"), (Combined::Avg, "avg:checkout.latency.p95{*}"));
        assert_eq!(parts("last($window):queue"), (Combined::Last, "avg:queue{*}"));
        assert_eq!(parts(" last($window): avg:load{*}"), (Combined::Last, "avg:load{*}"));
        assert_eq!(parts("avg:load{*}"), (Combined::Avg, "avg:load{*}"));
        assert_eq!(parts("sum:orders{*}"), (Combined::Avg, "sum:orders{*}"));
    }

    #[test]
    fn only_points_that_are_over_count() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let point = |seconds: f64, value: Option<f64>| (Number(Some(seconds * 1000.0)), Number(value));
        let series = Series {
            interval: Number(Some(60.0)),
            pointlist: vec![
                point(940.0, Some(9.0)),
                point(1000.0, Some(1.0)),
                point(1060.0, None),
                point(1120.0, Some(2.0)),
                point(1180.0, Some(100.0)),
            ],
            scope: None,
        };
        let window = Window { from: at(1000), to: at(1220) };
        let found = complete(&series, window, at(1200)).unwrap();
        assert_eq!(found.points, [(at(1000), 1.0), (at(1120), 2.0)]);
        let read = Window { from: at(1000), to: at(1180) };
        assert_eq!(found.combined(Combined::Sum), Some((3.0, read)));
        assert_eq!(found.combined(Combined::Avg), Some((1.5, read)));
        assert_eq!(found.combined(Combined::Min), Some((1.0, read)));
        assert_eq!(found.combined(Combined::Max), Some((2.0, read)));
        assert_eq!(found.combined(Combined::Last), Some((2.0, Window { from: at(1120), to: at(1180) })));
        assert_eq!(complete(&series, window, at(1000)).unwrap().combined(Combined::Sum), None);
    }
}
