//! Any HTTP API that answers with JSON: an address with placeholders for the window, and the places of the numbers in the answer.
//!
//! There is no vendor: what is asked and what is read stands in the file. It has levels only; who was exposed to what is nothing that an
//! address and a path could say.

mod metric;
mod path;
mod template;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use metric::{HttpMetricFile, Metric, metrics};
use outcome_core::clock::{Clock as _, SystemClock};
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, at_least_one, secret,
    service_address,
};
use outcome_core::domain::{ArmSums, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use serde_json::{Value, json};
use template::{Template, Values};
use url::Url;

use super::api::{Access, Api, Days, Product, millis, no_advice, reading, resolved, time_zone};

/// Any API that answers with JSON.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "http_json",
    example: "url: https://stats.example.com\n      metrics:\n        - { name: latency, path: \"/latency?from={from}&to={to}\", value: $.p95 }",
    asked: Asked::ByName(Answers { by_variant: false, funnels: false, segments: true }),
    keys: Keymap::new(HttpJsonFile::FIELDS, |generator| generator.subschema_for::<HttpJsonFile>()),
    read,
};

static PRODUCT: Product = Product {
    name: "the API",
    access: "check `token`, and `token_header` if the API wants it in a header of its own",
    page: "docs/connectors/http-json.md",
    reset_header: None,
    advice: no_advice,
};

yaml_map! {
    /// Settings of an `http_json` source.
    HttpJsonFile("the config of an `http_json` source") {
        /// Address of the API, such as `https://stats.example.com`.
        required(signed) url: String,
        /// Secret that it wants, such as `${STATS_TOKEN}`.
        optional(signed) token: String,
        /// The header that has the token as it is; default: `Authorization` with `Bearer` before it.
        optional(signed) token_header: String,
        /// Where days begin for `{from_date}` and `{to_date}`.
        optional(signed) timezone: String = "UTC",
        /// Most questions in an hour; default: no limit.
        optional(signed) per_hour: u32,
        /// What can be asked.
        required(signed) metrics: Vec<At<HttpMetricFile>>,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = HttpJsonFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "STATS_URL", "https://stats.example.com", reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "STATS_TOKEN", token, reporter);
    }
    let header = token_header(file.token_header.as_ref(), reporter)?;
    let per_hour = match &file.per_hour {
        Some(at) => {
            Some(at_least_one(Some(at), "the number of questions", "write `per_hour: 60`, or leave it out", reporter)?)
        }
        None => None,
    };
    let zone = time_zone(file.timezone.as_ref()?, reporter)?;
    let metrics = metrics(file.metrics.as_ref()?, reporter)?;
    Some(Arc::new(HttpJsonSettings {
        url: file.url?.value,
        token: file.token.map(|at| at.value),
        header,
        timezone: file.timezone?.value,
        zone,
        per_hour,
        metrics,
    }))
}

/// The header of the token; `None` after a mistake.
#[expect(clippy::option_option, reason = "no header of its own is no mistake")]
fn token_header(at: Option<&At<String>>, reporter: &mut Reporter<'_>) -> Option<Option<HeaderName>> {
    let Some(at) = at else { return Some(None) };
    if let Ok(name) = HeaderName::from_bytes(at.value.trim().as_bytes()) {
        return Some(Some(name));
    }
    let problem = Problem::error("config.unknown_value", at.span, "this is not the name of a header");
    reporter.push(problem.valid("a name as in `X-Api-Key`").help("write the name that the API's documentation has"));
    None
}

#[derive(Debug)]
struct HttpJsonSettings {
    url: String,
    token: Option<String>,
    header: Option<HeaderName>,
    timezone: String,
    zone: TimeZone,
    per_hour: Option<u32>,
    metrics: Vec<Metric>,
}

impl SourceSettings for HttpJsonSettings {
    fn to_json(&self) -> Value {
        let metrics: Vec<_> =
            self.metrics.iter().map(|metric| json!([metric.name, metric.written, metric.places.texts()])).collect();
        let header = self.header.as_ref().map(HeaderName::as_str);
        json!({
            "url": self.url, "token": self.token, "token_header": header, "timezone": self.timezone, "per_hour": self.per_hour,
            "metrics": metrics,
        })
    }

    fn references(&self) -> Vec<&str> {
        std::iter::once(self.url.as_str()).chain(self.token.as_deref()).collect()
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let of = |text: &str| resolved(name, opening, text);
        let access = match (&self.token, &self.header) {
            (None, _) => Access::Open,
            (Some(token), None) => Access::Bearer(of(token)?),
            (Some(token), Some(header)) => Access::Headers(vec![(header.clone(), "token", of(token)?)]),
        };
        let api = Api::open(&PRODUCT, name, &of(&self.url)?, access)?;
        Ok(Box::new(HttpJsonSource {
            api,
            zone: self.zone.clone(),
            metrics: self.metrics.clone(),
            per_hour: self.per_hour,
        }))
    }
}

struct HttpJsonSource {
    api: Api,
    zone: TimeZone,
    metrics: Vec<Metric>,
    per_hour: Option<u32>,
}

