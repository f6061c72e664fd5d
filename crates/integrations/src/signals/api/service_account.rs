//! Access tokens of a Google service account. <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>

use std::time::{Duration, Instant};

use outcome_core::clock::{Clock as _, SystemClock};
use outcome_core::ports::ReadError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use super::{Access, Api, Product, Told};
use crate::signals::sql::jwt::SigningKey;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is valid, in seconds.
const ASSERTED: i64 = 600;
/// A token is not used in the last part of its life.
const RESERVE: Duration = Duration::from_mins(2);

/// The fields of a key file that are used.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    #[serde(default = "token_uri")]
    token_uri: String,
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// A service account, with its key and the token that it has.
pub(crate) struct ServiceAccount {
    api: Api,
    email: String,
    scope: &'static str,
    key: SigningKey,
    token_uri: String,
    known: Mutex<Option<(SecretString, Instant)>>,
}

impl ServiceAccount {
    /// The account of a key file, which must not be shown.
    ///
    /// # Errors
    /// [`ReadError::Config`] with what is wrong with the file, without any of it.
    pub(crate) fn open(
        product: &'static Product,
        name: &str,
        scope: &'static str,
        key_file: &SecretString,
    ) -> Result<Self, ReadError> {
        let config = |problem: String| ReadError::Config {
            source_name: name.to_owned(),
            problem: format!("its `credentials`: {problem}"),
            hint: format!(
                "let the reference lead to the JSON key file of a service account, whole; {} shows how",
                product.page
            ),
        };
        // The parser's message can quote what it read.
        let file: KeyFile = serde_json::from_str(key_file.expose_secret()).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            config(format!("not the JSON key of a service account with `client_email` and `private_key` (line {line}, column {column})"))
        })?;
        let token_uri = Url::parse(&file.token_uri).map_err(|error| config(format!("`token_uri`: {error}")))?;
        // The host itself: an address may begin with one and lead to another.
        let is_loopback = matches!(token_uri.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if token_uri.scheme() != "https" && !(token_uri.scheme() == "http" && is_loopback) {
            return Err(config("`token_uri` does not begin with https://".to_owned()));
        }
        let key =
            SigningKey::from_pem(&file.private_key).map_err(|problem| config(format!("`private_key`: {problem}")))?;
        let hidden = vec![key_file.clone(), file.private_key.into()];
        let api = Api::open(product, name, &file.token_uri.clone().into(), Access::Hidden(hidden))?;
        Ok(Self { api, email: file.client_email, scope, key, token_uri: file.token_uri, known: Mutex::new(None) })
    }

    /// Who it is.
    pub(crate) fn email(&self) -> &str {
        &self.email
    }

    /// Forgets a token that was refused.
    pub(crate) async fn forget(&self) {
        *self.known.lock().await = None;
    }

    /// A token that is valid for some time.
    ///
    /// # Errors
    /// [`ReadError::Unauthorized`] when none is given.
    pub(crate) async fn token(&self) -> Result<SecretString, ReadError> {
        let mut known = self.known.lock().await;
        if let Some((token, _)) = known.as_ref().filter(|(_, until)| *until > Instant::now()) {
            return Ok(token.clone());
        }
        let now = SystemClock.now().as_second();
        let claims = json!({
            "iss": self.email, "scope": self.scope, "aud": self.token_uri, "iat": now, "exp": now + ASSERTED,
        });
        let assertion =
            self.key.sign(&claims).map_err(|problem| self.api.unusable(problem, "make another key of the account"))?;
        let form = [("grant_type", GRANT), ("assertion", assertion.as_str())];
        let url = self.api.address(&[]);
        let began = Instant::now();
        let asked = self.api.ask::<Granted>("the token", |client| client.post(url.clone()).form(&form)).await;
        let Told { value, .. } = asked.map_err(|error| self.denied(error))?;
        let token = SecretString::from(value.access_token);
        let life = Duration::from_secs(value.expires_in).saturating_sub(RESERVE);
        *known = Some((token.clone(), began + life));
        Ok(token)
    }

    /// A request for a token that is refused means the account, and not a query.
    fn denied(&self, error: ReadError) -> ReadError {
        match error {
            ReadError::Query { source_name, detail, .. } => ReadError::Unauthorized {
                source_name,
                detail: format!("no token for {}: {detail}", self.email),
                hint: "check that the key of the service account was not deleted or disabled, and that this machine's clock is right"
                    .to_owned(),
            },
            other => other,
        }
    }
}
