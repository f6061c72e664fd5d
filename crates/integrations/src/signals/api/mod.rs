//! What sources behind a JSON API share: one way to ask, and one way to say why there is no answer.
//!
//! A vendor's file says what is asked and what the answer means. Here are the credentials on each request, few quick retries of a
//! passing failure, and the mapping of everything else to a [`ReadError`]. A source that asked to be left alone is not asked again
//! here: the collector waits for it. **Invariant**: no text that leaves this module has a secret or a value of a row that the
//! vendor did not put into an error sentence; a redirect is never followed, because the credentials would travel with it.

mod days;
mod json;
mod refusal;
mod service_account;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use outcome_core::digest::{canonical_json, sha256_hex};
use outcome_core::domain::{Reading, Window};
use outcome_core::ports::{Opening, ReadError};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub(crate) use days::{Days, time_zone};
pub(crate) use json::{Count, Number, part, read as whole};
pub(crate) use service_account::ServiceAccount;

pub(crate) use crate::http::Access;
use crate::http::{Answer, Endpoint, HttpError, retry_after};

/// Attempts for one question, with the first.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A pause that the source asks for is kept within a question up to this long; a longer one ends the question.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the whole answer may take.
const LIMIT: Duration = Duration::from_mins(1);

/// What is the same for every source of a vendor.
pub(crate) struct Product {
    /// Its name for people.
    pub(crate) name: &'static str,
    /// What to check when it refuses the credentials.
    pub(crate) access: &'static str,
    /// The page that says more.
    pub(crate) page: &'static str,
    /// A header of a 429 that has the seconds until it answers again, besides `Retry-After`.
    pub(crate) reset_header: Option<&'static str>,
    /// What to write instead, where a 4xx with this sentence means that the settings cannot work.
    pub(crate) advice: fn(StatusCode, &str) -> Option<&'static str>,
}

/// A vendor without special sentences.
pub(crate) const fn no_advice(_: StatusCode, _: &str) -> Option<&'static str> {
    None
}

/// One JSON API, with the credentials for it.
pub(crate) struct Api {
    product: &'static Product,
    name: String,
    endpoint: Endpoint,
    /// A secret that came later than the settings, such as a token that was given for an hour.
    later: RwLock<Option<SecretString>>,
}

/// A good answer.
pub(crate) struct Told<T> {
    /// What it says.
    pub(crate) value: T,
    /// When the source answered, by its own clock; `None` where it does not say.
    pub(crate) at: Option<Timestamp>,
}

impl Api {
    /// An API at this address. Nothing is connected.
    ///
    /// # Errors
    /// [`ReadError::Config`] for an address or credentials that cannot work.
    pub(crate) fn open(
        product: &'static Product,
        name: &str,
        url: &SecretString,
        access: Access,
    ) -> Result<Self, ReadError> {
        let endpoint = Endpoint::open(url, access).map_err(|problem| ReadError::Config {
            source_name: name.to_owned(),
            problem,
            hint: format!("write `url` as https://host or https://host/path; {} has an example", product.page),
        })?;
        Ok(Self { product, name: name.to_owned(), endpoint, later: RwLock::new(None) })
    }

    /// Name of the connector.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it leads: who answers is the host, and a path may hold a key.
    pub(crate) fn place(&self) -> String {
        self.endpoint.place()
    }

    /// An address below the base. `path` is taken apart at `/`, and each part is written as one.
    pub(crate) fn address(&self, path: &[&str]) -> Url {
        self.endpoint.address(path)
    }

