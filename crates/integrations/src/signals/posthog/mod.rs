//! PostHog: events counted by person, with HogQL over the query API. <https://posthog.com/docs/api/query>, read in 2026-11.
//!
//! It knows who saw which arm, so it answers by variant: units first exposed since the launch, and which of them did the event or the
//! steps within a time after it. Which event counts exposures differs between experiments of PostHog and is never guessed.

mod arms;
mod query;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Reporter, SignalVendor, references, secret, service_address,
};
use outcome_core::domain::{ArmSums, MetricMethod, Period, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, Treated,
    VariantRequest,
};
use outcome_core::yaml_map;
use query::{ArmRow, Done, Exposure, People, Query};
use serde_json::json;

use super::api::{Access, Api, Count, Product, millis, no_advice, reading, resolved};

/// PostHog.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "posthog",
    example: "project_id: \"12345\"\n      token: ${POSTHOG_KEY}",
    asked: Asked::ByName(Answers { by_variant: true, funnels: true, segments: false }),
    keys: Keymap::new(PosthogFile::FIELDS, |generator| generator.subschema_for::<PosthogFile>()),
    read,
};

static PRODUCT: Product = Product {
    name: "PostHog",
    access: "check that `token` is a personal API key (`phx_...`, not the project's `phc_...`) with the scope `query:read` for this \
             project, and that `url` is the region of the project",
    page: "docs/connectors/posthog.md",
    reset_header: None,
    advice: no_advice,
};

/// The lowest that was ever published for HogQL, a team; more is answered with a 429 and a time.
const PER_HOUR: u32 = 120;
/// Queries at once, a project: a fourth waits for half a minute and then fails.
const AT_ONCE: u16 = 3;

yaml_map! {
    /// Settings of a `posthog` source.
    PosthogFile("the config of a `posthog` source") {
        /// Address of the region or of your own server: `https://us.posthog.com`, `https://eu.posthog.com`.
        optional(signed) url: String = "https://us.posthog.com",
        /// Number of the project, in quotes, such as `"12345"`.
        required(signed) project_id: String,
        /// Personal API key with the scope `query:read`, such as `${POSTHOG_KEY}`.
        required(signed) token: String,
        /// The event that says who saw which arm; default: what PostHog says of the flag's experiment. A flag without one needs it.
        optional(signed) exposure_event: String,
        /// What the flag says for the control, such as `control`; default: `control`, `off` or `false`.
        optional(signed) control: String,
        /// What the flag says for the treatment, such as `test`; default: `test`, `treatment`, `on` or `true`.
        optional(signed) treatment: String,
        /// Within which time after the exposure the event or the last step counts.
        optional(signed) conversion_window: Period = "14d",
        /// How late events come. Nothing is claimed on people whose time was not over so long ago.
        optional(signed) lag: Period = "6h",
        /// The event by which somebody belongs to the level of everybody; default: any event.
        optional(signed) population: String,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = PosthogFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "POSTHOG_URL", "https://eu.posthog.com", reporter);
    }
    if let Some(project) = &file.project_id {
        references(project, reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "POSTHOG_KEY", token, reporter);
    }
    let value = |at: Option<At<String>>| at.map(|at| at.value);
    Some(Arc::new(PosthogSettings {
        url: file.url?.value,
        project: file.project_id?.value,
        token: file.token?.value,
        counted: Counted {
            exposure_event: value(file.exposure_event),
            control: value(file.control),
            treatment: value(file.treatment),
            conversion_window: file.conversion_window?.value,
            lag: file.lag?.value,
            population: value(file.population),
        },
    }))
}

#[derive(Debug)]
struct PosthogSettings {
    url: String,
    project: String,
    token: String,
    counted: Counted,
}

/// How people are counted.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
struct Counted {
    exposure_event: Option<String>,
    control: Option<String>,
    treatment: Option<String>,
    conversion_window: Period,
    lag: Period,
    population: Option<String>,
}

impl SourceSettings for PosthogSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "url": self.url, "project_id": self.project, "token": self.token, "counted": self.counted })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.url, &self.project, &self.token]
    }

    fn whole_after(&self) -> Option<Period> {
        let Counted { conversion_window, lag, .. } = &self.counted;
        Some(Period::from_secs(conversion_window.as_secs().saturating_add(lag.as_secs())))
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        use secrecy::ExposeSecret as _;
        let of = |text: &str| resolved(name, opening, text);
        let project = of(&self.project)?.expose_secret().trim().to_owned();
        let api = Api::open(&PRODUCT, name, &of(&self.url)?, Access::Bearer(of(&self.token)?))?;
        if project.is_empty()
            || !project.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'@'))
        {
            return Err(api.unusable(
                "its `project_id` is not the number of a project",
                "write `project_id: \"12345\"`, as the settings of the project show it",
            ));
        }
        Ok(Box::new(PosthogSource { api, project, counted: self.counted.clone() }))
    }
}

struct PosthogSource {
    api: Api,
    project: String,
    counted: Counted,
}

impl PosthogSource {
    /// The steps of a signal, and how long they may take.
    fn steps(signal: &SignalSpec) -> Vec<String> {
        match signal.method {
            MetricMethod::Funnel => signal.funnel_steps.clone(),
            MetricMethod::Event | MetricMethod::Custom | MetricMethod::Contract => vec![signal.metric.clone()],
        }
    }

