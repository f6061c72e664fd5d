//! Prometheus, and what speaks its query API (Mimir, Thanos, VictoriaMetrics, Grafana Cloud): a PromQL expression, asked at the end of
//! the window. <https://prometheus.io/docs/prometheus/latest/querying/api/>, read of versions 2.42 and 3.
//!
//! It has values only. Its series count requests and not the units that were randomised, so it never answers by variant: such sums
//! would have the spread of independent units, which requests of one person are not.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, references, secret, service_address,
};
use outcome_core::domain::{ArmSums, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{MetricInfo, Opening, ReadError, SignalSource, SourceReport, SourceSettings, VariantRequest};
use outcome_core::yaml_map;
use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::{Access, Api, Number, Product, Told, millis, no_advice, part, reading, resolved};

/// Prometheus.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "prometheus",
    example: "url: ${PROMETHEUS_URL}",
    asked: Asked::ByName(Answers { by_variant: false, funnels: false, segments: false }),
    keys: Keymap::new(PrometheusFile::FIELDS, |generator| generator.subschema_for::<PrometheusFile>()),
    read,
};

static PRODUCT: Product = Product {
    name: "Prometheus",
    access: "check the `token`, or `user` and `password`, of the connector, and that they may read queries of this `tenant`",
    page: "docs/connectors/prometheus.md",
    reset_header: None,
    advice: no_advice,
};

yaml_map! {
    /// Settings of a `prometheus` source.
    PrometheusFile("the config of a `prometheus` source") {
        /// Address of the server, without `/api/v1`, such as `https://prometheus.example.com`.
        required(signed) url: String,
        /// Bearer token, such as `${PROMETHEUS_TOKEN}`, where a proxy asks for one.
        optional(signed) token: String,
        /// User for Basic authentication, where a proxy asks for one.
        optional(signed) user: String,
        /// Password for Basic authentication, such as `${PROMETHEUS_PASSWORD}`.
        optional(signed) password: String,
        /// Tenant, sent as `X-Scope-OrgID`.
        optional(signed) tenant: String,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = PrometheusFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "PROMETHEUS_URL", "https://prometheus.example.com", reporter);
    }
    for plain in [&file.user, &file.tenant].into_iter().flatten() {
        references(plain, reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "PROMETHEUS_TOKEN", token, reporter);
    }
    if let Some(password) = &file.password {
        secret("password", "PROMETHEUS_PASSWORD", password, reporter);
    }
    if let Some(extra) = one_way(&file) {
        let problem = Problem::error("config.unknown_value", extra.span, "the credentials are not of one kind");
        reporter.push(
            problem
                .valid("`token` alone, or `user` with `password`, or none")
                .help("keep the kind that the proxy in front of Prometheus asks for"),
        );
        return None;
    }
    let value = |at: Option<At<String>>| at.map(|at| at.value);
    Some(Arc::new(PrometheusSettings {
        url: file.url?.value,
        token: value(file.token),
        user: value(file.user),
        password: value(file.password),
        tenant: value(file.tenant),
    }))
}

/// The key that does not fit the others.
fn one_way(file: &PrometheusFile) -> Option<&At<String>> {
    match (&file.token, &file.user, &file.password) {
        (Some(_), Some(extra), _) | (Some(_), None, Some(extra)) => Some(extra),
        (None, Some(alone), None) | (None, None, Some(alone)) => Some(alone),
        (_, None, None) | (None, Some(_), Some(_)) => None,
    }
}

#[derive(Debug)]
struct PrometheusSettings {
    url: String,
    token: Option<String>,
    user: Option<String>,
    password: Option<String>,
    tenant: Option<String>,
}

impl SourceSettings for PrometheusSettings {
    fn to_json(&self) -> serde_json::Value {
        let Self { url, token, user, password, tenant } = self;
        json!({ "url": url, "token": token, "user": user, "password": password, "tenant": tenant })
    }

    fn references(&self) -> Vec<&str> {
        let optional = [&self.token, &self.user, &self.password, &self.tenant];
        std::iter::once(self.url.as_str()).chain(optional.into_iter().flatten().map(String::as_str)).collect()
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let of = |text: &String| resolved(name, opening, text);
        let mut headers = Vec::new();
        if let Some(tenant) = &self.tenant {
            headers.push((HeaderName::from_static("x-scope-orgid"), "tenant", of(tenant)?));
        }
        let access = match (&self.token, &self.user, &self.password) {
            (Some(token), ..) => Access::Bearer(of(token)?),
            (None, Some(user), Some(password)) => Access::Basic { user: of(user)?, password: of(password)? },
            _ => Access::Open,
        };
        let api = Api::open(&PRODUCT, name, &of(&self.url)?, access.with_headers(headers))?;
        Ok(Box::new(PrometheusSource { api }))
    }
}

struct PrometheusSource {
    api: Api,
}

/// Placeholder for the length of the window, as PromQL writes it.
const WINDOW: &str = "$window";
/// Most warnings of an answer that are kept.
const MAX_WARNINGS: usize = 5;
/// Most metrics that are listed.
const MAX_LISTED: usize = 1000;

/// Every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize, Serialize)]
struct Series {
    #[serde(default)]
    metric: std::collections::BTreeMap<String, String>,
    /// Seconds, and the value. Absent for a native histogram, which is no value.
    value: Option<(f64, Number)>,
}

#[derive(Deserialize)]
struct Meta {
    r#type: String,
    help: String,
}

#[derive(Deserialize)]
struct Build {
    version: String,
}

