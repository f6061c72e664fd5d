//! PostHog: events counted by person, with HogQL over the query API. <https://posthog.com/docs/api/query>, read in 2026-11.
//!
//! It knows who saw which arm, so it answers by variant: units first exposed since the launch, and which of them did the event or the
//! steps within a time after it. Which event counts exposures differs between experiments of PostHog and is never guessed.

mod query;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Reporter, SignalVendor, http_address, no_inline_password,
    references, secret,
};
use outcome_core::domain::{
    ArmSums, CountedUnits, MetricMethod, Period, Reading, SignalSpec, Variant, VariantReading, Window,
};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use query::{CUT_AT, Done, Exposure, MAX_ROWS, Query};
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
        /// The event by which somebody belongs to the level of everybody; default: any event.
        optional(signed) population: String,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = PosthogFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        references(url, reporter);
        no_inline_password(url, "POSTHOG_URL", reporter);
        http_address(url, "https://eu.posthog.com", reporter);
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
    population: Option<String>,
}

impl SourceSettings for PosthogSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "url": self.url, "project_id": self.project, "token": self.token, "counted": self.counted })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.url, &self.project, &self.token]
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

/// Share of units without a known arm above which nothing is claimed.
const MAX_UNKNOWN: f64 = 0.005;

impl PosthogSource {
    /// The steps of a signal, and how long they may take.
    fn steps(signal: &SignalSpec) -> Vec<String> {
        match signal.method {
            MetricMethod::Funnel => signal.funnel_steps.clone(),
            MetricMethod::Event | MetricMethod::Custom | MetricMethod::Contract => vec![signal.metric.clone()],
        }
    }

    fn done<'s>(&self, steps: &'s [String]) -> Done<'s> {
        Done { steps, within_ms: self.counted.conversion_window.as_secs().saturating_mul(1000) }
    }

    /// The arm that an answer of the flag means; `None` for somebody who is in no arm.
    fn arm(&self, said: Option<&str>) -> Result<Option<Variant>, String> {
        let said = said.map(str::trim).filter(|said| !said.is_empty() && *said != "null");
        let Some(said) = said else { return Ok(None) };
        let Counted { control, treatment, .. } = &self.counted;
        if control.as_deref() == Some(said) {
            return Ok(Some(Variant::Control));
        }
        if treatment.as_deref() == Some(said) {
            return Ok(Some(Variant::Treatment));
        }
        let known = if said == "test" { Some(Variant::Treatment) } else { check::variant(said) };
        match known {
            // A flag with named arms says `false` to whoever is in none of them.
            Some(Variant::Control) if control.is_some() && said.eq_ignore_ascii_case("false") => Ok(None),
            Some(Variant::Control) if control.is_none() => Ok(known),
            Some(Variant::Treatment) if treatment.is_none() => Ok(known),
            _ => Err(format!(
                "the flag said `{}` to somebody, which is neither the control nor the treatment",
                self.api.clean(said)
            )),
        }
    }

    /// As many units as a limit that PostHog adds are probably not all of them.
    fn refuse_cut(&self, of: &str, n: i64) -> Result<(), ReadError> {
        if !CUT_AT.contains(&n) {
            return Ok(());
        }
        Err(self.api.shape(
            of,
            format!("it counts exactly {n} units, as many as the limit that PostHog puts into a query: the rest may be cut off"),
        ))
    }

    fn shape_of(&self, of: &str, problem: String) -> ReadError {
        let hint = "write `control:` and `treatment:` in the connector's `config` as the flag says them; every other arm is refused, \
                    because it must not vanish"
            .to_owned();
        ReadError::Shape { source_name: self.api.name().to_owned(), signal: of.to_owned(), problem, hint }
    }

    /// The readings of the arms, and doubts about them.
    fn arms(&self, of: &str, rows: &[ArmRow]) -> Result<(Vec<VariantReading>, Vec<String>), ReadError> {
        if rows.len() >= MAX_ROWS {
            return Err(self.shape_of(of, format!("it has {} arms, as many as are asked for", rows.len())));
        }
        let (mut found, mut n_known, mut n_unknown) = (Vec::<VariantReading>::new(), 0_i64, 0_i64);
        for (row, (said, n, successes, n_both)) in (0..).zip(rows) {
            let count = |name: &str, count: Count| {
                count.0.ok_or_else(|| self.api.shape(of, format!("`results[{row}]`: `{name}` is no number")))
            };
            let (n, successes, n_both) = (count("n", *n)?, count("successes", *successes)?, count("n_both", *n_both)?);
            check::count("n", n).map_err(|problem| self.api.shape(of, problem))?;
            let Some(variant) = self.arm(said.as_deref()).map_err(|problem| self.shape_of(of, problem))? else {
                n_unknown = n_unknown.saturating_add(n);
                continue;
            };
            if found.iter().any(|reading| reading.variant == variant) {
                return Err(self.shape_of(of, format!("the flag has two answers that mean the {variant}")));
            }
            n_known = n_known.saturating_add(n);
            let units = CountedUnits { n_units: Some(n), n_both: Some(n_both), same_as: None };
            let sums = ArmSums::Proportion { n, successes };
            found.push(VariantReading { units: Some(units), ..VariantReading::new(variant, sums) });
        }
        found.sort_by_key(|reading| reading.variant == Variant::Treatment);
        check::by_variant(&found).map_err(|problem| self.api.shape(of, problem))?;
        self.refuse_cut(of, n_known.saturating_add(n_unknown))?;
        let is_many = n_unknown as f64 > MAX_UNKNOWN * n_known.saturating_add(n_unknown) as f64;
        let warning = format!("{n_unknown} people were asked for the flag and are in no arm; they are left out");
        // Outside of a partial rollout everybody says so; only a flag with `false` as an arm has nobody else.
        let is_doubtful = is_many && self.counted.control.is_none();
        Ok((found, if is_doubtful { vec![warning] } else { Vec::new() }))
    }
}

