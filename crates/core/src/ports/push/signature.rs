//! Standard Webhooks signatures, symmetric (`v1`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{IngestError, MAX_BODY};
use crate::domain::Period;

/// Header with the id of the message: the idempotency key.
pub const HEADER_ID: &str = "webhook-id";
/// Header with the instant of signing, in seconds since 1970.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// Header with the signatures.
pub const HEADER_SIGNATURE: &str = "webhook-signature";

/// Longest id, in bytes.
const MAX_ID: usize = 255;
/// Most signatures that are looked at; a sender has two while it changes its secret.
const MAX_SIGNATURES: usize = 10;
/// Shortest key, in bytes.
const MIN_KEY: usize = 16;

/// The three headers as they came; empty where there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    /// [`HEADER_ID`].
    pub id: &'a str,
    /// [`HEADER_TIMESTAMP`].
    pub timestamp: &'a str,
    /// [`HEADER_SIGNATURE`].
    pub signature: &'a str,
}

impl Headers<'_> {
    /// Checks what can be known without the body: that the headers are there and can be a signature. Cheap, and done before
    /// anything of the body is read.
    ///
    /// # Errors
    /// [`IngestError::Signature`].
    pub fn check(&self) -> Result<(), IngestError> {
        self.signed_at()?;
        if self.given().next().is_none() {
            return Err(problem("webhook-signature holds no v1 signature"));
        }
        Ok(())
    }

    fn signed_at(&self) -> Result<i64, IngestError> {
        if self.id.is_empty() || self.id.len() > MAX_ID || !self.id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(problem("webhook-id must be 1 to 255 visible ASCII characters"));
        }
        if self.timestamp.is_empty() || !self.timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(problem("webhook-timestamp must be whole seconds since 1970"));
        }
        self.timestamp.parse().map_err(|_| problem("webhook-timestamp is out of range"))
    }

    /// The signatures that can be ours.
    fn given(&self) -> impl Iterator<Item = Vec<u8>> {
        let all = self.signature.split_ascii_whitespace().take(MAX_SIGNATURES);
        all.filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok()).filter(|given| given.len() == 32)
    }
}

fn problem(problem: &str) -> IngestError {
    IngestError::Signature { problem: problem.to_owned() }
}

/// Checks that the body was signed with `secret` not longer ago (or ahead) than `replay_window`.
///
/// `body`: the bytes as received. `secret`: `whsec_` and base64, or any other text, taken as it stands.
///
/// # Errors
/// [`IngestError::Signature`], then [`IngestError::Stale`]: who cannot sign learns nothing about clocks.
pub fn verify(
    headers: Headers<'_>,
    body: &[u8],
    secret: &SecretString,
    replay_window: Period,
    now: Timestamp,
) -> Result<(), IngestError> {
    if body.len() > MAX_BODY {
        return Err(IngestError::Shape { problem: format!("it is larger than {MAX_BODY} bytes") });
    }
    let signed = headers.signed_at()?;
    let expected = signature(headers.id, headers.timestamp, body, secret)?;
    let mut fits = Choice::from(0);
    // Every signature is compared in full, so that time says nothing about which one was near.
    for given in headers.given() {
        fits |= given.ct_eq(&expected);
    }
    if !bool::from(fits) {
        return Err(problem("no v1 signature in webhook-signature matches the body"));
    }
    let age = now.as_second().saturating_sub(signed);
    if age.unsigned_abs() > replay_window.as_secs().unsigned_abs() {
        let window_secs = replay_window.as_secs();
        return Err(IngestError::Stale { age_secs: age.unsigned_abs(), is_future: age < 0, window_secs });
    }
    Ok(())
}

/// The value of [`HEADER_SIGNATURE`] for a body: what a sender computes.
///
/// # Errors
/// [`IngestError::Secret`].
pub fn sign(id: &str, timestamp: i64, body: &[u8], secret: &SecretString) -> Result<String, IngestError> {
    Ok(format!("v1,{}", STANDARD.encode(signature(id, &timestamp.to_string(), body, secret)?)))
}

