//! The settings of a Flagsmith flag service, and how it is opened.

use std::sync::Arc;

use outcome_core::config::vendor::{
    Decode as _, FlagVendor, Keymap, Node, Reporter, references, secret, service_address,
};
use outcome_core::ports::{FlagAnswers, FlagError, FlagService, FlagSettings, Opening};
use outcome_core::yaml_map;
use reqwest::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::super::api::Api;
use super::{Flagsmith, PRODUCT};
use crate::http::Access;

/// Flagsmith.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "flagsmith",
    example: "project: \"1234\"\n    environment: ${FLAGSMITH_ENVIRONMENT}\n    token: ${FLAGSMITH_TOKEN}",
    keys: Keymap::new(FlagsmithFile::FIELDS, |generator| generator.subschema_for::<FlagsmithFile>()),
    role: ROLE,
    has_experiments: false,
    read,
};

const ROLE: &str = "\
An organisation API key that is not an admin (Organisation > API Keys), with one role (Organisation > Roles) that has
in the project
  View project                      VIEW_PROJECT
  View audit log                    VIEW_AUDIT_LOG
  Project administrator             to make flags: Flagsmith demands it for variants. Without it, a person makes them
in the environment of experiments, and no other
  View environment                  VIEW_ENVIRONMENT
  Update feature state              UPDATE_FEATURE_STATE
  Manage segment overrides          MANAGE_SEGMENT_OVERRIDES, so that off also reaches segments of others
  View identities                   VIEW_IDENTITIES, where the Edge API keeps identities, as in the cloud
Where change requests are on, leave Update feature state out: the API takes direct changes past them. The runtime then asks people.
docs/flags/flagsmith.md has each step.";

yaml_map! {
    /// Settings of `flagsmith`.
    FlagsmithFile("the config of `flagsmith`") {
        /// Address of the API: the cloud's, or your own server's.
        optional(signed) url: String = "https://api.flagsmith.com",
        /// Number of the project, in quotes.
        required(signed) project: String,
        /// Client-side key of the environment in which flags are turned on and off.
        required(signed) environment: String,
        /// Organisation API key, or a person's token, such as `${FLAGSMITH_TOKEN}`.
        required(signed) token: String,
    }
}

#[derive(Debug)]
struct FlagsmithSettings {
    url: String,
    project: String,
    environment: String,
    token: String,
}

impl FlagSettings for FlagsmithSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "url": self.url, "project": self.project, "environment": self.environment, "token": self.token })
    }

    fn answers(&self) -> FlagAnswers {
        FlagAnswers::boolean(
            PRODUCT.name,
            self.url.clone(),
            "the Flagsmith SDK's flags of an identity, with the unit's id as the identifier: treatment if isFeatureEnabled(KEY) and \
                  getFeatureValue(KEY) is true, else control. Or an OpenFeature provider for Flagsmith with its option \
                  useBooleanConfigValue, getBooleanValue(KEY, false) with the unit's id as targetingKey. Never isFeatureEnabled alone: \
                  it is true for everybody while the flag is on",
        )
    }

    /// A unit's place is compared with the allocation: a larger one takes units out of the control.
    fn keeps_arms(&self) -> Option<bool> {
        Some(false)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        let resolved = |text: &str| PRODUCT.resolved(opening, text);
        let plain = |text: &str| Ok::<_, FlagError>(resolved(text)?.expose_secret().trim().to_owned());
        let project = plain(&self.project)?;
        let project = project.parse().map_err(|_| PRODUCT.config("its `project` is not the number of a project"))?;
        let environment = plain(&self.environment)?;
        if environment.starts_with("ser.") {
            return Err(PRODUCT
                .config("its `environment` is a server-side key (`ser.`): write the client-side key, which names it"));
        }
        if environment.is_empty()
            || !environment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        {
            return Err(PRODUCT.config("its `environment` is not the client-side key of an environment"));
        }
        let token = SecretString::from(plain(&self.token)?);
        let authorization = authorization(&token)?;
        // An answer may repeat the token without the word before it.
        let access = Access::Hidden(vec![token]).with_headers(vec![(AUTHORIZATION, "token", authorization)]);
        Ok(Box::new(Flagsmith { api: Api::open(&PRODUCT, &resolved(&self.url)?, access)?, project, environment }))
    }
}

/// How a token is sent: an organisation's API key has a dot in it, a person's token is 40 hexadecimal digits.
fn authorization(token: &SecretString) -> Result<SecretString, FlagError> {
    let token = token.expose_secret();
    let kind = match token {
        "" => return Err(PRODUCT.config("its `token` is empty")),
        _ if token.starts_with("ser.") => {
            return Err(PRODUCT.config(
                "its `token` is a server-side environment key (`ser.`), which only evaluates flags: make an organisation API key",
            ));
        }
        _ if token.contains('.') => "Api-Key",
        _ if token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) => "Token",
        _ => {
            return Err(PRODUCT.config(
                "its `token` is neither an organisation API key (`prefix.secret`) nor a person's token (40 hexadecimal digits); a key of an \
                 environment only evaluates flags",
            ));
        }
    };
    Ok(SecretString::from(format!("{kind} {token}")))
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    let file = FlagsmithFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "FLAGSMITH_URL", "https://api.flagsmith.com", reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "FLAGSMITH_TOKEN", token, reporter);
    }
    for name in [&file.project, &file.environment].into_iter().flatten() {
        references(name, reporter);
    }
    Some(Arc::new(FlagsmithSettings {
        url: file.url?.value,
        project: file.project?.value,
        environment: file.environment?.value,
        token: file.token?.value,
    }))
}
