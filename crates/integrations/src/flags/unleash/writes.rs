//! What is written to a flag, and when it is not.

use outcome_core::ports::FlagError;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::super::api::{Of, foreign};
use super::wire::{Complaint, Feature, Ours};
use super::{Place, Unleash};
use crate::http::Answer;

impl Unleash {
    /// Makes a flag, off, with our strategy at 0 %; the one that is there when somebody else was faster.
    pub(super) async fn create(&self, key: &str, description: &str) -> Result<Option<Box<Feature>>, FlagError> {
        let url = self.in_project(&self.project, &["features"]);
        let body = json!({ "name": key, "type": "experiment", "description": description, "impressionData": false });
        let of = Of::write(key);
        let answer = self.send(of, |client| client.post(url.clone()).json(&body)).await?;
        if answer.status == StatusCode::CONFLICT {
            return match self.find(key).await? {
                Place::Here(feature) => Ok(Some(feature)),
                Place::Elsewhere(project) => Err(self.in_another_project(key, &project)),
                Place::Nowhere if Complaint::of(&answer).name.as_deref() == Some("NameExistsError") => {
                    Err(foreign(key, "an archived flag has this name: revive it, or delete it for good"))
                }
                Place::Nowhere => Err(self.refused(of, &answer)),
            };
        }
        if !answer.status.is_success() {
            return Err(self.refused(of, &answer));
        }
        // Whoever switches it on by hand now gives it to nobody. Where reviews come first, the request brings the strategy.
        let answer = self.add_strategy(key, 0).await?;
        if answer.status.is_success() || Complaint::of(&answer).wants_change_request() {
            return Ok(None);
        }
        Err(self.refused(of, &answer))
    }

    /// Sets our share and switches the environment on; false when somebody else changed something meanwhile.
    pub(super) async fn put(&self, key: &str, feature: &Feature, pct: u8) -> Result<bool, FlagError> {
        let environment = feature.environment(&self.environment).map_err(|problem| self.api.unreadable(problem))?;
        let ours = feature.ours(environment, key, &self.stickiness).map_err(|problem| foreign(key, problem))?;
        let of = Of::write(key);
        let answer = match &ours {
            None => Some(self.add_strategy(key, pct).await?),
            Some(ours) if ours.pct != pct => Some(self.patch_strategy(key, ours, pct).await?),
            Some(_) => None,
        };
        let answers = match answer {
            Some(answer) if !answer.status.is_success() => answer,
            // Only now, because switching on a flag without a strategy makes one for everybody.
            _ if !environment.enabled => {
                let url = self.in_environment(key, &["on"]);
                self.send(of, |client| client.post(url.clone())).await?
            }
            _ => return Ok(true),
        };
        if answers.status.is_success() {
            return Ok(true);
        }
        let complaint = Complaint::of(&answers);
        if complaint.wants_change_request() {
            let changes = self.changes(key, ours.as_ref(), pct, environment.enabled);
            return Err(self.request(key, &format!("on at {pct} %"), &changes).await?);
        }
        if complaint.is_failed_test() || matches!(answers.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
            return Ok(false);
        }
        Err(self.refused(of, &answers))
    }

    /// Switches the environment off; false when the flag went away meanwhile.
    pub(super) async fn switch_off(&self, project: &str, key: &str) -> Result<bool, FlagError> {
        let url = self.in_project(project, &["features", key, "environments", &self.environment, "off"]);
        let of = Of::write(key);
        let answer = self.send(of, |client| client.post(url.clone())).await?;
        let complaint = Complaint::of(&answer);
        if complaint.wants_change_request() && project == self.project {
            let change = json!({ "feature": key, "action": "updateEnabled", "payload": { "enabled": false } });
            return Err(self.request(key, "off", &[change]).await?);
        }
        if answer.status == StatusCode::NOT_FOUND || complaint.name.as_deref() == Some("ArchivedFeatureError") {
            return Ok(false);
        }
        if answer.status.is_success() { Ok(true) } else { Err(self.refused(of, &answer)) }
    }

    async fn add_strategy(&self, key: &str, pct: u8) -> Result<Answer, FlagError> {
        let url = self.in_environment(key, &["strategies"]);
        let body = self.strategy(key, pct);
        // Twice would be two strategies.
        self.api.answer_once(Of::write(key), |client| client.post(url.clone()).json(&body)).await
    }

    /// Changes the share alone, if the strategy still is what it was.
    async fn patch_strategy(&self, key: &str, ours: &Ours<'_>, pct: u8) -> Result<Answer, FlagError> {
        let url = self.in_environment(key, &["strategies", ours.id]);
        let tested = ["name", "parameters", "constraints", "segments", "variants", "disabled"];
        let test = |name: &&str| {
            let value = ours.whole.get(*name)?;
            Some(json!({ "op": "test", "path": format!("/{name}"), "value": value }))
        };
        let mut patch: Vec<Value> = tested.iter().filter_map(test).collect();
        patch.push(json!({ "op": "replace", "path": "/parameters/rollout", "value": pct.to_string() }));
        let is_final = |answer: &Answer| Complaint::of(answer).is_failed_test();
        self.api.answer_unless(Of::write(key), is_final, |client| client.patch(url.clone()).json(&patch)).await
    }

    fn strategy(&self, key: &str, pct: u8) -> Value {
        json!({
            "name": "flexibleRollout",
            "disabled": false,
            "constraints": [],
            "segments": [],
            "variants": [],
            "parameters": { "rollout": pct.to_string(), "stickiness": self.stickiness, "groupId": key },
        })
    }

    /// The same as a change request says it.
    fn changes(&self, key: &str, ours: Option<&Ours<'_>>, pct: u8, is_on: bool) -> Vec<Value> {
        let change = |action: &str, payload: Value| json!({ "feature": key, "action": action, "payload": payload });
        let strategy = match ours {
            None => Some(change("addStrategy", self.strategy(key, pct))),
            Some(ours) if ours.pct != pct => {
                let mut whole: Map<String, Value> = ours.whole.clone();
                if let Some(Value::Object(parameters)) = whole.get_mut("parameters") {
                    parameters.insert("rollout".to_owned(), json!(pct.to_string()));
                }
                Some(change("updateStrategy", Value::Object(whole)))
            }
            Some(_) => None,
        };
        let enabled = (!is_on).then(|| change("updateEnabled", json!({ "enabled": true })));
        strategy.into_iter().chain(enabled).collect()
    }
}
