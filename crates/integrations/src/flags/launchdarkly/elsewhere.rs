//! LaunchDarkly's own experiments, by their key.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use outcome_core::ports::FlagError;
use outcome_core::ports::elsewhere::{Elsewhere, ElsewhereService};
use outcome_core::ports::flags::check_key;
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{Flag, Targeting};
use super::{Change, LaunchDarkly, Order, Sent, foreign};
use crate::flags::api::whole_share;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Experiment {
    key: String,
    name: String,
    #[serde(default)]
    archived_date: Option<i64>,
    #[serde(default)]
    current_iteration: Option<Iteration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iteration {
    #[serde(default, rename = "_id")]
    id: Option<String>,
    status: String,
    #[serde(default)]
    started_at: Option<i64>,
    #[serde(default)]
    flags: BTreeMap<String, Value>,
    #[serde(default)]
    primary_metric: Option<Metric>,
    #[serde(default)]
    treatments: Vec<Treatment>,
}

#[derive(Debug, Deserialize)]
struct Metric {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Treatment {
    name: String,
    allocation_percent: String,
    #[serde(default)]
    baseline: bool,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    flag_key: String,
    variation_id: String,
}

impl Treatment {
    fn share(&self) -> f64 {
        self.allocation_percent.trim().parse().unwrap_or(f64::NAN)
    }
}

impl Iteration {
    /// Its flag, its baseline and its other treatment.
    fn arms(&self) -> Result<(&str, &Treatment, &Treatment), String> {
        let flags: Vec<&String> = self.flags.keys().collect();
        let [flag] = flags.as_slice() else {
            return Err(format!("it uses {} flags, and one turns it off", flags.len()));
        };
        let dealt: Vec<&Treatment> = self.treatments.iter().filter(|treatment| treatment.share() != 0.0).collect();
        let (control, treatment) = match dealt.as_slice() {
            [control, treatment] if control.baseline && !treatment.baseline => (control, treatment),
            [treatment, control] if control.baseline && !treatment.baseline => (control, treatment),
            [_, _] => return Err("none of its two treatments is the baseline".to_owned()),
            other => return Err(format!("it has {} treatments", other.len())),
        };
        Ok((flag, control, treatment))
    }
}

/// What a treatment gives.
fn variation_of<'t>(key: &str, treatment: &'t Treatment) -> Option<&'t str> {
    treatment
        .parameters
        .iter()
        .find(|parameter| parameter.flag_key == key)
        .map(|parameter| parameter.variation_id.as_str())
}

/// Why everybody would not get the baseline while the flag is off.
fn off_problem(key: &str, flag: &Flag, targeting: &Targeting, control: &Treatment) -> Option<String> {
    let off = targeting.off_variation.and_then(|at| flag.variations.get(at)).and_then(|it| it.id.as_deref());
    match (off, variation_of(key, control)) {
        (Some(off), Some(baseline)) if off == baseline => None,
        (Some(_), Some(_)) => Some("its flag gives another variation than the baseline while it is off".to_owned()),
        _ => Some(
            "nothing says that everybody gets the baseline while its flag is off: give the flag an off variation"
                .to_owned(),
        ),
    }
}

impl LaunchDarkly {
    async fn found(&self, reference: &str) -> Result<Option<Experiment>, FlagError> {
        let path =
            ["api", "v2", "projects", &self.project, "environments", &self.environment, "experiments", reference];
        let mut url = self.api.address(&path);
        url.query_pairs_mut().append_pair("expand", "treatments");
        self.api.get(reference, url).await
    }
}

#[async_trait]
impl ElsewhereService for LaunchDarkly {
    async fn experiment(&self, reference: &str) -> Result<Option<Elsewhere>, FlagError> {
        if check_key(reference).is_err() {
            return Ok(None);
        }
        let Some(found) = self.found(reference).await? else { return Ok(None) };
        let otherwise = |problem: String| foreign(reference, self.api.clean(&problem));
        let iteration = found.current_iteration.ok_or_else(|| otherwise("it has not begun".to_owned()))?;
        let (key, control, treatment) = iteration.arms().map_err(otherwise)?;
        let treatment_pct = whole_share(treatment.share(), control.share()).ok_or_else(|| {
            otherwise(format!(
                "its treatments have {} % and {} %, of which the second has no whole percent from 1 to 99",
                control.allocation_percent, treatment.allocation_percent
            ))
        })?;
        let flag = self.flag(key).await?.ok_or_else(|| otherwise("its flag is gone".to_owned()))?;
        let targeting = self.targeting(key, &flag)?;
        let dealt = [control, treatment].map(|one| json!([variation_of(key, one), one.allocation_percent]));
        let idle = match iteration.status.as_str() {
            _ if found.archived_date.is_some() => Some("is archived".to_owned()),
            "running" => None,
            "stopped" => Some("was stopped".to_owned()),
            other => Some(format!("is `{other}`")),
        };
        Ok(Some(Elsewhere {
            reference: found.key,
            name: found.name,
            flag_key: key.to_owned(),
            control: control.name.clone(),
            treatment: treatment.name.clone(),
            treatment_pct,
            started_at: iteration.started_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            is_on: targeting.on,
            idle,
            deal: json!([key, iteration.id, iteration.started_at, dealt]).to_string(),
            off_problem: off_problem(key, &flag, &targeting, control),
            metrics: iteration.primary_metric.iter().map(|metric| metric.name.clone()).collect(),
            page: None,
        }))
    }

    async fn switch_on(&self, key: &str) -> Result<(), FlagError> {
        let flag = self.flag(key).await?.ok_or_else(|| foreign(key, "its flag is gone"))?;
        let change = Change { instructions: vec![json!({ "kind": "turnFlagOn" })], tags: Some(flag.tags) };
        match self.send(key, Order::SwitchOn, &change).await? {
            Sent::Done => Ok(()),
            Sent::Collided(error) => Err(error),
        }
    }

    // Off of a flag of ours is `false`; here it is the baseline, whatever its value.
    async fn switch_off(&self, key: &str, reference: &str) -> Result<(), FlagError> {
        let Some(flag) = self.flag(key).await? else { return Ok(()) };
        let mut instructions = vec![json!({ "kind": "turnFlagOff" })];
        // Without the experiment nobody knows the baseline, and the switch is all there is.
        let iteration = self.found(reference).await.ok().flatten().and_then(|found| found.current_iteration);
        if let (Some(iteration), Ok(targeting)) = (&iteration, self.targeting(key, &flag))
            && let Ok((_, control, _)) = iteration.arms()
            && off_problem(key, &flag, &targeting, control).is_some()
            && let Some(baseline) = variation_of(key, control)
        {
            instructions.push(json!({ "kind": "updateOffVariation", "variationId": baseline }));
        }
        let change = Change { instructions, tags: Some(flag.tags) };
        match self.send(key, Order::SwitchOff, &change).await? {
            Sent::Done => Ok(()),
            Sent::Collided(error) => Err(error),
        }
    }
}
