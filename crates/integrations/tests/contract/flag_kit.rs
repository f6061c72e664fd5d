//! What every flag service behind a JSON API must do, whatever its vendor. A vendor's module has a stand-in that keeps flags as the
//! vendor does and that others can meddle with; [`all`] writes, reads back, meddles, spoils and refuses, and looks at what comes of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::flags::{drift, write_and_read_back};
use outcome_core::ports::{FlagError, FlagService, FlagSettings, FlagState};
use pretty_assertions::assert_eq;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::contract::{config_of, flag_service};
use super::kit::prism::Prism;

/// The flag of every test.
pub(crate) const KEY: &str = "new-checkout";

/// Answers as the vendor does; it keeps its flags itself.
pub(crate) type Answers = Arc<dyn Fn(&Request) -> ResponseTemplate + Send + Sync>;

/// What others do to the flag beside us.
pub(crate) type Meddles = Arc<dyn Fn() + Send + Sync>;

/// One stand-in, fresh.
pub(crate) struct StandIn {
    /// Its answers.
    pub(crate) answers: Answers,
    /// What others may do to [`KEY`] when it is there: a sentence, and the deed. Afterwards the flag gives somebody a treatment, or
    /// none, that the runtime did not write.
    pub(crate) meddling: Vec<(&'static str, Meddles)>,
}

/// A vendor, and how it is opened.
pub(crate) struct Vendor {
    /// Its `provider`.
    pub(crate) kind: &'static str,
    /// Its name in errors.
    pub(crate) name: &'static str,
    /// Its `config`, as a flow map without braces, with `${URL}` for the stand-in's address.
    pub(crate) config: &'static str,
    /// The other references and their values, which are the secrets that nobody may see.
    pub(crate) secrets: &'static [(&'static str, &'static str)],
    /// A new stand-in without any flag of ours.
    pub(crate) stand_in: fn() -> StandIn,
    /// The name of its specification in `contracts/specs`.
    pub(crate) spec: &'static str,
}

impl Vendor {
    /// The service, at this address.
    pub(crate) fn open(&self, url: &str) -> Box<dyn FlagService> {
        let mut values = vec![("${URL}", url)];
        values.extend(self.secrets);
        flag_service(self.kind, self.config, Path::new("/"), &values).unwrap()
    }

    /// A server with these answers.
    pub(crate) async fn serve(&self, answers: &Answers) -> (MockServer, Box<dyn FlagService>) {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Canned(Arc::clone(answers))).mount(&server).await;
        let service = self.open(&server.uri());
        (server, service)
    }

    fn shows_no_secret(&self, text: &str) {
        for (_, secret) in self.secrets {
            assert!(!text.contains(secret), "{}: {text}", self.kind);
        }
    }
}

struct Canned(Answers);

impl Respond for Canned {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        (self.0)(request)
    }
}

/// Where a published contract is, beside the repository.
pub(crate) fn contracts(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contracts").join(file)
}

/// What the service says is set up in another way; a panic for any other error.
pub(crate) fn foreign(error: &FlagError) -> &str {
    match error {
        FlagError::Foreign { problem, .. } => problem,
        other => panic!("{}", error_chain(other)),
    }
}

/// The settings that the page of a service shows first.
pub(crate) fn settings_on_the_page(provider: &str) -> Arc<dyn FlagSettings> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/flags/{provider}.md"));
    let text = std::fs::read_to_string(page).unwrap();
    let yaml = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let sources = "signal_connectors:\n  - { name: other, type: sql, config: { url: \"${OTHER}\" } }\n";
    config_of(&format!("{sources}{yaml}")).flags.unwrap().settings
}

/// Puts the flag somewhere and reads it back.
pub(crate) async fn put(service: &dyn FlagService, state: &FlagState) -> Result<FlagState, FlagError> {
    write_and_read_back(service, state, |pause| Box::pin(tokio::time::sleep(pause))).await
}

/// Everything that holds for every vendor.
pub(crate) async fn all(vendor: &Vendor) {
    keeps_a_flag(vendor).await;
    is_off_whatever_others_do(vendor).await;
    refuses_what_is_no_answer(vendor).await;
    says_why_it_failed(vendor).await;
    waits_as_it_is_asked(vendor).await;
    follows_no_redirect(vendor).await;
    refuses_settings(vendor);
}

