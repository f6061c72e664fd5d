//! Requests to databases that are asked over HTTP: bounded in time and bytes, without redirects, with the answer's status, headers and
//! trailers for whoever knows what they mean.
//!
//! **Invariant**: no address is in what is said, since it may hold a secret; redaction of the rest is the caller's (`refusal`).

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use http_body_util::BodyExt as _;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;

use super::engine::{Class, EngineError, Said};

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Attempts beyond the first, where nobody answered or a proxy did.
const RETRIES: usize = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A client of one database.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    client: Client,
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// What was said after the body.
    pub(super) trailers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Wire {
    /// # Errors
    /// A sentence, when the system's certificates cannot be read.
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self { client: crate::http::client().map_err(|error| error.to_string())? })
    }

    /// Sends a request that changes nothing, again after a passing failure. `limit`: for each attempt, to the end of its answer.
    ///
    /// # Errors
    /// When nobody answered in time or in full, the answer is too large, or it is a redirect or an overload.
    pub(super) async fn send(
        &self,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
        limit: Duration,
    ) -> Result<Answer, EngineError> {
        let pauses = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_times(RETRIES).with_jitter();
        (|| self.attempt(request(&self.client).timeout(limit))).retry(pauses).when(is_passing).await
    }

    // No field: the address may hold a secret.
    #[tracing::instrument(level = "debug", name = "sql.http", skip_all)]
    async fn attempt(&self, request: RequestBuilder) -> Result<Answer, EngineError> {
        let response = request.send().await.map_err(failure)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = reqwest::Body::from(response);
        let (mut bytes, mut trailers) = (Vec::new(), HeaderMap::new());
        while let Some(frame) = body.frame().await {
            match frame.map_err(failure)?.into_data() {
                Ok(data) if bytes.len() + data.len() > MAX_ANSWER => {
                    let said = Said::new(Class::Value, format!("its answer has more than {MAX_ANSWER} bytes"));
                    return Err(said
                        .hint("aggregate in the query: a reading is one row, or one row per variant")
                        .into());
                }
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        let answer = Answer { status, headers, trailers, body: bytes };
        match status {
            300..=399 => {
                let detail = format!(
                    "it answers with a redirect ({status}), which is not followed: the credentials must not travel on"
                );
                Err(Said::new(Class::Unreachable, detail).into())
            }
            429 | 502 | 503 | 504 => {
                let detail = format!("status {status}");
                Err(Said::new(Class::Throttled(answer.retry_after()), detail).into())
            }
            _ => Ok(answer),
        }
    }
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header of the answer, or a trailer.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).or_else(|| self.trailers.get(name))?.to_str().ok()
    }

    /// The beginning of the body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.body.get(..4096).unwrap_or(&self.body)).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Where it is none, or not of this form.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let what = if self.body.is_empty() {
                "it is empty".to_owned()
            } else if self.body.trim_ascii_start().starts_with(b"<") {
                "it is a page of HTML".to_owned()
            } else {
                // The message of the parser can quote a value.
                format!("{:?} at line {}, column {}", error.classify(), error.line(), error.column())
            };
            let detail = format!("its answer (status {}) cannot be read: {what}", self.status);
            Said::new(Class::Value, detail).hint("check the address: something else may answer there").into()
        })
    }

    /// How long it asked to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        crate::http::retry_after(&self.headers)
    }
}

/// Nobody answered, or something between us did for it, without asking to be left alone.
fn is_passing(error: &EngineError) -> bool {
    match error {
        EngineError::Said(said) => match said.class {
            Class::Throttled(None) => said.detail != "status 429",
            Class::Unreachable => !said.detail.contains("redirect"),
            _ => false,
        },
        _ => false,
    }
}

fn failure(error: reqwest::Error) -> EngineError {
    if error.is_timeout() {
        return EngineError::Timeout;
    }
    let detail = outcome_core::error::error_chain(&error.without_url());
    Said::new(Class::Unreachable, detail).into()
}
