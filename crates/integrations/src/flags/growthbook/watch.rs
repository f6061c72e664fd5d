//! What else moves a feature: ramps of GrowthBook, persons; and what the organization demands of changes.

use outcome_core::ports::{FlagAct, FlagError, Right};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use url::Url;

use super::super::api::Of;
use super::client::Growthbook;
use super::settings::PRODUCT;
use super::wire::{Actor, Demands, Environments, Feature, OfSettings, Ramp, Ramps, Settings};

/// Asked for rights, in place of a flag.
const NOBODY: &str = "outcome-runtime-asks";

impl Growthbook {
    /// `None` where the key may not see it, or the server does not have it.
    async fn seen<T: DeserializeOwned>(&self, key: &str, url: Url) -> Result<Option<T>, FlagError> {
        let answer = self.api.answer(Of::read(key), |client| client.get(url.clone())).await?;
        match answer.status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(None),
            _ => self.api.json(Of::read(key), &answer).map(Some),
        }
    }

    async fn ramps(&self, key: &str) -> Result<Vec<Ramp>, FlagError> {
        let mut url = self.api.address(&["api", "v1", "ramp-schedules"]);
        url.query_pairs_mut().extend_pairs([("featureId", key), ("limit", "100")]);
        Ok(self.seen::<Ramps>(key, url).await?.map_or_else(Vec::new, |found| found.ramp_schedules))
    }

    /// A ramp that moves the feature, or that has rolled it back. A share is not pushed over it.
    pub(super) async fn ramp(&self, key: &str) -> Result<Option<String>, FlagError> {
        let ramps = self.ramps(key).await?;
        let open = ramps.iter().find(|ramp| ramp.status != "completed");
        Ok(open.map(|ramp| format!("{}; end and remove it in GrowthBook first", told(ramp))))
    }

    /// A ramp that is at work. Where one monitors, its coverage does not tell who gets what.
    pub(super) async fn ramp_at_work(&self, key: &str) -> Result<Option<String>, FlagError> {
        let ramps = self.ramps(key).await?;
        Ok(ramps.iter().find(|ramp| matches!(ramp.status.as_str(), "running" | "paused")).map(told))
    }

    /// Who or what changed the feature last: a ramp that is at work or rolled back, else who published what is live.
    pub(super) async fn told_last(&self, key: &str, feature: &Feature) -> Result<String, FlagError> {
        let live = &feature.revision;
        let ramps = self.ramps(key).await?;
        let is_later = |ramp: &&Ramp| match ramp.status.as_str() {
            "running" | "paused" | "rolled-back" => true,
            "completed" => ramp.date_updated >= live.date,
            _ => false,
        };
        let ramp = ramps.iter().find(is_later).map(|ramp| format!("{}; ", told(ramp))).unwrap_or_default();
        let who = who(live.published_by.as_ref().or(live.created_by.as_ref()));
        let at = live.date.as_deref().map_or_else(String::new, |at| format!(" at {at}"));
        let comment = if live.comment.is_empty() { String::new() } else { format!(": {}", live.comment) };
        Ok(self.api.clean(&format!("{ramp}revision {} by {who}{at}{comment}", live.version)))
    }

    async fn settings(&self, key: &str) -> Result<Option<Settings>, FlagError> {
        let url = self.api.address(&["api", "v1", "settings"]);
        Ok(self.seen::<OfSettings>(key, url).await?.map(|found| found.settings))
    }

    /// Whether the organization demands a review of such a change. Where it does not say, publishing tells.
    pub(super) async fn demands_review(&self, feature: &Feature) -> Result<bool, FlagError> {
        let Some(settings) = self.settings(NOBODY).await? else { return Ok(false) };
        let names = |list: &Option<Vec<String>>, name: &String| list.as_ref().is_some_and(|all| all.contains(name));
        let is_any = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
        let rules = match &settings.require_reviews {
            Demands::All(all) => return Ok(*all),
            Demands::Rules(rules) => rules,
        };
        // A rule for the project takes the place of the one for all projects.
        let of_project = rules.iter().find(|rule| names(&rule.projects, &feature.project));
        let rule = of_project.or_else(|| rules.iter().find(|rule| is_any(&rule.projects)));
        Ok(rule.is_some_and(|rule| {
            rule.require_review_on == Some(true)
                && (is_any(&rule.environments) || names(&rule.environments, &self.at.environment))
        }))
    }

    /// What can be known without changing anything.
    pub(super) async fn what_is_known(&self) -> Result<Vec<Right>, FlagError> {
        self.find(NOBODY).await?;
        let url = self.api.address(&["api", "v1", "environments"]);
        if let Some(Environments { environments }) = self.seen(NOBODY, url).await?
            && environments.iter().all(|one| one.id != self.at.environment)
        {
            let names: Vec<_> = environments.iter().take(10).map(|one| format!("`{}`", one.id)).collect();
            let problem = format!("it has no environment `{}`, but {}", self.at.environment, names.join(", "));
            return Err(PRODUCT.config(&self.api.clean(&problem)));
        }
        let right = |act, is_allowed, detail: &str| Right { act, is_allowed, detail: Some(detail.to_owned()) };
        let unknown =
            |act| right(act, None, "GrowthBook does not tell a key its role, and nothing was changed to find out");
        let skip = FlagAct::SkipReviews;
        let skips = match self.settings(NOBODY).await? {
            Some(Settings { rest_api_bypasses_reviews: Some(true), .. }) => right(
                skip,
                Some(true),
                "the organization lets each key of the REST API pass reviews: turn `REST API always bypasses approval requirements` \
                 off (Settings, General)",
            ),
            _ if self.is_admin => {
                right(skip, Some(true), "an admin's key passes reviews: make one with a role of its own")
            }
            Some(_) => right(
                skip,
                None,
                "the switch of the organization is off; whether the key's role has `Bypass draft approvals` is not told: take it away",
            ),
            None => right(
                skip,
                None,
                "the key may not read the settings: look whether `REST API always bypasses approval requirements` is off",
            ),
        };
        let read = Right { act: FlagAct::Read, is_allowed: Some(true), detail: None };
        Ok(vec![read, unknown(FlagAct::Create), unknown(FlagAct::Rollout), unknown(FlagAct::Off), skips])
    }
}

fn told(ramp: &Ramp) -> String {
    let Ramp { name, status, current_step_index, last_rollback_reason, .. } = ramp;
    let step =
        current_step_index.filter(|step| *step >= 0).map(|step| format!(" at its step {}", step.saturating_add(1)));
    let why = last_rollback_reason.as_deref().filter(|why| !why.is_empty()).map(|why| format!(" ({why})"));
    format!("GrowthBook's ramp `{name}` is {status}{}{}", step.unwrap_or_default(), why.unwrap_or_default())
}

fn who(actor: Option<&Actor>) -> String {
    let Some(Actor { kind, name, email }) = actor else { return "somebody".to_owned() };
    let named = [name, email].into_iter().flatten().find(|text| !text.is_empty());
    match (kind.as_str(), named) {
        ("system", _) => "GrowthBook itself".to_owned(),
        ("api_key", Some(name)) => format!("the key `{name}`"),
        ("api_key", None) => "a key of its API".to_owned(),
        (_, Some(name)) => name.clone(),
        (_, None) => "somebody".to_owned(),
    }
}
