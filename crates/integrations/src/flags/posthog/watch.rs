//! What else moves a flag: scheduled changes, experiments, persons; and what the key itself may do.
//!
//! Each of these needs a scope that the key may lack. Then nothing is known, which is not the same as nothing.

use outcome_core::ports::{FlagAct, FlagError, Right};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use url::Url;

use super::wire::{Activity, Experiment, Flag, Key, Page, Scheduled};
use super::{Of, Posthog};

/// Asked for rights, in place of a flag.
const NOBODY: &str = "outcome-runtime-asks";
/// Experiments of one flag that are looked at.
const MAX_EXPERIMENTS: usize = 5;

impl Posthog {
    /// `None` where the key may not see it, or the server does not have it.
    async fn seen<T: DeserializeOwned>(&self, key: &str, url: Url) -> Result<Option<T>, FlagError> {
        let answer = self.api.answer(Of::read(key), |client| client.get(url.clone())).await?;
        match answer.status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(None),
            _ => self.api.json(Of::read(key), &answer).map(Some),
        }
    }

    /// A change that PostHog will make to the flag by itself.
    pub(super) async fn scheduled(&self, flag: &Flag) -> Result<Option<String>, FlagError> {
        let mut url = self.project(&["scheduled_changes"]);
        url.query_pairs_mut().extend_pairs([("model_name", "FeatureFlag"), ("record_id", &flag.id.to_string())]);
        let Some(Page { results, .. }) = self.seen::<Page<Scheduled>>(&flag.key, url).await? else { return Ok(None) };
        let open = results.into_iter().find(|change| change.executed_at.is_none());
        Ok(open.map(|change| {
            let what = change.payload.get("operation").and_then(serde_json::Value::as_str).unwrap_or("a change");
            let when = change.at.as_deref().unwrap_or("a later time");
            format!("PostHog itself will change it: `{what}` is scheduled for {when}; delete the schedule first")
        }))
    }

    /// An experiment of PostHog that has ended, although its flag is on.
    pub(super) async fn ended_experiment(&self, flag: &Flag) -> Result<Option<String>, FlagError> {
        let told = flag.experiment_set_metadata.as_deref().unwrap_or_default();
        let runs = |id: &u64| told.iter().any(|linked| linked.id == *id && linked.is_running == Some(true));
        let linked = flag.experiment_set.as_deref().unwrap_or_default();
        for id in linked.iter().filter(|id| !runs(id)).take(MAX_EXPERIMENTS) {
            let url = self.project(&["experiments", &id.to_string()]);
            if let Some(Experiment { name, end_date: Some(ended) }) = self.seen(&flag.key, url).await? {
                return Ok(Some(format!("PostHog's experiment `{name}` ended at {ended}, and left its flag on")));
            }
        }
        Ok(None)
    }

    /// Who or what changed the flag last.
    pub(super) async fn last_activity(&self, flag: &Flag) -> Result<Option<String>, FlagError> {
        let mut url = self.flag(flag, &["activity"]);
        url.query_pairs_mut().append_pair("limit", "1");
        let Some(Page { results, .. }) = self.seen::<Page<Activity>>(&flag.key, url).await? else { return Ok(None) };
        Ok(results.first().map(|last| self.api.clean(&told(last))))
    }

    /// What the key says of itself.
    pub(super) async fn what_the_key_allows(&self) -> Result<Vec<Right>, FlagError> {
        self.find(NOBODY).await?;
        let read = Right { act: FlagAct::Read, is_allowed: Some(true), detail: None };
        let url = self.api.address(&["api", "personal_api_keys", "@current", ""]);
        let right = |act, is_allowed, detail: &str| Right { act, is_allowed, detail: Some(detail.to_owned()) };
        let skip_reviews = FlagAct::SkipReviews;
        let Some(Key { scopes, scoped_teams }) = self.seen(NOBODY, url).await? else {
            let unknown = |act| right(act, None, "the server does not say what the key may do");
            return Ok(vec![
                read,
                unknown(FlagAct::Create),
                unknown(FlagAct::Rollout),
                unknown(FlagAct::Off),
                unknown(skip_reviews),
            ]);
        };
        let has = |scope: &str| scopes.iter().any(|one| one == scope || one == "*");
        let (writes, why) = match has("feature_flag:write") {
            true if scoped_teams.as_ref().is_none_or(Vec::is_empty) => {
                (true, "from the scopes of the key, which is not limited to this project: limit it")
            }
            true => (true, "from the scopes of the key; the access that its user has is not told"),
            false => (false, "the key lacks the scope `feature_flag:write`"),
        };
        let write = |act| right(act, Some(writes), why);
        let skip = if has("approvals:write") {
            right(skip_reviews, Some(true), "the scope `approvals:write` could approve its own requests: take it away")
        } else {
            let how = "PostHog does not tell the key whether an approval policy lets its user pass: keep the user and its roles out of \
                       each policy's bypass (Settings, Project, Approvals)";
            right(skip_reviews, None, how)
        };
        Ok(vec![read, write(FlagAct::Create), write(FlagAct::Rollout), write(FlagAct::Off), skip])
    }
}

fn told(last: &Activity) -> String {
    let trigger = last.detail.as_ref().and_then(|detail| detail.trigger.as_ref());
    let person = last.user.as_ref().map(|user| {
        let name = format!("{} {}", user.first_name, user.last_name).trim().to_owned();
        if name.is_empty() { user.email.clone() } else { name }
    });
    let who = match (trigger, person) {
        (Some(trigger), _) => format!("PostHog itself (`{}`)", trigger.job_type),
        (None, Some(person)) if !person.is_empty() => person,
        (None, _) if last.is_system == Some(true) => "PostHog itself".to_owned(),
        (None, _) => "somebody".to_owned(),
    };
    let changes = last.detail.as_ref().and_then(|detail| detail.changes.as_deref()).unwrap_or_default();
    let fields: Vec<_> = changes.iter().filter_map(|change| change.field.as_deref()).take(5).collect();
    let what = if fields.is_empty() { String::new() } else { format!(": `{}`", fields.join("`, `")) };
    let when = last.created_at.as_deref().map_or_else(String::new, |at| format!(" at {at}"));
    format!("{who} {}{what}{when}", last.what)
}
