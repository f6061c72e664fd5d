//! A feature, as it is live at one server.

use outcome_core::ports::FlagError;
use outcome_core::ports::flags::check_key;
use reqwest::StatusCode;
use url::Url;

use super::super::api::{Api, Of, foreign};
use super::settings::Place;
use super::wire::{Feature, OfFeature};

/// The service.
pub(super) struct Growthbook {
    pub(super) api: Api,
    pub(super) at: Place,
    /// The key is an admin's, as its form shows.
    pub(super) is_admin: bool,
}

impl Growthbook {
    pub(super) fn feature_url(&self, key: &str, path: &[&str]) -> Url {
        self.api.address(&[&["api", "v2", "features", key], path].concat())
    }

    /// The feature as it is live.
    pub(super) async fn find(&self, key: &str) -> Result<Option<Feature>, FlagError> {
        check_key(key)?;
        let url = self.feature_url(key, &[]);
        let answer = self.api.answer(Of::read(key), |client| client.get(url.clone())).await?;
        let is_missing = match answer.status {
            StatusCode::NOT_FOUND => true,
            // What the server says instead of a 404.
            StatusCode::BAD_REQUEST => self.api.said(&answer).starts_with("Could not find a feature"),
            _ => false,
        };
        if is_missing {
            return Ok(None);
        }
        self.api.json::<OfFeature>(Of::read(key), &answer).map(|found| Some(found.feature))
    }

    /// A set-up of somebody else; its words are cleaned.
    pub(super) fn foreign(&self, key: &str, problem: &str) -> FlagError {
        foreign(key, self.api.clean(problem))
    }
}
