//! The session cookie. Its value is a random token; the database keeps only the token's hash.
//!
//! Browsers send a cookie to every port of a host, so its name carries the port: two daemons on one machine do not sign one another's
//! members out. On https the name begins with `__Host-`, which a browser takes from this very host alone, over TLS, and which
//! neither another host of the same domain nor a page without TLS can set.

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use outcome_core::usecases::SignIn;
use secrecy::{ExposeSecret as _, SecretString};

use super::site::Site;

const MAX_TOKEN: usize = 200;

/// The token of the session cookie, where there is one.
pub(crate) fn session(site: &Site, headers: &HeaderMap) -> Option<SecretString> {
    let ours = name(site);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == ours && value.len() <= MAX_TOKEN)
        .map(|(_, value)| SecretString::from(value))
}

/// `Set-Cookie` for a new session.
pub(crate) fn set(site: &Site, sign_in: &SignIn, now: Timestamp) -> Option<HeaderValue> {
    let max_age = sign_in.expires_at.duration_since(now).as_secs().max(0);
    build(site, sign_in.token.expose_secret(), max_age)
}

/// `Set-Cookie` that ends a session.
pub(crate) fn clear(site: &Site) -> Option<HeaderValue> {
    build(site, "", 0)
}

fn name(site: &Site) -> String {
    let prefix = if site.is_https() { "__Host-" } else { "" };
    format!("{prefix}outcome_session_{}", site.port())
}

fn build(site: &Site, value: &str, max_age: i64) -> Option<HeaderValue> {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let name = name(site);
    let text = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age}{secure}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_ports_and_https_apart() {
        let of = |address: &str| {
            let site = Site::new(address, &[]).unwrap();
            build(&site, "token", 60).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(
            of("http://127.0.0.1:8787"),
            "outcome_session_8787=token; HttpOnly; SameSite=Strict; Path=/; Max-Age=60"
        );
        // What `__Host-` demands: Secure, Path=/ and no Domain.
        assert_eq!(
            of("https://outcomes.example.com"),
            "__Host-outcome_session_443=token; HttpOnly; SameSite=Strict; Path=/; Max-Age=60; Secure"
        );
    }

    #[test]
    fn the_cookie_of_another_daemon_is_not_ours() {
        let site = Site::new("http://127.0.0.1:8787", &[]).unwrap();
        let of = |cookies: &str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, cookies.parse().unwrap())]);
            session(&site, &headers).map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(of("outcome_session_8788=b; outcome_session_8787=a"), Some("a".to_owned()));
        for other in ["outcome_session=a", "outcome_session_8788=a", "__Host-outcome_session_8787=a"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
