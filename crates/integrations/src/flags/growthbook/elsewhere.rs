//! GrowthBook's own experiments, by their id or tracking key. The first variation is the control, and what the application shows
//! while its feature is off must be that one.

use async_trait::async_trait;
use jiff::Timestamp;
use outcome_core::ports::elsewhere::{Elsewhere, ElsewhereService};
use outcome_core::ports::flags::check_key;
use outcome_core::ports::{FlagError, FlagService as _};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::{Of, whole_share};
use super::client::Growthbook;
use super::draft::Landed;
use super::judge::{Wish, is_off};
use super::wire::Feature;

#[derive(Debug, Deserialize)]
struct OfExperiment {
    experiment: Experiment,
}

#[derive(Debug, Deserialize)]
struct Experiments {
    experiments: Vec<Experiment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Experiment {
    id: String,
    tracking_key: String,
    name: String,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    archived: bool,
    status: String,
    variations: Vec<Variation>,
    phases: Vec<Phase>,
    #[serde(default)]
    linked_features: Vec<String>,
    #[serde(default)]
    has_visual_changesets: Option<bool>,
    #[serde(default, rename = "hasURLRedirects")]
    has_url_redirects: Option<bool>,
    settings: Settings,
}

#[derive(Debug, Deserialize)]
struct Variation {
    #[serde(rename = "variationId")]
    id: String,
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Phase {
    date_started: Timestamp,
    traffic_split: Vec<Split>,
    #[serde(default)]
    seed: String,
    #[serde(default)]
    coverage: Option<f64>,
    #[serde(default)]
    targeting_condition: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Split {
    variation_id: String,
    weight: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(default)]
    goals: Vec<Metric>,
    #[serde(default)]
    guardrails: Vec<Metric>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    metric_id: String,
}

/// The arms of an experiment.
struct Arms {
    control: String,
    treatment: String,
    treatment_pct: u8,
    started_at: Timestamp,
}

impl Experiment {
    /// Its flag, and its arms as they are dealt now.
    fn arms(&self) -> Result<(String, Arms), String> {
        if let Some(kind) = self.kind.as_deref().filter(|kind| *kind != "standard") {
            return Err(format!("it is a `{kind}`, which changes its shares by itself"));
        }
        if self.has_visual_changesets == Some(true) || self.has_url_redirects == Some(true) {
            return Err("it changes pages by itself, and its feature does not turn that off".to_owned());
        }
        let [flag] = self.linked_features.as_slice() else {
            return Err(format!("it is linked to {} features, and one turns it off", self.linked_features.len()));
        };
        let [control, treatment] = self.variations.as_slice() else {
            return Err(format!("it has {} variations", self.variations.len()));
        };
        let phase = self.phases.last().ok_or("it has no phase, so it has not begun")?;
        let weight = |of: &Variation| {
            phase.traffic_split.iter().find(|split| split.variation_id == of.id).map_or(0.0, |split| split.weight)
        };
        let treatment_pct = whole_share(weight(treatment), weight(control)).ok_or_else(|| {
            format!(
                "its variations have the weights {} and {}, of which the treatment has no whole percent from 1 to 99",
                weight(control),
                weight(treatment)
            )
        })?;
        // By what the application logs, and not by a name that anybody may change.
        let (control, treatment) = (control.key.clone(), treatment.key.clone());
        Ok((flag.clone(), Arms { control, treatment, treatment_pct, started_at: phase.date_started }))
    }

    fn idle(&self) -> Option<String> {
        match self.status.as_str() {
            _ if self.archived => Some("is archived".to_owned()),
            "running" => None,
            "stopped" => Some("was stopped".to_owned()),
            other => Some(format!("is `{other}`")),
        }
    }
}

/// What decides who gets which variation, and what that is: the phase, and the rule that shows the experiment.
fn deal(id: &str, variations: &[Variation], phases: &[Phase], feature: &Feature) -> String {
    let phase = phases.last().map(|phase| {
        let weights: Vec<_> =
            phase.traffic_split.iter().map(|split| json!([split.variation_id, split.weight])).collect();
        json!([phase.date_started, phase.seed, phase.coverage, phase.targeting_condition, weights])
    });
    let ids: Vec<&str> = variations.iter().map(|variation| variation.id.as_str()).collect();
    let shown = feature.rules.iter().filter(|rule| rule.get("experimentId").and_then(Value::as_str) == Some(id));
    let shown: Vec<_> = shown.map(|rule| json!([rule.get("variations"), rule.get("condition")])).collect();
    json!([id, ids, phase, shown]).to_string()
}

impl Growthbook {
    async fn by_id(&self, id: &str) -> Result<Option<Experiment>, FlagError> {
        let url = self.api.address(&["api", "v1", "experiments", id]);
        let answer = self.api.answer(Of::read(id), |client| client.get(url.clone())).await?;
        let is_missing = match answer.status {
            StatusCode::NOT_FOUND => true,
            // What the server says instead of a 404.
            StatusCode::BAD_REQUEST => self.api.said(&answer).starts_with("Could not find"),
            _ => false,
        };
        if is_missing {
            return Ok(None);
        }
        self.api.json::<OfExperiment>(Of::read(id), &answer).map(|found| Some(found.experiment))
    }

    async fn by_tracking_key(&self, key: &str) -> Result<Option<Experiment>, FlagError> {
        let mut url = self.api.address(&["api", "v1", "experiments"]);
        url.query_pairs_mut().extend_pairs([("trackingKey", key), ("limit", "10")]);
        let answer = self.api.answer(Of::read(key), |client| client.get(url.clone())).await?;
        let Experiments { experiments } = self.api.json(Of::read(key), &answer)?;
        Ok(experiments.into_iter().find(|experiment| experiment.tracking_key == key))
    }
}

#[async_trait]
impl ElsewhereService for Growthbook {
    async fn experiment(&self, reference: &str) -> Result<Option<Elsewhere>, FlagError> {
        if check_key(reference).is_err() {
            return Ok(None);
        }
        let found = match self.by_id(reference).await? {
            Some(found) => Some(found),
            None => self.by_tracking_key(reference).await?,
        };
        let Some(found) = found else { return Ok(None) };
        let (key, arms) = found.arms().map_err(|problem| self.foreign(reference, &problem))?;
        let feature =
            self.find(&key).await?.ok_or_else(|| self.foreign(&key, "the feature of the experiment is gone"))?;
        let is_off = is_off(&feature, &self.at).map_err(|problem| self.foreign(&key, &problem))?;
        let idle = found.idle();
        let metrics = found.settings.goals.iter().chain(&found.settings.guardrails);
        Ok(Some(Elsewhere {
            metrics: metrics.map(|metric| metric.metric_id.clone()).collect(),
            deal: deal(&found.id, &found.variations, &found.phases, &feature),
            off_problem: None,
            reference: found.id,
            name: found.name,
            flag_key: key,
            control: arms.control,
            treatment: arms.treatment,
            treatment_pct: arms.treatment_pct,
            started_at: Some(arms.started_at),
            is_on: !is_off,
            idle,
            page: None,
        }))
    }

    async fn switch_on(&self, key: &str) -> Result<(), FlagError> {
        let feature =
            self.find(key).await?.ok_or_else(|| self.foreign(key, "the feature of the experiment is gone"))?;
        match self.land(key, &feature, Wish::On).await? {
            Landed::Done => Ok(()),
            Landed::Conflict(error) => Err(error),
        }
    }

    async fn switch_off(&self, key: &str, _reference: &str) -> Result<(), FlagError> {
        self.off(key).await.map(drop)
    }
}
