//! PostHog's feature flags. <https://posthog.com/docs/api/feature-flags>, read in 2026-11 with the source of its server.
//!
//! A share is changed by the server's own action, which takes the version that was read and no targeting, so nothing beside the
//! percentage can be lost; an older server gets the whole `filters` with the version. Turning on and off are actions too.
//! **Invariant**: a flag is turned on only after its set-up was seen to be ours, and is turned off again if it no longer is.

mod elsewhere;
mod judge;
mod watch;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use outcome_core::config::vendor::{
    Decode as _, FlagVendor, Keymap, Node, Reporter, references, secret, service_address,
};
use outcome_core::ports::elsewhere::ElsewhereService;
use outcome_core::ports::flags::{check_key, check_pct};
use outcome_core::ports::{FlagAnswers, FlagError, FlagService, FlagSettings, FlagState, Opening, Right};
use outcome_core::yaml_map;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;
use wire::{Flag, Page, Refusal, new_flag};

use super::api::{Api, MAX_PAGES, Of, Product, foreign};
use crate::http::{Access, Answer};

/// PostHog.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "posthog",
    example: "project_id: \"12345\"\n    token: ${POSTHOG_FLAGS_KEY}",
    keys: Keymap::new(PosthogFlagsFile::FIELDS, |generator| generator.subschema_for::<PosthogFlagsFile>()),
    role: ROLE,
    has_experiments: true,
    read,
};

static PRODUCT: Product = Product { name: "PostHog", page: "docs/flags/posthog.md" };

const ROLE: &str = "\
1. In PostHog, invite a user for the runtime alone, as a member (not an administrator) of the organization.
2. Settings, Access control: give this user the project, with the level `Editor` for feature flags and no access to other resources.
3. As this user: Settings, Personal API keys, Create: label `outcome-runtime`, organization and project access `Projects`, this
   project only.
4. Scopes: Feature flag `Write`. Also Activity log `Read` (who changed a flag) and Experiment `Read` (an experiment that ended while
   its flag is on). Nothing else; above all not Approvals `Write`, with which it could approve its own requests.
5. Settings, Project, Approvals: the user and its roles must not be among those that bypass a policy.
docs/flags/posthog.md says more.";

/// The address of the region in the United States.
const CLOUD: &str = "https://us.posthog.com";
/// How often a change is decided when others change the flag meanwhile.
const DECISIONS: usize = 3;
/// Flags of one page.
const PAGE: usize = 100;

yaml_map! {
    /// Settings of the flag service `posthog`.
    PosthogFlagsFile("the config of `posthog`") {
        /// Address of the region or of your own server: `https://us.posthog.com`, `https://eu.posthog.com`.
        optional(signed) url: String = "https://us.posthog.com",
        /// Number of the project, in quotes, such as `"12345"`.
        required(signed) project_id: String,
        /// Personal API key with the scope `feature_flag:write`, such as `${POSTHOG_FLAGS_KEY}`.
        required(signed) token: String,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    let file = PosthogFlagsFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "POSTHOG_URL", CLOUD, reporter);
    }
    if let Some(project) = &file.project_id {
        references(project, reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "POSTHOG_FLAGS_KEY", token, reporter);
    }
    Some(Arc::new(PosthogSettings { url: file.url?.value, project: file.project_id?.value, token: file.token?.value }))
}

#[derive(Debug)]
struct PosthogSettings {
    url: String,
    project: String,
    token: String,
}

impl FlagSettings for PosthogSettings {
    fn to_json(&self) -> Value {
        json!({ "url": self.url, "project_id": self.project, "token": self.token })
    }

    fn answers(&self) -> FlagAnswers {
        FlagAnswers::boolean(
            PRODUCT.name,
            format!("{}, project {}", self.url, self.project),
            "PostHog's own SDK in this repository: getFeatureFlag(key, distinct id of the unit) compared with exactly true, so that \
                  no answer, or that of a holdout, is the control",
        )
    }