impl HttpJsonSource {
    fn metric(&self, signal: &SignalSpec) -> Result<&Metric, ReadError> {
        let found = self.metrics.iter().find(|metric| metric.name == signal.metric);
        let metric = found.ok_or_else(|| {
            let names: Vec<_> = self.metrics.iter().take(20).map(|metric| format!("`{}`", metric.name)).collect();
            self.api.unusable(
                format!("it has no metric `{}`; there are {}", signal.metric, names.join(", ")),
                "name one of them in the signal's `metric`, or write another below the connector's `metrics`",
            )
        })?;
        let mut used = metric.path.segments();
        used.extend(metric.body.iter().flat_map(Template::segments));
        if let Some(key) = signal.segment.keys().find(|key| !used.contains(key.as_str())) {
            return Err(self.api.unusable(
                format!("`{}` does not use `{{segment.{key}}}`, so `segment` does not restrict it", metric.name),
                "write the placeholder into its `path` or `body`, or remove `segment`",
            ));
        }
        Ok(metric)
    }

    async fn asked(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let of = &signal.name;
        let metric = self.metric(signal)?;
        let has_dates = metric.path.has_dates() || metric.body.as_ref().is_some_and(Template::has_dates);
        let days = if has_dates { Days::up_to(window, &self.zone) } else { None };
        let window = days.as_ref().map_or(window, |days| days.window);
        let has_end = metric.path.has_end() || metric.body.as_ref().is_some_and(Template::has_end);
        if !has_end && now_is_far_from(window.to) {
            return Err(self.api.unusable(
                format!("`{}` does not say until when, so it is of now, and {} is asked for", metric.name, window.to),
                "write one of {to}, {to_unix}, {to_ms} and {to_date} into its `path` or `body`, or use it where only the newest value is read",
            ));
        }
        let values = Values { window, days: days.as_ref(), segment: &signal.segment };
        let filled = |template: &Template| {
            template
                .filled(&values)
                .map_err(|problem| self.api.unusable(problem, "write the key below the signal's `segment`"))
        };
        let url = self.below(&filled(&metric.path)?)?;
        let body = metric.body.as_ref().map(filled).transpose()?;
        let request = |client: &reqwest::Client| match &body {
            Some(body) => client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.clone()),
            None => client.get(url.clone()),
        };
        let answer = self.api.ask::<Value>(of, request).await?.value;
        let data = metric.places.sums(&answer).map_err(|problem| self.api.shape(of, problem))?;
        check::sums(&data).map_err(|problem| self.api.shape(of, problem))?;
        let asked = json!(["http_json", metric.written, metric.places.texts(), signal.segment, window]);
        Ok(reading(data, window, &asked, &data, Vec::new()))
    }

    /// An address below the base, which cannot lead to another host.
    fn below(&self, path: &str) -> Result<Url, ReadError> {
        let base = self.api.address(&[]);
        let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).ok().filter(|url| url.origin() == base.origin());
        url.ok_or_else(|| {
            self.api.unusable("its `path` does not lead below `url`", "write it as in `/v1/stats?from={from}`")
        })
    }
}

#[async_trait]
impl SignalSource for HttpJsonSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let now = SystemClock.now();
        let window = Window { from: now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now), to: now };
        let mut notes = vec![
            "only what stands in `metrics` is asked; what else the token may do, and whether a POST only reads, was not tried"
                .to_owned(),
        ];
        // One without a segment, whose values are a signal's.
        let plain = self.metrics.iter().find(|metric| {
            metric.path.segments().is_empty() && metric.body.as_ref().is_none_or(|body| body.segments().is_empty())
        });
        match plain {
            Some(metric) => {
                self.asked(&named(&metric.name), window).await?;
                notes.push(format!("`{}` was read over the last 24 hours", metric.name));
            }
            None => notes.push("every metric needs a segment, so none was read".to_owned()),
        }
        Ok(SourceReport {
            source: self.api.name().to_owned(),
            server: format!("JSON API at {}", self.api.place()),
            is_read_only: false,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes,
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        self.asked(signal, window).await
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        _: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        Err(self.api.unusable(
            format!("`{}` is asked by variant, and an `http_json` source has levels only", signal.name),
            "read it from a source that knows who was exposed: `sql`, `exec`, or a program that pushes to a `webhook`",
        ))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let info = |metric: &Metric| MetricInfo {
            name: metric.name.clone(),
            fields: metric.places.texts().into_iter().map(str::to_owned).collect(),
        };
        Ok(self.metrics.iter().map(info).collect())
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    fn limits(&self) -> SourceLimits {
        let budget = self.per_hour.map(|n| Budget { n, per: Duration::from_hours(1) });
        SourceLimits { budget, ..SourceLimits::default() }
    }
}

/// How far the end of a window may be from now, for an answer that is of now.
const ABOUT_NOW: SignedDuration = SignedDuration::from_hours(1);

/// Whoever is asked answers by the real time, which the clock of a workspace need not show.
fn now_is_far_from(at: Timestamp) -> bool {
    SystemClock.now().duration_since(at).abs() > ABOUT_NOW
}

/// A signal that asks for a metric and nothing else.
fn named(metric: &str) -> SignalSpec {
    SignalSpec {
        name: metric.to_owned(),
        source: String::new(),
        metric: metric.to_owned(),
        method: outcome_core::domain::MetricMethod::Event,
        funnel_steps: Vec::new(),
        segment: std::collections::BTreeMap::new(),
        aggregation: outcome_core::domain::Aggregation::Point,
        unit: None,
        poll_interval: outcome_core::domain::Period::from_hours(6),
        query: outcome_core::domain::SignalQuery::default(),
        contract: None,
    }
}
