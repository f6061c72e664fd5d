//! Access tokens for a service account. <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use super::super::engine::{Class, EngineError, Said};
use super::super::jwt::{SigningKey, real_time};
use super::super::wire::Wire;

/// What a token may be used for. `bigquery.readonly` is not accepted where a query is started.
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is valid, in seconds.
const ASSERTED: i64 = 600;
/// A token is not used in the last part of its life.
const RESERVE: Duration = Duration::from_mins(2);
/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(15);

/// The fields of a service account's key file that are used.
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

/// A service account with its key.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) email: String,
    key: SigningKey,
    private_key: SecretString,
    token_uri: Url,
    known: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    text: SecretString,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// What is said where no token is given: <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>.
#[derive(Deserialize, Default)]
struct Denied {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Account {
    /// # Errors
    /// A sentence about what is wrong with the file, without any of it.
    pub(super) fn from_key(key: &SecretString) -> Result<Self, String> {
        // The parser's message can quote what it read.
        let file: KeyFile = serde_json::from_str(key.expose_secret()).map_err(|error| {
            format!("it is not the JSON key of a service account with `client_email` and `private_key` (line {}, column {})", error.line(), error.column())
        })?;
        let token_uri = Url::parse(&file.token_uri).map_err(|error| format!("its `token_uri`: {error}"))?;
        let is_loopback = matches!(token_uri.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if token_uri.scheme() != "https" && !(token_uri.scheme() == "http" && is_loopback) {
            return Err("its `token_uri` does not begin with https://".to_owned());
        }
        let signing =
            SigningKey::from_pem(&file.private_key).map_err(|problem| format!("its `private_key`: {problem}"))?;
        Ok(Self {
            email: file.client_email,
            key: signing,
            private_key: file.private_key.into(),
            token_uri,
            known: Mutex::new(None),
        })
    }

    /// What must be in no text.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        vec![self.private_key.clone()]
    }

    /// Forgets the token, which was refused.
    pub(super) async fn forget(&self) {
        *self.known.lock().await = None;
    }

    /// A token that is valid for some time.
    pub(super) async fn token(&self, wire: &Wire) -> Result<SecretString, EngineError> {
        let mut known = self.known.lock().await;
        if let Some(token) = known.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.text.clone());
        }
        let now = real_time();
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri.as_str(), "iat": now, "exp": now + ASSERTED,
        });
        let assertion = self.key.sign(&claims).map_err(|problem| Said::new(Class::Config, problem))?;
        let form = [("grant_type", GRANT), ("assertion", &assertion)];
        let began = Instant::now();
        let answer = wire.send(|client| client.post(self.token_uri.clone()).form(&form), LIMIT).await?;
        if !answer.is_success() {
            let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
            let said = format!(
                "Google gives no token for {} ({}): {} {}",
                self.email, answer.status, denied.error, denied.error_description
            );
            let class = if answer.status >= 500 { Class::Unreachable } else { Class::Unauthorized };
            return Err(Said::new(class, said.trim_end()).into());
        }
        let granted: Granted = answer.json()?;
        let life = Duration::from_secs(granted.expires_in).saturating_sub(RESERVE);
        let text = SecretString::from(granted.access_token);
        *known = Some(Token { text: text.clone(), until: began + life });
        Ok(text)
    }
}
