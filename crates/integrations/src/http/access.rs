//! The credentials of an API, on each request and out of each text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// How requests are authenticated.
pub(crate) enum Access {
    /// Not at all.
    Open,
    /// By each request for itself; these must not be shown.
    Hidden(Vec<SecretString>),
    /// `Authorization: Bearer`.
    Bearer(SecretString),
    /// `Authorization: Basic`.
    Basic {
        /// The user, or the first of two keys.
        user: SecretString,
        /// The password, or the second of two keys.
        password: SecretString,
    },
    /// Headers of the vendor's own: name, key of the settings, value.
    Headers(Vec<Header>),
    /// Headers beside one of the others.
    Beside(Box<Access>, Vec<Header>),
}

/// Name, key of the settings, value.
pub(crate) type Header = (HeaderName, &'static str, SecretString);

impl Access {
    /// The same with headers beside it.
    pub(crate) fn with_headers(self, headers: Vec<Header>) -> Self {
        if headers.is_empty() { self } else { Self::Beside(Box::new(self), headers) }
    }

    /// The name of the key whose value no header can have.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let is_plain = |text: &SecretString| text.expose_secret().bytes().all(|byte| (b' '..0x7f).contains(&byte));
        let all = |headers: &[Header]| match headers.iter().find(|(_, _, value)| !is_plain(value)) {
            Some((_, key, _)) => Err(*key),
            None => Ok(()),
        };
        match self {
            // Basic is encoded, so any text can be sent.
            Self::Open | Self::Hidden(_) | Self::Basic { .. } => Ok(()),
            Self::Bearer(token) if is_plain(token) => Ok(()),
            Self::Bearer(_) => Err("token"),
            Self::Headers(headers) => all(headers),
            Self::Beside(access, headers) => access.check().and_then(|()| all(headers)),
        }
    }

    /// Everything that must not be shown, in each form in which an answer could repeat it.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::Open => Vec::new(),
            Self::Hidden(secrets) => secrets.clone(),
            Self::Bearer(token) => vec![token.clone()],
            Self::Basic { user, password } => vec![user.clone(), password.clone(), basic(user, password)],
            Self::Headers(headers) => headers.iter().map(|(_, _, value)| value.clone()).collect(),
            // What is beside is no credential.
            Self::Beside(access, _) => access.secrets(),
        }
    }

    pub(crate) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Open | Self::Hidden(_) => request,
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Self::Basic { user, password } => {
                let value = format!("Basic {}", basic(user, password).expose_secret());
                request.header(AUTHORIZATION, hidden(&value))
            }
            Self::Headers(headers) => with(request, headers),
            Self::Beside(access, headers) => with(access.sign(request), headers),
        }
    }
}

fn with(request: RequestBuilder, headers: &[Header]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, _, value)| request.header(name, hidden(value.expose_secret())))
}

fn basic(user: &SecretString, password: &SecretString) -> SecretString {
    SecretString::from(STANDARD.encode(format!("{}:{}", user.expose_secret(), password.expose_secret())))
}

/// Debug output of a request shows no such value.
fn hidden(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