    // Its hash of a unit is compared with the percentage: who is in the control moves into the treatment as it grows.
    fn keeps_arms(&self) -> Option<bool> {
        Some(false)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        let of = |text: &str| PRODUCT.resolved(opening, text);
        let project = of(&self.project)?.expose_secret().trim().to_owned();
        if project.is_empty() || !project.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(PRODUCT
                .config("its `project_id` is not the number of a project: write it as in `project_id: \"12345\"`"));
        }
        let token = of(&self.token)?;
        let wrong = |kind: &str| {
            PRODUCT.config(&format!(
                "its `token` is {kind}, which cannot change flags: make a personal API key (`phx_...`)"
            ))
        };
        match token.expose_secret().get(..4) {
            Some("phc_") => return Err(wrong("the project's own key (`phc_...`)")),
            Some("phs_") => return Err(wrong("a secret key of the project (`phs_...`)")),
            Some(_) | None => {}
        }
        let api = Api::open(&PRODUCT, &of(&self.url)?, Access::Bearer(token))?;
        Ok(Box::new(Posthog { api, project }))
    }
}

struct Posthog {
    api: Api,
    project: String,
}

/// What came of a write.
enum Wrote {
    /// It is done; the flag as answered.
    Done(Box<Flag>),
    /// Somebody else was faster: read it again and decide again.
    Conflict(FlagError),
    /// No such flag, or no such action at this server.
    Missing(FlagError),
}

impl Posthog {
    /// An address of the project. Without the slash at the end PostHog redirects.
    fn project(&self, path: &[&str]) -> Url {
        self.api.address(&[&["api", "projects", &self.project], path, &[""]].concat())
    }

    /// A page of the project, for people.
    fn project_page(&self, path: &[&str]) -> String {
        self.api.address(&[&["project", &self.project], path].concat()).to_string()
    }

    fn flag(&self, flag: &Flag, path: &[&str]) -> Url {
        self.project(&[&["feature_flags", &flag.id.to_string()], path].concat())
    }

    /// The flag with exactly this key. Archived ones are listed only when they are asked for.
    async fn find(&self, key: &str) -> Result<Option<Flag>, FlagError> {
        check_key(key)?;
        match self.listed(key, false).await? {
            Some(flag) => Ok(Some(flag)),
            None => self.listed(key, true).await,
        }
    }

    async fn listed(&self, key: &str, is_archived: bool) -> Result<Option<Flag>, FlagError> {
        for page in 0..MAX_PAGES {
            let mut url = self.project(&["feature_flags"]);
            let offset = page.saturating_mul(PAGE).to_string();
            url.query_pairs_mut().extend_pairs([("search", key), ("limit", &PAGE.to_string()), ("offset", &offset)]);
            if is_archived {
                url.query_pairs_mut().append_pair("archived", "true");
            }
            let answer = self.api.answer(Of::read(key), |client| client.get(url.clone())).await?;
            let Page { results, next } = self.api.json(Of::read(key), &answer)?;
            if let Some(flag) = results.into_iter().find(|flag: &Flag| flag.key == key && !flag.deleted) {
                return Ok(Some(flag));
            }
            if next.is_none() {
                return Ok(None);
            }
        }
        Err(self.api.unreadable(format!("it has more than {MAX_PAGES} pages of flags")))
    }

    /// A set-up of somebody else; its words are cleaned.
    fn foreign(&self, key: &str, problem: &str) -> FlagError {
        foreign(key, self.api.clean(problem))
    }

