//! What flag services behind a JSON API share: one way to ask, and one way to say why a flag could not be read or written.
//!
//! A vendor's file says what is asked and what the answer means. Here are the credentials on each request, few quick tries of what
//! passes, and the mapping of everything else to a [`FlagError`]. **Invariant**: no text that leaves this module has a secret; a
//! redirect is never followed, and a link of an answer only to where the settings lead, because the credentials would travel.

use std::time::Duration;

use outcome_core::ports::{FlagError, Opening};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::http::{Access, Answer, Endpoint, HttpError, retry_after};

/// Attempts for one call, with the first. The outbox tries again later.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A pause that the service asks for is kept within a call up to this long; a longer one ends it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Pages of a list: a service that sends more is broken or too large to read.
pub(super) const MAX_PAGES: usize = 100;

/// What is the same for every flag of a vendor.
pub(super) struct Product {
    /// Its name for people.
    pub(super) name: &'static str,
    /// The page that says more.
    pub(super) page: &'static str,
}

/// What a call is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    /// The flag.
    pub(super) key: &'a str,
    /// `read` or `write`.
    pub(super) action: &'static str,
}

impl<'a> Of<'a> {
    pub(super) fn read(key: &'a str) -> Self {
        Self { key, action: "read" }
    }

    pub(super) fn write(key: &'a str) -> Self {
        Self { key, action: "write" }
    }
}

/// One JSON API, with the credentials for it.
pub(super) struct Api {
    product: &'static Product,
    endpoint: Endpoint,
}

impl Api {
    /// An API at this address. Nothing is connected.
    ///
    /// # Errors
    /// [`FlagError::Config`] for an address or credentials that cannot work.
    pub(super) fn open(product: &'static Product, url: &SecretString, access: Access) -> Result<Self, FlagError> {
        let endpoint = Endpoint::open(url, access).map_err(|problem| product.config(&problem))?;
        Ok(Self { product, endpoint })
    }

    /// Where it leads.
    pub(super) fn place(&self) -> String {
        self.endpoint.place()
    }

    /// An address below the base; each part is one segment.
    pub(super) fn address(&self, path: &[&str]) -> Url {
        self.endpoint.address(path)
    }

    /// The address of a link in an answer, if it leads to this API.
    ///
    /// # Errors
    /// [`FlagError::Unreadable`] for any other.
    pub(super) fn linked(&self, link: &str) -> Result<Url, FlagError> {
        let url = self.endpoint.join(link).filter(|url| self.endpoint.is_below(url));
        url.ok_or_else(|| self.unreadable("a link in it leads elsewhere, and is not followed"))
    }

    /// Any answer that does not ask to come later. The request must be one that may be sent twice.
    ///
    /// # Errors
    /// [`FlagError::Http`] when nobody answers, or only that it is too early.
    pub(super) async fn answer(
        &self,
        of: Of<'_>,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Answer, FlagError> {
        self.tries(of, &|_| false, true, request).await
    }

    /// The same for a request that must not be done twice: it is sent again only when it was too early, and so was not done.
    ///
    /// # Errors
    /// As [`Self::answer`]; after no answer it may or may not have been done.
    pub(super) async fn answer_once(
        &self,
        of: Of<'_>,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Answer, FlagError> {
        self.tries(of, &|_| false, false, request).await
    }

    /// The same, where some answers are final although their status says that they pass.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub(super) async fn answer_unless(
        &self,
        of: Of<'_>,
        is_final: impl Fn(&Answer) -> bool + Sync,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Answer, FlagError> {
        self.tries(of, &is_final, true, request).await
    }