async fn keeps_a_flag(vendor: &Vendor) {
    let kind = vendor.kind;
    let (server, service) = vendor.serve(&(vendor.stand_in)().answers).await;
    let service = service.as_ref();
    assert_eq!(service.name(), vendor.name);
    assert_eq!(service.place().as_deref(), Some(server.uri().as_str()), "{kind}");
    assert_eq!(service.read(KEY).await.unwrap(), None, "{kind}");
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY), "{kind}: what is not there is off");
    assert_eq!(service.read(KEY).await.unwrap(), None, "{kind}: turning off makes no flag");
    assert_eq!(service.ensure(KEY, "Short form").await.unwrap(), FlagState::off(KEY), "{kind}");
    assert_eq!(service.ensure(KEY, "Short form").await.unwrap(), FlagState::off(KEY), "{kind}: twice is as once");
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::off(KEY)), "{kind}");
    for pct in [5, 5, 20, 1, 99, 100, 50] {
        let on = FlagState::on(KEY, pct);
        assert_eq!(put(service, &on).await.unwrap(), on, "{kind}: {pct}");
        assert_eq!(drift(service, &on).await.unwrap(), None, "{kind}: {pct}");
    }
    assert_eq!(service.ensure(KEY, "Other").await.unwrap(), FlagState::on(KEY, 50), "{kind}: it stays as it is");
    assert!(drift(service, &FlagState::on(KEY, 5)).await.unwrap().is_some(), "{kind}");
    for _ in 0..2 {
        assert_eq!(put(service, &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY), "{kind}");
        assert_eq!(drift(service, &FlagState::off(KEY)).await.unwrap(), None, "{kind}");
    }
    let on = FlagState::on(KEY, 30);
    assert_eq!(put(service, &on).await.unwrap(), on, "{kind}: on again");
    put(service, &FlagState::off(KEY)).await.unwrap();
    for bad in ["../admin", "a/b", "", "a?b"] {
        assert!(service.read(bad).await.is_err() && service.off(bad).await.is_err(), "{kind}: {bad}");
        assert!(service.ensure(bad, "d").await.is_err(), "{kind}: {bad}");
    }
    assert!(service.set_rollout(KEY, 101).await.is_err(), "{kind}");
    let rights = service.rights().await.unwrap_or_else(|error| panic!("{kind}: {}", error_chain(&error)));
    vendor.shows_no_secret(&format!("{rights:?}"));
    if let Some(prism) = Prism::start(vendor.spec).unwrap() {
        prism.accepts(&server).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

async fn is_off_whatever_others_do(vendor: &Vendor) {
    let n = (vendor.stand_in)().meddling.len();
    assert!(n > 0, "{}: others can meddle", vendor.kind);
    for index in 0..n {
        let StandIn { answers, meddling } = (vendor.stand_in)();
        let (_server, service) = vendor.serve(&answers).await;
        let (what, deed) = &meddling[index];
        service.ensure(KEY, "Short form").await.unwrap();
        let ten = FlagState::on(KEY, 10);
        put(service.as_ref(), &ten).await.unwrap();
        deed();
        let found = drift(service.as_ref(), &ten).await.unwrap();
        assert!(found.is_some(), "{}: {what}: nothing is seen", vendor.kind);
        vendor.shows_no_secret(&found.unwrap().to_string());
        let off = put(service.as_ref(), &FlagState::off(KEY)).await;
        assert_eq!(off.unwrap(), FlagState::off(KEY), "{}: {what}: off is off", vendor.kind);
    }
}

async fn refuses_what_is_no_answer(vendor: &Vendor) {
    for (answer, what) in [
        (ResponseTemplate::new(200).set_body_raw("<html>sign in</html>", "text/html"), "a web page"),
        (ResponseTemplate::new(200).set_body_string("{\"half\":"), "half an answer"),
        (ResponseTemplate::new(200).set_body_string(""), "nothing"),
        (ResponseTemplate::new(200).set_body_json(json!({})), "an empty object"),
        (ResponseTemplate::new(200).set_body_json(json!([])), "an empty list"),
        (ResponseTemplate::new(200).set_body_json(json!(null)), "null"),
        (ResponseTemplate::new(200).set_body_string("x".repeat(1_100_000)), "too much"),
        (ResponseTemplate::new(204), "no content"),
    ] {
        let answers: Answers = Arc::new(move |_| answer.clone());
        let (_server, service) = vendor.serve(&answers).await;
        let error = service.read(KEY).await;
        let error = error.err().unwrap_or_else(|| panic!("{}: {what} was read as a flag", vendor.kind));
        assert!(matches!(error.code(), Code::FlagFailed | Code::FlagDrift), "{}: {what}: {error:?}", vendor.kind);
    }
}

async fn says_why_it_failed(vendor: &Vendor) {
    let secrets: Vec<_> = vendor.secrets.iter().map(|(_, secret)| *secret).collect();
    for status in [400, 401, 403, 409, 418, 422] {
        let said = json!({ "message": format!("not like this {}", secrets.join(" ")) });
        let answer = ResponseTemplate::new(status).set_body_json(said);
        let answers: Answers = Arc::new(move |_| answer.clone());
        let (_server, service) = vendor.serve(&answers).await;
        let tries = [service.read(KEY).await.err(), service.off(KEY).await.err(), service.ensure(KEY, "d").await.err()];
        for error in tries {
            let error = error.unwrap_or_else(|| panic!("{}: {status} is no success", vendor.kind));
            let shown = format!("{} {error:?} {:?}", error_chain(&error), error.hint());
            vendor.shows_no_secret(&shown);
            assert_eq!(error.code(), Code::FlagFailed, "{}: {shown}", vendor.kind);
            assert!(!error.is_transient(), "{}: {shown}", vendor.kind);
            assert!(shown.contains(vendor.name), "{}: {shown}", vendor.kind);
            assert!(error.hint().is_some(), "{}: {shown}", vendor.kind);
        }
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = vendor.open(&format!("http://127.0.0.1:{port}/s3cret-path")).off(KEY).await.unwrap_err();
    let shown = format!("{} {error:?}", error_chain(&error));
    assert!(error.is_transient() && !shown.contains("s3cret-path"), "{}: {shown}", vendor.kind);
}

async fn waits_as_it_is_asked(vendor: &Vendor) {
    let asked = async |answer: ResponseTemplate| {
        let n = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&n);
        let answers: Answers = Arc::new(move |_| {
            counts.fetch_add(1, Ordering::SeqCst);
            answer.clone()
        });
        let (_server, service) = vendor.serve(&answers).await;
        let error = service.off(KEY).await.unwrap_err();
        assert!(error.is_transient(), "{}: {error:?}", vendor.kind);
        n.load(Ordering::SeqCst)
    };
    assert_eq!(asked(ResponseTemplate::new(429)).await, 1, "{}: it is not hammered", vendor.kind);
    for status in [429, 503] {
        let later = ResponseTemplate::new(status).insert_header("retry-after", "3600");
        assert_eq!(asked(later).await, 1, "{}: it is left alone", vendor.kind);
    }
    for status in [500, 502, 503, 504] {
        let page = ResponseTemplate::new(status).set_body_raw("<html>gateway</html>", "text/html");
        assert_eq!(asked(page).await, 3, "{}: {status}", vendor.kind);
    }
    // What passes is done in the end.
    let StandIn { answers, .. } = (vendor.stand_in)();
    let n = Arc::new(AtomicUsize::new(0));
    let stumbling: Answers = Arc::new(move |request| match n.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => ResponseTemplate::new(429).insert_header("retry-after", "0"),
        _ => answers(request),
    });
    let (_server, service) = vendor.serve(&stumbling).await;
    service.ensure(KEY, "Short form").await.unwrap();
    put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap();
    assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY), "{}", vendor.kind);
}

