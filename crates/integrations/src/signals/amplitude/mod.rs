//! Amplitude: users by event and funnel, by the Dashboard REST API. <https://amplitude.com/docs/apis/analytics/dashboard-rest>, read of
//! 2026-03.
//!
//! A funnel can begin with any event, so it answers by variant: it begins with the exposure to one arm. Dates are whole days of the project's
//! time zone; of an allocation phase only the days are read that lie wholly inside.

mod ask;
mod event;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use event::{Condition, Event, Found};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, secret, service_address,
};
use outcome_core::domain::{
    ArmSums, Cohort, CountedUnits, MetricMethod, Period, Reading, SignalSpec, Variant, VariantReading, Window,
};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    Budget, MetricInfo, Opening, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use serde_json::{Value, json};

use super::api::{Access, Api, Days, Product, fingerprint, millis, no_advice, reading, resolved, time_zone};

/// Amplitude.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "amplitude",
    example: "api_key: ${AMPLITUDE_API_KEY}\n      secret_key: ${AMPLITUDE_SECRET_KEY}\n      timezone: Europe/Amsterdam",
    asked: Asked::ByName(Answers { by_variant: true, funnels: true, segments: true }),
    keys: Keymap::new(AmplitudeFile::FIELDS, |generator| generator.subschema_for::<AmplitudeFile>()),
    read,
};

static PRODUCT: Product = Product {
    name: "Amplitude",
    access: "check `api_key` and `secret_key`, that both are of this project, and that `url` is its region",
    page: "docs/connectors/amplitude.md",
    reset_header: None,
    advice: no_advice,
};

/// Published, a project.
const AT_ONCE: u16 = 5;
/// Published is a cost of 1,000 in five minutes. A question of an experiment's arms is up to four funnels and two counts: over 30 days with one
/// condition on an event that is about 540.
const PER_FIVE_MINUTES: u32 = 2;

yaml_map! {
    /// Settings of an `amplitude` source.
    AmplitudeFile("the config of an `amplitude` source") {
        /// Address of the region: `https://amplitude.com`, `https://analytics.eu.amplitude.com`.
        optional(signed) url: String = "https://amplitude.com",
        /// API key of the project, such as `${AMPLITUDE_API_KEY}`.
        required(signed) api_key_key: String,
        /// Secret key of the project, such as `${AMPLITUDE_SECRET_KEY}`.
        required(signed) secret_key_key: String,
        /// Time zone of the project, by which its days begin, as its settings show it.
        required(signed) timezone: String,
        /// The event that says who saw which arm, such as `"[Experiment] Exposure"`. Without it there are levels only.
        optional(signed) exposure_event: String,
        /// Its property with the flag's key.
        optional(signed) flag_property: String,
        /// Its property with the arm.
        optional(signed) variant_property: String,
        /// What that property says for the control.
        optional(signed) control: String = "control",
        /// What that property says for the treatment.
        optional(signed) treatment: String = "treatment",
        /// Within which time after the exposure the event or the last step counts.
        optional(signed) conversion_window: Period = "14d",
        /// How late events come. Nothing is claimed on users whose time was not over so long ago.
        optional(signed) lag: Period = "6h",
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = AmplitudeFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "AMPLITUDE_URL", "https://analytics.eu.amplitude.com", reporter);
    }
    if let Some(key) = &file.api_key_key {
        secret("api_key", "AMPLITUDE_API_KEY", key, reporter);
    }
    if let Some(key) = &file.secret_key_key {
        secret("secret_key", "AMPLITUDE_SECRET_KEY", key, reporter);
    }
    let zone = time_zone(file.timezone.as_ref()?, reporter)?;
    let exposure = exposure(&file, reporter)?;
    Some(Arc::new(AmplitudeSettings {
        url: file.url?.value,
        api_key: file.api_key_key?.value,
        secret_key: file.secret_key_key?.value,
        timezone: file.timezone?.value,
        zone,
        exposure,
        conversion_window: file.conversion_window?.value,
        lag: file.lag?.value,
    }))
}