    fn wrote(&self, key: &str, answer: &Answer) -> Result<Wrote, FlagError> {
        let of = Of::write(key);
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(Wrote::Missing(self.api.refused(of, answer))),
            StatusCode::CONFLICT => match serde_json::from_slice(&answer.body).ok().and_then(Refusal::waits) {
                Some(problem) => Err(self.api.review(key, self.api.clean(&problem))),
                None => Ok(Wrote::Conflict(self.api.refused(of, answer))),
            },
            _ => self.api.json(of, answer).map(|flag| Wrote::Done(Box::new(flag))),
        }
    }

    async fn act(&self, flag: &Flag, action: &str, body: &Value) -> Result<Wrote, FlagError> {
        let url = self.flag(flag, &[action]);
        let answer = self.api.answer(Of::write(&flag.key), |client| client.post(url.clone()).json(body)).await?;
        self.wrote(&flag.key, &answer)
    }

    /// Changes one field, unless somebody changed that field since it was read: PostHog compares only with `original_flag`.
    async fn patch(&self, flag: &Flag, field: &str, old: Value, new: Value) -> Result<Wrote, FlagError> {
        let url = self.flag(flag, &[]);
        let body = json!({ field: new, "version": flag.version, "original_flag": { field: old } });
        let answer = self.api.answer(Of::write(&flag.key), |client| client.patch(url.clone()).json(&body)).await?;
        self.wrote(&flag.key, &answer)
    }

    async fn share(&self, flag: &Flag, treatment_pct: u8) -> Result<Wrote, FlagError> {
        if flag.version.is_none() {
            return self.rewrite(flag, treatment_pct).await;
        }
        let body = json!({ "condition_index": 0, "rollout_percentage": treatment_pct, "version": flag.version });
        match self.act(flag, "set_release_condition_rollout", &body).await? {
            Wrote::Missing(_) => self.rewrite(flag, treatment_pct).await,
            wrote => Ok(wrote),
        }
    }

    /// Writes the percentage of every release condition, and everything else as it was read.
    async fn rewrite(&self, flag: &Flag, treatment_pct: u8) -> Result<Wrote, FlagError> {
        let new = judge::with_share(&flag.filters, treatment_pct);
        self.patch(flag, "filters", Value::Object(flag.filters.clone()), Value::Object(new)).await
    }

    async fn turn(&self, flag: &Flag, is_on: bool) -> Result<Wrote, FlagError> {
        match self.act(flag, if is_on { "enable" } else { "disable" }, &json!({})).await? {
            Wrote::Missing(_) => self.patch(flag, "active", json!(flag.active), json!(is_on)).await,
            wrote => Ok(wrote),
        }
    }

    /// Puts a flag that is there to a share; the inner error is that of somebody who was faster.
    async fn put(&self, flag: Flag, treatment_pct: u8) -> Result<Result<FlagState, FlagError>, FlagError> {
        let key = flag.key.clone();
        if flag.archived {
            return Err(self.foreign(&key, "it is archived: unarchive it in PostHog, or take another flag"));
        }
        let share = judge::share(&flag).map_err(|problem| self.foreign(&key, &problem))?;
        if let Some(plan) = self.scheduled(&flag).await? {
            return Err(self.foreign(&key, &plan));
        }
        let flag = match if share == treatment_pct {
            Wrote::Done(Box::new(flag))
        } else {
            self.share(&flag, treatment_pct).await?
        } {
            Wrote::Done(flag) => flag,
            Wrote::Conflict(error) => return Ok(Err(error)),
            Wrote::Missing(error) => return Err(error),
        };
        let is_ours = |flag: &Flag| judge::share(flag).is_ok_and(|share| share == treatment_pct);
        let on = match if flag.active { Wrote::Done(flag) } else { self.turn(&flag, true).await? } {
            Wrote::Done(on) => on,
            Wrote::Conflict(error) => return Ok(Err(error)),
            Wrote::Missing(error) => return Err(error),
        };
        if is_ours(&on) {
            return Ok(Ok(FlagState::on(key, treatment_pct)));
        }
        // Somebody changed it between the two: it was ours a moment ago, and nobody asked for what it does now.
        self.turn(&on, false).await?;
        Ok(Err(self.foreign(&key, "somebody changed it while it was turned on; it is off again")))
    }

    /// A flag that PostHog refuses to disable, because others depend on it: its conditions let nobody in instead.
    async fn nobody(&self, flag: &Flag, refusal: FlagError) -> Result<FlagError, FlagError> {
        match self.rewrite(flag, 0).await? {
            Wrote::Conflict(error) => Ok(error),
            Wrote::Missing(_) => Err(refusal),
            Wrote::Done(now) => {
                let rest = match judge::share(&now) {
                    Ok(0) => "its percentage is 0 now, so every unit gets the control",
                    Ok(_) => "its percentage could not be set to 0 either",
                    Err(_) => "each of its percentages is 0 now, but its other settings may still let somebody in",
                };
                let cause = outcome_core::error::error_chain(&refusal);
                Err(self.api.review(
                    &flag.key,
                    format!("it must be disabled by hand, because PostHog refused to ({cause}); {rest}"),
                ))
            }
        }
    }

    async fn create(&self, key: &str, description: &str) -> Result<Flag, FlagError> {
        let url = self.project(&["feature_flags"]);
        let body = new_flag(key, description);
        let answer = self.api.answer(Of::write(key), |client| client.post(url.clone()).json(&body)).await?;
        if matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT) {
            // Made by somebody else meanwhile, or by an earlier try of ours whose answer was lost.
            return self.find(key).await?.ok_or_else(|| self.api.refused(Of::write(key), &answer));
        }
        self.api.json(Of::write(key), &answer)
    }

    /// What units get.
    async fn state(&self, flag: &Flag) -> Result<FlagState, FlagError> {
        if !flag.active {
            return Ok(FlagState::off(&flag.key));
        }
        let share = judge::share(flag).map_err(|problem| self.foreign(&flag.key, &problem))?;
        match self.ended_experiment(flag).await? {
            Some(problem) => Err(self.foreign(&flag.key, &problem)),
            None => Ok(FlagState::on(&flag.key, share)),
        }
    }
}

