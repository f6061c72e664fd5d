//! What the token may do, and who changed a flag last: found out by reading.

use jiff::Timestamp;
use outcome_core::ports::{FlagAct, FlagError, Right};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::wire::Page;
use super::{LaunchDarkly, PRODUCT};
use crate::flags::api::Of;

/// A key that nobody has.
const NOBODY: &str = "outcome-runtime-asks";

/// Who calls.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Caller {
    account_id: Option<String>,
    environment_id: Option<String>,
    token_name: Option<String>,
    #[serde(default)]
    service_token: bool,
}

/// What LaunchDarkly says of the caller's actions on a resource, where it says it.
#[derive(Debug, Default, Deserialize)]
struct Access {
    #[serde(default)]
    allowed: Vec<Act>,
    #[serde(default)]
    denied: Vec<Act>,
}

#[derive(Debug, Deserialize)]
struct Act {
    action: String,
}

impl Access {
    fn of(&self, actions: &[&str]) -> Option<bool> {
        let has = |acts: &[Act], action: &str| acts.iter().any(|act| act.action == action);
        if actions.iter().any(|action| has(&self.denied, action)) {
            return Some(false);
        }
        actions.iter().all(|action| has(&self.allowed, action)).then_some(true)
    }
}

/// An entry of the audit log.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    date: i64,
    title_verb: Option<String>,
    short_description: Option<String>,
    comment: Option<String>,
    member: Option<Member>,
    token: Option<Named>,
    app: Option<Named>,
    subject: Option<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: Option<String>,
}

impl Entry {
    fn who(&self) -> String {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let member = self.member.as_ref().and_then(|member| {
            let names: Vec<_> = [&member.first_name, &member.last_name].into_iter().filter_map(filled).collect();
            if names.is_empty() { filled(&member.email) } else { Some(names.join(" ")) }
        });
        let name = |named: &Option<Named>| named.as_ref().and_then(|named| filled(&named.name));
        let means = name(&self.token).map(|name| format!("the token `{name}`"));
        let means = means.or_else(|| name(&self.app).map(|name| format!("the app `{name}`")));
        match (member, means) {
            (Some(member), Some(means)) => format!("{member} (with {means})"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => name(&self.subject).unwrap_or_else(|| "LaunchDarkly".to_owned()),
        }
    }

    fn sentence(&self) -> String {
        let did = self.title_verb.as_deref().or(self.short_description.as_deref()).unwrap_or("changed the flag");
        let at = Timestamp::from_millisecond(self.date).map(|at| format!(" at {at}")).unwrap_or_default();
        let comment = self.comment.as_deref().filter(|text| !text.is_empty());
        let comment = comment.map(|text| format!(", with the comment \"{text}\"")).unwrap_or_default();
        format!("{} {did}{at}{comment}", self.who())
    }
}

impl LaunchDarkly {
    /// The newest entry about the flag in our environment; `None` where there is none or the log is not to be seen.
    pub(super) async fn last_entry(&self, key: &str) -> Result<Option<String>, FlagError> {
        let mut url = self.api.address(&["api", "v2", "auditlog"]);
        let spec = format!("proj/{}:env/{}:flag/{key}", self.project, self.environment);
        url.query_pairs_mut().append_pair("limit", "1").append_pair("spec", &spec);
        let of = Of::read(key);
        let answer = self.api.answer(of, |client| client.get(url.clone())).await?;
        if matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        let page: Page<Entry> = self.api.json(of, &answer)?;
        Ok(page.items.first().map(|entry| self.api.clean(&entry.sentence())))
    }

    pub(super) async fn found_rights(&self) -> Result<Vec<Right>, FlagError> {
        let caller: Option<Caller> = self.api.get(NOBODY, self.api.address(&["api", "v2", "caller-identity"])).await?;
        let caller = caller.filter(|caller| caller.account_id.is_some());
        let caller = caller.ok_or_else(|| self.api.unreadable("it does not say who calls"))?;
        if caller.environment_id.is_some() {
            return Err(
                PRODUCT.config("its `token` is a key of an environment, which can read flags but not change them")
            );
        }
        let environment = self.environment(NOBODY).await?;
        // A flag that nobody has: that it is not there is an answer of a token that may read.
        self.flag(NOBODY).await?;
        let token = self.api.clean(&format!("the token `{}`", caller.token_name.as_deref().unwrap_or("?")));
        let personal = match caller.service_token {
            true => "",
            false => "; it is a personal token, which ends with its member's account: use a service token",
        };
        let read = Right { act: FlagAct::Read, is_allowed: Some(true), detail: Some(format!("{token}{personal}")) };
        let told = self.told_of_a_flag().await?;
        let of = |act, actions: &[&str]| {
            let needs = actions.iter().map(|action| format!("`{action}`")).collect::<Vec<_>>().join(" and ");
            let (is_allowed, from) = match &told {
                Some((flag, access)) => match access.of(actions) {
                    Some(is_allowed) => (Some(is_allowed), format!("as LaunchDarkly says of the flag `{flag}`")),
                    None => (
                        None,
                        format!(
                            "LaunchDarkly does not say it of the flag `{flag}`, and nothing was changed to find out"
                        ),
                    ),
                },
                None => (None, "LaunchDarkly does not say it, and nothing was changed to find out".to_owned()),
            };
            Right { act, is_allowed, detail: Some(self.api.clean(&format!("{needs}: {from}"))) }
        };
        let mut skip = of(FlagAct::SkipReviews, &["bypassRequiredApproval"]);
        let reviews = if environment.needs_approval(None) { "demands approvals" } else { "demands no approvals now" };
        let close = "; the runtime never does it: deny `bypassRequiredApproval` in the token's role, so that nobody with the token can";
        skip.detail =
            skip.detail.map(|detail| format!("{detail}; the environment `{}` {reviews}{close}", self.environment));
        Ok(vec![
            read,
            of(FlagAct::Create, &["createFlag"]),
            of(FlagAct::Rollout, &["updateOn", "updateFallthrough"]),
            of(FlagAct::Off, &["updateOn", "updateOffVariation"]),
            skip,
        ])
    }

    /// The first flag of the project, and what it says of our actions on it.
    async fn told_of_a_flag(&self) -> Result<Option<(String, Access)>, FlagError> {
        #[derive(Deserialize)]
        struct Listed {
            key: String,
            #[serde(default)]
            environments: Value,
        }
        let mut url = self.api.address(&["api", "v2", "flags", &self.project]);
        url.query_pairs_mut().append_pair("limit", "1").append_pair("env", &self.environment);
        let page = self.page::<Listed>(NOBODY, url).await?;
        let Some(flag) = page.and_then(|page| page.items.into_iter().next()) else { return Ok(None) };
        let access = flag.environments.get(&self.environment).and_then(|found| found.get("_access"));
        let access = access.and_then(|access| serde_json::from_value(access.clone()).ok());
        Ok(access.map(|access| (flag.key, access)))
    }
}
