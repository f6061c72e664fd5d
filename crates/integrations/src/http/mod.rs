//! The one HTTP client for third parties: timeouts, a user agent, retries of idempotent calls that honour
//! `Retry-After`, a limit on the size of answers, and texts without secrets. It follows no redirects: a token must not
//! travel on.

mod access;
mod endpoint;
mod reach;
mod redact;

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::fmt::rfc2822;
use reach::PublicOnly;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, redirect};
use secrecy::SecretString;

pub(crate) use access::Access;
pub(crate) use endpoint::Endpoint;
pub(crate) use reach::is_public;
pub(crate) use redact::Redactor;

/// Largest answer, in bytes.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(15);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Attempts beyond the first.
const RETRIES: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause that a server may ask for before we give up for this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a call gave no answer. Texts are redacted and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The request cannot be made.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// Nobody answered.
    #[error("{0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// More than [`MAX_ANSWER`].
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
    /// A status that means trouble.
    #[error("status {status}{}{body}", if .body.is_empty() { "" } else { ": " })]
    Status {
        /// 3xx, 4xx or 5xx.
        status: u16,
        /// The beginning of the answer.
        body: String,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
}

impl HttpError {
    /// True when the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Request(_) | Self::TooLarge => false,
        }
    }

    /// The status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        if let Self::Status { status, .. } = self { Some(*status) } else { None }
    }
}

/// Any answer of a third party, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// All headers.
    pub(crate) headers: HeaderMap,
    /// At most [`MAX_ANSWER`] bytes.
    pub(crate) body: Vec<u8>,
}

/// A client of one third party.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client,
    redactor: Redactor,
}

/// The underlying client with the limits of this module.
///
/// # Errors
/// When the system's certificates cannot be read.
pub fn client() -> Result<Client, HttpError> {
    build(builder())
}

/// The same for one question to our own programs, which obeys no proxy and is given up after this long.
///
/// # Errors
/// As [`client`].
pub fn impatient(limit: Duration) -> Result<Client, HttpError> {
    build(builder().no_proxy().timeout(limit))
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("outcome-runtime/", env!("CARGO_PKG_VERSION")))
        .timeout(ATTEMPT_LIMIT)
        .connect_timeout(CONNECT_LIMIT)
        .redirect(redirect::Policy::none())
}

fn build(builder: ClientBuilder) -> Result<Client, HttpError> {
    builder.build().map_err(|error| HttpError::Request(outcome_core::error::error_chain(&error)))
}

impl HttpClient {
    /// A client for a third party with these secrets.
    ///
    /// # Errors
    /// As [`client`].
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Result<Self, HttpError> {
        Ok(Self { client: client()?, redactor: Redactor::new(secrets) })
    }

    /// A client of an address that somebody chose: it obeys no proxy of the environment, which would connect in its place,
    /// and unless `allow_private` it connects to public addresses only. Names are checked here; an address that is written
    /// as one never is resolved, so the caller checks it with [`is_public`].
    ///
    /// # Errors
    /// As [`client`].
    pub fn direct(secrets: impl IntoIterator<Item = SecretString>, allow_private: bool) -> Result<Self, HttpError> {
        let direct = builder().no_proxy();
        let direct = if allow_private { direct } else { direct.dns_resolver(Arc::new(PublicOnly)) };
        Ok(Self { client: build(direct)?, redactor: Redactor::new(secrets) })
    }

    /// Sends a request **once**, whatever its method, and returns the status of a 2xx answer, whose body is not read.
    ///
    /// # Errors
    /// When there is no answer, or another one.
    pub async fn send_once(&self, request: impl FnOnce(&Client) -> RequestBuilder) -> Result<u16, HttpError> {
        let response = request(&self.client).send().await.map_err(|error| self.failure(error))?;
        if response.status().is_success() {
            return Ok(response.status().as_u16());
        }
        Err(self.refusal(response).await)
    }

    /// Sends an **idempotent** request, again after a passing failure, and returns the body of a 2xx answer.
    ///
    /// # Errors
    /// Of the last attempt.
    pub async fn send(&self, request: impl Fn(&Client) -> RequestBuilder + Sync) -> Result<Vec<u8>, HttpError> {
        let pauses = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_times(RETRIES).with_jitter();
        (|| self.attempt(request(&self.client)))
            .retry(pauses)
            .when(HttpError::is_transient)
            .adjust(|error, pause| match (error, pause) {
                (HttpError::Status { retry_after: Some(asked), .. }, Some(_)) => {
                    (*asked <= LONGEST_PAUSE).then_some(*asked)
                }
                (_, pause) => pause,
            })
            .await
    }

    /// Sends a request **once** and returns the answer whatever its status; a failure is of the transport.
    ///
    /// # Errors
    /// When there is no whole answer.
    #[tracing::instrument(level = "debug", name = "http.attempt", skip_all)]
    pub(crate) async fn ask(&self, request: impl FnOnce(&Client) -> RequestBuilder) -> Result<Answer, HttpError> {
        let response = request(&self.client).send().await.map_err(|error| self.failure(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match self.body(response).await {
            Ok(body) => body,
            // The status says enough, whatever became of the rest.
            Err(_) if !status.is_success() => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Answer { status, headers, body })
    }

    /// Takes our secrets out of a text of the third party, and cuts it.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }

    // No field: the address may hold a secret.
    #[tracing::instrument(level = "debug", name = "http.attempt", skip_all)]
    async fn attempt(&self, request: RequestBuilder) -> Result<Vec<u8>, HttpError> {
        let response = request.send().await.map_err(|error| self.failure(error))?;
        if response.status().is_success() {
            return self.body(response).await;
        }
        Err(self.refusal(response).await)
    }

    /// An answer that means trouble.
    async fn refusal(&self, response: Response) -> HttpError {
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        // The beginning of an error page is enough, whatever became of the rest.
        let body = self.body(response).await.unwrap_or_default();
        let body = self.redactor.clean(&String::from_utf8_lossy(&body));
        let body = if status == StatusCode::UNAUTHORIZED { String::new() } else { body };
        HttpError::Status { status: status.as_u16(), body, retry_after }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failure(&self, error: reqwest::Error) -> HttpError {
        if error.is_timeout() {
            return HttpError::Timeout(ATTEMPT_LIMIT);
        }
        // The address may hold a secret, and says nothing that the caller does not know.
        let error = error.without_url();
        let text = self.redactor.clean(&outcome_core::error::error_chain(&error));
        if error.is_builder() { HttpError::Request(text) } else { HttpError::Unreachable(text) }
    }
}

/// `Retry-After` in seconds or as a date; a date is compared with the answer's own, so that our clock plays no part.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text).ok()?.timestamp();
    let now = rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_retry_after_in_both_forms() {
        let of = |retry: &str, date: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry.parse().unwrap());
            headers.insert(DATE, date.parse().unwrap());
            retry_after(&headers)
        };
        let date = "Fri, 20 Nov 2026 10:00:00 GMT";
        assert_eq!(of("7", date), Some(Duration::from_secs(7)));
        assert_eq!(of("Fri, 20 Nov 2026 10:00:12 GMT", date), Some(Duration::from_secs(12)));
        assert_eq!(of("Fri, 20 Nov 2026 09:00:00 GMT", date), Some(Duration::ZERO));
        assert_eq!(of("soon", date), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
