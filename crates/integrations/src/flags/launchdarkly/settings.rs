//! What is written in `outcome.yaml`, and how it is opened.

use std::sync::Arc;

use outcome_core::config::vendor::{
    Decode as _, FlagVendor, Keymap, Node, Reporter, references, secret, service_address,
};
use outcome_core::ports::{FlagAnswers, FlagError, FlagService, FlagSettings, Opening};
use outcome_core::yaml_map;
use reqwest::header::{AUTHORIZATION, HeaderName};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{LaunchDarkly, PRODUCT};
use crate::flags::api::Api;
use crate::http::Access;

/// LaunchDarkly.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "launchdarkly",
    example: "project: shop\n  environment: production\n  token: ${LAUNCHDARKLY_TOKEN}",
    keys: Keymap::new(LaunchDarklyFile::FIELDS, |generator| generator.subschema_for::<LaunchDarklyFile>()),
    role: ROLE,
    has_experiments: true,
    read,
};

/// The version that every request asks for, whatever the token was made with. 20220603 ends on 2026-12-31.
const API_VERSION: &str = "20240415";

const ROLE: &str = "\
1. Organization settings, Roles, Create role `outcome-runtime`, policy (advanced editor), with your keys for PROJECT and ENVIRONMENT:
   allow `viewProject` on `proj/PROJECT`
   allow `createFlag` on `proj/PROJECT:env/*:flag/*`
   allow `updateOn`, `updateFallthrough`, `updateOffVariation`, `createApprovalRequest`, `applyApprovalRequest`,
     `deleteApprovalRequest` on `proj/PROJECT:env/ENVIRONMENT:flag/*`
   deny `bypassRequiredApproval`, `reviewApprovalRequest` on `proj/PROJECT:env/*:flag/*`
2. Organization settings, Authorization, Access tokens, Create token: a *service token* with this role alone, API version 20240415.
   A reader, writer or admin token is wider than needed; an SDK key, mobile key or client-side id cannot change flags.
3. Environment settings, Approvals: if approvals are required, the runtime asks for them and applies what was approved.
docs/flags/launchdarkly.md says what each right is for.";

yaml_map! {
    /// Settings of `launchdarkly`.
    LaunchDarklyFile("the config of `launchdarkly`") {
        /// Address of the instance: `https://app.launchdarkly.com`, `https://app.eu.launchdarkly.com`, `https://app.launchdarkly.us`.
        optional(signed) url: String = "https://app.launchdarkly.com",
        /// Key of the project.
        required(signed) project: String,
        /// Key of the environment, such as `production`.
        required(signed) environment: String,
        /// Access token that may change flags, such as `${LAUNCHDARKLY_TOKEN}`; not an SDK key.
        required(signed) token: String,
        /// Kind of the contexts that are split: the unit that exposures count.
        optional(signed) context_kind: String = "user",
    }
}

#[derive(Debug)]
struct LaunchDarklySettings {
    url: String,
    project: String,
    environment: String,
    token: String,
    context_kind: String,
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    let file = LaunchDarklyFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "LAUNCHDARKLY_URL", "https://app.launchdarkly.com", reporter);
    }
    for key in [&file.project, &file.environment].into_iter().flatten() {
        references(key, reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "LAUNCHDARKLY_TOKEN", token, reporter);
    }
    Some(Arc::new(LaunchDarklySettings {
        url: file.url?.value,
        project: file.project?.value,
        environment: file.environment?.value,
        token: file.token?.value,
        context_kind: file.context_kind?.value,
    }))
}

impl FlagSettings for LaunchDarklySettings {
    fn to_json(&self) -> serde_json::Value {
        let Self { url, project, environment, token, context_kind } = self;
        json!({ "url": url, "project": project, "environment": environment, "token": token, "context_kind": context_kind })
    }

    fn answers(&self) -> FlagAnswers {
        let Self { url, project, environment, .. } = self;
        FlagAnswers::boolean(
            PRODUCT.name,
            format!("{url}, project {project}, environment {environment}"),
            "LaunchDarkly's SDK with the key of that environment: the boolean variation (`boolVariation` or `variation`) of the flag \
                  with `false` as the fallback value, for a context of the kind that `context_kind` names (`user` if it is not \
                  written) whose key is the id of the unit; in a browser or a mobile app the flag must be made available to \
                  client-side SDKs first",
        )
    }

    fn keeps_arms(&self) -> Option<bool> {
        // Whoever is treated stays; the control gives up units as the share grows.
        Some(false)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        let of = |text: &str| PRODUCT.resolved(opening, text);
        let key_of = |name: &str, text: &str| key(name, of(text)?.expose_secret());
        let token = of(&self.token)?;
        refuse_other_keys(&token)?;
        let version = (HeaderName::from_static("ld-api-version"), "version", SecretString::from(API_VERSION));
        let access = Access::Headers(vec![(AUTHORIZATION, "token", token)]).with_headers(vec![version]);
        Ok(Box::new(LaunchDarkly {
            api: Api::open(&PRODUCT, &of(&self.url)?, access)?,
            project: key_of("project", &self.project)?,
            environment: key_of("environment", &self.environment)?,
            context_kind: key_of("context_kind", &self.context_kind)?,
        }))
    }
}

/// A key of LaunchDarkly's, as it stands in paths and resource names.
fn key(name: &str, text: &str) -> Result<String, FlagError> {
    let text = text.trim();
    let is_key = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if is_key && begins && text.len() <= 256 {
        return Ok(text.to_owned());
    }
    Err(PRODUCT.config(&format!("its `{name}` is not a key of LaunchDarkly's: letters, digits, `.`, `_` and `-`")))
}

/// Keys that evaluate flags look like tokens and can change nothing.
fn refuse_other_keys(token: &SecretString) -> Result<(), FlagError> {
    let token = token.expose_secret().trim();
    let kind = match token {
        _ if token.starts_with("sdk-") => "an SDK key (`sdk-...`)",
        _ if token.starts_with("mob-") => "a mobile key (`mob-...`)",
        _ if token.starts_with("rel-") => "a key of the Relay Proxy (`rel-...`)",
        _ if token.len() == 24 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) => "a client-side id",
        _ => return Ok(()),
    };
    Err(PRODUCT.config(&format!(
        "its `token` is {kind}, which can read flags but not change them; it needs an access token (`api-...`)"
    )))
}
