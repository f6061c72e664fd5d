//! Statsig: feature gates of a project. <https://docs.statsig.com/console-api>, version 20240601, read in 2026-11.
//!
//! The share is the pass percentage of one public rule; off is the gate's status `Disabled`, which is false for everybody whatever its
//! rules, holdouts and overrides say. Reviews are asked for where they are required ([`reviews`]).
//!
//! Attempts that Statsig refuses count against its limits. A 429 is repeated only if it says when, and turning off takes one write.

mod change;
mod reviews;
mod settings;
mod setup;
mod told;
mod wire;

use async_trait::async_trait;
use outcome_core::ports::flags::{check_key, check_pct};
use outcome_core::ports::{FlagError, FlagService, FlagState, Right};
use reqwest::{Client, Method, StatusCode};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, Of, Product, foreign};
use change::Change;
use setup::{Otherwise, Scope, Step, our_rule};
use wire::{Answer, Gate, Overrides, Review, Written};

pub(crate) use settings::VENDOR;

static PRODUCT: Product = Product { name: "Statsig", page: "docs/flags/statsig.md" };

/// Writes on the way to a share: the rule, its share and the switch; one more if somebody else was faster.
const STEPS: usize = 4;
/// Characters of a description.
const MAX_DESCRIPTION: usize = 1000;

/// An open project.
struct Statsig {
    api: Api,
    id_type: String,
    environment: Option<String>,
}

/// One write.
struct Write {
    method: Method,
    url: Url,
    body: Option<Value>,
    /// The same, for a reviewer.
    change: Change,
}

impl Statsig {
    fn otherwise(&self, key: &str, problem: Otherwise) -> FlagError {
        match problem {
            Otherwise::Foreign(problem) => foreign(key, self.api.clean(&problem)),
            Otherwise::Unreadable(problem) => self.api.unreadable(self.api.clean(&problem)),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope { id_type: &self.id_type, environment: self.environment.as_deref() }
    }

    fn address(&self, key: &str, rest: &[&str]) -> Url {
        self.api.address(&[["console", "v1", "gates", key].as_slice(), rest].concat())
    }

    async fn gate(&self, key: &str) -> Result<Option<Gate>, FlagError> {
        let found: Option<Answer<Gate>> = self.api.get(key, self.address(key, &[])).await?;
        Ok(found.map(|answer| answer.data))
    }

    /// That gates can be seen at all: an address that is not Statsig's also answers that there is no gate.
    async fn see_gates(&self, key: &str) -> Result<(), FlagError> {
        let mut url = self.api.address(&["console", "v1", "gates"]);
        url.query_pairs_mut().append_pair("limit", "1");
        let found: Option<Answer<Vec<IgnoredAny>>> = self.api.get(key, url).await?;
        found
            .map(|_| ())
            .ok_or_else(|| self.api.unreadable("it has no list of gates: check that `url` is the Console API's"))
    }

    async fn overrides(&self, key: &str) -> Result<Overrides, FlagError> {
        let found: Option<Answer<Overrides>> = self.api.get(key, self.address(key, &["overrides"])).await?;
        Ok(found.map(|answer| answer.data).unwrap_or_default())
    }

    async fn state(&self, key: &str, gate: &Gate) -> Result<FlagState, FlagError> {
        // Overrides of a disabled gate do nothing.
        let overrides = if gate.is_off() { Overrides::default() } else { self.overrides(key).await? };
        gate.state(key, self.scope(), &overrides).map_err(|problem| self.otherwise(key, problem))
    }

    /// Sends a write, or asks for its review.
    async fn send(&self, key: &str, gate: &Gate, write: &Write) -> Result<(), FlagError> {
        let is_asked_for = gate.active_review.as_ref().is_some_and(Review::is_ours);
        if is_asked_for || gate.review_settings.as_ref().is_some_and(|settings| settings.required_review) {
            return self.reviewed(key, gate, &write.change).await;
        }
        let of = Of::write(key);
        let request = |client: &Client| {
            let request = client.request(write.method.clone(), write.url.clone());
            write.body.iter().fold(request, |request, body| request.json(body))
        };
        // Of what is added, two tries could leave two.
        let answer = match write.method {
            Method::POST => self.api.answer_once(of, request).await?,
            _ => self.api.answer(of, request).await?,
        };
        if answer.status.is_client_error() && self.api.said(&answer).to_ascii_lowercase().contains("review") {
            return self.reviewed(key, gate, &write.change).await;
        }
        let after: Answer<Written> = self.api.json(of, &answer)?;
        let before = gate.active_review.as_ref().map(|review| review.id.as_str());
        match after.data.active_review.filter(|review| Some(review.id.as_str()) != before) {
            Some(review) => Err(self.api.review(key, self.api.clean(&review.waits()))),
            None => Ok(()),
        }
    }

    fn write_of(&self, key: &str, gate: &Gate, pct: u8, step: Step) -> Write {
        match step {
            Step::Share(rule) => Write {
                method: Method::PATCH,
                url: self.address(key, &["rules", &rule]),
                body: Some(json!({ "passPercentage": pct })),
                change: Change::new(
                    &format!("let {pct} % of `{key}` pass"),
                    json!({ "rules": gate.rules_with(&rule, pct) }),
                ),
            },
            Step::Add => {
                let rule = our_rule(self.scope(), pct);
                let mut rules = gate.rules.clone().unwrap_or_default();
                rules.push(rule.clone());
                Write {
                    method: Method::POST,
                    url: self.address(key, &["rule"]),
                    body: Some(rule),
                    change: Change::new(&format!("add a rule of {pct} % to `{key}`"), json!({ "rules": rules })),
                }
            }
            Step::Enable => Write {
                method: Method::PUT,
                url: self.address(key, &["enable"]),
                body: None,
                change: Change::new(&format!("enable `{key}`"), json!({ "is_enabled": true })),
            },
        }
    }

    async fn disable(&self, key: &str, gate: &Gate) -> Result<(), FlagError> {
        let write = Write {
            method: Method::PUT,
            url: self.address(key, &["disable"]),
            body: None,
            change: Change::new(&format!("turn `{key}` off"), json!({ "is_enabled": false })),
        };
        self.send(key, gate, &write).await
    }

    async fn create(&self, key: &str, description: &str) -> Result<(), FlagError> {
        let url = self.api.address(&["console", "v1", "gates"]);
        let body = json!({
            "id": key,
            "name": key,
            "description": description.chars().take(MAX_DESCRIPTION).collect::<String>(),
            "idType": self.id_type,
            "isEnabled": false,
            "type": "TEMPORARY",
            "rules": [our_rule(self.scope(), 0)],
        });
        let of = Of::write(key);
        let answer = self.api.answer(of, |client| client.post(url.clone()).json(&body)).await?;
        // Somebody else made it, or an answer of ours was lost.
        let is_there =
            matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT) && self.gate(key).await?.is_some();
        if is_there { Ok(()) } else { self.api.done(of, &answer) }
    }
}