/// The three keys about exposures belong together. `None` after a mistake.
#[expect(clippy::option_option, reason = "no exposures are no mistake")]
fn exposure(file: &AmplitudeFile, reporter: &mut Reporter<'_>) -> Option<Option<Exposure>> {
    let keys = [&file.exposure_event, &file.flag_property, &file.variant_property];
    let value = |at: &At<String>| at.value.clone();
    match keys {
        [Some(event), Some(flag_property), Some(variant_property)] => Some(Some(Exposure {
            event: value(event),
            flag_property: value(flag_property),
            variant_property: value(variant_property),
            control: value(file.control.as_ref()?),
            treatment: value(file.treatment.as_ref()?),
        })),
        [None, None, None] => Some(None),
        some => {
            let at = some.into_iter().flatten().next().map_or(file.at, |at| at.span);
            let problem = Problem::error("config.missing_key", at, "exposures need three keys");
            reporter.push(
                problem
                    .valid("`exposure_event`, `flag_property` and `variant_property` together, or none of them")
                    .help("write all three, as an exposure shows them in Amplitude's list of events"),
            );
            None
        }
    }
}

/// How the project says who saw which arm.
#[derive(Debug, Clone, serde::Serialize)]
struct Exposure {
    event: String,
    flag_property: String,
    variant_property: String,
    control: String,
    treatment: String,
}

#[derive(Debug)]
struct AmplitudeSettings {
    url: String,
    api_key: String,
    secret_key: String,
    timezone: String,
    zone: TimeZone,
    exposure: Option<Exposure>,
    conversion_window: Period,
    lag: Period,
}

impl SourceSettings for AmplitudeSettings {
    fn to_json(&self) -> Value {
        let Self { url, api_key, secret_key, timezone, exposure, conversion_window, lag, .. } = self;
        json!({
            "url": url, "api_key": api_key, "secret_key": secret_key, "timezone": timezone, "exposure": exposure,
            "conversion_window": conversion_window, "lag": lag,
        })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.url, &self.api_key, &self.secret_key]
    }

    fn whole_after(&self) -> Option<Period> {
        self.exposure.as_ref()?;
        Some(Period::from_secs(self.conversion_window.as_secs().saturating_add(self.lag.as_secs())))
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let of = |text: &str| resolved(name, opening, text);
        let api_key = of(&self.api_key)?;
        let project = fingerprint(&api_key);
        let access = Access::Basic { user: api_key, password: of(&self.secret_key)? };
        Ok(Box::new(AmplitudeSource {
            api: Api::open(&PRODUCT, name, &of(&self.url)?, access)?,
            project,
            zone: self.zone.clone(),
            exposure: self.exposure.clone(),
            conversion_window: self.conversion_window,
            lag: self.lag,
        }))
    }
}

struct AmplitudeSource {
    api: Api,
    /// Which key it is, for people.
    project: String,
    zone: TimeZone,
    exposure: Option<Exposure>,
    conversion_window: Period,
    lag: Period,
}

fn steps(signal: &SignalSpec) -> Vec<Event> {
    match signal.method {
        MetricMethod::Funnel => signal.funnel_steps.iter().map(|name| Event::named(name)).collect(),
        MetricMethod::Event | MetricMethod::Custom | MetricMethod::Contract => vec![Event::named(&signal.metric)],
    }
}

