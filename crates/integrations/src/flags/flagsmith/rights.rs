//! What the token allows, and who changed a feature last: found out by reading only.

use outcome_core::ports::{FlagAct, FlagError, Right};
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use super::super::api::Of;
use super::Flagsmith;
use super::wire::{Page, cut};

#[derive(Debug, Deserialize)]
struct Permissions {
    permissions: Vec<String>,
    admin: bool,
}

impl Permissions {
    fn has(&self, name: &str) -> bool {
        self.admin || self.permissions.iter().any(|one| one == name)
    }
}

#[derive(Debug, Deserialize)]
struct Entry {
    created_date: String,
    log: String,
    #[serde(default)]
    author: Option<Author>,
}

#[derive(Debug, Deserialize)]
struct Author {
    #[serde(default)]
    email: String,
}

/// No feature: what is asked is of the project.
const NO_FLAG: &str = "-";

const KEY_IS_SILENT: &str =
    "Flagsmith does not say what an organisation API key may do: look at its role, and that it is no admin";

impl Flagsmith {
    pub(super) async fn rights_of_token(&self) -> Result<Vec<Right>, FlagError> {
        let environment = self.environment(NO_FLAG).await?;
        let project = self.permissions(&["projects", &self.project.to_string(), "my-permissions"]).await?;
        let here = self.permissions(&["environments", &self.environment, "my-permissions"]).await?;
        let may_create = project.as_ref().map(|all| all.admin);
        let may_update = here.as_ref().map(|all| all.has("UPDATE_FEATURE_STATE"));
        let has_reviews = environment.approvals().is_some();
        let right = |act: FlagAct, is_allowed: Option<bool>, lacking: &str| Right {
            act,
            is_allowed,
            detail: match is_allowed {
                Some(true) => None,
                Some(false) => Some(lacking.to_owned()),
                None => Some(KEY_IS_SILENT.to_owned()),
            },
        };
        let lacking = format!("its role lacks UPDATE_FEATURE_STATE in `{}`", self.api.clean(&environment.name));
        let (rollout, off) = if has_reviews {
            let waits = "change requests are on in this environment: people make the change there".to_owned();
            let by_people = |act| Right { act, is_allowed: Some(false), detail: Some(waits.clone()) };
            (by_people(FlagAct::Rollout), by_people(FlagAct::Off))
        } else {
            (right(FlagAct::Rollout, may_update, &lacking), right(FlagAct::Off, may_update, &lacking))
        };
        let off = match here.as_ref().is_some_and(|all| !all.has("MANAGE_SEGMENT_OVERRIDES")) {
            true if off.is_allowed == Some(true) => Right {
                detail: Some("without MANAGE_SEGMENT_OVERRIDES, a segment that somebody turned on stays on".to_owned()),
                ..off
            },
            _ => off,
        };
        Ok(vec![
            Right { act: FlagAct::Read, is_allowed: Some(true), detail: None },
            right(
                FlagAct::Create,
                may_create,
                "only an administrator of the project may make a flag with a variant: a person makes it, or gives the role that right",
            ),
            rollout,
            off,
            skips_reviews(has_reviews, may_update),
        ])
    }

    /// Permissions of a person; `None` for an organisation's key, which is not told.
    async fn permissions(&self, path: &[&str]) -> Result<Option<Permissions>, FlagError> {
        let url: Url = self.address(path, &[]);
        let of = Of::read(NO_FLAG);
        let answer = self.api.answer(of, |client| client.get(url.clone())).await?;
        if matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        self.api.json(of, &answer).map(Some)
    }

    /// The newest entry of the audit log that names the feature.
    pub(super) async fn last_entry(&self, key: &str) -> Result<Option<String>, FlagError> {
        let environment = self.environment(key).await?;
        let query = [("project", self.project.to_string()), ("search", key.to_owned())];
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = self.address(&["audit"], &query);
        let of = Of::read(key);
        let answer = self.api.answer(of, |client| client.get(url.clone())).await?;
        // Plans and roles without the log.
        if matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        let page: Page<serde_json::Value> = self.api.json(of, &answer)?;
        let is_here = |entry: &&serde_json::Value| match entry.pointer("/environment/id") {
            Some(id) => id.as_u64() == Some(environment.id),
            None => true,
        };
        let Some(entry) = page.results.iter().find(is_here) else { return Ok(None) };
        let Ok(entry) = serde_json::from_value::<Entry>(entry.clone()) else { return Ok(None) };
        let by = match &entry.author {
            Some(author) if !author.email.is_empty() => format!(" by {}", cut(&author.email)),
            _ => String::new(),
        };
        let said = format!("{}{by}, at {}", cut(entry.log.trim_end_matches('.')), cut(&entry.created_date));
        Ok(Some(self.api.clean(&said)))
    }
}

/// The API takes direct changes although the screens demand a change request.
fn skips_reviews(has_reviews: bool, may_update: Option<bool>) -> Right {
    let detail = match (has_reviews, may_update) {
        (true, Some(true)) => {
            "change requests are on, and Flagsmith's API takes direct changes from whoever has UPDATE_FEATURE_STATE. The runtime makes none; \
             take the permission away, so that nobody with this token can"
        }
        (true, None) => {
            "change requests are on, and Flagsmith's API takes direct changes from whoever has UPDATE_FEATURE_STATE. Give the role of this \
             key no such right, and make sure that it is no admin"
        }
        (false, Some(true)) => "as soon as change requests are on: Flagsmith's API takes direct changes all the same",
        (true | false, Some(false)) => "its role lacks UPDATE_FEATURE_STATE",
        (false, None) => KEY_IS_SILENT,
    };
    let is_allowed = if has_reviews { may_update } else { may_update.filter(|may| !may) };
    Right { act: FlagAct::SkipReviews, is_allowed, detail: Some(detail.to_owned()) }
}
