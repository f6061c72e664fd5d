//! LaunchDarkly: boolean flags of one project, in one environment. <https://launchdarkly.com/docs/api>, version 20240415, read in
//! 2026-11.
//!
//! The share is the default rule's, the switch is the flag's own: off is off however it is targeted. What needs an approval in
//! LaunchDarkly is asked for there ([`approvals`]) and never done past it, whatever the token could do.

mod approvals;
mod elsewhere;
mod rights;
mod settings;
mod setup;
mod wire;

use async_trait::async_trait;
use outcome_core::ports::elsewhere::ElsewhereService;
use outcome_core::ports::flags::{check_key, check_pct};
use outcome_core::ports::{FlagError, FlagService, FlagState, Right};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, MAX_PAGES, Of, Product, foreign};
use setup::{Otherwise, Sides, rollout_instructions};
use wire::{Environment, Flag, Page, Targeting};

pub(crate) use settings::VENDOR;

static PRODUCT: Product = Product { name: "LaunchDarkly", page: "docs/flags/launchdarkly.md" };

/// A change that collided with another one is decided again so many times.
const TRIES: usize = 3;
const SEMANTIC_PATCH: &str = "application/json; domain-model=launchdarkly.semanticpatch";
/// The tag of every flag that the runtime makes.
const TAG: &str = "outcome-runtime";
/// Environments of a page; LaunchDarkly's own default.
const PAGE_SIZE: &str = "20";

/// An open project and environment.
struct LaunchDarkly {
    api: Api,
    project: String,
    environment: String,
    context_kind: String,
}

/// Where a flag should be.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Off,
    On(u8),
}

/// What is asked of LaunchDarkly.
#[derive(Debug, Clone, Copy)]
enum Order {
    Put(Wanted),
    /// The switch alone: on, as the flag is set up.
    SwitchOn,
    /// Off, for everybody the baseline.
    SwitchOff,
}

impl Order {
    fn is_off(self) -> bool {
        matches!(self, Self::Put(Wanted::Off) | Self::SwitchOff)
    }
}

/// What is to be done with a flag as it was read.
struct Change {
    instructions: Vec<Value>,
    /// `None`: the flag was not to be understood.
    tags: Option<Vec<String>>,
}

/// What came of a change.
enum Sent {
    Done,
    /// Somebody else was changing the flag.
    Collided(FlagError),
}

impl Wanted {
    fn state(self, key: &str) -> FlagState {
        match self {
            Self::Off => FlagState::off(key),
            Self::On(pct) => FlagState::on(key, pct),
        }
    }
}

impl LaunchDarkly {
    fn otherwise(&self, key: &str, problem: Otherwise) -> FlagError {
        match problem {
            Otherwise::Foreign(problem) => foreign(key, self.api.clean(&problem)),
            Otherwise::Unreadable(problem) => self.api.unreadable(self.api.clean(&problem)),
        }
    }

    fn flag_address(&self, key: &str) -> Url {
        self.api.address(&["api", "v2", "flags", &self.project, key])
    }

    /// The flag; `None` where LaunchDarkly says that there is none: a project or an environment that is not there looks the same, so
    /// [`Self::environment`] has to be seen before that says anything.
    async fn flag(&self, key: &str) -> Result<Option<Flag>, FlagError> {
        let mut url = self.flag_address(key);
        url.query_pairs_mut().append_pair("env", &self.environment);
        self.api.get(key, url).await
    }

    /// Our environment, from the list of the project's.
    async fn environment(&self, key: &str) -> Result<Environment, FlagError> {
        let mut url = self.api.address(&["api", "v2", "projects", &self.project, "environments"]);
        url.query_pairs_mut().append_pair("limit", PAGE_SIZE);
        let mut seen = 0;
        for _ in 0..MAX_PAGES {
            let page = self.page::<Environment>(key, url).await?;
            let Page { items, total_count, links } = page.ok_or_else(|| {
                self.api.unreadable(format!("there is no project `{}`, or the token cannot see it", self.project))
            })?;
            seen += items.len();
            if let Some(found) = items.into_iter().find(|environment| environment.key == self.environment) {
                return Ok(found);
            }
            match links.next {
                Some(next) => url = self.api.linked(&next.href)?,
                None if total_count.is_some_and(|total| total > seen) => {
                    return Err(self.api.unreadable("its list of environments ends too early"));
                }
                None => {
                    let problem = format!(
                        "the project `{}` has no environment `{}`, or the token cannot see it",
                        self.project, self.environment
                    );
                    return Err(self.api.unreadable(problem));
                }
            }
        }
        Err(self.api.unreadable("its list of environments does not end"))
    }

    async fn page<T: DeserializeOwned>(&self, key: &str, url: Url) -> Result<Option<Page<T>>, FlagError> {
        self.api.get(key, url).await
    }

    fn targeting(&self, key: &str, flag: &Flag) -> Result<Targeting, FlagError> {
        flag.targeting(&self.environment).map_err(|problem| self.otherwise(key, problem))
    }

    fn state(&self, key: &str, flag: &Flag) -> Result<FlagState, FlagError> {
        let targeting = self.targeting(key, flag)?;
        flag.state(key, &targeting, &self.context_kind).map_err(|problem| self.otherwise(key, problem))
    }