#[async_trait]
impl SignalSource for AmplitudeSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let n_events = self.names("the test").await?.len();
        let exposures = match &self.exposure {
            Some(exposure) => format!("exposures are events `{}`", exposure.event),
            None => "without `exposure_event` there are levels only".to_owned(),
        };
        Ok(SourceReport {
            source: self.api.name().to_owned(),
            server: format!("Amplitude at {}", self.api.place()),
            // The keys of a project have no scopes, and no write was tried.
            is_read_only: false,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes: vec![
                format!(
                    "{n_events} events; only questions are sent, although the keys of a project may also write events, which was not tried"
                ),
                exposures,
            ],
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let of = &signal.name;
        let days = Days::up_to(window, &self.zone).ok_or_else(|| self.api.shape(of, "the window has no whole day"))?;
        let segment = event::segment(&signal.segment);
        let steps = steps(signal);
        let (data, used) = if signal.method == MetricMethod::Funnel {
            // The time of the last who began must be over at the end of the window.
            let begun = days.earlier(self.conversion_window, &self.zone);
            let begun = begun.ok_or_else(|| self.api.shape(of, "`conversion_window` is longer than the calendar"))?;
            let found = self.funnel(of, &steps, &begun, &segment).await?;
            (ArmSums::Proportion { n: found.begun, successes: found.done }, json!(found.raw))
        } else {
            // Whoever did the event was active, so this is a share.
            let n = self.users(of, &Event::named("_active"), &days, &segment).await?;
            let done = steps.first().cloned().unwrap_or_else(|| Event::named(&signal.metric));
            let successes = self.users(of, &done, &days, &segment).await?;
            (ArmSums::Proportion { n, successes }, json!([n, successes]))
        };
        check::sums(&data).map_err(|problem| self.api.shape(of, problem))?;
        let asked = json!(["amplitude", steps, days.window, segment, self.conversion_window]);
        Ok(reading(data, days.window, &asked, &used, Vec::new()))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let of = &signal.name;
        let Some(exposure) = &self.exposure else {
            return Err(self.api.unusable(
                format!("`{of}` is asked by variant, and the connector does not say which event counts exposures"),
                "write `exposure_event`, `flag_property` and `variant_property` in its `config`, as Amplitude's list of events shows them",
            ));
        };
        let segment = event::segment(&signal.segment);
        let steps = steps(signal);
        let asked = |window: Window| {
            json!([
                "amplitude",
                "by_variant",
                exposure,
                request.flag_key,
                steps,
                window,
                segment,
                self.conversion_window,
                self.claimed_days(request).map(|days| days.window)
            ])
        };
        let Some(days) = Days::inside(request.window, &self.zone) else {
            // The first whole day of the step is not over, so nothing was looked at: that is not nobody.
            let nothing = Window { from: request.window.from, to: request.window.from };
            return Ok(reading(Vec::new(), nothing, &asked(nothing), &json!([]), Vec::new()));
        };
        let arms = Arms { exposure, flag_key: &request.flag_key, steps: &steps, segment: &segment };
        let [control, treatment] = self.arms(of, &arms, &days).await?;
        let n_both = self.n_both(of, &arms, &days, [control.begun, treatment.begun]).await?;
        let claimed = match self.claimed_days(request) {
            None => [(0, 0); 2],
            Some(claimed) if claimed == days => [control.counts(), treatment.counts()],
            Some(claimed) => self.arms(of, &arms, &claimed).await?.map(|found| found.counts()),
        };
        let mut data = Vec::new();
        let found = [(Variant::Control, &control, n_both), (Variant::Treatment, &treatment, 0)];
        for ((variant, found, of_cohort), (n, successes)) in found.into_iter().zip(claimed) {
            if found.begun > 0 {
                let claimed = ArmSums::Proportion { n, successes };
                // The cohorts of a phase are added up, and each arm repeats what is said of its units.
                let cohort =
                    Cohort { claimed, n_both: of_cohort, n_capped: 0, uncapped: None, n_unmapped: 0, n_other: 0 };
                let units = CountedUnits { n_units: Some(found.begun), n_both: Some(n_both), same_as: None };
                let sums = ArmSums::Proportion { n: found.begun, successes: found.done };
                check::sums(&claimed).map_err(|problem| self.api.shape(of, problem))?;
                data.push(VariantReading {
                    units: Some(units),
                    cohort: Some(cohort),
                    ..VariantReading::new(variant, sums)
                });
            }
        }
        check::by_variant(&data).map_err(|problem| self.api.shape(of, problem))?;
        let used = json!([control.raw, treatment.raw, n_both, claimed]);
        // Users of an earlier step are not known here: they would be counted again in each later one.
        let is_later = request.window.from > request.launched_at;
        let warning = is_later.then(|| {
            "users who were exposed in an earlier step of the rollout are counted again in this one".to_owned()
        });
        Ok(reading(data, days.window, &asked(days.window), &used, warning.into_iter().collect()))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let info = |name: String| MetricInfo { name: self.api.clean(&name), fields: Vec::new() };
        Ok(self.names("the list").await?.into_iter().take(1000).map(info).collect())
    }

    fn place(&self) -> Option<String> {
        // The key names the project, and is in every application that sends events.
        Some(format!("{}, API key {}", self.api.place(), self.project))
    }

    fn limits(&self) -> SourceLimits {
        SourceLimits { at_once: AT_ONCE, budget: Some(Budget { n: PER_FIVE_MINUTES, per: Duration::from_mins(5) }) }
    }
}