#[async_trait]
impl FlagService for Statsig {
    fn name(&self) -> &str {
        PRODUCT.name
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        check(key)?;
        if let Some(state) = self.read(key).await? {
            return Ok(state);
        }
        self.create(key, description).await?;
        let found = self.read(key).await?;
        found.ok_or_else(|| self.api.unreadable("it has taken the gate, and does not have it"))
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        check(key)?;
        check_pct(treatment_pct)?;
        for _ in 0..STEPS {
            let Some(gate) = self.gate(key).await? else {
                self.see_gates(key).await?;
                return Err(foreign(key, "there is no such gate in Statsig"));
            };
            let overrides = self.overrides(key).await?;
            let objection = gate.objection(self.scope(), &overrides).map_err(|problem| self.otherwise(key, problem))?;
            if let Some(problem) = objection {
                return Err(foreign(key, self.api.clean(&problem)));
            }
            let step = gate.next_step(self.scope(), treatment_pct).map_err(|problem| self.otherwise(key, problem))?;
            let Some(step) = step else { return Ok(FlagState::on(key, treatment_pct)) };
            if let Some(review) = gate.active_review.as_ref().filter(|review| !review.is_ours()) {
                return Err(self.api.review(key, self.api.clean(&review.comes_first())));
            }
            let is_last = gate.is_enabled || step == Step::Enable;
            self.send(key, &gate, &self.write_of(key, &gate, treatment_pct, step)).await?;
            if is_last {
                return Ok(FlagState::on(key, treatment_pct));
            }
            // Looked at again before it is switched on: what somebody else added meanwhile must not be.
        }
        Err(self.api.unreadable("the gate does not keep the share that was written to it"))
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        check_key(key)?;
        match self.gate(key).await {
            Ok(Some(gate)) if gate.is_off() => {}
            Ok(Some(gate)) => self.disable(key, &gate).await?,
            Ok(None) => self.see_gates(key).await?,
            // What cannot be understood can be disabled all the same.
            Err(FlagError::Unreadable { .. }) => self.disable(key, &Gate::unknown()).await?,
            Err(error) => return Err(error),
        }
        Ok(FlagState::off(key))
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        check_key(key)?;
        match self.gate(key).await? {
            Some(gate) => self.state(key, &gate).await.map(Some),
            None => self.see_gates(key).await.map(|()| None),
        }
    }

    async fn last_change(&self, key: &str) -> Result<Option<String>, FlagError> {
        check_key(key)?;
        self.last_entry(key).await
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        self.found_rights().await
    }
}

/// Statsig's names are longer than two characters and at most a hundred.
fn check(key: &str) -> Result<(), FlagError> {
    check_key(key)?;
    if (3..=100).contains(&key.len()) {
        return Ok(());
    }
    Err(FlagError::Invalid { problem: format!("`{key}` is not a key for Statsig: it takes 3 to 100 characters") })
}
