//! Google Analytics 4, by the Data API. <https://developers.google.com/analytics/devguides/reporting/data/v1>, v1beta, read of 2026-08.
//!
//! It has values only: its counts of users are estimates, small groups are held back, and data of two days still changes, so no arm is
//! ever compared with another. A question is one row without dimensions, because users of several rows cannot be added up.

mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use outcome_core::clock::{Clock as _, SystemClock};
use outcome_core::config::vendor::{
    Answers, Asked, Decode as _, Keymap, Node, Reporter, SignalVendor, references, secret, service_address,
};
use outcome_core::domain::{ArmSums, Period, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use report::{DateRange, Listed, ListedMetric, Name, Question, Report};
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::{Access, Api, Days, Product, ServiceAccount, Told, millis, reading, resolved, time_zone};

/// Google Analytics 4.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "ga4",
    example: "property_id: \"123456\"\n      credentials: ${file:/run/secrets/ga4.json}",
    asked: Asked::ByName(Answers { by_variant: false, funnels: false, segments: true }),
    keys: Keymap::new(Ga4File::FIELDS, |generator| generator.subschema_for::<Ga4File>()),
    read,
};

static PRODUCT: Product = Product {
    name: "Google Analytics",
    access: "check that the service account is a *Viewer* of this property (Admin, Property access management), and that the Google \
             Analytics Data API is enabled in its project",
    page: "docs/connectors/ga4.md",
    reset_header: None,
    advice,
};

/// The API is switched off in the account's project.
fn advice(status: StatusCode, said: &str) -> Option<&'static str> {
    let is_off = status == StatusCode::FORBIDDEN && said.contains("has not been used in project");
    is_off
        .then_some("enable the Google Analytics Data API in the project of the service account, and wait some minutes")
}

const SCOPE: &str = "https://www.googleapis.com/auth/analytics.readonly";
/// Published, a property.
const AT_ONCE: u16 = 10;
/// Published for questions that may be held back because of small groups, a property; the one limit that is counted in questions.
const PER_HOUR: u32 = 120;

yaml_map! {
    /// Settings of a `ga4` source.
    Ga4File("the config of a `ga4` source") {
        /// Address of the Data API.
        optional(signed) url: String = "https://analyticsdata.googleapis.com",
        /// Number of the property, in quotes, such as `"123456"`.
        required(signed) property_id: String,
        /// JSON key file of a service account, such as `${file:/run/secrets/ga4.json}`.
        required(signed) credentials: String,
        /// Time zone of the property, by which its days begin.
        optional(signed) timezone: String = "UTC",
        /// Days that ended less than this ago are not read, because Google still changes them.
        optional(signed) lag: Period = "2d",
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = Ga4File::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "GA4_URL", "https://analyticsdata.googleapis.com", reporter);
    }
    if let Some(property) = &file.property_id {
        references(property, reporter);
    }
    if let Some(key) = &file.credentials {
        secret("credentials", "GA4_CREDENTIALS", key, reporter);
    }
    let zone = time_zone(file.timezone.as_ref()?, reporter)?;
    Some(Arc::new(Ga4Settings {
        url: file.url?.value,
        property: file.property_id?.value,
        credentials: file.credentials?.value,
        timezone: file.timezone?.value,
        zone,
        lag: file.lag?.value,
    }))
}

#[derive(Debug)]
struct Ga4Settings {
    url: String,
    property: String,
    credentials: String,
    timezone: String,
    zone: TimeZone,
    lag: Period,
}

impl SourceSettings for Ga4Settings {
    fn to_json(&self) -> Value {
        let Self { url, property, credentials, timezone, lag, .. } = self;
        json!({ "url": url, "property_id": property, "credentials": credentials, "timezone": timezone, "lag": lag })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.url, &self.property, &self.credentials]
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let of = |text: &str| resolved(name, opening, text);
        let key_file = of(&self.credentials)?;
        let account = ServiceAccount::open(&PRODUCT, name, SCOPE, &key_file)?;
        let api = Api::open(&PRODUCT, name, &of(&self.url)?, Access::Hidden(vec![key_file]))?;
        let property = of(&self.property)?.expose_secret().trim().to_owned();
        let property = property.strip_prefix("properties/").unwrap_or(&property).to_owned();
        if property.is_empty() || !property.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(api.unusable(
                "its `property_id` is not a number",
                "write `property_id: \"123456\"`, the property's number; `G-...` is the id of a stream",
            ));
        }
        Ok(Box::new(Ga4Source {
            api,
            account,
            property,
            timezone: self.timezone.clone(),
            zone: self.zone.clone(),
            lag: self.lag,
        }))
    }
}

