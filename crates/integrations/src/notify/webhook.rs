//! Signed requests to an address of the user's own: Standard Webhooks, symmetric (`v1`).
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! The body is written once, signed as bytes and sent as the same bytes. Trying again is the outbox's, so that a request is sent
//! once here.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use outcome_core::config::vendor::{
    At, ChannelVendor, Decode as _, Keymap, Node, Problem, Reporter, secret, service_address,
};
use outcome_core::ports::push::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, sign};
use outcome_core::ports::{ChannelSettings, Letter, LetterAbout, Notifier, NotifyError, Opening};
use outcome_core::yaml_map;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use crate::http::{HttpClient, HttpError, is_public};

/// Signed requests.
pub(crate) const VENDOR: ChannelVendor = ChannelVendor {
    kind: NAME,
    keys: Keymap::new(OutgoingWebhookFile::FIELDS, |generator| generator.subschema_for::<OutgoingWebhookFile>()),
    read,
};

yaml_map! {
    /// An address that gets signed requests (Standard Webhooks).
    OutgoingWebhookFile("`webhook`") {
        /// Web address, such as `https://hooks.example.com/outcomes`.
        required(signed) url: String,
        /// Signing secret, such as `${NOTIFY_SECRET}`: `whsec_` and the base64 of 24 to 64 random bytes.
        required(signed) secret: String,
        /// The secret before this one, while the receiver still checks with it, such as `${NOTIFY_SECRET_BEFORE}`.
        optional(signed) previous_secret: String,
        /// Whether the address may be of this machine or of a private network, and begin with `http://`.
        optional(signed) allow_private: bool = "false",
    }
}

const NAME: &str = "webhook";

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn ChannelSettings>> {
    let file = OutgoingWebhookFile::decode(node, reporter)?;
    let allow_private = file.allow_private.is_some_and(|at| at.value);
    if let Some(url) = &file.url {
        service_address(url, "NOTIFY_URL", "https://hooks.example.com/outcomes", reporter);
        reachable(url, allow_private, reporter);
    }
    if let Some(value) = &file.secret {
        secret("secret", "NOTIFY_SECRET", value, reporter);
    }
    if let Some(value) = &file.previous_secret {
        secret("previous_secret", "NOTIFY_SECRET_BEFORE", value, reporter);
    }
    Some(Arc::new(WebhookSettings {
        url: file.url?.value,
        secret: file.secret?.value,
        previous_secret: file.previous_secret.map(|at| at.value),
        allow_private,
    }))
}

/// Reports an address that would be refused when it is used. One with references is left to its use.
fn reachable(url: &At<String>, allow_private: bool, reporter: &mut Reporter<'_>) {
    if url.value.contains("${") {
        return;
    }
    let Ok(parsed) = Url::parse(&url.value) else { return };
    if let Err(problem) = check_address(&parsed, allow_private) {
        reporter.push(
            Problem::error("config.invalid_url", url.span, format!("the `url` of `webhook` {problem}"))
                .valid("`https://` and a public name or address")
                .help(
                    "use a public https address, or write `allow_private: true` beside it for a receiver of your own",
                ),
        );
    }
}

/// What an address must be.
fn check_address(url: &Url, allow_private: bool) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err("must begin with https://");
    }
    if allow_private {
        return Ok(());
    }
    if url.scheme() == "http" {
        return Err("is not encrypted: it must begin with https://");
    }
    let address: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) => None,
        None => return Err("names no host"),
    };
    match address {
        Some(address) if !is_public(address) => Err("is an address of this machine or of a private network"),
        Some(_) | None => Ok(()),
    }
}

#[derive(Debug)]
struct WebhookSettings {
    url: String,
    secret: String,
    previous_secret: Option<String>,
    allow_private: bool,
}

impl ChannelSettings for WebhookSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "url": self.url,
            "secret": self.secret,
            "previous_secret": self.previous_secret,
            "allow_private": self.allow_private,
        })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn Notifier>, NotifyError> {
        Ok(Box::new(Webhook::open(self, opening)?))
    }
}

fn config(problem: impl Into<String>) -> NotifyError {
    NotifyError::Config { channel: NAME.to_owned(), problem: problem.into() }
}

/// An open channel.
#[derive(Debug)]
struct Webhook {
    url: Url,
    /// The present one first.
    secrets: Vec<SecretString>,
    client: HttpClient,
}

/// What is sent. Fields may be added.
#[derive(Serialize)]
struct Payload<'l> {
    #[serde(rename = "type")]
    kind: &'l str,
    timestamp: Timestamp,
    data: Data<'l>,
}

#[derive(Serialize)]
struct Data<'l> {
    subject: &'l str,
    text: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'l str>,
    #[serde(flatten)]
    about: &'l LetterAbout,
}

impl<'l> From<&'l Letter> for Payload<'l> {
    fn from(letter: &'l Letter) -> Self {
        Self {
            kind: &letter.kind,
            timestamp: letter.created_at,
            data: Data {
                subject: &letter.subject,
                text: &letter.text,
                link: letter.link.as_deref(),
                recipient: letter.recipient.as_deref(),
                place: letter.place.as_deref(),
                about: &letter.about,
            },
        }
    }
}

/// The same at each attempt, without the full stop that separates the parts of the signed text.
fn id_of(key: &str) -> String {
    let digest = hex::encode(Sha256::digest(key));
    format!("msg_{}", digest.get(..32).unwrap_or(&digest))
}

