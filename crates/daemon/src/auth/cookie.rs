//! The session cookie. Its value is a random token; the database keeps only the token's hash.

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use outcome_core::usecases::SignIn;
use secrecy::{ExposeSecret as _, SecretString};

const NAME: &str = "outcome_session";
const MAX_TOKEN: usize = 200;

/// The token of the session cookie, where there is one.
pub(crate) fn session(headers: &HeaderMap) -> Option<SecretString> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == NAME && value.len() <= MAX_TOKEN)
        .map(|(_, value)| SecretString::from(value))
}

/// `Set-Cookie` for a new session.
pub(crate) fn set(sign_in: &SignIn, now: Timestamp, is_https: bool) -> Option<HeaderValue> {
    let max_age = sign_in.expires_at.duration_since(now).as_secs().max(0);
    build(sign_in.token.expose_secret(), max_age, is_https)
}

/// `Set-Cookie` that ends a session.
pub(crate) fn clear(is_https: bool) -> Option<HeaderValue> {
    build("", 0, is_https)
}

fn build(value: &str, max_age: i64, is_https: bool) -> Option<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age}{secure}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
