//! Addresses of databases: what is secret in them, and what an address of an interface over HTTP may hold.

use outcome_core::ports::ReadError;
use secrecy::{ExposeSecret as _, SecretString};

/// The address of an interface over HTTP, without secrets in it.
pub(super) fn checked_address(name: &str, address: &SecretString, example: &str) -> Result<url::Url, ReadError> {
    let wrong = |problem: &str| ReadError::Config {
        source_name: name.to_owned(),
        problem: problem.to_owned(),
        hint: format!("write `url` as {example}"),
    };
    // The parser's own words repeat nothing of the address.
    let url = url::Url::parse(address.expose_secret().trim()).map_err(|error| wrong(&format!("its `url`: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("its `url` must begin with http:// or https://"));
    }
    if url.password().is_some() || !url.username().is_empty() || url.query().is_some() {
        return Err(wrong("its `url` has a user, a password or parameters, which have keys of their own"));
    }
    Ok(url)
}

/// The address and the password in it, as written and decoded.
pub(super) fn secrets_in(url: &str) -> Vec<SecretString> {
    let mut secrets = vec![url.to_owned()];
    if let Ok(parsed) = url::Url::parse(url) {
        if let Some(password) = parsed.password() {
            secrets.push(password.to_owned());
            let decoded = url::form_urlencoded::parse(
                format!("p={}", password.replace('+', "%2B").replace('&', "%26")).as_bytes(),
            )
            .map(|(_, value)| value.into_owned())
            .next();
            secrets.extend(decoded);
        }
        for (key, value) in parsed.query_pairs() {
            if key.contains("password") {
                secrets.push(value.into_owned());
            }
        }
    }
    secrets.into_iter().map(SecretString::from).collect()
}