impl Webhook {
    fn open(settings: &WebhookSettings, opening: &Opening<'_>) -> Result<Self, NotifyError> {
        let resolved = |text: &str| opening.resolve.resolve(text).map_err(|error| config(error.message()));
        let address = resolved(&settings.url)?;
        let url = Url::parse(address.expose_secret()).map_err(|error| config(format!("its `url`: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(config("its `url` must not contain a user or password; the signature authenticates"));
        }
        check_address(&url, settings.allow_private).map_err(|problem| {
            config(format!("its `url` {problem} (`allow_private: true` allows a receiver of your own network)"))
        })?;
        let keys = std::iter::once(("secret", &settings.secret))
            .chain(settings.previous_secret.iter().map(|text| ("previous_secret", text)));
        let secrets = keys.map(|(key, text)| checked(key, resolved(text)?)).collect::<Result<Vec<_>, _>>()?;
        let bare = secrets.iter().filter_map(|secret| secret.expose_secret().strip_prefix("whsec_")).map(Into::into);
        // Of an address that is kept out of the file, each part may be the credential, and receivers repeat it in their errors.
        let parts = if settings.url.contains("${") { secret_parts(&url) } else { Vec::new() };
        let known: Vec<SecretString> = secrets.iter().cloned().chain(bare).chain([address]).chain(parts).collect();
        let client = HttpClient::direct(known, settings.allow_private).map_err(|error| config(error.to_string()))?;
        Ok(Self { url, secrets, client })
    }

    /// Signatures with each secret, so that a receiver may have either.
    fn signatures(&self, id: &str, at: i64, body: &[u8]) -> Result<HeaderValue, NotifyError> {
        let each = self.secrets.iter().map(|secret| sign(id, at, body, secret));
        let all = each.collect::<Result<Vec<_>, _>>().map_err(|error| config(error.to_string()))?;
        HeaderValue::try_from(all.join(" ")).map_err(|error| config(error.to_string()))
    }
}

/// The path, its segments and the values of the query of an address, as they are written and as they are meant; short ones are
/// words.
fn secret_parts(url: &Url) -> Vec<SecretString> {
    const SHORTEST: usize = 6;
    let segments = url.path_segments().into_iter().flatten().map(ToOwned::to_owned);
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    let query = url.query().map(ToOwned::to_owned);
    let whole = std::iter::once(url.path().to_owned()).chain(query);
    let long = whole.chain(segments).chain(values).filter(|part| part.len() >= SHORTEST);
    long.map(SecretString::from).collect()
}

/// A secret that receivers' libraries can read.
fn checked(key: &str, secret: SecretString) -> Result<SecretString, NotifyError> {
    let text = secret.expose_secret().trim();
    if !text.starts_with("whsec_") {
        return Err(config(format!("its `{key}` must be `whsec_` and base64 (`openssl rand -base64 32` makes it)")));
    }
    let secret = SecretString::from(text);
    sign("probe", 0, b"", &secret).map_err(|error| config(format!("its `{key}`: {error}")))?;
    Ok(secret)
}

#[async_trait]
impl Notifier for Webhook {
    fn name(&self) -> &str {
        NAME
    }

    async fn send(&self, letter: &Letter, at: Timestamp) -> Result<String, NotifyError> {
        let body = serde_json::to_vec(&Payload::from(letter)).map_err(|error| config(error.to_string()))?;
        let (id, seconds) = (id_of(&letter.key), at.as_second());
        let signatures = self.signatures(&id, seconds, &body)?;
        let request = |client: &reqwest::Client| {
            client
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(HEADER_ID, id)
                .header(HEADER_TIMESTAMP, seconds.to_string())
                .header(HEADER_SIGNATURE, signatures)
                .body(body)
        };
        match self.client.send_once(request).await {
            Ok(status) => Ok(format!("status {status}")),
            Err(error) => Err(failure(&error)),
        }
    }
}

fn failure(error: &HttpError) -> NotifyError {
    let (channel, problem) = (NAME.to_owned(), error.to_string());
    match error {
        HttpError::Status { status: 410, .. } => NotifyError::Gone { channel, problem },
        HttpError::Status { retry_after, .. } if error.is_transient() => NotifyError::Unreachable {
            channel,
            problem,
            retry_after: retry_after.and_then(|asked| SignedDuration::try_from(asked).ok()),
        },
        HttpError::Status { status: 300..=399, .. } => {
            NotifyError::Refused { channel, problem: format!("{problem} (redirects are not followed)") }
        }
        HttpError::Status { .. } | HttpError::Request(_) | HttpError::TooLarge => {
            NotifyError::Refused { channel, problem }
        }
        HttpError::Unreachable(_) | HttpError::Timeout(_) => {
            NotifyError::Unreachable { channel, problem, retry_after: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn only_a_public_https_address_is_taken_unless_the_file_allows_another() {
        let check = |url: &str, allow_private| check_address(&Url::parse(url).unwrap(), allow_private);
        for url in ["https://hooks.example.com/x", "https://1.1.1.1/", "https://[2606:4700::1111]:8443/"] {
            assert_eq!(check(url, false), Ok(()), "{url}");
        }
        for url in [
            "http://hooks.example.com/x",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
        ] {
            assert!(check(url, false).is_err(), "{url}");
            assert_eq!(check(url, true), Ok(()), "{url}");
        }
        assert!(check("ftp://hooks.example.com/", true).is_err());
    }

    #[test]
    fn an_id_is_the_same_for_the_same_key_and_fits_into_the_signed_text() {
        let id = id_of("signal/1/errors.5xx/2026-10-01T08:00:00.25Z");
        assert_eq!(id, id_of("signal/1/errors.5xx/2026-10-01T08:00:00.25Z"));
        assert_ne!(id, id_of("signal/1/errors.5xx/2026-10-01T08:00:00.26Z"));
        assert!(id.len() == 36 && !id.contains('.'), "{id}");
    }
}
