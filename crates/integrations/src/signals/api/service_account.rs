//! Access tokens of a Google service account. <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>

use std::time::Instant;

use outcome_core::ports::ReadError;
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{Access, Api, Product, Told};
use crate::signals::google_key::{GoogleKey, Granted};

/// A service account, with its key and the token that it has.
pub(crate) struct ServiceAccount {
    api: Api,
    scope: &'static str,
    key: GoogleKey,
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
        let key = GoogleKey::from_json(key_file).map_err(|problem| ReadError::Config {
            source_name: name.to_owned(),
            problem: format!("its `credentials`: {problem}"),
            hint: format!(
                "let the reference lead to the JSON key file of a service account, whole; {} shows how",
                product.page
            ),
        })?;
        let hidden = vec![key_file.clone(), key.secret()];
        let address = key.token_uri.to_string().into();
        let api = Api::open(product, name, &address, Access::Hidden(hidden))?;
        Ok(Self { api, scope, key, known: Mutex::new(None) })
    }

    /// Who it is.
    pub(crate) fn email(&self) -> &str {
        &self.key.email
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
        let form = self
            .key
            .form(self.scope)
            .map_err(|problem| self.api.unusable(problem, "make another key of the account"))?;
        let url = self.api.address(&[]);
        let began = Instant::now();
        let asked = self.api.ask::<Granted>("the token", |client| client.post(url.clone()).form(&form)).await;
        let Told { value, .. } = asked.map_err(|error| self.denied(error))?;
        let (token, until) = value.token(began);
        *known = Some((token.clone(), until));
        Ok(token)
    }

    /// A request for a token that is refused means the account, and not a query.
    fn denied(&self, error: ReadError) -> ReadError {
        match error {
            ReadError::Query { source_name, detail, .. } => ReadError::Unauthorized {
                source_name,
                detail: format!("no token for {}: {detail}", self.key.email),
                hint: "check that the key of the service account was not deleted or disabled, and that this machine's clock is right"
                    .to_owned(),
            },
            other => other,
        }
    }
}
