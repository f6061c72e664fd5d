//! GrowthBook's features. <https://docs.growthbook.io/api>, version 5.1 of its document, v2 of features, read in 2026-11 with the source
//! of its server.
//!
//! A share is changed by a draft revision that is read back and published; the environment's switch turns off. Nothing but our rule
//! and our environment is sent.

mod client;
mod draft;
mod elsewhere;
mod judge;
mod settings;
mod watch;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use client::Growthbook;
use draft::Landed;
use judge::{Wish, is_off, ours};
use outcome_core::config::vendor::{FlagVendor, Node, Reporter};
use outcome_core::ports::elsewhere::ElsewhereService;
use outcome_core::ports::flags::check_pct;
use outcome_core::ports::{FlagError, FlagService, FlagSettings, FlagState, Right};
use reqwest::StatusCode;
use serde_json::json;
use settings::{PRODUCT, Place};
use wire::{Feature, OfFeature};

use super::api::Of;

/// GrowthBook.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "growthbook",
    example: "environment: production\n    token: ${GROWTHBOOK_KEY}",
    keys: settings::keys(),
    role: settings::ROLE,
    has_experiments: true,
    read,
};

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    settings::read(node, reporter, |api, at, is_admin| Box::new(Growthbook { api, at, is_admin }))
}

/// How often a change is decided when others change the flag meanwhile.
const DECISIONS: usize = 3;

impl Growthbook {
    fn is_off(&self, key: &str, feature: &Feature) -> Result<bool, FlagError> {
        is_off(feature, &self.at).map_err(|problem| self.foreign(key, &problem))
    }

    /// What units of the environment get.
    fn state(&self, key: &str, feature: &Feature) -> Result<FlagState, FlagError> {
        if self.is_off(key, feature)? {
            return Ok(FlagState::off(key));
        }
        let ours = ours(feature, &self.at).map_err(|problem| self.foreign(key, &problem))?;
        Ok(FlagState::on(key, ours.treatment_pct))
    }

    async fn create(&self, key: &str, description: &str) -> Result<Feature, FlagError> {
        let Place { environment, project, hash_attribute } = &self.at;
        let rule = json!({
            "type": "rollout", "description": "Set by Outcome Runtime", "value": "true", "coverage": 0,
            "hashAttribute": hash_attribute, "enabled": true, "allEnvironments": false, "environments": [environment],
        });
        let mut body = json!({
            "id": key, "description": description, "valueType": "boolean", "defaultValue": "false",
            "environments": { environment.as_str(): { "enabled": false } }, "rules": [rule],
        });
        if let (Some(project), Some(fields)) = (project, body.as_object_mut()) {
            fields.insert("project".to_owned(), json!(project));
        }
        let url = self.api.address(&["api", "v2", "features"]);
        let answer = self.api.answer(Of::write(key), |client| client.post(url.clone()).json(&body)).await?;
        if matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT) {
            // Made by somebody else meanwhile, or by an earlier try of ours whose answer was lost.
            return self.find(key).await?.ok_or_else(|| self.api.refused(Of::write(key), &answer));
        }
        self.api.json::<OfFeature>(Of::write(key), &answer).map(|made| made.feature)
    }

    /// Turns the environment off; `None` when GrowthBook does not let it be done so.
    async fn toggle_off(&self, key: &str) -> Result<Option<()>, FlagError> {
        let url = self.feature_url(key, &["toggle"]);
        let body = json!({ "reason": "Outcome Runtime: off", "environments": { self.at.environment.as_str(): false } });
        let answer = self.api.answer(Of::write(key), |client| client.post(url.clone()).json(&body)).await?;
        match answer.status.as_u16() {
            400 | 403 | 404 | 409 | 422 => Ok(None),
            _ => {
                let OfFeature { feature } = self.api.json(Of::write(key), &answer)?;
                Ok(self.is_off(key, &feature)?.then_some(()))
            }
        }
    }
}

#[async_trait]
impl FlagService for Growthbook {
    fn name(&self) -> &str {
        PRODUCT.name
    }

    fn place(&self) -> Option<String> {
        Some(self.api.place())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        let feature = match self.find(key).await? {
            Some(feature) => feature,
            None => self.create(key, description).await?,
        };
        self.state(key, &feature)
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        check_pct(treatment_pct)?;
        let desired = FlagState::on(key, treatment_pct);
        let mut decided = 0;
        loop {
            let feature = match self.find(key).await? {
                Some(feature) => feature,
                None => self.create(key, "").await?,
            };
            decided += 1;
            if feature.archived {
                return Err(self.foreign(key, "it is archived: unarchive it in GrowthBook, or take another flag"));
            }
            ours(&feature, &self.at).map_err(|problem| self.foreign(key, &problem))?;
            if self.state(key, &feature)?.is_same(&desired) {
                return Ok(desired);
            }
            if let Some(ramp) = self.ramp(key).await? {
                return Err(self.foreign(key, &ramp));
            }
            match self.land(key, &feature, Wish::Share(treatment_pct)).await? {
                Landed::Done => return Ok(desired),
                Landed::Conflict(error) if decided == DECISIONS => return Err(error),
                Landed::Conflict(_) => {}
            }
        }
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        let mut decided = 0;
        loop {
            let Some(feature) = self.find(key).await? else { return Ok(FlagState::off(key)) };
            decided += 1;
            let is_done = self.is_off(key, &feature)? || self.toggle_off(key).await?.is_some();
            let landed = if is_done { Landed::Done } else { self.land(key, &feature, Wish::Off).await? };
            match landed {
                Landed::Done => {
                    // A draft of a share that is approved tomorrow must not turn it on again.
                    let drafts = self.our_drafts(key).await?;
                    self.forget_drafts(key, &drafts, None).await?;
                    return Ok(FlagState::off(key));
                }
                Landed::Conflict(error) if decided == DECISIONS => return Err(error),
                Landed::Conflict(_) => {}
            }
        }
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        let Some(feature) = self.find(key).await? else { return Ok(None) };
        let state = self.state(key, &feature)?;
        match if state.is_on { self.ramp_at_work(key).await? } else { None } {
            Some(ramp) => Err(self.foreign(key, &ramp)),
            None => Ok(Some(state)),
        }
    }

    fn elsewhere(&self) -> Option<&dyn ElsewhereService> {
        Some(self)
    }

    async fn last_change(&self, key: &str) -> Result<Option<String>, FlagError> {
        match self.find(key).await? {
            Some(feature) => self.told_last(key, &feature).await.map(Some),
            None => Ok(None),
        }
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        self.what_is_known().await
    }
}
