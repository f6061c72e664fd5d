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
use event::{Condition, Event};
use jiff::tz::TimeZone;
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, http_address, no_inline_password,
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
use serde_json::{Value, json};

use super::api::{Access, Api, Days, Product, fingerprint, millis, no_advice, reading, resolved, time_zone};

/// Amplitude.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "amplitude",
    example: "api_key: ${AMPLITUDE_API_KEY}\n      secret_key: ${AMPLITUDE_SECRET_KEY}",
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
/// Published is a cost of 1,000 in five minutes; a funnel of two events over 30 days with two conditions costs 120 to 240.
const PER_FIVE_MINUTES: u32 = 8;

yaml_map! {
    /// Settings of an `amplitude` source.
    AmplitudeFile("the config of an `amplitude` source") {
        /// Address of the region: `https://amplitude.com`, `https://analytics.eu.amplitude.com`.
        optional(signed) url: String = "https://amplitude.com",
        /// API key of the project, such as `${AMPLITUDE_API_KEY}`.
        required(signed) api_key_key: String,
        /// Secret key of the project, such as `${AMPLITUDE_SECRET_KEY}`.
        required(signed) secret_key_key: String,
        /// Time zone of the project, by which its days begin.
        optional(signed) timezone: String = "UTC",
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
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = AmplitudeFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        references(url, reporter);
        no_inline_password(url, "AMPLITUDE_URL", reporter);
        http_address(url, "https://analytics.eu.amplitude.com", reporter);
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
}

impl SourceSettings for AmplitudeSettings {
    fn to_json(&self) -> Value {
        let Self { url, api_key, secret_key, timezone, exposure, conversion_window, .. } = self;
        json!({
            "url": url, "api_key": api_key, "secret_key": secret_key, "timezone": timezone, "exposure": exposure,
            "conversion_window": conversion_window,
        })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.url, &self.api_key, &self.secret_key]
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
            is_read_only: true,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes: vec![
                format!(
                    "{n_events} events; only questions are sent, although the keys of a project may also write events"
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
            let found = self.funnel(of, &steps, &days, &segment).await?;
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
                self.conversion_window
            ])
        };
        let Some(days) = Days::inside(request.window, &self.zone) else {
            // The first whole day of the phase is not over.
            return Ok(reading(Vec::new(), request.window, &asked(request.window), &json!([]), Vec::new()));
        };
        let of_flag = Condition::event(&exposure.flag_property, &request.flag_key);
        let begin = |arm: Option<&str>| {
            let mut conditions = vec![of_flag.clone()];
            conditions.extend(arm.map(|arm| Condition::event(&exposure.variant_property, arm)));
            Event { event_type: exposure.event.clone(), filters: conditions }
        };
        let funnel = |arm: Option<&str>| {
            let mut all = vec![begin(arm)];
            all.extend(steps.iter().cloned());
            all
        };
        let control = self.funnel(of, &funnel(Some(&exposure.control)), &days, &segment).await?;
        let treatment = self.funnel(of, &funnel(Some(&exposure.treatment)), &days, &segment).await?;
        let everybody = self.users(of, &begin(None), &days, &segment).await?;
        let n_both = self.n_both(of, control.begun, treatment.begun, everybody)?;
        let mut data = Vec::new();
        for (variant, found) in [(Variant::Control, &control), (Variant::Treatment, &treatment)] {
            if found.begun > 0 {
                let units = CountedUnits { n_units: Some(found.begun), n_both: Some(n_both), same_as: None };
                let sums = ArmSums::Proportion { n: found.begun, successes: found.done };
                data.push(VariantReading { units: Some(units), ..VariantReading::new(variant, sums) });
            }
        }
        check::by_variant(&data).map_err(|problem| self.api.shape(of, problem))?;
        let used = json!([control.raw, treatment.raw, everybody]);
        Ok(reading(data, days.window, &asked(days.window), &used, Vec::new()))
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
    /// Users who saw both arms, from the users of each and of any. More users than in both arms together means a third arm.
    fn n_both(&self, of: &str, control: i64, treatment: i64, everybody: i64) -> Result<i64, ReadError> {
        let n_in_arms = control.saturating_add(treatment);
        if everybody > n_in_arms {
            let hint = "write `control:` and `treatment:` in the connector's `config` as the property says them; every other arm is \
                        refused, because it must not vanish";
            return Err(ReadError::Shape {
                source_name: self.api.name().to_owned(),
                signal: of.to_owned(),
                problem: format!(
                    "{everybody} users saw the flag, and only {n_in_arms} of them are in one of the two arms"
                ),
                hint: hint.to_owned(),
            });
        }
        Ok(n_in_arms - everybody)
    }
}
