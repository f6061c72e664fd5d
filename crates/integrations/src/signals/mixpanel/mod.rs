//! Mixpanel: users of an event, saved funnels and saved Insights reports, by the Query API.
//! <https://developer.mixpanel.com/reference/query-api>, read of the specification of 2026-08.
//!
//! It has levels only. A funnel or a report is saved in the product and cannot be asked for the units of one allocation phase. Dates are
//! whole days of the project's time zone.

mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, references, secret, service_address,
};
use outcome_core::domain::{ArmSums, Period, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use report::{Bucket, Funnels, Insights, Metric, SavedFunnel, Segmentation, leaves, metric, span};
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;

use super::api::{Access, Api, Days, Number, Product, millis, reading, resolved, time_zone};

/// Mixpanel.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "mixpanel",
    example: "project_id: \"12345\"\n      service_account: ${MIXPANEL_SERVICE_ACCOUNT}\n      timezone: Europe/Amsterdam",
    asked: Asked::ByName(Answers { by_variant: false, funnels: false, segments: false }),
    keys: Keymap::new(MixpanelFile::FIELDS, |generator| generator.subschema_for::<MixpanelFile>()),
    read,
};

static PRODUCT: Product = Product {
    name: "Mixpanel",
    access: "check `service_account`, that the account has not expired, and that it is a member of this project",
    page: "docs/connectors/mixpanel.md",
    reset_header: None,
    advice,
};

/// A project of another residency is not known here.
fn advice(status: StatusCode, said: &str) -> Option<&'static str> {
    let said = said.to_lowercase();
    let is_elsewhere = said.contains("cluster") || said.contains("residency");
    (status.is_client_error() && is_elsewhere).then_some(
        "the project's data is kept in another region: write `url: https://eu.mixpanel.com` for the EU, \
         `url: https://in.mixpanel.com` for India, and leave it out for the US",
    )
}

/// Published, a project.
const PER_HOUR: u32 = 60;
const AT_ONCE: u16 = 5;
/// Longest time for a funnel.
const LONGEST: Period = Period::from_secs(90 * 86_400);

yaml_map! {
    /// Settings of a `mixpanel` source.
    MixpanelFile("the config of a `mixpanel` source") {
        /// Address of the region: `https://mixpanel.com`, `https://eu.mixpanel.com`, `https://in.mixpanel.com`.
        optional(signed) url: String = "https://mixpanel.com",
        /// Number of the project, in quotes, such as `"12345"`.
        required(signed) project_id: String,
        /// Number of the data view, in quotes, where the project has data views.
        optional(signed) workspace_id: String,
        /// User name and secret of a service account with `:` between them, such as `${MIXPANEL_SERVICE_ACCOUNT}`.
        required(signed) service_account: String,
        /// Time zone of the project, by which its days begin, as its settings show it.
        required(signed) timezone: String,
        /// What saved funnels count: `people` where they count unique users, so that a funnel is a share of people. Without it a funnel is a bare value.
        optional(signed) counts: String,
        /// Within which time after the first step of a funnel the last one counts, instead of what was saved with it; at most 90d.
        optional(signed) conversion_window: Period = "14d",
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = MixpanelFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "MIXPANEL_URL", "https://eu.mixpanel.com", reporter);
    }
    for plain in [&file.project_id, &file.workspace_id].into_iter().flatten() {
        references(plain, reporter);
    }
    if let Some(account) = &file.service_account {
        secret("service_account", "MIXPANEL_SERVICE_ACCOUNT", account, reporter);
    }
    let zone = time_zone(file.timezone.as_ref()?, reporter)?;
    let mut is_good = true;
    if let Some(counts) = file.counts.as_ref().filter(|at| at.value.trim() != "people") {
        let problem =
            Problem::error("config.unknown_value", counts.span, "a funnel that counts something else is no share");
        reporter.push(problem.valid("`people`").help("leave it out: the funnel is then a bare value"));
        is_good = false;
    }
    if let Some(window) = file.conversion_window.as_ref().filter(|at| at.value > LONGEST) {
        let problem = Problem::error("config.out_of_range", window.span, "Mixpanel takes no longer time for a funnel");
        reporter.push(problem.valid("at most 90d").help("shorten it"));
        is_good = false;
    }
    let value = |at: Option<At<String>>| at.map(|at| at.value);
    let settings = MixpanelSettings {
        url: file.url?.value,
        project: file.project_id?.value,
        workspace: value(file.workspace_id),
        service_account: file.service_account?.value,
        timezone: file.timezone?.value,
        zone,
        counts_people: file.counts.is_some(),
        conversion_window: file.conversion_window?.value,
    };
    is_good.then(|| Arc::new(settings) as Arc<dyn SourceSettings>)
}

