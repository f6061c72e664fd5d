//! What is written to a feature, with and without versions, and when it is not.

use outcome_core::ports::FlagError;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::super::api::{Of, foreign};
use super::wire::{Environment, Share, State};
use super::{Flagsmith, Found, Overrides};

impl Flagsmith {
    /// Makes a feature, off and at 0 % in every environment; the one that is there when somebody else was faster.
    pub(super) async fn create(&self, key: &str, description: &str) -> Result<Found, FlagError> {
        let url = self.address(&["projects", &self.project.to_string(), "features"], &[]);
        let body = json!({
            "name": key,
            "type": "MULTIVARIATE",
            "description": description,
            "default_enabled": false,
            "initial_value": "false",
            "multivariate_options": [{ "type": "bool", "boolean_value": true, "default_percentage_allocation": 0 }],
        });
        let of = Of::write(key);
        let answer = self.api.answer(of, |client| client.post(url.clone()).json(&body)).await?;
        let is_taken = answer.status == StatusCode::BAD_REQUEST && self.api.said(&answer).contains("already exists");
        if !is_taken {
            self.api.done(of, &answer)?;
        }
        self.find(key).await?.ok_or_else(|| {
            if is_taken {
                foreign(key, "a feature has this name with other capitals, and Flagsmith keeps one of both: rename it")
            } else {
                self.api.unreadable("the feature that was made is not listed")
            }
        })
    }

    /// Sets our share and turns the feature on.
    pub(super) async fn put(&self, key: &str, found: &Found, pct: u8) -> Result<(), FlagError> {
        self.no_review(key, &found.environment, &format!("turn it on at {pct} %"))?;
        let state = &found.states.default;
        if found.environment.use_v2_feature_versioning {
            return self.publish(key, found, vec![versioned(state, &Value::Null, true, Some(pct))]).await;
        }
        self.patch(key, state.id, &json!({ "enabled": true, "multivariate_feature_state_values": shares(state, pct) }))
            .await
    }

    /// Turns everything off that gives somebody the treatment: the environment first, then segments and identities.
    pub(super) async fn switch_off(&self, key: &str, found: &Found) -> Result<(), FlagError> {
        let states = &found.states;
        let segments: Vec<_> = states.segments.iter().filter(|state| state.enabled).collect();
        let identities: Vec<_> = states.identities.iter().filter(|state| state.enabled).collect();
        // Where people review, only what is on is worth asking them.
        let has_reviews = found.environment.approvals().is_some();
        let is_default_on = if has_reviews { states.default.enabled } else { states.default.serves() };
        if is_default_on || !segments.is_empty() || !identities.is_empty() {
            self.no_review(key, &found.environment, "turn it off, also for segments and identities")?;
        }
        let off = json!({ "enabled": false, "multivariate_feature_state_values": shares(&states.default, 0) });
        if found.environment.use_v2_feature_versioning {
            // What a version does not name stays as it was; segments are changed with their own calls below.
            if is_default_on {
                self.publish(key, found, vec![versioned(&states.default, &Value::Null, false, Some(0))]).await?;
            }
            if !segments.is_empty() {
                self.switch_segments_off(key, found, &segments).await?;
            }
        } else {
            if is_default_on {
                self.patch(key, states.default.id, &off).await?;
            }
            for state in segments {
                self.patch(key, state.id, &json!({ "enabled": false })).await?;
            }
        }
        for state in identities {
            self.patch(key, state.id, &json!({ "enabled": false })).await?;
        }
        match found.overrides {
            Overrides::Counted { n_on: 0, .. } => Ok(()),
            Overrides::Counted { n_on, .. } => Err(left(key, n_on as u64)),
            Overrides::Unknown(n) => Err(left(key, n)),
        }
    }

    async fn patch(&self, key: &str, state: u64, body: &Value) -> Result<(), FlagError> {
        let url = self.address(&["features", "featurestates", &state.to_string()], &[]);
        let of = Of::write(key);
        let answer = self.api.answer(of, |client| client.patch(url.clone()).json(body)).await?;
        self.api.done(of, &answer)
    }

    /// Publishes a version with these states changed.
    async fn publish(&self, key: &str, found: &Found, states: Vec<Value>) -> Result<(), FlagError> {
        let ids = (found.environment.id.to_string(), found.feature.id.to_string());
        let url = self.address(&["environments", &ids.0, "features", &ids.1, "versions"], &[]);
        let body = json!({
            "publish_immediately": true,
            "feature_states_to_create": [],
            "feature_states_to_update": states,
            "segment_ids_to_delete_overrides": [],
        });
        let of = Of::write(key);
        // Twice would be two versions, and older servers deal units anew with each.
        let answer = self.api.answer_once(of, |client| client.post(url.clone()).json(&body)).await?;
        self.api.done(of, &answer)
    }

    /// A version takes away the states of segments; their names are those of the segments and not of the states.
    async fn switch_segments_off(&self, key: &str, found: &Found, states: &[&State]) -> Result<(), FlagError> {
        let ids = (found.environment.id.to_string(), found.feature.id.to_string());
        let of = Of::read(key);
        let url = self.address(&["features", "feature-segments"], &[("environment", &ids.0), ("feature", &ids.1)]);
        let all: Vec<Map<String, Value>> = self.list(of, url).await?;
        let segment_of = |state: &State| {
            let id = state.feature_segment?;
            let listed = all.iter().find(|one| one.get("id").and_then(Value::as_u64) == Some(id))?;
            Some(json!({ "segment": listed.get("segment")?, "priority": listed.get("priority") }))
        };
        let changed = states.iter().map(|state| {
            let segment = segment_of(state);
            let segment = segment.ok_or_else(|| self.api.unreadable("a state of a segment that is not listed"))?;
            Ok(versioned(state, &segment, false, None))
        });
        self.publish(key, found, changed.collect::<Result<_, FlagError>>()?).await
    }

    /// Refuses where people review changes: the API itself would take them.
    fn no_review(&self, key: &str, environment: &Environment, what: &str) -> Result<(), FlagError> {
        let Some(n) = environment.approvals() else { return Ok(()) };
        let name = self.api.clean(&environment.name);
        Err(self.api.review(
            key,
            format!("`{name}` has change requests with {n} approvals; make one there to {what}, and publish it"),
        ))
    }
}

fn left(key: &str, n: u64) -> FlagError {
    foreign(
        key,
        format!(
            "the environment and its segments are off, but {n} identities have a state of their own: remove it in Flagsmith"
        ),
    )
}

/// The shares of a state with ours in it: each with its id, because one that is left out is deleted.
fn shares(state: &State, pct: u8) -> Vec<Value> {
    state.shares().iter().map(|share| of_share(share, Some(pct), true)).collect()
}

fn of_share(share: &Share, pct: Option<u8>, with_id: bool) -> Value {
    let mut out = share.others.clone();
    if let Some(id) = share.id.filter(|_| with_id) {
        out.insert("id".to_owned(), json!(id));
    }
    let pct = pct.map_or(share.percentage_allocation, f64::from);
    out.insert("multivariate_feature_option".to_owned(), json!(share.multivariate_feature_option));
    out.insert("percentage_allocation".to_owned(), json!(pct));
    Value::Object(out)
}

/// A state as a new version says it: whole, and without ids, which are new in each version.
fn versioned(state: &State, segment: &Value, enabled: bool, pct: Option<u8>) -> Value {
    let shares: Vec<_> = state.shares().iter().map(|share| of_share(share, pct, false)).collect();
    json!({
        "feature_segment": segment,
        "enabled": enabled,
        "feature_state_value": state.value(),
        "multivariate_feature_state_values": shares,
    })
}
