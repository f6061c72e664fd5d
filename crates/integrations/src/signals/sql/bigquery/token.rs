//! Access tokens for a service account. <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>

use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::super::engine::{Class, EngineError, Said};
use super::super::wire::Wire;
use crate::signals::google_key::{GoogleKey, Granted};

/// What a token may be used for. `bigquery.readonly` is not accepted where a query is started.
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(15);

/// A service account with its key.
#[derive(Debug)]
pub(super) struct Account {
    key: GoogleKey,
    known: Mutex<Option<(SecretString, Instant)>>,
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
        Ok(Self { key: GoogleKey::from_json(key)?, known: Mutex::new(None) })
    }

    /// Who it is.
    pub(super) fn email(&self) -> &str {
        &self.key.email
    }

    /// What must be in no text.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        vec![self.key.secret()]
    }

    /// Forgets the token, which was refused.
    pub(super) async fn forget(&self) {
        *self.known.lock().await = None;
    }

    /// A token that is valid for some time.
    pub(super) async fn token(&self, wire: &Wire) -> Result<SecretString, EngineError> {
        let mut known = self.known.lock().await;
        if let Some((token, _)) = known.as_ref().filter(|(_, until)| *until > Instant::now()) {
            return Ok(token.clone());
        }
        let form = self.key.form(SCOPE).map_err(|problem| Said::new(Class::Config, problem))?;
        let began = Instant::now();
        let answer = wire.send(|client| client.post(self.key.token_uri.clone()).form(&form), LIMIT).await?;
        if !answer.is_success() {
            let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
            let said = format!(
                "Google gives no token for {} ({}): {} {}",
                self.key.email, answer.status, denied.error, denied.error_description
            );
            let class = if answer.status >= 500 { Class::Unreachable } else { Class::Unauthorized };
            return Err(Said::new(class, said.trim_end()).into());
        }
        let granted: Granted = answer.json()?;
        let (token, until) = granted.token(began);
        *known = Some((token.clone(), until));
        Ok(token)
    }
}