struct Ga4Source {
    api: Api,
    account: ServiceAccount,
    property: String,
    timezone: String,
    zone: TimeZone,
    lag: Period,
}

/// What a signal's `metric` names.
#[derive(Debug, PartialEq, Eq)]
enum Metric<'m> {
    /// A metric of the API.
    Named(&'m str),
    /// Users of an event.
    Users(&'m str),
    /// Users of an event, as a share of all.
    Rate(&'m str),
}

fn metric(text: &str) -> Metric<'_> {
    let text = text.trim();
    match (text.strip_prefix("event/"), text.strip_prefix("rate/")) {
        (Some(event), _) => Metric::Users(event.trim()),
        (None, Some(event)) => Metric::Rate(event.trim()),
        (None, None) => Metric::Named(text),
    }
}

/// A value with what it was made from.
struct Found {
    value: f64,
    row: Value,
    warnings: Vec<String>,
}

impl Ga4Source {
    /// Asks with a token, and once more with another if it was refused.
    async fn ask<T: DeserializeOwned>(
        &self,
        of: &str,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Told<T>, ReadError> {
        let url = self.api.address(path);
        for is_last in [false, true] {
            let token = self.account.token().await?;
            self.api.hide(token.clone());
            let request = |client: &reqwest::Client| {
                let request = match body {
                    Some(body) => client.post(url.clone()).json(body),
                    None => client.get(url.clone()),
                };
                request.bearer_auth(token.expose_secret())
            };
            match self.api.ask::<T>(of, request).await {
                Err(ReadError::Unauthorized { detail, .. }) if !is_last && detail.starts_with("status 401") => {
                    self.account.forget().await;
                }
                answer => return answer,
            }
        }
        Err(self.api.unusable("it refused two tokens", PRODUCT.access))
    }

    /// The window's days. Those that Google still changes are not among them.
    fn days(&self, of: &str, window: Window, now: Timestamp) -> Result<Days, ReadError> {
        let sure = now.checked_sub(self.lag.get()).unwrap_or(now);
        let late = if window.to > sure { window.to.duration_since(sure) } else { jiff::SignedDuration::ZERO };
        let shifted = |at: Timestamp| at.checked_sub(late).unwrap_or(at);
        let window = Window { from: shifted(window.from), to: shifted(window.to) };
        Days::up_to(window, &self.zone).ok_or_else(|| self.api.shape(of, "the window has no whole day"))
    }

    /// One number over some days.
    async fn number(
        &self,
        of: &str,
        name: &str,
        event: Option<&str>,
        signal: &SignalSpec,
        days: &Days,
    ) -> Result<Found, ReadError> {
        let is = |field: &str, value: &str| json!({ "filter": { "fieldName": field, "stringFilter": { "matchType": "EXACT", "value": value } } });
        let mut filters: Vec<Value> = signal.segment.iter().map(|(field, value)| is(field, value)).collect();
        filters.extend(event.map(|event| is("eventName", event)));
        let filter = (!filters.is_empty()).then(|| json!({ "andGroup": { "expressions": filters } }));
        let asked = Question {
            date_ranges: [DateRange { start_date: days.first, end_date: days.last }],
            metrics: [Name { name }],
            metric_aggregations: ["TOTAL"],
            dimension_filter: filter,
        };
        let body = json!(asked);
        let report = self.report(of, &body).await?;
        let row = report.row().map_err(|problem| self.api.shape(of, problem))?;
        let cell = row.metric_values.first().and_then(|cell| cell.value.0);
        let value = cell.ok_or_else(|| self.api.shape(of, format!("the value of `{name}` is no number")))?;
        Ok(Found { value, row: json!(row), warnings: report.metadata.doubts(&report.rows) })
    }

    async fn report(&self, of: &str, body: &Value) -> Result<Report, ReadError> {
        let path = format!("{}:runReport", self.property);
        let report = self.ask::<Report>(of, &["v1beta", "properties", &path], Some(body)).await?.value;
        match &report.metadata.time_zone {
            Some(zone) if *zone != self.timezone => Err(self.api.unusable(
                format!(
                    "the days of the property begin in {}, and `timezone` is {}",
                    self.api.clean(zone),
                    self.timezone
                ),
                "write the property's time zone as `timezone`",
            )),
            _ => Ok(report),
        }
    }
}

#[async_trait]
impl SignalSource for Ga4Source {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let body = json!({
            "dateRanges": [{ "startDate": "yesterday", "endDate": "yesterday" }],
            "metrics": [{ "name": "activeUsers" }],
            "returnPropertyQuota": true,
        });
        let report = self.report("the test", &body).await?;
        let mut notes = vec![format!(
            "as {}, with a token for reading only; what else the account may do was not tried",
            self.account.email()
        )];
        let left = report.property_quota.and_then(|quota| quota.tokens_per_day?.remaining?.whole());
        notes.extend(left.map(|left| format!("{left} tokens are left for today")));
        Ok(SourceReport {
            source: self.api.name().to_owned(),
            server: format!("Google Analytics, property {}", self.property),
            // A token for reading alone is asked for, and no write was tried.
            is_read_only: false,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes,
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let of = &signal.name;
        let days = self.days(of, window, SystemClock.now())?;
        let (value, used, warnings) = match metric(&signal.metric) {
            Metric::Named(name) => {
                let found = self.number(of, name, None, signal, &days).await?;
                (found.value, found.row, found.warnings)
            }
            Metric::Users(event) => {
                let found = self.number(of, "totalUsers", Some(event), signal, &days).await?;
                (found.value, found.row, found.warnings)
            }
            Metric::Rate(event) => {
                let all = self.number(of, "totalUsers", None, signal, &days).await?;
                let did = self.number(of, "totalUsers", Some(event), signal, &days).await?;
                if all.value <= 0.0 || did.value > all.value {
                    let problem = format!("{} users did it, of {}: there is no share", did.value, all.value);
                    return Err(self.api.shape(of, problem));
                }
                let mut warnings = all.warnings;
                warnings.extend(did.warnings);
                warnings.dedup();
                (did.value / all.value, json!([all.row, did.row]), warnings)
            }
        };
        let data = ArmSums::Value { value };
        check::sums(&data).map_err(|problem| self.api.shape(of, problem))?;
        let asked = json!(["ga4", self.property, signal.metric, signal.segment, days.window]);
        Ok(reading(data, days.window, &asked, &used, warnings))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        _: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        Err(self.api.unusable(
            format!("`{}` is asked by variant, and users in Google Analytics are estimates", signal.name),
            "read it from a source that knows who was exposed, such as `sql` on the BigQuery export",
        ))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let Told { value, .. } =
            self.ask::<Listed>("the list", &["v1beta", "properties", &self.property, "metadata"], None).await?;
        let info = |metric: ListedMetric| MetricInfo {
            name: self.api.clean(&metric.api_name),
            fields: vec![self.api.clean(&metric.ui_name)],
        };
        Ok(value.metrics.into_iter().take(1000).map(info).collect())
    }

    fn place(&self) -> Option<String> {
        Some(format!("{}, property {}", self.api.place(), self.property))
    }

    fn limits(&self) -> SourceLimits {
        SourceLimits { at_once: AT_ONCE, budget: Some(Budget { n: PER_HOUR, per: Duration::from_hours(1) }) }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_metric_names_one_of_the_api_or_an_event() {
        assert_eq!(metric("activeUsers"), Metric::Named("activeUsers"));
        assert_eq!(metric("event/purchase"), Metric::Users("purchase"));
        assert_eq!(metric("rate/purchase"), Metric::Rate("purchase"));
    }
}
