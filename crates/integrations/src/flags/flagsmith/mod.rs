//! Flagsmith: a multivariate feature with the value `false` and one option `true`, whose allocation in one environment is the share.
//! <https://docs.flagsmith.com/clients/rest>, `openapi.yaml` of 2026-08, with and without feature versioning.
//!
//! A feature is of the whole project, its state of an environment; states of segments and identities come before that of the
//! environment. There are no conditional writes, so a write sends the state that it changes and the core reads it back.
//! **Invariant**: no state of another environment is sent, and no direct write is made where change requests are on: the API would take it.

mod rights;
mod settings;
mod wire;
mod writes;

use async_trait::async_trait;
use outcome_core::ports::flags::{check_key, check_pct};
use outcome_core::ports::{FlagError, FlagService, FlagState, Right};
use serde::de::DeserializeOwned;
use url::Url;

use self::wire::{Environment, Feature, IdentityOverride, Page, Project, State, States};
use super::api::{Api, MAX_PAGES, Of, Product, foreign};

pub(crate) use self::settings::VENDOR;

static PRODUCT: Product = Product { name: "Flagsmith", page: "docs/flags/flagsmith.md" };

/// The features of one environment.
struct Flagsmith {
    api: Api,
    project: u64,
    /// The client-side key of the environment.
    environment: String,
}

/// A feature with all that decides about it in our environment.
struct Found {
    environment: Environment,
    feature: Feature,
    states: States,
    /// What identities have of their own beyond `states`, which the Edge API keeps elsewhere.
    overrides: Overrides,
}

/// What the Edge API keeps of single identities.
enum Overrides {
    /// This many are on, of this many.
    Counted { n_on: usize, n: usize },
    /// There are some, and nobody says what they do.
    Unknown(u64),
}

impl Flagsmith {
    /// An address below `api/v1`; Flagsmith demands the slash at its end.
    fn address(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.api.address(&[&["api", "v1"], path, &[""]].concat());
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// All pages of a list.
    async fn list<T: DeserializeOwned>(&self, of: Of<'_>, first: Url) -> Result<Vec<T>, FlagError> {
        let mut all = Vec::new();
        let mut next = Some(first);
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { return Ok(all) };
            let answer = self.api.answer(of, |client| client.get(url.clone())).await?;
            let page: Page<T> = self.api.json(of, &answer)?;
            all.extend(page.results);
            next = page.next.map(|link| self.api.linked(&link)).transpose()?;
        }
        Err(self.api.unreadable(format!("a list of more than {MAX_PAGES} pages")))
    }

    /// Our environment, as the project lists it.
    async fn environment(&self, key: &str) -> Result<Environment, FlagError> {
        let url = self.address(&["environments"], &[("project", &self.project.to_string())]);
        let all: Vec<Environment> = self.list(Of::read(key), url).await?;
        let names: Vec<_> = all.iter().map(|one| format!("`{}`", self.api.clean(&one.name))).collect();
        all.into_iter().find(|one| one.api_key == self.environment).ok_or_else(|| {
            let problem = format!(
                "project {} has no environment with the key of `environment` that this token can see; it can see {}",
                self.project,
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            );
            self.api.unreadable(problem)
        })
    }

    /// The feature of this name. Names are the same whatever their case, and applications ask for one spelling.
    async fn feature(&self, key: &str, environment: &Environment) -> Result<Option<Feature>, FlagError> {
        let query = [("environment", &*environment.id.to_string()), ("search", key)];
        let url = self.address(&["projects", &self.project.to_string(), "features"], &query);
        let all: Vec<Feature> = self.list(Of::read(key), url).await?;
        Ok(all.into_iter().find(|feature| feature.name == key))
    }

    async fn find(&self, key: &str) -> Result<Option<Found>, FlagError> {
        let environment = self.environment(key).await?;
        let Some(feature) = self.feature(key, &environment).await? else { return Ok(None) };
        let ids = (environment.id.to_string(), feature.id.to_string());
        let url = self.address(&["features", "featurestates"], &[("environment", &ids.0), ("feature", &ids.1)]);
        let mut states: Vec<State> = self.list(Of::read(key), url).await?;
        let overrides = self.overrides(key, &feature, &mut states).await?;
        let states = States::of(states, feature.id, environment.id).map_err(|problem| self.api.unreadable(problem))?;
        Ok(Some(Found { environment, feature, states, overrides }))
    }