    /// What puts the flag there; `None` when it is there.
    fn decide(&self, key: &str, flag: &Flag, wanted: Wanted) -> Result<Option<Change>, FlagError> {
        let targeting = self.targeting(key, flag)?;
        let tags = Some(flag.tags.clone());
        let pct = match wanted {
            Wanted::Off => {
                let instructions = flag.off_instructions(&targeting);
                return Ok((!instructions.is_empty()).then_some(Change { instructions, tags }));
            }
            Wanted::On(pct) => pct,
        };
        let kind = self.context_kind.as_str();
        let objection = flag.objection(&targeting, kind).map_err(|problem| self.otherwise(key, problem))?;
        if let Some(problem) = objection {
            return Err(foreign(key, self.api.clean(&problem)));
        }
        // A boolean flag without ids could not be changed; the objection covers it.
        let sides: Sides<'_> = flag.sides().ok_or_else(|| self.api.unreadable("its variations have no ids"))?;
        let is_there = flag.state(key, &targeting, kind).is_ok_and(|state| state == wanted.state(key));
        let instructions = rollout_instructions(&sides, targeting.on, pct, kind);
        Ok((!is_there).then_some(Change { instructions, tags }))
    }

    /// Puts the flag there, and decides again when somebody else was faster.
    async fn put(&self, key: &str, wanted: Wanted) -> Result<FlagState, FlagError> {
        check_key(key)?;
        let mut collision = None;
        for _ in 0..TRIES {
            let change = match self.flag(key).await {
                Ok(Some(flag)) => self.decide(key, &flag, wanted),
                Ok(None) => return self.put_nothing(key, wanted).await,
                Err(error) => Err(error),
            };
            let change = match (change, wanted) {
                (Ok(Some(change)), _) => change,
                (Ok(None), _) => return Ok(wanted.state(key)),
                // What cannot be understood can be turned off all the same.
                (Err(FlagError::Unreadable { .. }), Wanted::Off) => {
                    Change { instructions: vec![json!({ "kind": "turnFlagOff" })], tags: None }
                }
                (Err(error), _) => return Err(error),
            };
            match self.send(key, Order::Put(wanted), &change).await? {
                Sent::Done => return Ok(wanted.state(key)),
                Sent::Collided(error) => collision = Some(error),
            }
        }
        Err(collision.unwrap_or_else(|| self.api.unreadable("the flag changes all the time")))
    }

    /// What is not there is off.
    async fn put_nothing(&self, key: &str, wanted: Wanted) -> Result<FlagState, FlagError> {
        self.environment(key).await?;
        match wanted {
            Wanted::Off => Ok(FlagState::off(key)),
            Wanted::On(_) => Err(foreign(key, "there is no such flag in LaunchDarkly")),
        }
    }

    async fn send(&self, key: &str, order: Order, change: &Change) -> Result<Sent, FlagError> {
        let needs_approval = match self.environment(key).await {
            Ok(environment) => environment.needs_approval(change.tags.as_deref()),
            // LaunchDarkly refuses what needs one, so the off switch does not wait for its settings.
            Err(_) if order.is_off() => false,
            Err(error) => return Err(error),
        };
        if needs_approval {
            return self.approved(key, order, &change.instructions).await.map(|()| Sent::Done);
        }
        let mut url = self.flag_address(key);
        if order.is_off() {
            // A change that is planned there must not keep the treatment on.
            url.query_pairs_mut().append_pair("ignoreConflicts", "true");
        }
        let body = json!({
            "environmentKey": self.environment,
            "comment": order.title(key),
            "instructions": change.instructions,
        });
        let of = Of::write(key);
        let answer = self
            .api
            .answer(of, |client| client.patch(url.clone()).header(CONTENT_TYPE, SEMANTIC_PATCH).body(body.to_string()))
            .await?;
        match answer.status {
            StatusCode::METHOD_NOT_ALLOWED => {}
            StatusCode::CONFLICT if self.api.said(&answer).to_ascii_lowercase().contains("approv") => {}
            StatusCode::CONFLICT => return Ok(Sent::Collided(self.api.refused(of, &answer))),
            _ => return self.api.json::<IgnoredAny>(of, &answer).map(|_| Sent::Done),
        }
        self.approved(key, order, &change.instructions).await.map(|()| Sent::Done)
    }

    async fn create(&self, key: &str, description: &str) -> Result<(), FlagError> {
        let url = self.api.address(&["api", "v2", "flags", &self.project]);
        let body = json!({
            "key": key,
            "name": key,
            "description": description,
            "tags": [TAG],
            "variations": [{ "value": true, "name": "Treatment" }, { "value": false, "name": "Control" }],
            // Whoever switches it on by hand gives everybody the control.
            "defaults": { "onVariation": 1, "offVariation": 1 },
        });
        let of = Of::write(key);
        let answer = self.api.answer(of, |client| client.post(url.clone()).json(&body)).await?;
        match answer.status {
            // Somebody else made it, or an answer of ours was lost.
            StatusCode::CONFLICT => Ok(()),
            _ => self.api.done(of, &answer),
        }
    }
}

#[async_trait]
impl FlagService for LaunchDarkly {
    fn name(&self) -> &str {
        PRODUCT.name
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        if let Some(state) = self.read(key).await? {
            return Ok(state);
        }
        self.create(key, description).await?;
        let found = self.read(key).await?;
        found.ok_or_else(|| self.api.unreadable("it has taken the flag, and does not have it"))
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        check_pct(treatment_pct)?;
        self.put(key, Wanted::On(treatment_pct)).await
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        self.put(key, Wanted::Off).await
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        check_key(key)?;
        match self.flag(key).await? {
            Some(flag) => self.state(key, &flag).map(Some),
            None => self.environment(key).await.map(|_| None),
        }
    }

    fn elsewhere(&self) -> Option<&dyn ElsewhereService> {
        Some(self)
    }

    async fn last_change(&self, key: &str) -> Result<Option<String>, FlagError> {
        check_key(key)?;
        self.last_entry(key).await
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        self.found_rights().await
    }
}
