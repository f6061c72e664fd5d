//! How a program shows who it is. <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::super::jwt::{SigningKey, real_time};

/// How long an assertion is valid, in seconds; an hour is the most.
const ASSERTED: i64 = 600;

/// One of the three ways that need no password.
#[derive(Debug)]
pub(super) enum Credentials {
    KeyPair {
        /// `ACCOUNT.USER`
        subject: String,
        key: Box<SigningKey>,
        fingerprint: String,
    },
    AccessToken(SecretString),
    OAuth(SecretString),
}

impl Credentials {
    /// With the private key of a user.
    ///
    /// # Errors
    /// A sentence about what is wrong with the key.
    pub(super) fn key_pair(account: &str, user: &str, pem: &SecretString) -> Result<Self, String> {
        let key = SigningKey::from_pem(pem.expose_secret())?;
        let fingerprint = key.fingerprint()?;
        // Of `xy12345.us-east-1` only the first part, and a period of a name is written as a hyphen.
        let account = account.split('.').next().unwrap_or_default().to_uppercase();
        let subject = format!("{account}.{}", user.to_uppercase());
        Ok(Self::KeyPair { subject, key: Box::new(key), fingerprint })
    }

    /// What a request carries, and what kind it is.
    ///
    /// # Errors
    /// When nothing can be signed.
    pub(super) fn bearer(&self) -> Result<(SecretString, &'static str), String> {
        Ok(match self {
            Self::KeyPair { subject, key, fingerprint } => {
                let now = real_time();
                let issuer = format!("{subject}.SHA256:{fingerprint}");
                let claims = json!({ "iss": issuer, "sub": subject, "iat": now, "exp": now + ASSERTED });
                (key.sign(&claims)?.into(), "KEYPAIR_JWT")
            }
            Self::AccessToken(token) => (token.clone(), "PROGRAMMATIC_ACCESS_TOKEN"),
            Self::OAuth(token) => (token.clone(), "OAUTH"),
        })
    }
}
