//! The settings of an Unleash flag service, and how it is opened.

use std::sync::Arc;

use outcome_core::config::vendor::{
    Decode as _, FlagVendor, Keymap, Node, Reporter, references, secret, service_address,
};
use outcome_core::ports::{FlagAnswers, FlagError, FlagService, FlagSettings, Opening};
use outcome_core::yaml_map;
use reqwest::header::AUTHORIZATION;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::api::Api;
use super::{PRODUCT, Unleash};
use crate::http::Access;

/// Unleash.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "unleash",
    example: "url: ${UNLEASH_URL}\n    environment: production\n    token: ${UNLEASH_TOKEN}",
    keys: Keymap::new(UnleashFile::FIELDS, |generator| generator.subschema_for::<UnleashFile>()),
    role: ROLE,
    has_experiments: true,
    read,
};

const ROLE: &str = "\
Enterprise: a service account of its own (Admin settings > Service accounts) with the root role `Viewer`, a token of it, and in the
project one custom project role with
  Create feature toggles                         CREATE_FEATURE
in the environment of experiments, and no other
  Create activation strategies                   CREATE_FEATURE_STRATEGY
  Update activation strategies                   UPDATE_FEATURE_STRATEGY
  Enable/disable toggles                         UPDATE_FEATURE_ENVIRONMENT
Not `Admin` and not `Skip change request process` (SKIP_CHANGE_REQUEST): both go past your reviews without a word.
Open source: a user of its own with the root role `Editor`, and a personal access token of it; there are no custom roles.
docs/flags/unleash.md has each step.";

yaml_map! {
    /// Settings of `unleash`.
    UnleashFile("the config of `unleash`") {
        /// Address of the instance without `/api`, such as `https://us.app.unleash-hosted.com/acme`.
        required(signed) url: String,
        /// The project of the flags.
        optional(signed) project: String = "default",
        /// The environment in which flags are turned on and off, such as `production`.
        required(signed) environment: String,
        /// Token of a service account, or a personal one, such as `${UNLEASH_TOKEN}`.
        required(signed) token: String,
        /// The context field with the id of the unit that exposures count. `default` and `random` are refused: they deal units anew.
        optional(signed) stickiness: String = "userId",
    }
}

#[derive(Debug)]
struct UnleashSettings {
    url: String,
    project: String,
    environment: String,
    token: String,
    stickiness: String,
}

impl FlagSettings for UnleashSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "url": self.url, "project": self.project, "environment": self.environment, "token": self.token,
            "stickiness": self.stickiness,
        })
    }

    fn answers(&self) -> FlagAnswers {
        FlagAnswers::boolean(
            PRODUCT.name,
            self.url.clone(),
            "the Unleash SDK's isEnabled(KEY, context, false), or an OpenFeature provider for Unleash with \
                  getBooleanValue(KEY, false); the unit's id is in the context field that `stickiness` names (userId unless it is set). \
                  Not getVariant: the flag has no variants",
        )
    }

    /// A unit's place is compared with the share: those in the treatment stay as it grows, and take units from the control.
    fn keeps_arms(&self) -> Option<bool> {
        Some(false)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        let resolved = |text: &str| PRODUCT.resolved(opening, text);
        let plain = |key: &str, text: &str| {
            let text = resolved(text)?.expose_secret().trim().to_owned();
            let is_name = !text.is_empty() && text.len() <= 100 && !matches!(text.as_str(), "." | "..");
            if is_name && !text.chars().any(|c| c.is_control() || c == '/') {
                return Ok(text);
            }
            Err(PRODUCT.config(&format!("its `{key}` is not a name in Unleash")))
        };
        let stickiness = plain("stickiness", &self.stickiness)?;
        if matches!(stickiness.as_str(), "random" | "default") {
            return Err(PRODUCT.config(&format!(
                "its `stickiness` is `{stickiness}`, with which Unleash deals a unit anew when its user id is missing: name the context \
                 field with the id of your unit, such as `userId`"
            )));
        }
        let url = resolved(&self.url)?;
        if url.expose_secret().trim_end_matches('/').ends_with("/api") {
            return Err(PRODUCT.config("its `url` ends with `/api`, as that of an SDK: write it without"));
        }
        let token = resolved(&self.token)?;
        if let Some(kind) = wrong_kind(token.expose_secret()) {
            return Err(PRODUCT.config(&kind));
        }
        let access = Access::Headers(vec![(AUTHORIZATION, "token", token)]);
        Ok(Box::new(Unleash {
            api: Api::open(&PRODUCT, &url, access)?,
            project: plain("project", &self.project)?,
            environment: plain("environment", &self.environment)?,
            stickiness,
        }))
    }
}

/// Tokens of applications name one environment: `project:environment.secret`. That of the admin API has `*` there, and tokens of people
/// and service accounts begin with `user:`.
fn wrong_kind(token: &str) -> Option<String> {
    let (project, rest) = token.trim().split_once(':')?;
    let (environment, _) = rest.split_once('.')?;
    let is_of_application = project != "user" && environment != "*";
    is_of_application.then(|| {
        "its `token` is one of an application (`project:environment.secret`), which only evaluates flags: make one of a service account, \
         or a personal one; they begin with `user:`"
            .to_owned()
    })
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    let file = UnleashFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "UNLEASH_URL", "https://us.app.unleash-hosted.com/acme", reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "UNLEASH_TOKEN", token, reporter);
    }
    for name in [&file.project, &file.environment, &file.stickiness].into_iter().flatten() {
        references(name, reporter);
    }
    Some(Arc::new(UnleashSettings {
        url: file.url?.value,
        project: file.project?.value,
        environment: file.environment?.value,
        token: file.token?.value,
        stickiness: file.stickiness?.value,
    }))
}