fn signature(id: &str, timestamp: &str, body: &[u8], secret: &SecretString) -> Result<[u8; 32], IngestError> {
    let problem = |problem: &str| IngestError::Secret { problem: problem.to_owned() };
    let text = secret.expose_secret().trim();
    let key = Zeroizing::new(match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| problem("what follows `whsec_` is not base64"))?,
        None => text.as_bytes().to_vec(),
    });
    if key.len() < MIN_KEY {
        return Err(problem("it is shorter than 16 bytes"));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| problem("its length is not valid"))?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    // The published vector of the Standard Webhooks libraries.
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret() -> SecretString {
        SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    }

    fn check(headers: Headers<'_>, body: &[u8], secs_later: i64) -> Result<(), Code> {
        let now = Timestamp::from_second(AT + secs_later).unwrap();
        verify(headers, body, &secret(), Period::from_secs(300), now).map_err(|error| error.code())
    }

    fn headers(signature: &str) -> Headers<'_> {
        Headers { id: ID, timestamp: "1614265330", signature }
    }

    #[test]
    fn the_published_vector_verifies_and_is_what_we_sign() {
        assert_eq!(check(headers(SIGNATURE), BODY, 0), Ok(()));
        assert_eq!(sign(ID, AT, BODY, &secret()).as_deref(), Ok(SIGNATURE));
        let rotated = format!("v1a,abc v1,AAAA v2,x {SIGNATURE}");
        assert_eq!(check(headers(&rotated), BODY, 0), Ok(()), "unknown versions are passed over, any match counts");
    }

    #[test]
    fn anything_changed_is_refused() {
        let bad = Err(Code::IngestSignature);
        assert_eq!(check(headers(SIGNATURE), br#"{"test": 2432232315}"#, 0), bad);
        assert_eq!(check(headers(""), BODY, 0), bad);
        assert_eq!(check(headers("v1,"), BODY, 0), bad);
        assert_eq!(check(headers(SIGNATURE.trim_start_matches("v1,")), BODY, 0), bad);
        assert_eq!(check(Headers { id: "msg_other", ..headers(SIGNATURE) }, BODY, 0), bad);
        assert_eq!(check(Headers { id: "", ..headers(SIGNATURE) }, BODY, 0), bad);
        for timestamp in ["", "-1", "1614265331", "1614265330.0", "99999999999999999999", "soon"] {
            assert_eq!(check(Headers { timestamp, ..headers(SIGNATURE) }, BODY, 0), bad, "{timestamp}");
        }
    }

    #[test]
    fn a_replay_is_stale_in_both_directions() {
        assert_eq!(check(headers(SIGNATURE), BODY, 300), Ok(()));
        assert_eq!(check(headers(SIGNATURE), BODY, -300), Ok(()));
        assert_eq!(check(headers(SIGNATURE), BODY, 301), Err(Code::IngestStale));
        assert_eq!(check(headers(SIGNATURE), BODY, -301), Err(Code::IngestStale));
        let now = Timestamp::from_second(AT - 400).unwrap();
        let error = verify(headers(SIGNATURE), BODY, &secret(), Period::from_secs(300), now).unwrap_err();
        assert_eq!(error.to_string(), "the request was signed 400 s in the future, outside the replay window of 300 s");
    }

    #[test]
    fn weak_secrets_and_large_bodies_are_refused() {
        for weak in ["", "short", "whsec_", "whsec_%%%", "whsec_c2hvcnQ="] {
            let error = sign(ID, AT, BODY, &SecretString::from(weak)).unwrap_err();
            assert_eq!(error.code(), Code::ConnectorConfig, "{weak}");
        }
        assert!(sign(ID, AT, BODY, &SecretString::from("sixteen bytes ok")).is_ok());
        assert_eq!(check(headers(SIGNATURE), &vec![b' '; MAX_BODY + 1], 0), Err(Code::SignalShape));
    }
}