async fn follows_no_redirect(vendor: &Vendor) {
    let other = MockServer::start().await;
    for status in [301, 302, 307, 308] {
        let target = format!("{}/there?token=s3cret-query", other.uri());
        let answer = ResponseTemplate::new(status).insert_header("location", &*target);
        let answers: Answers = Arc::new(move |_| answer.clone());
        let (_server, service) = vendor.serve(&answers).await;
        let error = service.read(KEY).await.unwrap_err();
        assert!(!format!("{} {error:?}", error_chain(&error)).contains("s3cret-query"), "{}: {error:?}", vendor.kind);
        service.off(KEY).await.unwrap_err();
    }
    assert!(other.received_requests().await.unwrap().is_empty(), "{}: the credentials travelled", vendor.kind);
}

fn refuses_settings(vendor: &Vendor) {
    let open = |url: &str, secret: &str| {
        let mut values = vec![("${URL}", url)];
        values.extend(vendor.secrets.iter().map(|(name, _)| (*name, secret)));
        flag_service(vendor.kind, vendor.config, Path::new("/"), &values)
    };
    for url in ["", "flags.example.com", "ftp://h/", "https://u:p@h/", "https://h/?token=x"] {
        let Err(error) = open(url, "t0ken") else { panic!("{}: {url} was opened", vendor.kind) };
        assert_eq!(error.code(), Code::ConnectorConfig, "{}: {url}", vendor.kind);
    }
    assert!(open("https://h", "a\nb").is_err(), "{}", vendor.kind);
}