    async fn tries(
        &self,
        of: Of<'_>,
        is_final: &(dyn Fn(&Answer) -> bool + Sync),
        may_repeat: bool,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Answer, FlagError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let found = self.endpoint.ask(&request).await;
            let wait = match &found {
                Ok(answer) if is_final(answer) => None,
                Ok(answer) if !may_repeat && answer.status != StatusCode::TOO_MANY_REQUESTS => None,
                Ok(answer) if is_passing(answer.status) => passes(answer, pause),
                Ok(_) => None,
                Err(error) => (may_repeat && error.is_transient()).then_some(pause),
            };
            match (found, wait.filter(|_| attempt < ATTEMPTS)) {
                (_, Some(wait)) => tokio::time::sleep(wait).await,
                (Ok(answer), None) if is_passing(answer.status) && !is_final(&answer) => {
                    return Err(self.refused(of, &answer));
                }
                (Ok(answer), None) => return Ok(answer),
                (Err(error), None) => return Err(self.failed(of, error)),
            }
            attempt += 1;
            pause *= 4;
        }
    }

    /// Asks for JSON; `None` for a 404.
    ///
    /// # Errors
    /// When there is no such answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, key: &str, url: Url) -> Result<Option<T>, FlagError> {
        let answer = self.answer(Of::read(key), |client| client.get(url.clone())).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.json(Of::read(key), &answer).map(Some)
    }

    /// A 2xx answer, as JSON.
    ///
    /// # Errors
    /// For another status, and for what is not this JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, of: Of<'_>, answer: &Answer) -> Result<T, FlagError> {
        if !answer.status.is_success() {
            return Err(self.refused(of, answer));
        }
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.contains("html") || answer.body.trim_ascii_start().starts_with(b"<") {
            return Err(self.unreadable("it is a web page, and not JSON: check that `url` is the address of the API"));
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.unreadable(error.to_string()))
    }

    /// A 2xx answer, whatever it says.
    ///
    /// # Errors
    /// For another status.
    pub(super) fn done(&self, of: Of<'_>, answer: &Answer) -> Result<(), FlagError> {
        if answer.status.is_success() { Ok(()) } else { Err(self.refused(of, answer)) }
    }

    /// An answer that means trouble.
    pub(super) fn refused(&self, of: Of<'_>, answer: &Answer) -> FlagError {
        let cause = HttpError::Status {
            status: answer.status.as_u16(),
            body: match answer.status {
                StatusCode::UNAUTHORIZED => String::new(),
                _ => self.said(answer),
            },
            retry_after: retry_after(&answer.headers),
        };
        self.failed(of, cause)
    }

    /// The sentence of an answer that means trouble, without secrets: that of its `message` or its like, or how it begins.
    pub(super) fn said(&self, answer: &Answer) -> String {
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let keys = ["/message", "/details/0/message", "/detail", "/error", "/errors/0/message"];
        let sentence = keys.iter().find_map(|key| value.pointer(key)?.as_str());
        match sentence {
            Some(sentence) => self.endpoint.clean(sentence),
            None => self.endpoint.clean(&String::from_utf8_lossy(&answer.body)),
        }
    }

    /// Takes our secrets out of what the service said, and cuts it.
    pub(super) fn clean(&self, text: &str) -> String {
        self.endpoint.clean(text)
    }

    fn failed(&self, of: Of<'_>, cause: HttpError) -> FlagError {
        FlagError::Http {
            service: self.product.name.to_owned(),
            action: of.action,
            key: of.key.to_owned(),
            status: cause.status(),
            is_transient: cause.is_transient(),
            page: self.product.page,
            cause: Box::new(cause),
        }
    }

    /// An answer that cannot be used.
    pub(super) fn unreadable(&self, problem: impl Into<String>) -> FlagError {
        FlagError::Unreadable { place: format!("the answer of {}", self.product.name), problem: problem.into() }
    }

    /// A change that waits for the service's own reviews.
    pub(super) fn review(&self, key: &str, problem: impl Into<String>) -> FlagError {
        FlagError::Review { service: self.product.name.to_owned(), key: key.to_owned(), problem: problem.into() }
    }
}

impl Product {
    /// Settings that cannot work.
    pub(super) fn config(&self, problem: &str) -> FlagError {
        FlagError::Config { problem: problem.to_owned(), hint: format!("{} has an example", self.page) }
    }

    /// Resolves a text of the settings.
    ///
    /// # Errors
    /// [`FlagError::Config`] when a reference has no value.
    pub(super) fn resolved(&self, opening: &Opening<'_>, text: &str) -> Result<SecretString, FlagError> {
        opening.resolve.resolve(text).map_err(|error| self.config(error.message()))
    }
}

/// The whole percent that the treatment has of two shares, 1 to 99; `None` where there is none.
pub(super) fn whole_share(treatment: f64, control: f64) -> Option<u8> {
    let share = treatment / (treatment + control) * 100.0;
    (1..=99_u8).find(|whole| (share - f64::from(*whole)).abs() < 1e-6)
}

/// A flag that is set up in a way that the runtime does not write.
pub(super) fn foreign(key: &str, problem: impl Into<String>) -> FlagError {
    FlagError::Foreign { key: key.to_owned(), problem: problem.into() }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// How long to wait within one call before the same may be answered.
fn passes(answer: &Answer, pause: Duration) -> Option<Duration> {
    match (answer.status.as_u16(), retry_after(&answer.headers)) {
        (_, Some(asked)) => (asked <= LONGEST_PAUSE).then_some(asked),
        // Without a time it would be hammered, and refused calls count at some services.
        (429, None) => None,
        (_, None) => Some(pause),
    }
}