    /// What identities have beyond these states; what the core API keeps of them is added.
    async fn overrides(&self, key: &str, feature: &Feature, states: &mut Vec<State>) -> Result<Overrides, FlagError> {
        let n_seen = |states: &[State]| states.iter().filter(|state| state.is_of_identity()).count() as u64;
        let n = feature.num_identity_overrides;
        if feature.is_num_identity_overrides_complete && n == Some(n_seen(states)) {
            return Ok(Overrides::NONE);
        }
        let of = Of::read(key);
        let id = feature.id.to_string();
        if self.is_edge(key).await? {
            // The one address without a slash at its end.
            let mut url =
                self.api.address(&["api", "v1", "environments", &self.environment, "edge-identity-overrides"]);
            url.query_pairs_mut().append_pair("feature", &id);
            let page: Page<IdentityOverride> =
                self.api.json(of, &self.api.answer(of, |client| client.get(url.clone())).await?)?;
            let n_on = page.results.iter().filter(|one| one.feature_state.enabled).count();
            return Ok(Overrides::Counted { n_on, n: page.results.len() });
        }
        let path = ["environments", &self.environment, "featurestates"];
        let more: Vec<State> = self.list(of, self.address(&path, &[("anyIdentity", "1"), ("feature", &id)])).await?;
        for state in more {
            if states.iter().all(|known| known.id != state.id) {
                states.push(state);
            }
        }
        let unseen = n.unwrap_or_default().saturating_sub(n_seen(states));
        Ok(if unseen == 0 { Overrides::NONE } else { Overrides::Unknown(unseen) })
    }

    /// Whether the Edge API keeps the identities of the project.
    async fn is_edge(&self, key: &str) -> Result<bool, FlagError> {
        let url = self.address(&["projects"], &[]);
        let of = Of::read(key);
        let all: Vec<Project> = self.api.json(of, &self.api.answer(of, |client| client.get(url.clone())).await?)?;
        let ours = all.iter().find(|project| project.id == self.project);
        let problem =
            || self.api.unreadable(format!("project {} is not among those that this token can see", self.project));
        ours.map(|project| project.use_edge_identities).ok_or_else(problem)
    }
}

impl Overrides {
    const NONE: Self = Self::Counted { n_on: 0, n: 0 };
}

impl Found {
    /// What units get.
    fn state(&self, key: &str) -> Result<FlagState, FlagError> {
        let name = &self.environment.name;
        let identities = |n: u64| foreign(key, format!("{n} identities have a state of their own in `{name}`"));
        match self.overrides {
            Overrides::Counted { n_on, .. } if n_on > 0 => return Err(identities(n_on as u64)),
            Overrides::Unknown(n) => return Err(identities(n)),
            Overrides::Counted { .. } => {}
        }
        if let Some(problem) = self.states.on_beside() {
            return Err(foreign(key, problem));
        }
        if !self.states.default.enabled {
            return Ok(FlagState::off(key));
        }
        Ok(FlagState::on(key, self.ours(key)?))
    }

    /// The share, if the set-up is ours and nothing else decides.
    fn ours(&self, key: &str) -> Result<u8, FlagError> {
        let option = self.feature.option().map_err(|problem| foreign(key, problem))?;
        if let Some(problem) = self.states.beside() {
            return Err(foreign(key, problem));
        }
        if let Overrides::Counted { n, .. } = self.overrides
            && n > 0
        {
            return Err(foreign(key, format!("{n} identities have a state of their own")));
        }
        self.states.default.pct(option).map_err(|problem| foreign(key, problem))
    }
}

#[async_trait]
impl FlagService for Flagsmith {
    fn name(&self) -> &str {
        PRODUCT.name
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        check_key(key)?;
        match self.find(key).await? {
            Some(found) => found.state(key),
            None => self.create(key, description).await?.state(key),
        }
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        check_key(key)?;
        check_pct(treatment_pct)?;
        let found = match self.find(key).await? {
            Some(found) => found,
            None => self.create(key, "Made by Outcome Runtime").await?,
        };
        let was = found.ours(key)?;
        let on = FlagState::on(key, treatment_pct);
        if found.states.default.enabled && was == treatment_pct {
            return Ok(on);
        }
        self.put(key, &found, treatment_pct).await?;
        Ok(on)
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        check_key(key)?;
        if let Some(found) = self.find(key).await? {
            self.switch_off(key, &found).await?;
        }
        Ok(FlagState::off(key))
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        check_key(key)?;
        let found = self.find(key).await?;
        found.map(|found| found.state(key)).transpose()
    }

    async fn last_change(&self, key: &str) -> Result<Option<String>, FlagError> {
        check_key(key)?;
        self.last_entry(key).await
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        self.rights_of_token().await
    }
}
