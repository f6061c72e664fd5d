//! The documented small HTTP contract: `GET` and `PUT {base}/flags/{key}`. See `docs/flags/custom-http.md`.

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use std::sync::Arc;

use outcome_core::config::vendor::{Decode as _, FlagVendor, Keymap, Node, Reporter, secret, service_address};
use outcome_core::ports::flags::{check_key, check_pct};
use outcome_core::ports::{
    FlagAct, FlagAnswers, FlagError, FlagService, FlagSettings, FlagState, Opening, ResolveSecret, Right,
};
use outcome_core::yaml_map;
use serde_json::json;

use crate::http::HttpClient;

/// The documented small HTTP contract.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "custom_http",
    example: "url: ${FLAGS_URL}",
    keys: Keymap::new(CustomHttpFile::FIELDS, |generator| generator.subschema_for::<CustomHttpFile>()),
    role: ROLE,
    has_experiments: false,
    read,
};

const ROLE: &str = "\
The token of your adapter needs two calls, for the keys of experiments alone:
  GET {url}/flags/{key}
  PUT {url}/flags/{key}
docs/flags/custom-http.md says what they must answer.";

yaml_map! {
    /// Settings of `custom_http`.
    CustomHttpFile("the config of `custom_http`") {
        /// Base address of the flag service, such as `https://flags.example.com`.
        required(signed) url: String,
        /// Bearer token, such as `${FLAGS_TOKEN}`.
        optional(signed) token: String,
    }
}

#[derive(Debug)]
struct CustomHttpSettings {
    url: String,
    token: Option<String>,
}

impl FlagSettings for CustomHttpSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "url": self.url, "token": self.token })
    }

    fn answers(&self) -> FlagAnswers {
        FlagAnswers::boolean(
            NAME,
            self.url.clone(),
            "the flag service's own SDK in this repository, with false as the default and the unit's id as the key",
        )
    }

    fn keeps_arms(&self) -> Option<bool> {
        None
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        Ok(Box::new(CustomHttp::open(&self.url, self.token.as_deref(), opening.resolve)?))
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    let file = CustomHttpFile::decode(node, reporter)?;
    if let Some(token) = &file.token {
        secret("token", "FLAGS_TOKEN", token, reporter);
    }
    if let Some(url) = &file.url {
        service_address(url, "FLAGS_URL", "https://flags.example.com", reporter);
    }
    Some(Arc::new(CustomHttpSettings { url: file.url?.value, token: file.token.map(|token| token.value) }))
}

const NAME: &str = "custom http";
/// A key that nobody has, to see whether the service answers.
const NOBODY: &str = "outcome-runtime-asks";

/// A flag service behind the contract.
#[derive(Debug)]
struct CustomHttp {
    base: Url,
    token: Option<SecretString>,
    client: HttpClient,
}

/// What is sent.
#[derive(Debug, Serialize)]
struct Put<'a> {
    /// Absent: the service keeps the one it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    is_on: bool,
    treatment_pct: u8,
}

/// What is answered; further fields are ignored.
#[derive(Debug, Deserialize)]
struct Answer {
    is_on: bool,
    treatment_pct: u8,
}

fn config(problem: impl Into<String>) -> FlagError {
    let hint = "write `url` as https://flags.example.com/base and `token` as a reference such as ${FLAG_TOKEN}";
    FlagError::Config { problem: problem.into(), hint: hint.to_owned() }
}

impl CustomHttp {
    fn open(url: &str, token: Option<&str>, resolve: &dyn ResolveSecret) -> Result<Self, FlagError> {
        let resolved = |text: &str| resolve.resolve(text).map_err(|error| config(error.message()));
        let address = resolved(url)?;
        let base = Url::parse(address.expose_secret()).map_err(|error| config(format!("its `url`: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(config("its `url` must begin with http:// or https://"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(config("its `url` must not contain a user, password or query; the `token` authenticates"));
        }
        let token = token.map(resolved).transpose()?;
        if token.as_ref().is_some_and(|token| !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(config("its `token` has characters that a header cannot contain"));
        }
        let client = HttpClient::new(token.clone()).map_err(|error| config(error.to_string()))?;
        Ok(Self { base, token, client })
    }

    fn address(&self, key: &str) -> Result<Url, FlagError> {
        check_key(key)?;
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["flags", key]);
        }
        Ok(url)
    }

    async fn send(
        &self,
        key: &str,
        action: &'static str,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Vec<u8>, FlagError> {
        let signed = |client: &Client| match &self.token {
            Some(token) => request(client).bearer_auth(token.expose_secret()),
            None => request(client),
        };
        self.client.send(signed).await.map_err(|cause| FlagError::Http {
            service: NAME.to_owned(),
            action,
            key: key.to_owned(),
            status: cause.status(),
            is_transient: cause.is_transient(),
            page: "docs/flags/custom-http.md",
            cause: Box::new(cause),
        })
    }

    async fn put(&self, key: &str, body: Put<'_>) -> Result<FlagState, FlagError> {
        check_pct(body.treatment_pct)?;
        let url = self.address(key)?;
        self.send(key, "write", |client| client.put(url.clone()).json(&body)).await?;
        Ok(FlagState { key: key.to_owned(), is_on: body.is_on, treatment_pct: body.treatment_pct })
    }
}

#[async_trait]
impl FlagService for CustomHttp {
    fn name(&self) -> &str {
        NAME
    }

    fn place(&self) -> Option<String> {
        // A path or a query may hold a key; who answers is the host.
        Some(self.base.origin().ascii_serialization())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        if let Some(state) = self.read(key).await? {
            return Ok(state);
        }
        self.put(key, Put { description: Some(description), is_on: false, treatment_pct: 0 }).await?;
        let found = self.read(key).await?;
        let expected = FlagState::off(key);
        match found {
            Some(state) if state.is_same(&expected) => Ok(state),
            found => Err(FlagError::NotTaken { service: NAME.to_owned(), expected, found }),
        }
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        self.put(key, Put { description: None, is_on: true, treatment_pct }).await
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        self.put(key, Put { description: None, is_on: false, treatment_pct: 0 }).await
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        let url = self.address(key)?;
        let body = match self.send(key, "read", |client| client.get(url.clone())).await {
            Ok(body) => body,
            Err(FlagError::Http { status: Some(404), .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let unreadable = |problem: String| FlagError::Unreadable { place: format!("the answer of {NAME}"), problem };
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
        if answer.treatment_pct > 100 {
            return Err(unreadable(format!("`treatment_pct` is {}", answer.treatment_pct)));
        }
        Ok(Some(FlagState { key: key.to_owned(), is_on: answer.is_on, treatment_pct: answer.treatment_pct }))
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        let is_there = self.read(NOBODY).await?.is_some();
        let detail = Some("the contract has no way to ask, and nothing was changed to find out".to_owned());
        let unknown = |act| Right { act, is_allowed: None, detail: detail.clone() };
        // What answers 404 to everything does so as well.
        let no_such =
            "it has no flag that nobody made, as is right; an address that is not the service's says the same";
        let read = Right {
            act: FlagAct::Read,
            is_allowed: is_there.then_some(true),
            detail: (!is_there).then(|| no_such.to_owned()),
        };
        Ok(vec![read, unknown(FlagAct::Create), unknown(FlagAct::Rollout), unknown(FlagAct::Off)])
    }
}