#[derive(Debug)]
struct MixpanelSettings {
    url: String,
    project: String,
    workspace: Option<String>,
    service_account: String,
    timezone: String,
    zone: TimeZone,
    counts_people: bool,
    conversion_window: Period,
}

impl SourceSettings for MixpanelSettings {
    fn to_json(&self) -> Value {
        let Self { url, project, workspace, service_account, timezone, counts_people, conversion_window, .. } = self;
        json!({
            "url": url, "project_id": project, "workspace_id": workspace, "service_account": service_account, "timezone": timezone,
            "counts_people": counts_people, "conversion_window": conversion_window,
        })
    }

    fn references(&self) -> Vec<&str> {
        let mut out = vec![self.url.as_str(), &self.project, &self.service_account];
        out.extend(self.workspace.as_deref());
        out
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let of = |text: &str| resolved(name, opening, text);
        let account = of(&self.service_account)?;
        let halves =
            account.expose_secret().split_once(':').filter(|(user, password)| !user.is_empty() && !password.is_empty());
        let (user, password) = halves.ok_or_else(|| ReadError::Config {
            source_name: name.to_owned(),
            problem: "its `service_account` is not a user name and a secret with `:` between them".to_owned(),
            hint: "set it as in `runtime.1a2b3c.mp-service-account:the-secret`".to_owned(),
        })?;
        let access = Access::Basic { user: user.trim().into(), password: password.trim().into() };
        let api = Api::open(&PRODUCT, name, &of(&self.url)?, access)?;
        let mut ids = vec![("project_id", of(&self.project)?)];
        if let Some(workspace) = &self.workspace {
            ids.push(("workspace_id", of(workspace)?));
        }
        let ids: Vec<_> = ids.iter().map(|(key, id)| (*key, id.expose_secret().trim().to_owned())).collect();
        if ids.iter().any(|(_, id)| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(api.unusable(
                "its `project_id` or `workspace_id` is not a number",
                "write `project_id: \"12345\"`, as the settings of the project show it",
            ));
        }
        Ok(Box::new(MixpanelSource {
            api,
            ids,
            zone: self.zone.clone(),
            counts_people: self.counts_people,
            conversion_window: self.conversion_window,
        }))
    }
}