impl PrometheusSource {
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        of: &str,
        path: &[&str],
        form: &[(&str, String)],
    ) -> Result<(T, Vec<String>), ReadError> {
        let url = self.api.address(path);
        let Told { value, .. } = match form.is_empty() {
            true => self.api.ask::<Envelope<T>>(of, |client| client.get(url.clone())).await?,
            false => self.api.ask::<Envelope<T>>(of, |client| client.post(url.clone()).form(form)).await?,
        };
        if value.status != "success" {
            let said = self.api.clean(&value.error.unwrap_or(value.status));
            return Err(self.api.query(of, said, "try the expression on the page of the server".to_owned()));
        }
        let data = value.data.ok_or_else(|| self.api.shape(of, "`data` is missing"))?;
        let warnings = value.warnings.iter().take(MAX_WARNINGS).map(|text| self.api.clean(text)).collect();
        Ok((data, warnings))
    }

    /// The value of an expression at an instant.
    async fn value(
        &self,
        of: &str,
        expression: &str,
        at: Option<Timestamp>,
    ) -> Result<(f64, Found, Vec<String>), ReadError> {
        let mut form = vec![("query", expression.to_owned())];
        form.extend(at.map(|at| ("time", seconds(at))));
        let (found, warnings) = self.ask::<Found>(of, &["api", "v1", "query"], &form).await?;
        let value = single(&found).map_err(|problem| match problem {
            Unusable::Answer(problem) => self.api.shape(of, problem),
            Unusable::Expression(problem) => ReadError::Shape {
                source_name: self.api.name().to_owned(),
                signal: of.to_owned(),
                problem,
                hint: "let the expression end in one number, as in `sum(rate(http_errors_total[$window]))`".to_owned(),
            },
        })?;
        check::sums(&ArmSums::Value { value }).map_err(|problem| self.api.shape(of, problem))?;
        Ok((value, found, warnings))
    }
}

/// Seconds since 1970, with the fraction that there is.
fn seconds(at: Timestamp) -> String {
    format!("{}.{:03}", at.as_second(), at.subsec_millisecond())
}

enum Unusable {
    Answer(String),
    Expression(String),
}

/// The one number of an answer.
fn single(found: &Found) -> Result<f64, Unusable> {
    let number = |value: Number| {
        value
            .0
            .ok_or_else(|| Unusable::Expression("its value is NaN or infinite, as after a division by nothing".into()))
    };
    match found.result_type.as_str() {
        "scalar" => {
            let (_, value): (f64, Number) = part("data.result", &found.result).map_err(Unusable::Answer)?;
            number(value)
        }
        "vector" => {
            let series: Vec<Series> = part("data.result", &found.result).map_err(Unusable::Answer)?;
            match series.as_slice() {
                [] => Err(Unusable::Expression("no series fits the expression, so there is no value".into())),
                [Series { value: Some((_, value)), .. }] => number(*value),
                [_] => Err(Unusable::Expression("it is a histogram and not a number".into())),
                several => Err(Unusable::Expression(format!(
                    "it has {} series where one is expected; they differ in {}",
                    several.len(),
                    differing(several)
                ))),
            }
        }
        _ => Err(Unusable::Expression("it is not an instant vector or a scalar".into())),
    }
}

/// The labels by which series differ.
fn differing(series: &[Series]) -> String {
    let names: std::collections::BTreeSet<&String> = series.iter().flat_map(|one| one.metric.keys()).collect();
    let first = series.first();
    let differs = |name: &&&String| {
        series.iter().any(|one| one.metric.get(**name) != first.and_then(|first| first.metric.get(**name)))
    };
    let names: Vec<_> = names.iter().filter(differs).take(10).map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[async_trait]
impl SignalSource for PrometheusSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        self.value("the test", "vector(1)", None).await?;
        let latency_ms = millis(began);
        let mut notes =
            vec!["the query API has no way to write; what else a proxy lets through was not tried".to_owned()];
        let build = self.ask::<Build>("the version", &["api", "v1", "status", "buildinfo"], &[]).await;
        let server = match build {
            Ok((build, _)) => format!("Prometheus {}", self.api.clean(&build.version)),
            Err(_) => {
                notes.push("it does not tell its version".to_owned());
                "Prometheus query API".to_owned()
            }
        };
        Ok(SourceReport {
            source: self.api.name().to_owned(),
            server,
            is_read_only: false,
            latency_ms,
            risks: Vec::new(),
            notes,
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let length = window.to.duration_since(window.from).as_secs().max(1);
        let expression = signal.metric.replace(WINDOW, &format!("{length}s"));
        let (value, found, warnings) = self.value(&signal.name, &expression, Some(window.to)).await?;
        Ok(reading(ArmSums::Value { value }, window, &json!(["prometheus", expression, window]), &found, warnings))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        _: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        Err(self.api.unusable(
            format!("`{}` is asked by variant, and Prometheus counts requests and not units", signal.name),
            "read it from a source that knows who was exposed, such as `sql`",
        ))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        type Metas = std::collections::BTreeMap<String, Vec<Meta>>;
        let (found, _) = self.ask::<Metas>("the list", &["api", "v1", "metadata"], &[]).await?;
        let info = |(name, metas): (String, Vec<Meta>)| {
            let fields =
                metas.iter().take(1).map(|meta| self.api.clean(&format!("{}: {}", meta.r#type, meta.help))).collect();
            MetricInfo { name, fields }
        };
        Ok(found.into_iter().take(MAX_LISTED).map(info).collect())
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    async fn clock(&self) -> Result<Option<Timestamp>, ReadError> {
        let (now, ..) = self.value("the clock", "time()", None).await?;
        Ok(Number(Some(now)).whole().and_then(|now| Timestamp::from_second(now).ok()))
    }
}
