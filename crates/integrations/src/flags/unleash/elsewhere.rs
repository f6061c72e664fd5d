//! Experiments that run on a flag of Unleash, by its name: one gradual rollout, either with two variants of which one is called
//! `control`, or without variants, where off is the control. Unleash does not say when such a split began.

use async_trait::async_trait;
use outcome_core::ports::elsewhere::{Elsewhere, ElsewhereService};
use outcome_core::ports::flags::check_key;
use outcome_core::ports::{FlagError, FlagService as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::api::{Of, foreign, whole_share};
use super::wire::{Complaint, Environment, cut};
use super::{Place, Unleash};

/// The variant that is compared with.
const CONTROL: &str = "control";

#[derive(Debug, Deserialize)]
struct Variant {
    name: String,
    /// In thousandths.
    weight: f64,
}

/// The control, the treatment, and its share.
type Arms = (String, String, u8);

/// The strategies that decide.
fn live(environment: &Environment) -> impl Iterator<Item = &Map<String, Value>> {
    environment.strategies().iter().filter(|one| one.get("disabled") != Some(&json!(true)))
}

fn arms(environment: &Environment) -> Result<Arms, String> {
    let live: Vec<_> = live(environment).collect();
    let [strategy] = live.as_slice() else {
        return Err(format!("it has {} strategies that are on, and one of them must deal the arms", live.len()));
    };
    if strategy.get("name").and_then(Value::as_str) != Some("flexibleRollout") {
        return Err("its strategy is not a gradual rollout".to_owned());
    }
    let variants: Vec<Variant> = match strategy.get("variants") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => serde_json::from_value(list.clone()).map_err(|_| "its variants cannot be read".to_owned())?,
    };
    match variants.as_slice() {
        [] => without_variants(strategy),
        [one, other] => {
            let (control, treatment) = if one.name == CONTROL { (one, other) } else { (other, one) };
            if control.name != CONTROL {
                return Err(format!("none of its variants is called `{CONTROL}`"));
            }
            let share = whole_share(treatment.weight, control.weight).ok_or_else(|| {
                format!(
                    "its variants have the weights {} and {}, of which the treatment has no whole percent from 1 to 99",
                    control.weight, treatment.weight
                )
            })?;
            Ok((control.name.clone(), cut(&treatment.name), share))
        }
        several => Err(format!("it has {} variants", several.len())),
    }
}

/// Who is in the rollout has the treatment, and who is not the control.
fn without_variants(strategy: &Map<String, Value>) -> Result<Arms, String> {
    for key in ["constraints", "segments"] {
        if strategy.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            return Err(format!(
                "its strategy has {key}: who does not meet them was never dealt an arm, and would be counted as control"
            ));
        }
    }
    let rollout =
        strategy.get("parameters").and_then(|all| all.get("rollout")).and_then(Value::as_str).unwrap_or_default();
    let pct = rollout.parse::<u8>().ok().filter(|pct| (1..=99).contains(pct));
    let pct = pct.ok_or_else(|| format!("its rollout is `{}`, and not a whole percent from 1 to 99", cut(rollout)))?;
    Ok(("off".to_owned(), "on".to_owned(), pct))
}

/// What decides who gets which variant, and what that is.
fn deal(environment: &Environment) -> String {
    let parts = ["id", "name", "parameters", "constraints", "segments", "variants"];
    let dealt: Vec<_> =
        live(environment).map(|one| parts.map(|part| one.get(part).cloned().unwrap_or_default())).collect();
    json!(dealt).to_string()
}

#[async_trait]
impl ElsewhereService for Unleash {
    async fn experiment(&self, reference: &str) -> Result<Option<Elsewhere>, FlagError> {
        if check_key(reference).is_err() {
            return Ok(None);
        }
        let feature = match self.find(reference).await? {
            Place::Nowhere => return Ok(None),
            Place::Elsewhere(project) => return Err(self.in_another_project(reference, &project)),
            Place::Here(feature) => feature,
        };
        let environment = feature.environment(&self.environment).map_err(|problem| self.api.unreadable(problem))?;
        let moved = feature.moved_by(environment).map_or_else(|| arms(environment), Err);
        let (control, treatment, treatment_pct) =
            moved.map_err(|problem| foreign(reference, self.api.clean(&problem)))?;
        Ok(Some(Elsewhere {
            reference: reference.to_owned(),
            name: reference.to_owned(),
            flag_key: reference.to_owned(),
            control,
            treatment,
            treatment_pct,
            started_at: None,
            is_on: environment.enabled,
            idle: None,
            deal: deal(environment),
            off_problem: None,
            metrics: Vec::new(),
            page: None,
        }))
    }

    async fn switch_on(&self, key: &str) -> Result<(), FlagError> {
        let of = Of::write(key);
        let url = self.in_environment(key, &["on"]);
        let answer = self.send(of, |client| client.post(url.clone())).await?;
        if Complaint::of(&answer).wants_change_request() {
            let change = json!({ "feature": key, "action": "updateEnabled", "payload": { "enabled": true } });
            return Err(self.request(key, "on again", &[change]).await?);
        }
        if answer.status.is_success() { Ok(()) } else { Err(self.refused(of, &answer)) }
    }

    async fn switch_off(&self, key: &str, _reference: &str) -> Result<(), FlagError> {
        self.off(key).await.map(drop)
    }
}