struct MixpanelSource {
    api: Api,
    /// Sent with every question.
    ids: Vec<(&'static str, String)>,
    zone: TimeZone,
    /// Saved funnels count people.
    counts_people: bool,
    conversion_window: Period,
}

impl MixpanelSource {
    fn address(&self, path: &str) -> Url {
        let mut url = self.api.address(&["api", "query"]);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path.split('/'));
        }
        url.query_pairs_mut().extend_pairs(&self.ids);
        url
    }

    fn dated(&self, path: &str, days: &Days) -> Url {
        let mut url = self.address(path);
        url.query_pairs_mut()
            .append_pair("from_date", &days.first.to_string())
            .append_pair("to_date", &days.last.to_string());
        url
    }

    async fn users(&self, of: &str, event: &str, days: &Days) -> Result<(ArmSums, Value, Vec<String>), ReadError> {
        let mut url = self.dated("segmentation", days);
        // One bucket over all days: users of several days cannot be added up.
        url.query_pairs_mut()
            .append_pair("event", event)
            .append_pair("type", "unique")
            .append_pair("interval", &n_days(days).to_string());
        let (series, values) = self.values(of, &url).await?;
        let ([_], [(at, value)]) = (series.as_slice(), values.as_slice()) else {
            let problem = format!(
                "`data.values` has {} buckets where one is expected, and users cannot be added up",
                values.len()
            );
            return Err(self.api.shape(of, problem));
        };
        let value =
            value.0.ok_or_else(|| self.api.shape(of, format!("`data.values`: the value of {at} is no number")))?;
        Ok((ArmSums::Value { value }, json!(values), Vec::new()))
    }

    async fn events(&self, of: &str, event: &str, days: &Days) -> Result<(ArmSums, Value, Vec<String>), ReadError> {
        let mut url = self.dated("segmentation", days);
        url.query_pairs_mut().append_pair("event", event).append_pair("type", "general").append_pair("unit", "day");
        let (_, values) = self.values(of, &url).await?;
        let mut total = 0.0;
        for (at, value) in &values {
            total +=
                value.0.ok_or_else(|| self.api.shape(of, format!("`data.values`: the value of {at} is no number")))?;
        }
        if values.is_empty() {
            return Err(self.api.shape(of, "`data.values` has no day: the event's name may be wrong, and it is not 0"));
        }
        let n_absent = n_days(days) - i64::try_from(values.len()).unwrap_or(i64::MAX);
        let warning = (n_absent > 0).then(|| format!("{n_absent} of {} days have no value", n_days(days)));
        Ok((ArmSums::Value { value: total }, json!(values), warning.into_iter().collect()))
    }

    /// The buckets of the one event of an answer.
    async fn values(&self, of: &str, url: &Url) -> Result<(Vec<String>, Vec<(String, Number)>), ReadError> {
        let found = self.api.ask::<Segmentation>(of, |client| client.get(url.clone())).await?.value.data;
        let mut values: Vec<_> = found.values.into_values().collect();
        match (values.pop(), values.len()) {
            (Some(one), 0) => Ok((found.series, one.into_iter().collect())),
            (None, _) => Err(self.api.shape(of, "`data.values` has no event: its name may be wrong, and it is not 0")),
            (Some(_), more) => {
                Err(self.api.shape(of, format!("`data.values` has {} events where one is expected", more + 1)))
            }
        }
    }

    async fn funnel(&self, of: &str, id: u64, days: &Days) -> Result<(ArmSums, Value, Vec<String>), ReadError> {
        // The time of the last who began must be over at the end of the window.
        let begun = days.earlier(self.conversion_window, &self.zone);
        let begun = begun.ok_or_else(|| self.api.shape(of, "`conversion_window` is longer than the calendar"))?;
        let mut url = self.dated("funnels", &begun);
        let (length, unit) = match self.conversion_window.as_secs() {
            seconds if seconds.rem_euclid(86_400) == 0 => (seconds.div_euclid(86_400), "day"),
            seconds => (seconds, "second"),
        };
        url.query_pairs_mut()
            .append_pair("funnel_id", &id.to_string())
            .append_pair("length", &length.to_string())
            .append_pair("length_unit", unit)
            .append_pair("interval", &n_days(days).to_string());
        let found = self.api.ask::<Funnels>(of, |client| client.get(url.clone())).await?.value.data;
        let mut buckets: Vec<_> = found.into_values().collect();
        let (Some(Bucket { analysis }), 0) = (buckets.pop(), buckets.len()) else {
            let problem = "`data` has not exactly one bucket, and users of several cannot be added up".to_owned();
            return Err(self.api.shape(of, problem));
        };
        let (Some(n), Some(successes)) = (analysis.starting_amount.0, analysis.completion.0) else {
            return Err(self.api.shape(of, "`data`: `analysis` has something that is no number"));
        };
        let share = ArmSums::Proportion { n, successes };
        check::sums(&share).map_err(|problem| self.api.shape(of, problem))?;
        if self.counts_people {
            return Ok((share, json!(analysis), Vec::new()));
        }
        // Sessions or events are no units, so nothing is tested with them.
        let value = share.value().ok_or_else(|| self.api.shape(of, "nobody is in the funnel, so it has no rate"))?;
        Ok((ArmSums::Value { value }, json!(analysis), Vec::new()))
    }

    /// The one number of a saved report, and the time that it is of, which must be as long as what is asked for and no later.
    async fn insights(
        &self,
        of: &str,
        id: u64,
        days: &Days,
    ) -> Result<(ArmSums, Window, Value, Vec<String>), ReadError> {
        let mut url = self.address("insights");
        url.query_pairs_mut().append_pair("bookmark_id", &id.to_string());
        let found = self.api.ask::<Insights>(of, |client| client.get(url.clone())).await?.value;
        let shape = |problem: String| ReadError::Shape {
            source_name: self.api.name().to_owned(),
            signal: of.to_owned(),
            problem,
            hint: "let the saved report show one number: one metric without a breakdown, as the chart type `Metric`"
                .to_owned(),
        };
        let numbers = leaves("series", &found.series).map_err(&shape)?;
        let [(_, value)] = numbers.as_slice() else {
            return Err(shape(format!("`series` has {} numbers where one is expected", numbers.len())));
        };
        let value = value.0.ok_or_else(|| shape("the number in `series` is null or not finite".to_owned()))?;
        let window = span(&found.date_range)
            .ok_or_else(|| shape("`date_range` is not from an instant to a later one".to_owned()))?;
        let n = |window: Window| window.to.duration_since(window.from).as_hours();
        // A day may have 23 or 25 hours.
        if (n(window) - n(days.window)).abs() > 1 {
            let problem = format!(
                "it is of {} hours, and {} are asked for: save the report over as long a time as the signal's window",
                n(window),
                n(days.window)
            );
            return Err(self.api.shape(of, problem));
        }
        if window.to > days.window.to {
            let problem = format!(
                "it is up to {}, and what ended at {} is asked for: let the report end with the last whole day",
                window.to, days.window.to
            );
            return Err(self.api.shape(of, problem));
        }
        let at = found.computed_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
        let old = at.filter(|at| *at < window.to);
        let doubt = old.map(|at| format!("Mixpanel computed the report at {at}, before its time was over"));
        Ok((ArmSums::Value { value }, window, json!(found.series), doubt.into_iter().collect()))
    }
}