    /// The event that says who saw which arm of a flag.
    async fn exposure(&self, flag_key: &str) -> Result<Exposure, ReadError> {
        if flag_key.contains(['`', '\\', '{', '}']) {
            let hint = "name the flag without `, \\, { and }";
            return Err(self.api.unusable("the flag's key cannot be written into a query", hint));
        }
        let event = match &self.counted.exposure_event {
            Some(event) => event.clone(),
            None => self.exposure_event(flag_key).await?,
        };
        Ok(Exposure { event })
    }

    fn no_row(&self, of: &str, n: usize) -> ReadError {
        self.api.shape(of, format!("`results` has {n} rows where one is expected"))
    }

    fn no_number(&self, of: &str) -> ReadError {
        self.api.shape(of, "`results[0]` has something that is no number")
    }

    fn done<'s>(&self, steps: &'s [String]) -> Done<'s> {
        Done { steps, within_ms: self.counted.conversion_window.as_secs().saturating_mul(1000) }
    }

    /// Until when somebody must have been exposed so that their time is over, its events have come, and the flag was not changed in it.
    fn claim_until(&self, request: &VariantRequest) -> Timestamp {
        let earlier = |at: Timestamp, by: Period| at.checked_sub(by.get()).unwrap_or(Timestamp::MIN);
        let Counted { conversion_window, lag, .. } = self.counted;
        let mature = earlier(earlier(request.as_of, lag), conversion_window);
        request.on_until.map_or(mature, |changed| mature.min(earlier(changed, conversion_window)))
    }
}

#[async_trait]
impl SignalSource for PosthogSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let one = Query { text: "SELECT 1 LIMIT 1".to_owned(), values: std::collections::BTreeMap::new() };
        self.rows::<(Count,)>("the test", &one).await?;
        let exposures = match &self.counted.exposure_event {
            Some(event) => format!("exposures are events `{event}`"),
            None => "exposures are what PostHog says of the flag's experiment; the key needs `experiment:read` too"
                .to_owned(),
        };
        Ok(SourceReport {
            source: self.api.name().to_owned(),
            server: format!("PostHog at {}", self.api.place()),
            is_read_only: false,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes: vec![
                "HogQL has no statement that writes; whether the key may do more was not tried".to_owned(),
                exposures,
            ],
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let of = &signal.name;
        let steps = Self::steps(signal);
        let (sums, asked, doubts) = if signal.method == MetricMethod::Funnel {
            let query = query::funnel_level(self.done(&steps), window);
            let found = self.rows::<(Count, Count, Count)>(of, &query).await?;
            let [(n, successes, n_rows)] = found.rows.as_slice() else { return Err(self.no_row(of, found.rows.len())) };
            self.refuse_cut(of, n_rows.0.ok_or_else(|| self.no_number(of))?)?;
            ((*n, *successes), query, found.doubts)
        } else {
            let query = query::level(self.counted.population.as_deref(), &steps, window);
            let found = self.rows::<(Count, Count)>(of, &query).await?;
            let [sums] = found.rows.as_slice() else { return Err(self.no_row(of, found.rows.len())) };
            (*sums, query, found.doubts)
        };
        let (Some(n), Some(successes)) = (sums.0.0, sums.1.0) else { return Err(self.no_number(of)) };
        let data = ArmSums::Proportion { n, successes };
        check::sums(&data).map_err(|problem| self.api.shape(of, problem))?;
        Ok(reading(data, window, &json!(["posthog", self.project, asked]), &data, doubts))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let of = &signal.name;
        let exposure = self.exposure(&request.flag_key).await?;
        let steps = Self::steps(signal);
        let people = People {
            launched_at: request.launched_at,
            window: request.window,
            as_of: request.as_of,
            claim_until: self.claim_until(request),
        };
        let names = self.counted.names();
        let query = query::by_variant(&exposure, &request.flag_key, &names, self.done(&steps), people);
        let found = self.rows::<ArmRow>(of, &query).await?;
        let (data, mut warnings) = self.arms(of, &found.rows)?;
        warnings.extend(found.doubts);
        Ok(reading(data, request.window, &json!(["posthog", self.project, query]), &found.rows, warnings))
    }

    async fn treated(&self, signal: &SignalSpec, flag_key: &str, window: Window) -> Result<Option<Treated>, ReadError> {
        let query = query::treated(&self.exposure(flag_key).await?, flag_key, &self.counted.names(), window);
        let rows = self.rows::<(Count, Count)>(&signal.name, &query).await?.rows;
        let (n, newest) = rows.first().ok_or_else(|| self.no_row(&signal.name, 0))?;
        let n = n.0.ok_or_else(|| self.no_number(&signal.name))?;
        Ok(Some(Treated { n, newest: newest.0.and_then(|seconds| Timestamp::from_second(seconds).ok()) }))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let rows = self.rows::<(String, Count)>("the list", &query::events()).await?.rows;
        let info = |(event, n): (String, Count)| MetricInfo {
            name: self.api.clean(&event),
            fields: n.0.map(|n| format!("{n} events in 7 days")).into_iter().collect(),
        };
        Ok(rows.into_iter().map(info).collect())
    }

    fn place(&self) -> Option<String> {
        Some(format!("{}, project {}", self.api.place(), self.project))
    }

    fn limits(&self) -> SourceLimits {
        SourceLimits { at_once: AT_ONCE, budget: Some(Budget { n: PER_HOUR, per: Duration::from_hours(1) }) }
    }
}
