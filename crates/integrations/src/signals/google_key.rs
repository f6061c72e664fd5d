//! The JSON key of a Google service account, and the assertions that are signed with it. How a token is then asked for is the matter of
//! whoever asks. <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>
//!
//! **Invariant**: nothing of a key is in an error.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::sql::jwt::{SigningKey, real_time};

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

/// A service account's key.
#[derive(Debug)]
pub(crate) struct GoogleKey {
    /// Who it is.
    pub(crate) email: String,
    /// Where tokens are asked for.
    pub(crate) token_uri: Url,
    signing: SigningKey,
    private_key: SecretString,
}

/// A token as Google gives it.
#[derive(Deserialize)]
pub(crate) struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Granted {
    /// The token, and until when it is used. `began`: when it was asked for.
    pub(crate) fn token(self, began: Instant) -> (SecretString, Instant) {
        let life = Duration::from_secs(self.expires_in).saturating_sub(RESERVE);
        (self.access_token.into(), began + life)
    }
}

impl GoogleKey {
    /// # Errors
    /// A sentence about what is wrong with the file, without any of it.
    pub(crate) fn from_json(key_file: &SecretString) -> Result<Self, String> {
        // The parser's message can quote what it read.
        let file: KeyFile = serde_json::from_str(key_file.expose_secret()).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("it is not the JSON key of a service account with `client_email` and `private_key` (line {line}, column {column})")
        })?;
        let token_uri = Url::parse(&file.token_uri).map_err(|error| format!("its `token_uri`: {error}"))?;
        // The host itself: an address may begin with one and lead to another.
        let is_loopback = matches!(token_uri.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if token_uri.scheme() != "https" && !(token_uri.scheme() == "http" && is_loopback) {
            return Err("its `token_uri` does not begin with https://".to_owned());
        }
        let signing =
            SigningKey::from_pem(&file.private_key).map_err(|problem| format!("its `private_key`: {problem}"))?;
        Ok(Self { email: file.client_email, token_uri, signing, private_key: file.private_key.into() })
    }

    /// What must be in no text.
    pub(crate) fn secret(&self) -> SecretString {
        self.private_key.clone()
    }

    /// The form that asks for a token that may be used for `scope` alone.
    ///
    /// # Errors
    /// When nothing can be signed.
    pub(crate) fn form(&self, scope: &str) -> Result<[(&'static str, String); 2], String> {
        let now = real_time();
        let claims = json!({
            "iss": self.email, "scope": scope, "aud": self.token_uri.as_str(), "iat": now, "exp": now + ASSERTED,
        });
        Ok([("grant_type", GRANT.to_owned()), ("assertion", self.signing.sign(&claims)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_at_the_host_that_is_meant() {
        for (uri, expected) in [
            ("http://evil.example/t", "`token_uri` does not begin with https://"),
            ("http://localhost.evil.example/t", "`token_uri` does not begin with https://"),
            ("http://127.0.0.1@evil.example/t", "`token_uri` does not begin with https://"),
            ("file://localhost/t", "`token_uri` does not begin with https://"),
            ("nowhere", "its `token_uri`: "),
            // What is wrong then is the key.
            ("http://127.0.0.1:1/t", "its `private_key`"),
            ("http://[::1]/t", "its `private_key`"),
            ("https://oauth2.googleapis.com/token", "its `private_key`"),
        ] {
            let file = json!({ "client_email": "a", "private_key": "hunter2", "token_uri": uri }).to_string();
            let problem = GoogleKey::from_json(&file.into()).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{uri}: {problem}");
        }
    }

    #[test]
    fn a_token_is_used_for_most_of_its_life() {
        let began = Instant::now();
        for (expires_in, life) in [(3600, 3480), (60, 0), (0, 0)] {
            let (_, until) = Granted { access_token: "t".to_owned(), expires_in }.token(began);
            assert_eq!(until.duration_since(began), Duration::from_secs(life));
        }
    }
}
