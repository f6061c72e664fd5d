//! What every source behind a JSON API must do, whatever its vendor. A vendor's module says what is asked and what a good answer is;
//! [`all`] spoils the answers in each known way and looks at what comes of it.

pub(crate) mod failures;
pub(crate) mod prism;
pub(crate) mod spoil;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use outcome_core::domain::{
    Aggregation, ArmSums, MetricMethod, Period, SignalQuery, SignalSpec, VariantReading, Window,
};
use outcome_core::ports::{ReadError, SignalSource, VariantRequest};
use pretty_assertions::assert_eq;
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::contract::{request, source_of, window};

/// A vendor, and what it is asked.
pub(crate) struct Subject {
    /// Its `type`.
    pub(crate) kind: &'static str,
    /// Its `config`, as a flow map without braces, with `${URL}` for the stand-in's address.
    pub(crate) config: &'static str,
    /// The other references and their values, which are the secrets that nobody may see.
    pub(crate) secrets: &'static [(&'static str, &'static str)],
    /// What is asked.
    pub(crate) signal: SignalSpec,
    /// Over which window.
    pub(crate) window: Window,
    /// A good answer to a request.
    pub(crate) good: Arc<dyn Fn(&Request) -> Value + Send + Sync>,
    /// Requests that are always answered well: these are not the question itself.
    pub(crate) before: &'static [&'static str],
    /// The level that the good answer means.
    pub(crate) level: ArmSums,
    /// The readings by variant that the good answers mean, for a vendor that has them.
    pub(crate) arms: Option<Vec<VariantReading>>,
    /// Where a number that the level needs stands in the answer.
    pub(crate) number: &'static str,
    /// What the error says when that number is missing.
    pub(crate) missing: &'static str,
    /// An answer without anything in it.
    pub(crate) empty: Value,
}

impl Subject {
    /// The source, at a stand-in.
    pub(crate) fn open(&self, url: &str) -> Box<dyn SignalSource> {
        let mut values = vec![("${URL}", url)];
        values.extend(self.secrets);
        source_of(self.kind, self.config, Path::new("/"), &values).unwrap()
    }

    /// A stand-in that answers well.
    pub(crate) async fn stand_in(&self) -> MockServer {
        self.stand_in_that(|value| value.clone()).await
    }

    /// A stand-in whose good answers are changed.
    pub(crate) async fn stand_in_that(&self, change: impl Fn(&Value) -> Value + Send + Sync + 'static) -> MockServer {
        self.stand_in_with(move |value| ResponseTemplate::new(200).set_body_json(change(&value))).await
    }

    /// A stand-in that answers the question with something of our own.
    pub(crate) async fn stand_in_with(
        &self,
        answer: impl Fn(Value) -> ResponseTemplate + Send + Sync + 'static,
    ) -> MockServer {
        let server = MockServer::start().await;
        let good = Arc::clone(&self.good);
        let before = self.before;
        let respond = Canned(Box::new(move |request: &Request| {
            let value = good(request);
            if before.contains(&request.url.path()) {
                return ResponseTemplate::new(200).set_body_json(value);
            }
            answer(value)
        }));
        Mock::given(any()).respond_with(respond).mount(&server).await;
        server
    }

    /// The level at a stand-in.
    pub(crate) async fn level_at(&self, url: &str) -> Result<ArmSums, ReadError> {
        let source = self.open(url);
        let found = source.level(&self.signal, self.window).await;
        found.map(|reading| reading.data).inspect_err(|error| self.shows_no_secret(error))
    }

    /// The error at a stand-in.
    pub(crate) async fn error_at(&self, url: &str) -> ReadError {
        match self.level_at(url).await {
            Ok(data) => panic!("{}: {data:?} was read", self.kind),
            Err(error) => error,
        }
    }

    /// Requests beyond those that are always answered.
    pub(crate) async fn n_asked(&self, server: &MockServer) -> usize {
        let requests = server.received_requests().await.unwrap();
        requests.iter().filter(|request| !self.before.contains(&request.url.path())).count()
    }

    pub(crate) fn request(&self) -> VariantRequest {
        request(self.window)
    }

    fn shows_no_secret(&self, error: &ReadError) {
        let shown = format!("{error} {error:?} {:?}", error.hint());
        for (_, secret) in self.secrets {
            assert!(!shown.contains(secret), "{}: {shown}", self.kind);
        }
    }
}

struct Canned(Box<dyn Fn(&Request) -> ResponseTemplate + Send + Sync>);

impl Respond for Canned {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        (self.0)(request)
    }
}

/// A source, opened.
pub(crate) fn open(kind: &str, config: &str, values: &[(&str, &str)]) -> Box<dyn SignalSource> {
    source_of(kind, config, Path::new("/"), values).unwrap()
}

/// A signal that is asked for by name.
pub(crate) fn named(metric: &str) -> SignalSpec {
    SignalSpec {
        name: "paid".to_owned(),
        source: "shop".to_owned(),
        metric: metric.to_owned(),
        method: MetricMethod::Event,
        funnel_steps: vec![],
        segment: BTreeMap::new(),
        aggregation: Aggregation::default(),
        unit: None,
        poll_interval: Period::from_hours(1),
        query: SignalQuery::default(),
        contract: None,
    }
}

/// The week that most vendors are asked about.
pub(crate) fn week() -> Window {
    window("2026-11-14T00:00:00Z", "2026-11-21T00:00:00Z")
}

/// Everything that holds for every vendor.
pub(crate) async fn all(subject: &Subject) {
    reads(subject).await;
    spoil::all(subject).await;
    failures::all(subject).await;
}

async fn reads(subject: &Subject) {
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    let first = source.level(&subject.signal, subject.window).await.unwrap();
    assert_eq!((first.data, first.warnings.as_slice()), (subject.level, [].as_slice()), "{}", subject.kind);
    assert_eq!((first.query_hash.len(), first.raw_hash.len()), (64, 64));
    let again = source.level(&subject.signal, subject.window).await.unwrap();
    assert_eq!(again, first, "the same question has the same answer and hashes");
    let place = source.place().unwrap();
    assert!(place.starts_with(&server.uri()), "where it leads: {place}");
    assert!(subject.secrets.iter().all(|(_, secret)| !place.contains(secret)), "{place}");
    if let Some(arms) = &subject.arms {
        let found = source.by_variant(&subject.signal, &subject.request()).await.unwrap();
        assert_eq!(&found.data, arms, "{}", subject.kind);
    }
    let report = source.test().await.unwrap_or_else(|error| panic!("{}: {error}", subject.kind));
    assert!(!report.is_read_only, "no write was tried: {report:?}");
    assert!(report.notes.concat().contains("not tried"), "{report:?}");
}