/// What the flag said, units, those that did it, those that saw several arms.
type ArmRow = (Option<String>, Count, Count, Count);

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
            is_read_only: true,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes: vec!["HogQL has no statement that writes".to_owned(), exposures],
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let of = &signal.name;
        let steps = Self::steps(signal);
        let is_funnel = signal.method == MetricMethod::Funnel;
        let query = query::level(self.counted.population.as_deref(), is_funnel, self.done(&steps), window);
        let rows = self.rows::<(Count, Count)>(of, &query).await?;
        let [(n, successes)] = rows.as_slice() else {
            return Err(self.api.shape(of, format!("`results` has {} rows where one is expected", rows.len())));
        };
        let (Some(n), Some(successes)) = (n.0, successes.0) else {
            return Err(self.api.shape(of, "`results[0]` has something that is no number"));
        };
        let data = ArmSums::Proportion { n, successes };
        check::sums(&data).map_err(|problem| self.api.shape(of, problem))?;
        self.refuse_cut(of, n)?;
        Ok(reading(data, window, &json!(["posthog", self.project, query]), &rows, Vec::new()))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let of = &signal.name;
        if request.flag_key.contains(['`', '\\', '{', '}']) {
            return Err(self
                .api
                .unusable("the flag's key cannot be written into a query", "name the flag without `, \\, { and }"));
        }
        let event = match &self.counted.exposure_event {
            Some(event) => event.clone(),
            None => self.exposure_event(&request.flag_key).await?,
        };
        let steps = Self::steps(signal);
        let query = query::by_variant(
            &Exposure { event },
            &request.flag_key,
            self.done(&steps),
            request.launched_at,
            request.window,
            request.as_of,
        );
        let rows = self.rows::<ArmRow>(of, &query).await?;
        let (data, warnings) = self.arms(of, &rows)?;
        Ok(reading(data, request.window, &json!(["posthog", self.project, query]), &rows, warnings))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let rows = self.rows::<(String, Count)>("the list", &query::events()).await?;
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