#[async_trait]
impl FlagService for Posthog {
    fn name(&self) -> &str {
        PRODUCT.name
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        let flag = match self.find(key).await? {
            Some(flag) => flag,
            None => self.create(key, description).await?,
        };
        self.state(&flag).await
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        check_pct(treatment_pct)?;
        let mut decided = 0;
        loop {
            let flag = match self.find(key).await? {
                Some(flag) => flag,
                None => self.create(key, "").await?,
            };
            decided += 1;
            match self.put(flag, treatment_pct).await? {
                Err(error) if decided == DECISIONS => return Err(error),
                Err(_) => {}
                Ok(state) => return Ok(state),
            }
        }
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        let mut decided = 0;
        loop {
            let Some(flag) = self.find(key).await?.filter(|flag| flag.active) else { return Ok(FlagState::off(key)) };
            decided += 1;
            let error = match self.turn(&flag, false).await {
                Ok(Wrote::Done(now)) if now.active => self.api.unreadable("it says that the flag is still on"),
                Ok(Wrote::Done(_) | Wrote::Missing(_)) => return Ok(FlagState::off(key)),
                Ok(Wrote::Conflict(error)) => error,
                Err(refusal @ FlagError::Http { status: Some(400), .. }) => self.nobody(&flag, refusal).await?,
                Err(error) => return Err(error),
            };
            if decided == DECISIONS {
                return Err(error);
            }
        }
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        match self.find(key).await? {
            Some(flag) => self.state(&flag).await.map(Some),
            None => Ok(None),
        }
    }

    fn elsewhere(&self) -> Option<&dyn ElsewhereService> {
        Some(self)
    }

    async fn last_change(&self, key: &str) -> Result<Option<String>, FlagError> {
        match self.find(key).await? {
            Some(flag) => self.last_activity(&flag).await,
            None => Ok(None),
        }
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        self.what_the_key_allows().await
    }
}
