//! What is written in `outcome.yaml`, and how it is opened.

use std::sync::Arc;

use outcome_core::config::vendor::{At, Decode as _, FlagVendor, Keymap, Node, Reporter, secret, service_address};
use outcome_core::ports::{FlagAnswers, FlagError, FlagService, FlagSettings, Opening};
use outcome_core::yaml_map;
use reqwest::header::HeaderName;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{PRODUCT, Statsig};
use crate::flags::api::Api;
use crate::http::Access;

/// Statsig.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "statsig",
    example: "token: ${STATSIG_CONSOLE_KEY}",
    keys: Keymap::new(StatsigFile::FIELDS, |generator| generator.subschema_for::<StatsigFile>()),
    role: ROLE,
    has_experiments: false,
    read,
};

/// The only version there is; it will be mandatory.
const API_VERSION: &str = "20240601";

const ROLE: &str = "\
1. Project settings, Keys & Environments, Console API keys, Generate new key `outcome-runtime`. A console key reads and writes the
   configurations of its whole project; where Statsig offers scopes, take those for gates alone, and none for other keys.
   Use a project of its own for what the key must not reach.
2. A client key (`client-...`) or server secret key (`secret-...`) cannot change gates.
3. Project settings, Reviews: the runtime sends `x-respect-review-settings` with each request, so that reviews which are required there
   are asked for. Statsig lets whoever has the key leave that header out, so nobody else should have it.
docs/flags/statsig.md says what is written.";

yaml_map! {
    /// Settings of `statsig`.
    StatsigFile("the config of `statsig`") {
        /// Address of the Console API.
        optional(signed) url: String = "https://statsigapi.net",
        /// Console API key, such as `${STATSIG_CONSOLE_KEY}`; not a client or server key.
        required(signed) token: String,
        /// The type of the ids that are split, such as `userID`: the unit that exposures count.
        optional(signed) id_type: String = "userID",
        /// The environment whose rule is written, such as `production`; default: a rule for all of them. Off is off in all.
        optional(signed) environment: String,
    }
}

#[derive(Debug)]
struct StatsigSettings {
    url: String,
    token: String,
    id_type: String,
    environment: Option<String>,
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    let file = StatsigFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "STATSIG_URL", "https://statsigapi.net", reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "STATSIG_CONSOLE_KEY", token, reporter);
    }
    let value = |at: Option<At<String>>| at.map(|at| at.value);
    Some(Arc::new(StatsigSettings {
        url: file.url?.value,
        token: file.token?.value,
        id_type: file.id_type?.value,
        environment: value(file.environment),
    }))
}

impl FlagSettings for StatsigSettings {
    fn to_json(&self) -> serde_json::Value {
        let Self { url, token, id_type, environment } = self;
        json!({ "url": url, "token": token, "id_type": id_type, "environment": environment })
    }

    fn answers(&self) -> FlagAnswers {
        FlagAnswers::boolean(
            PRODUCT.name,
            self.url.clone(),
            "Statsig's SDK: `checkGate` of the gate for a user whose id of the type that `id_type` names (`userID` if it is not written) \
                  is the id of the unit; a gate that the SDK does not know is `false`, so no default is given",
        )
    }

    fn keeps_arms(&self) -> Option<bool> {
        // Whoever passes goes on passing; the others give up units as the share grows.
        Some(false)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        let of = |text: &str| PRODUCT.resolved(opening, text);
        let token = of(&self.token)?;
        check(&token)?;
        let plain = |name, value: &str| (HeaderName::from_static(name), "version", SecretString::from(value));
        let credentials = vec![(HeaderName::from_static("statsig-api-key"), "token", token)];
        let access = Access::Headers(credentials)
            .with_headers(vec![plain("statsig-api-version", API_VERSION), plain("x-respect-review-settings", "true")]);
        let api = Api::open(&PRODUCT, &of(&self.url)?, access)?;
        Ok(Box::new(Statsig { api, id_type: self.id_type.clone(), environment: self.environment.clone() }))
    }
}

/// Keys that evaluate gates can change none.
fn check(token: &SecretString) -> Result<(), FlagError> {
    let kind = match token.expose_secret().trim() {
        token if token.starts_with("console-") => return Ok(()),
        token if token.starts_with("client-") => {
            "a client key (`client-...`), which can check gates but not change them"
        }
        token if token.starts_with("secret-") => {
            "a server secret key (`secret-...`), which can check gates but not change them"
        }
        _ => "not a key of the Console API",
    };
    Err(PRODUCT.config(&format!("its `token` is {kind}; it needs a console API key (`console-...`)")))
}