impl AmplitudeSource {
    /// The whole days of a step whose users may be claimed on: their time is over, their events have come, and the flag was not changed in it.
    fn claimed_days(&self, request: &VariantRequest) -> Option<Days> {
        let earlier = |at: Timestamp, by: Period| at.checked_sub(by.get()).unwrap_or(Timestamp::MIN);
        let mature = earlier(earlier(request.as_of, self.lag), self.conversion_window);
        let until = request.on_until.map_or(mature, |changed| mature.min(earlier(changed, self.conversion_window)));
        let window = Window { from: request.window.from, to: request.window.to.min(until) };
        Days::inside(window, &self.zone)
    }

    /// Users of each arm, and those who did all steps after.
    async fn arms(&self, of: &str, arms: &Arms<'_>, days: &Days) -> Result<[Found; 2], ReadError> {
        let Arms { exposure, steps, segment, .. } = arms;
        let funnel = |arm: &str| {
            let mut all = vec![arms.begin(&[arm])];
            all.extend(steps.iter().cloned());
            all
        };
        let control = self.funnel(of, &funnel(&exposure.control), days, segment).await?;
        Ok([control, self.funnel(of, &funnel(&exposure.treatment), days, segment).await?])
    }

    /// Users who saw both arms: those of each arm together, without those of any of the two. More users of the flag mean a third arm.
    async fn n_both(&self, of: &str, arms: &Arms<'_>, days: &Days, begun: [i64; 2]) -> Result<i64, ReadError> {
        let Exposure { control, treatment, .. } = arms.exposure;
        let everybody = self.users(of, &arms.begin(&[]), days, arms.segment).await?;
        let in_arms = self.users(of, &arms.begin(&[control, treatment]), days, arms.segment).await?;
        if everybody > in_arms {
            let hint = "write `control:` and `treatment:` in the connector's `config` as the property says them; every other arm is \
                        refused, because it must not vanish";
            return Err(ReadError::Shape {
                source_name: self.api.name().to_owned(),
                signal: of.to_owned(),
                problem: format!(
                    "{everybody} users saw the flag, and only {in_arms} of them are in one of the two arms"
                ),
                hint: hint.to_owned(),
            });
        }
        let [control, treatment] = begun;
        let n_both = control.saturating_add(treatment) - in_arms;
        if n_both < 0 || n_both > control.min(treatment) {
            let problem = format!("{control} and {treatment} users are in the arms, and {in_arms} in any of the two");
            return Err(self.api.shape(of, problem));
        }
        Ok(n_both)
    }
}

/// What is asked by variant.
struct Arms<'a> {
    exposure: &'a Exposure,
    flag_key: &'a str,
    steps: &'a [Event],
    segment: &'a Option<String>,
}

impl Arms<'_> {
    /// The exposure to one of these arms; to any, of none.
    fn begin(&self, arms: &[&str]) -> Event {
        let mut filters = vec![Condition::event(&self.exposure.flag_property, &[self.flag_key])];
        if !arms.is_empty() {
            filters.push(Condition::event(&self.exposure.variant_property, arms));
        }
        Event { event_type: self.exposure.event.clone(), filters }
    }
}
