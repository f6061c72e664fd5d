//! Datadog: a metrics query over the window, by either version of its API. <https://docs.datadoghq.com/api/latest/metrics/>, read of the
//! specifications of 2026-08 (v1) and 2026-04 (v2).
//!
//! Only points whose time was over are taken, and the reading says from when to when. v1 is the default, because it says how far its points
//! are apart; v2 also has numbers that Datadog makes of a whole window. It has values only: its metrics count requests and hosts, and not the units that were randomised.

mod points;
mod v1;
mod v2;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use outcome_core::config::vendor::{
    Answers, Asked, Choice, Decode as _, Keymap, Node, Reporter, SignalVendor, secret, service_address,
};
use outcome_core::domain::{ArmSums, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use reqwest::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::points::{Combined, Line, Way, complete, parts};
use super::api::{Access, Api, Product, Told, millis, no_advice, reading, resolved};

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
        /// Which version of the query API is asked: `v2` also makes numbers of a whole window, as `percentile($window):` does.
        optional(signed) api: Version = "v1",
    }
}

/// Which version of the query API is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Version {
    V1,
    V2,
}

impl Choice for Version {
    const CHOICE: &'static str = "a version of the query API";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![("v1", Self::V1), ("v2", Self::V2)]
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
        version: file.api?.value,
    }))
}

#[derive(Debug)]
struct DatadogSettings {
    url: String,
    api_key: String,
    app_key: String,
    version: Version,
}

impl SourceSettings for DatadogSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "url": self.url, "api_key": self.api_key, "app_key": self.app_key, "api": self.version })
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
        let api = Api::open(&PRODUCT, name, &of(&self.url)?, access)?;
        Ok(Box::new(DatadogSource { api, version: self.version }))
    }
}

struct DatadogSource {
    api: Api,
    version: Version,
}

/// Lines of points, each with what it is of.
type Lines = Vec<(Option<String>, Line)>;
/// A number, the window that it is of, and what it was made from: seconds and values.
type Found = (f64, Window, Vec<(i64, f64)>);

#[derive(Deserialize)]
struct Valid {
    valid: bool,
}

#[derive(Deserialize)]
struct Names {
    metrics: Vec<String>,
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
            self.lines("the test", "avg:datadog.estimated_usage.hosts{*}", window).await?;
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
        let of = &signal.name;
        let (way, query) = parts(&signal.metric);
        let (value, read, used) = match (way, self.version) {
            (Way::Ours(way), _) => self.of_points(of, way, &query, window).await?,
            (Way::Theirs(aggregator), Version::V2) => self.scalar(of, aggregator, &query, window).await?,
            (Way::Theirs(aggregator), Version::V1) => {
                return Err(self.api.unusable(
                    format!("`{aggregator}($window):` is made by the second version of the API alone"),
                    "write `api: v2` into the connector's `config`",
                ));
            }
        };
        let data = ArmSums::Value { value };
        check::sums(&data).map_err(|problem| self.no_line(of, problem))?;
        let asked = match self.version {
            Version::V1 => json!(["datadog", signal.metric, window]),
            Version::V2 => json!(["datadog", "v2", signal.metric, window]),
        };
        Ok(reading(data, read, &asked, &used, Vec::new()))
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
    fn no_line(&self, of: &str, problem: impl Into<String>) -> ReadError {
        ReadError::Shape {
            source_name: self.api.name().to_owned(),
            signal: of.to_owned(),
            problem: problem.into(),
            hint: "the query must give one line with points: try it in a notebook of Datadog over the same time"
                .to_owned(),
        }
    }

    /// What it says of a query in an answer of status 200.
    fn said(&self, of: &str, said: &str) -> ReadError {
        self.api.query(of, self.api.clean(said), "try the query in a notebook of Datadog".to_owned())
    }

    /// The lines of a query, and when it was answered.
    async fn lines(&self, of: &str, query: &str, window: Window) -> Result<(Lines, Option<Timestamp>), ReadError> {
        match self.version {
            Version::V1 => self.points_v1(of, query, window).await,
            Version::V2 => self.points_v2(of, query, window).await,
        }
    }

    /// One number of the points that are over, the window that they are of, and the points.
    async fn of_points(&self, of: &str, way: Combined, query: &str, window: Window) -> Result<Found, ReadError> {
        let (lines, now) = self.lines(of, query, window).await?;
        let line = match lines.as_slice() {
            [(_, line)] => line,
            [] => {
                let problem = "it has no series: nothing was measured, or the metric's name or tags are wrong";
                return Err(self.no_line(of, problem));
            }
            several => {
                let scopes = several.iter().take(3).filter_map(|(scope, _)| scope.as_deref());
                let scopes: Vec<_> = scopes.map(|text| self.api.clean(text)).collect();
                return Err(self.no_line(of, too_many(several.len(), &scopes)));
            }
        };
        // A bucket is filled for some time after its end, so the newest one is given another interval.
        let interval = SignedDuration::from_secs(line.interval.whole().unwrap_or(0));
        let sure = now.unwrap_or(window.to).checked_sub(interval).unwrap_or(window.to);
        let points = complete(line, window, sure)
            .ok_or_else(|| self.no_line(of, "its `interval` is not a number of seconds"))?;
        let (value, read) = points
            .combined(way)
            .ok_or_else(|| self.no_line(of, "no point with a value lies in the window and is complete"))?;
        let used = points.points.iter().map(|(at, value)| (at.as_second(), *value)).collect();
        Ok((value, read, used))
    }
}

fn too_many(n: usize, scopes: &[String]) -> String {
    format!("it has {n} series where one is expected, such as {}: leave `by {{...}}` out", scopes.join("; "))
}