    /// Asks, and reads the answer as `T`. `of`: the signal, or what else is asked about. The request must be one that may be sent twice.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        of: &str,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Told<T>, ReadError> {
        let answer = self.answer(of, request).await?;
        self.refuse_pages(of, &answer)?;
        let value = json::read(&answer.body).map_err(|problem| self.shape(of, problem))?;
        Ok(Told { value, at: date(&answer.headers) })
    }

    /// A 2xx answer, after some attempts.
    async fn answer(&self, of: &str, request: impl Fn(&Client) -> RequestBuilder + Sync) -> Result<Answer, ReadError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let found = self.endpoint.ask(|client| request(client).timeout(LIMIT)).await;
            let wait = match &found {
                Ok(answer) if answer.status.is_success() => None,
                Ok(answer) => self.passes(answer, pause),
                Err(HttpError::Unreachable(_)) => Some(pause),
                Err(_) => None,
            };
            let Some(wait) = wait.filter(|_| attempt < ATTEMPTS) else {
                return match found {
                    Ok(answer) if answer.status.is_success() => Ok(answer),
                    Ok(answer) => Err(self.refused(of, &answer)),
                    Err(error) => Err(self.failed(of, error)),
                };
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
            pause *= 4;
        }
    }

    /// How long to wait before the same question may be answered, within one poll.
    fn passes(&self, answer: &Answer, pause: Duration) -> Option<Duration> {
        let asked = self.wait_of(&answer.headers);
        match answer.status.as_u16() {
            // Without a time it would be hammered: the next poll comes soon enough.
            429 => asked.filter(|asked| *asked <= LONGEST_PAUSE),
            408 | 425 | 500 | 502 | 503 | 504 => match asked {
                Some(asked) => (asked <= LONGEST_PAUSE).then_some(asked),
                None => Some(pause),
            },
            _ => None,
        }
    }

    fn wait_of(&self, headers: &HeaderMap) -> Option<Duration> {
        retry_after(headers).or_else(|| {
            let seconds = headers.get(self.product.reset_header?)?.to_str().ok()?.trim().parse().ok()?;
            // An instant would be far larger.
            (seconds <= 86_400).then(|| Duration::from_secs(seconds))
        })
    }

    /// A web page instead of an answer: a sign-in page, a proxy, or an address that is not the API's.
    fn refuse_pages(&self, of: &str, answer: &Answer) -> Result<(), ReadError> {
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_page = kind.contains("html") || kind.contains("xml") || answer.body.trim_ascii_start().starts_with(b"<");
        if !is_page {
            return Ok(());
        }
        Err(ReadError::Shape {
            source_name: self.name.clone(),
            signal: of.to_owned(),
            problem: "it is a web page, and not JSON".to_owned(),
            hint: format!(
                "check that `url` is the address of the API and not of the website, and that no proxy asks for a sign-in; {} has \
                 the address",
                self.product.page
            ),
        })
    }

    /// An answer that cannot be used.
    pub(crate) fn shape(&self, of: &str, problem: impl Into<String>) -> ReadError {
        ReadError::Shape {
            source_name: self.name.clone(),
            signal: of.to_owned(),
            problem: problem.into(),
            hint: format!("{} says what is read of an answer", self.product.page),
        }
    }

    /// A signal that cannot be asked for in the way it is declared.
    pub(crate) fn unusable(&self, problem: impl Into<String>, hint: impl Into<String>) -> ReadError {
        ReadError::Config { source_name: self.name.clone(), problem: problem.into(), hint: hint.into() }
    }

    /// Takes our secrets out of what the source said, and cuts it.
    pub(crate) fn clean(&self, text: &str) -> String {
        let later = self.later.read().unwrap_or_else(PoisonError::into_inner);
        match later.as_ref() {
            Some(secret) => self.endpoint.clean(&text.replace(secret.expose_secret(), "[redacted]")),
            None => self.endpoint.clean(text),
        }
    }

    /// Takes this secret out of texts as well, instead of the one that was hidden before.
    pub(crate) fn hide(&self, secret: SecretString) {
        *self.later.write().unwrap_or_else(PoisonError::into_inner) = Some(secret);
    }
}

/// When an answer was given, by the clock of whoever gave it.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Some(rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?.timestamp())
}

/// Resolves a text of the settings.
///
/// # Errors
/// [`ReadError::Config`] when a reference has no value.
pub(crate) fn resolved(name: &str, opening: &Opening<'_>, text: &str) -> Result<SecretString, ReadError> {
    opening.resolve.resolve(text).map_err(|error| ReadError::secret(name, &error))
}

/// A reading with its hashes. `asked`: all that the number depends on; `used`: what of the answer it was made from.
pub(crate) fn reading<T>(
    data: T,
    window: Window,
    asked: &impl Serialize,
    used: &impl Serialize,
    warnings: Vec<String>,
) -> Reading<T> {
    let asked = canonical_json(asked).unwrap_or_default();
    let used = canonical_json(used).unwrap_or_default();
    Reading {
        data,
        window,
        query_hash: sha256_hex(asked),
        raw_hash: sha256_hex(&used),
        raw: Some(Arc::from(used)),
        warnings,
    }
}

/// Which secret it is, in 8 hexadecimal digits that say nothing else.
pub(crate) fn fingerprint(secret: &SecretString) -> String {
    let hash = sha256_hex(secret.expose_secret());
    hash.get(..8).unwrap_or_default().to_owned()
}

/// Milliseconds since an instant, for a report.
pub(crate) fn millis(began: std::time::Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
