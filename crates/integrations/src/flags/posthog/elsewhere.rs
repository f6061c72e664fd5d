//! PostHog's own experiments. Their arms are read from the flag: what the experiment says of them can be out of date.

use async_trait::async_trait;
use jiff::Timestamp;
use outcome_core::ports::elsewhere::{Elsewhere, ElsewhereService};
use outcome_core::ports::{FlagError, FlagService as _};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::Flag;
use super::{Of, Posthog, Wrote};
use crate::flags::api::whole_share;

/// The arm that PostHog compares with.
const CONTROL: &str = "control";

/// An experiment. Of its flag only the key is taken.
#[derive(Debug, Deserialize)]
struct Experiment {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    start_date: Option<Timestamp>,
    #[serde(default)]
    end_date: Option<Timestamp>,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    feature_flag: Option<Key>,
    #[serde(default)]
    feature_flag_key: Option<String>,
    #[serde(default)]
    metrics: Option<Vec<Metric>>,
    #[serde(default)]
    metrics_secondary: Option<Vec<Metric>>,
}

#[derive(Debug, Deserialize)]
struct Key {
    key: String,
}

#[derive(Debug, Deserialize)]
struct Metric {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Variant {
    key: String,
    rollout_percentage: f64,
}

impl Experiment {
    fn idle(&self) -> Option<String> {
        match (self.archived, self.start_date, self.end_date) {
            (_, _, Some(ended)) => Some(format!("ended at {ended}")),
            (true, _, None) => Some("is archived".to_owned()),
            (false, None, None) => Some("has not begun".to_owned()),
            (false, Some(_), None) => None,
        }
    }

    fn metrics(&self) -> Vec<String> {
        let all = [&self.metrics, &self.metrics_secondary].into_iter().flatten().flatten();
        all.filter_map(|metric| metric.name.clone()).filter(|name| !name.is_empty()).collect()
    }
}

/// The treatment and its share, of a flag with two variants.
fn arms(flag: &Flag) -> Result<(String, u8), String> {
    let found = flag.filters.get("multivariate").and_then(|value| value.get("variants")).cloned().unwrap_or_default();
    let variants: Vec<Variant> = serde_json::from_value(found).map_err(|_| "its flag has no variants".to_owned())?;
    let [one, other] = variants.as_slice() else {
        return Err(format!("its flag has {} variants", variants.len()));
    };
    let (control, treatment) = if one.key == CONTROL { (one, other) } else { (other, one) };
    if control.key != CONTROL {
        return Err(format!("none of its variants is `{CONTROL}`, which is what PostHog compares with"));
    }
    let groups = flag.filters.get("groups").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if groups.iter().all(|group| group.get("rollout_percentage").and_then(Value::as_f64) == Some(0.0)) {
        return Err("the release conditions of its flag let nobody in".to_owned());
    }
    let forced =
        groups.iter().filter_map(|group| group.get("variant").and_then(Value::as_str)).find(|it| !it.is_empty());
    if let Some(variant) = forced {
        return Err(format!("a release condition of its flag gives the variant `{variant}` without dealing it"));
    }
    let share = whole_share(treatment.rollout_percentage, control.rollout_percentage);
    let share = share.ok_or_else(|| {
        format!(
            "its variants have {} % and {} %, of which the treatment has no whole percent from 1 to 99",
            control.rollout_percentage, treatment.rollout_percentage
        )
    })?;
    Ok((treatment.key.clone(), share))
}

/// What decides who gets which variant, and what that is.
fn deal(flag: &Flag) -> String {
    let of = |name: &str| flag.filters.get(name).cloned().unwrap_or_default();
    json!([flag.id, of("groups"), of("multivariate"), of("payloads"), of("aggregation_group_type_index")]).to_string()
}

#[async_trait]
impl ElsewhereService for Posthog {
    async fn experiment(&self, reference: &str) -> Result<Option<Elsewhere>, FlagError> {
        // Anything else would be another address.
        if reference.is_empty() || !reference.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let url = self.project(&["experiments", reference]);
        let answer = self.api.answer(Of::read(reference), |client| client.get(url.clone())).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let found: Experiment = self.api.json(Of::read(reference), &answer)?;
        let key = found.feature_flag.as_ref().map(|flag| flag.key.clone()).or_else(|| found.feature_flag_key.clone());
        let key = key.ok_or_else(|| self.api.unreadable("the experiment names no flag"))?;
        let flag = self.find(&key).await?.ok_or_else(|| self.foreign(&key, "the flag of the experiment is gone"))?;
        let (treatment, treatment_pct) = arms(&flag).map_err(|problem| self.foreign(&key, &problem))?;
        Ok(Some(Elsewhere {
            reference: found.id.to_string(),
            name: found.name.clone(),
            control: CONTROL.to_owned(),
            treatment,
            treatment_pct,
            started_at: found.start_date,
            is_on: flag.active,
            idle: found.idle(),
            deal: deal(&flag),
            off_problem: None,
            metrics: found.metrics(),
            page: Some(self.project_page(&["experiments", &found.id.to_string()])),
            flag_key: key,
        }))
    }

    async fn switch_on(&self, key: &str) -> Result<(), FlagError> {
        let flag = self.find(key).await?.ok_or_else(|| self.foreign(key, "the flag of the experiment is gone"))?;
        match self.turn(&flag, true).await? {
            Wrote::Done(now) if now.active => Ok(()),
            Wrote::Done(_) => Err(self.api.unreadable("it says that the flag is still off")),
            Wrote::Conflict(error) | Wrote::Missing(error) => Err(error),
        }
    }

    async fn switch_off(&self, key: &str, _reference: &str) -> Result<(), FlagError> {
        self.off(key).await.map(drop)
    }
}
