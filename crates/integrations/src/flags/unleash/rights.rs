//! What the token allows, and who changed a flag last: found out by reading only.

use outcome_core::ports::{FlagAct, FlagError, Right};
use reqwest::StatusCode;
use serde::Deserialize;

use super::super::api::Of;
use super::Unleash;
use super::wire::cut;

/// For whom the token speaks. The answer holds the token itself, which is not kept.
#[derive(Debug, Deserialize)]
struct Caller {
    permissions: Vec<Permission>,
}

#[derive(Debug, Deserialize)]
struct Permission {
    #[serde(rename = "permission")]
    name: String,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    environment: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Overview {
    environments: Vec<Named>,
}

/// An environment of a project; versions differ in how they write it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Named {
    Object { environment: String },
    Text(String),
}

#[derive(Debug, Deserialize)]
struct Events {
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    created_by: String,
    created_at: String,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    summary: Option<String>,
}

/// No flag: what is asked is of the project.
const NO_FLAG: &str = "-";

impl Unleash {
    pub(super) async fn rights_of_token(&self) -> Result<Vec<Right>, FlagError> {
        let of = Of::read(NO_FLAG);
        let url = self.api.address(&["api", "admin", "user"]);
        let answer = self.send(of, |client| client.get(url.clone())).await?;
        if !answer.status.is_success() {
            return Err(self.refused(of, &answer));
        }
        let caller: Caller = self.api.json(of, &answer)?;
        let is_admin = caller.permissions.iter().any(|one| one.name == "ADMIN");
        let has = |name: &str| is_admin || caller.permissions.iter().any(|one| self.covers(one, name));
        let write = |act: FlagAct, needed: &[&str]| {
            let missing: Vec<_> = needed.iter().filter(|name| !has(name)).copied().collect();
            let detail = format!("its role lacks {} in `{}`, `{}`", missing.join(", "), self.project, self.environment);
            Right { act, is_allowed: Some(missing.is_empty()), detail: (!missing.is_empty()).then_some(detail) }
        };
        Ok(vec![
            self.may_read().await?,
            write(FlagAct::Create, &["CREATE_FEATURE", "CREATE_FEATURE_STRATEGY"]),
            write(
                FlagAct::Rollout,
                &["CREATE_FEATURE_STRATEGY", "UPDATE_FEATURE_STRATEGY", "UPDATE_FEATURE_ENVIRONMENT"],
            ),
            write(FlagAct::Off, &["UPDATE_FEATURE_ENVIRONMENT"]),
            self.skips_reviews(is_admin, has("SKIP_CHANGE_REQUEST")),
        ])
    }

    fn covers(&self, one: &Permission, name: &str) -> bool {
        let is_here = |place: &Option<String>, ours: &str| {
            place.as_deref().is_none_or(|place| place.is_empty() || place == "*" || place == ours)
        };
        one.name == name && is_here(&one.project, &self.project) && is_here(&one.environment, &self.environment)
    }

    /// Everybody with a token for the admin API reads flags of the projects that they see.
    async fn may_read(&self) -> Result<Right, FlagError> {
        let of = Of::read(NO_FLAG);
        let url = self.in_project(&self.project, &["overview"]);
        let answer = self.send(of, |client| client.get(url.clone())).await?;
        let no = |detail: String| Right { act: FlagAct::Read, is_allowed: Some(false), detail: Some(detail) };
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
            return Ok(no(format!("there is no project `{}` that this token can see", self.project)));
        }
        let overview: Overview = self.api.json(of, &answer)?;
        let names: Vec<_> = overview
            .environments
            .iter()
            .map(|named| match named {
                Named::Object { environment: name } | Named::Text(name) => name.as_str(),
            })
            .collect();
        if !names.contains(&self.environment.as_str()) {
            let there: Vec<_> = names.iter().map(|name| format!("`{}`", cut(name))).collect();
            let detail = format!(
                "the project `{}` has no environment `{}`; it has {}",
                self.project,
                self.environment,
                there.join(", ")
            );
            return Ok(no(detail));
        }
        Ok(Right { act: FlagAct::Read, is_allowed: Some(true), detail: None })
    }

    fn skips_reviews(&self, is_admin: bool, may_skip: bool) -> Right {
        let detail = match (is_admin, may_skip) {
            (true, _) => Some(
                "an admin goes past change requests without a word: give the runtime a service account with a role of its own, without \
                 ADMIN and SKIP_CHANGE_REQUEST",
            ),
            (false, true) => Some("its role has SKIP_CHANGE_REQUEST (`Skip change request process`): take it away"),
            (false, false) => None,
        };
        Right {
            act: FlagAct::SkipReviews,
            is_allowed: Some(may_skip),
            detail: detail.map(|text| format!("in `{}`, {text}", self.environment)),
        }
    }

    /// The newest event of a flag that touches our environment.
    pub(super) async fn last_event(&self, key: &str) -> Result<Option<String>, FlagError> {
        let of = Of::read(key);
        let mut url = self.api.address(&["api", "admin", "search", "events"]);
        url.query_pairs_mut().append_pair("feature", &format!("IS:{key}")).append_pair("limit", "20");
        let answer = self.send(of, |client| client.get(url.clone())).await?;
        // Versions before 6 have no such search; elsewhere the log may be closed to this token.
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
            return Ok(None);
        }
        let found: Events = self.api.json(of, &answer)?;
        let touches = |event: &&Event| event.environment.as_deref().is_none_or(|name| name == self.environment);
        Ok(found.events.iter().find(touches).map(|event| self.api.clean(&said(event))))
    }
}

fn said(event: &Event) -> String {
    let what = match (&event.summary, &event.label) {
        (Some(summary), _) if !summary.is_empty() => plain(summary),
        (_, Some(label)) if !label.is_empty() => format!("{} by {}", cut(label), cut(&event.created_by)),
        _ => format!("{} by {}", cut(&event.kind), cut(&event.created_by)),
    };
    format!("{what}, at {}", cut(&event.created_at))
}

/// Markdown without its stars and the addresses of its links.
fn plain(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        match link.split_once("](").and_then(|(text, after)| Some((text, after.split_once(')')?.1))) {
            Some((text, after)) => {
                out.push_str(text);
                rest = after;
            }
            None => {
                out.push('[');
                rest = link;
            }
        }
    }
    out.push_str(rest);
    out.replace("**", "").chars().filter(|c| !c.is_control()).take(300).collect()
}
