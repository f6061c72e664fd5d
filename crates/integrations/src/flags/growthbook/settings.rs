//! The settings of the flag service `growthbook`, and the role that its key needs.

use std::sync::Arc;

use outcome_core::config::vendor::{At, Decode as _, Keymap, Node, Reporter, references, secret, service_address};
use outcome_core::ports::{FlagAnswers, FlagError, FlagService, FlagSettings, Opening};
use outcome_core::yaml_map;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::super::api::{Api, Product};
use crate::http::Access;

pub(super) static PRODUCT: Product = Product { name: "GrowthBook", page: "docs/flags/growthbook.md" };

pub(super) const ROLE: &str = "\
1. In GrowthBook: Settings, Members, Roles: add a custom role `outcome-runtime` with, for Feature Flags, Create, Edit and Publish, and
   nothing else. Not Review, not Archive & delete, and above all not Bypass draft approvals.
2. Limit it to the project of the experiments and to the one environment that `environment` names.
3. Settings, API Keys: add a key with this role. Not a read-only key, not an SDK connection's client key, not an admin's token.
4. Settings, General, Feature Settings: `REST API always bypasses approval requirements` must be off.
docs/flags/growthbook.md says more.";

/// GrowthBook's cloud.
const CLOUD: &str = "https://api.growthbook.io";

yaml_map! {
    /// Settings of the flag service `growthbook`.
    GrowthbookFile("the config of `growthbook`") {
        /// Address of the API, without `/api`: `https://api.growthbook.io`, or your own server's API host.
        optional(signed) url: String = "https://api.growthbook.io",
        /// The environment whose units are assigned, such as `production`. No other is changed.
        required(signed) environment: String,
        /// Secret key of a role that may create, edit and publish features, such as `${GROWTHBOOK_KEY}`.
        required(signed) token: String,
        /// Id of the project in which flags are made, such as `prj_123`; default: none.
        optional(signed) project: String,
        /// The attribute whose hash decides the arm. It must be the unit that exposures count.
        optional(signed) hash_attribute: String = "id",
    }
}

pub(super) const fn keys() -> Keymap {
    Keymap::new(GrowthbookFile::FIELDS, |generator| generator.subschema_for::<GrowthbookFile>())
}

/// Where flags are, and how units are told apart there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) environment: String,
    pub(super) project: Option<String>,
    pub(super) hash_attribute: String,
}

/// Makes the service of an open API.
pub(super) type Make = fn(Api, Place, bool) -> Box<dyn FlagService>;

#[derive(Debug)]
struct GrowthbookSettings {
    url: String,
    token: String,
    at: Place,
    make: Make,
}

pub(super) fn read(node: &Node, reporter: &mut Reporter<'_>, make: Make) -> Option<Arc<dyn FlagSettings>> {
    let file = GrowthbookFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "GROWTHBOOK_URL", CLOUD, reporter);
    }
    for text in [&file.environment, &file.project, &file.hash_attribute].into_iter().flatten() {
        references(text, reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "GROWTHBOOK_KEY", token, reporter);
    }
    let value = |at: Option<At<String>>| at.map(|at| at.value);
    let at = Place {
        environment: file.environment?.value,
        project: value(file.project),
        hash_attribute: file.hash_attribute?.value,
    };
    Some(Arc::new(GrowthbookSettings { url: file.url?.value, token: file.token?.value, at, make }))
}

impl FlagSettings for GrowthbookSettings {
    fn to_json(&self) -> Value {
        let Place { environment, project, hash_attribute } = &self.at;
        json!({
            "url": self.url, "environment": environment, "project": project, "hash_attribute": hash_attribute,
            "token": self.token,
        })
    }

    fn answers(&self) -> FlagAnswers {
        FlagAnswers::boolean(
            PRODUCT.name,
            format!("{}, environment {}", self.url, self.at.environment),
            "GrowthBook's own SDK in this repository: getFeatureValue(key, false), with the unit's id in the attribute that \
                  `hash_attribute` names",
        )
    }

    // Its hash of a unit is compared with the coverage: who is in the control moves into the treatment as it grows.
    fn keeps_arms(&self) -> Option<bool> {
        Some(false)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        let of = |text: &str| PRODUCT.resolved(opening, text);
        let text = |key: &str, text: &str| {
            let value = of(text)?.expose_secret().trim().to_owned();
            match value.is_empty() || value.chars().any(char::is_control) {
                true => Err(PRODUCT.config(&format!("its `{key}` is empty, or has characters that no name has"))),
                false => Ok(value),
            }
        };
        let at = Place {
            environment: text("environment", &self.at.environment)?,
            project: self.at.project.as_deref().map(|project| text("project", project)).transpose()?,
            hash_attribute: text("hash_attribute", &self.at.hash_attribute)?,
        };
        let token = of(&self.token)?;
        check_kind(&token)?;
        let is_admin = token.expose_secret().starts_with("secret_admin");
        // Their pages name the address with `/api` at its end.
        let url = of(&self.url)?;
        let host = url.expose_secret().trim_end_matches('/');
        let host = SecretString::from(host.strip_suffix("/api").unwrap_or(host));
        Ok((self.make)(Api::open(&PRODUCT, &host, Access::Bearer(token))?, at, is_admin))
    }
}

/// Refuses keys that cannot change a feature, by their form.
fn check_kind(token: &SecretString) -> Result<(), FlagError> {
    let kind = match token.expose_secret() {
        text if text.starts_with("sdk-") || text.starts_with("key_") => "the client key of an SDK connection",
        text if text.starts_with("secret_readonly") => "a read-only key",
        _ => return Ok(()),
    };
    let problem =
        format!("its `token` is {kind}, which cannot change features: make a key with the role of `flags test`");
    Err(PRODUCT.config(&problem))
}