fn n_days(days: &Days) -> i64 {
    i64::from(Date::since(days.last, days.first).map_or(0, |span| span.get_days())) + 1
}

#[async_trait]
impl SignalSource for MixpanelSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let funnels = self.saved("the test").await?;
        Ok(SourceReport {
            source: self.api.name().to_owned(),
            server: format!("Mixpanel at {}", self.api.place()),
            is_read_only: false,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes: vec![
                format!("{} saved funnels; only questions are sent, and what else the account may do was not tried", funnels.len()),
                "Mixpanel only maintains the query of saved funnels (`funnel/ID`): a saved report (`insights/ID`) will last longer"
                    .to_owned(),
            ],
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let of = &signal.name;
        let days = Days::up_to(window, &self.zone).ok_or_else(|| self.api.shape(of, "the window has no whole day"))?;
        let (data, read, used, warnings) = match metric(&signal.metric) {
            Metric::Insights(id) => self.insights(of, id, &days).await?,
            Metric::Users(event) => with(self.users(of, event, &days).await?, days.window),
            Metric::Events(event) => with(self.events(of, event, &days).await?, days.window),
            Metric::Funnel(id) => with(self.funnel(of, id, &days).await?, days.window),
        };
        check::sums(&data).map_err(|problem| self.api.shape(of, problem))?;
        Ok(reading(
            data,
            read,
            &json!(["mixpanel", self.ids, signal.metric, read, self.counts_people, self.conversion_window]),
            &used,
            warnings,
        ))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        _: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        Err(self.api.unusable(
            format!(
                "`{}` is asked by variant, and reports of Mixpanel cannot be asked for the people of a phase",
                signal.name
            ),
            "read it from a source that knows who was exposed, such as `sql`",
        ))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let info = |funnel: SavedFunnel| MetricInfo {
            name: format!("funnel/{}", funnel.funnel_id),
            fields: funnel.name.map(|name| self.api.clean(&name)).into_iter().collect(),
        };
        Ok(self.saved("the list").await?.into_iter().take(1000).map(info).collect())
    }

    fn place(&self) -> Option<String> {
        let ids: Vec<_> = self.ids.iter().map(|(key, id)| format!("{key} {id}")).collect();
        Some(format!("{}, {}", self.api.place(), ids.join(", ")))
    }

    fn limits(&self) -> SourceLimits {
        SourceLimits { at_once: AT_ONCE, budget: Some(Budget { n: PER_HOUR, per: Duration::from_hours(1) }) }
    }
}

type Found = (ArmSums, Value, Vec<String>);

fn with((data, used, warnings): Found, window: Window) -> (ArmSums, Window, Value, Vec<String>) {
    (data, window, used, warnings)
}

impl MixpanelSource {
    async fn saved(&self, of: &str) -> Result<Vec<SavedFunnel>, ReadError> {
        let url = self.address("funnels/list");
        Ok(self.api.ask(of, |client| client.get(url.clone())).await?.value)
    }
}
