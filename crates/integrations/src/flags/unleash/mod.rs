//! Unleash: one `flexibleRollout` strategy in one environment of one project. <https://docs.getunleash.io/api-overview>, the admin API
//! of 7.4.1; change requests as its Enterprise edition has them.
//!
//! Strategies are alternatives: one that passes turns the flag on, and a flag that is switched on without one is on for everybody. So
//! whatever is beside ours is drift, ours is there before the environment is switched on, and off is the environment's switch.
//! **Invariant**: only addresses that name our environment are written to; other environments are never sent.

mod change_requests;
mod elsewhere;
mod rights;
mod settings;
mod wire;
mod writes;

use async_trait::async_trait;
use outcome_core::ports::elsewhere::ElsewhereService;
use outcome_core::ports::flags::{check_key, check_pct};
use outcome_core::ports::{FlagError, FlagService, FlagState, Right};
use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use self::wire::{Complaint, Feature};
use super::api::{Api, Of, Product, foreign};
use crate::http::{Answer, HttpError};

pub(crate) use self::settings::VENDOR;

static PRODUCT: Product = Product { name: "Unleash", page: "docs/flags/unleash.md" };

/// How often a write is decided anew after somebody else was faster.
const DECISIONS: u32 = 3;

/// What a token for applications gets instead of an answer.
const WRONG_KIND: &str = "this is how Unleash answers a client or frontend token, which only evaluates flags; \
                          the token must be that of a service account, or a personal one";

/// The flags of one environment.
struct Unleash {
    api: Api,
    project: String,
    environment: String,
    stickiness: String,
}

/// Where a flag is.
enum Place {
    Nowhere,
    Here(Box<Feature>),
    /// Names are unique in the whole instance; this one is in another project.
    Elsewhere(String),
}

impl Unleash {
    /// An address below `projects/PROJECT`.
    fn in_project(&self, project: &str, path: &[&str]) -> Url {
        self.api.address(&[&["api", "admin", "projects", project], path].concat())
    }

    /// An address of a flag in our environment.
    fn in_environment(&self, key: &str, path: &[&str]) -> Url {
        self.in_project(&self.project, &[&["features", key, "environments", &self.environment], path].concat())
    }

    async fn send(&self, of: Of<'_>, request: impl Fn(&Client) -> RequestBuilder + Sync) -> Result<Answer, FlagError> {
        self.api.answer(of, request).await
    }

    /// An answer that means trouble; a token of the wrong kind is told from one with too few rights.
    fn refused(&self, of: Of<'_>, answer: &Answer) -> FlagError {
        let mut error = self.api.refused(of, answer);
        let is_wrong_kind = answer.status == StatusCode::FORBIDDEN && Complaint::of(answer).name.is_none();
        if let FlagError::Http { cause, .. } = &mut error
            && is_wrong_kind
        {
            let body = format!("{}; {WRONG_KIND}", self.api.said(answer));
            *cause = Box::new(HttpError::Status { status: 403, body, retry_after: None });
        }
        error
    }

    async fn find(&self, key: &str) -> Result<Place, FlagError> {
        let url = self.in_project(&self.project, &["features", key]);
        let of = Of::read(key);
        let answer = self.send(of, |client| client.get(url.clone())).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let complaint = Complaint::of(&answer);
            return match complaint.other_project() {
                Some(project) => Ok(Place::Elsewhere(project)),
                None if complaint.is_about_a_flag() => Ok(Place::Nowhere),
                // A proxy, or an address that is not that of the API: nothing is known of the flag.
                None => Err(self.refused(of, &answer)),
            };
        }
        if !answer.status.is_success() {
            return Err(self.refused(of, &answer));
        }
        let feature: Feature = self.api.json(of, &answer)?;
        if feature.name != key {
            return Err(self.api.unreadable("it is another flag"));
        }
        Ok(Place::Here(Box::new(feature)))
    }

    /// What units get from it.
    fn state(&self, key: &str, feature: &Feature) -> Result<FlagState, FlagError> {
        let environment = feature.environment(&self.environment).map_err(|problem| self.api.unreadable(problem))?;
        if !environment.enabled {
            return Ok(FlagState::off(key));
        }
        let found = feature.ours(environment, key, &self.stickiness).map_err(|problem| foreign(key, problem))?;
        let ours = found.ok_or_else(|| {
            foreign(key, format!("it is on in `{}` without a strategy, which is on for everybody", self.environment))
        })?;
        Ok(FlagState::on(key, ours.pct))
    }

    fn in_another_project(&self, key: &str, project: &str) -> FlagError {
        let project = self.api.clean(project);
        foreign(key, format!("it is in the project `{project}`, and not in `{}`", self.project))
    }
}

#[async_trait]
impl FlagService for Unleash {
    fn name(&self) -> &str {
        PRODUCT.name
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        check_key(key)?;
        match self.find(key).await? {
            Place::Here(feature) => return self.state(key, &feature),
            Place::Elsewhere(project) => return Err(self.in_another_project(key, &project)),
            Place::Nowhere => {}
        }
        match self.create(key, description).await? {
            // It was made meanwhile, and stays as it is.
            Some(feature) => self.state(key, &feature),
            None => Ok(FlagState::off(key)),
        }
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        check_key(key)?;
        check_pct(treatment_pct)?;
        for _ in 0..DECISIONS {
            match self.find(key).await? {
                Place::Elsewhere(project) => return Err(self.in_another_project(key, &project)),
                Place::Nowhere => drop(self.create(key, "Made by Outcome Runtime").await?),
                Place::Here(feature) => {
                    if self.put(key, &feature, treatment_pct).await? {
                        return Ok(FlagState::on(key, treatment_pct));
                    }
                }
            }
        }
        Err(busy(key))
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        check_key(key)?;
        for _ in 0..DECISIONS {
            let is_off = match self.find(key).await? {
                Place::Nowhere => true,
                // There is one flag of a name, and whoever asks for it gets this one.
                Place::Elsewhere(project) => self.switch_off(&project, key).await?,
                Place::Here(feature) => {
                    let found = feature.environment(&self.environment);
                    if found.map_err(|problem| self.api.unreadable(problem))?.enabled {
                        self.switch_off(&self.project, key).await?
                    } else {
                        self.withdraw_requests(key).await?;
                        true
                    }
                }
            };
            if is_off {
                return Ok(FlagState::off(key));
            }
        }
        Err(busy(key))
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        check_key(key)?;
        match self.find(key).await? {
            Place::Nowhere => Ok(None),
            Place::Here(feature) => self.state(key, &feature).map(Some),
            Place::Elsewhere(project) => Err(self.in_another_project(key, &project)),
        }
    }

    fn elsewhere(&self) -> Option<&dyn ElsewhereService> {
        Some(self)
    }

    async fn last_change(&self, key: &str) -> Result<Option<String>, FlagError> {
        check_key(key)?;
        self.last_event(key).await
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        self.rights_of_token().await
    }
}

/// Too many others write.
fn busy(key: &str) -> FlagError {
    foreign(key, "others changed it again and again while it was written")
}
