//! The custom HTTP flag service, against a mock that answers as docs/flags/custom-http.md says.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outcome_core::Code;
use outcome_core::ports::flags::{Found, drift, write_and_read_back};
use outcome_core::ports::{FlagError, FlagService, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::contract::flag_service;

fn open(url: &str, token: &str) -> Result<Box<dyn FlagService>, FlagError> {
    let values = [("${URL}", url), ("${TOKEN}", token)];
    flag_service("custom_http", "url: \"${URL}\", token: \"${TOKEN}\"", Path::new("/"), &values)
}

fn service(url: &str) -> Box<dyn FlagService> {
    open(url, "t0ken").unwrap()
}

/// A service that keeps one flag.
#[derive(Clone, Default)]
struct Flags(Arc<Mutex<Option<Value>>>);

impl Respond for Flags {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["authorization"], "Bearer t0ken");
        assert!(request.headers["user-agent"].to_str().unwrap().starts_with("outcome-runtime/"));
        assert_eq!(request.url.path(), "/base/flags/new-checkout");
        let mut kept = self.0.lock().unwrap();
        if request.method.as_str() == "PUT" {
            let mut body: Value = request.body_json().unwrap();
            if body.get("description").is_none() {
                body["description"] = kept.as_ref().map_or(Value::Null, |kept| kept["description"].clone());
            }
            *kept = Some(body);
        }
        match &*kept {
            Some(flag) => ResponseTemplate::new(200).set_body_json(flag),
            None => ResponseTemplate::new(404).set_body_string("no such flag"),
        }
    }
}

#[tokio::test]
async fn the_whole_contract() {
    let server = MockServer::start().await;
    let flags = Flags::default();
    Mock::given(any()).respond_with(flags.clone()).mount(&server).await;
    for base in [format!("{}/base", server.uri()), format!("{}/base/", server.uri())] {
        *flags.0.lock().unwrap() = None;
        let service = service(&base);
        let key = "new-checkout";
        assert_eq!(service.read(key).await.unwrap(), None);
        assert_eq!(service.ensure(key, "Short form").await.unwrap(), FlagState::off(key));
        let five = FlagState::on(key, 5);
        assert_eq!(
            write_and_read_back(&*service, &five, |pause| Box::pin(tokio::time::sleep(pause))).await.unwrap(),
            five
        );
        assert_eq!(service.ensure(key, "Other").await.unwrap(), five, "a flag that is there stays as it is");
        let kept = flags.0.lock().unwrap().clone();
        assert_eq!(kept, Some(json!({ "description": "Short form", "is_on": true, "treatment_pct": 5 })));
        assert_eq!(drift(&*service, &five).await.unwrap(), None);
        assert_eq!(
            write_and_read_back(&*service, &FlagState::off(key), |pause| Box::pin(tokio::time::sleep(pause)))
                .await
                .unwrap(),
            FlagState::off(key)
        );
        assert_eq!(drift(&*service, &five).await.unwrap().unwrap().found, Found::At(FlagState::off(key)));
        assert!(service.set_rollout(key, 101).await.is_err());
        assert!(service.off("../admin").await.is_err());
    }
}

async fn read_of(answer: ResponseTemplate) -> Result<Option<FlagState>, FlagError> {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    service(&server.uri()).read("f").await
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    for (answer, expected) in [
        (ResponseTemplate::new(200).set_body_string("<html>"), "cannot be used: expected value"),
        (ResponseTemplate::new(200).set_body_json(json!({ "is_on": true })), "missing field `treatment_pct`"),
        (
            ResponseTemplate::new(200).set_body_json(json!({ "is_on": true, "treatment_pct": 101 })),
            "`treatment_pct` is 101",
        ),
        (ResponseTemplate::new(200).set_body_json(json!({ "is_on": true, "treatment_pct": -1 })), "invalid value"),
        (ResponseTemplate::new(200).set_body_string("x".repeat(1_100_000)), "larger than 1048576 bytes"),
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/"), "status 302"),
        (ResponseTemplate::new(403).set_body_string("token t0ken\nmay not"), "status 403: token [redacted] may not"),
        (ResponseTemplate::new(401).set_body_string("t0ken"), "status 401"),
    ] {
        let error = read_of(answer).await.unwrap_err();
        let shown = outcome_core::error::error_chain(&error);
        assert!(shown.contains(expected), "{shown}");
        assert_eq!(error.code(), Code::FlagFailed);
        assert!(!error.is_transient());
        assert!(!format!("{shown} {error:?}").contains("t0ken"), "{error:?}");
    }
}

#[tokio::test]
async fn passing_failures_are_tried_again_as_the_server_asks() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "0");
    Mock::given(method("PUT")).respond_with(busy).up_to_n_times(2).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ResponseTemplate::new(204)).expect(1).mount(&server).await;
    assert_eq!(service(&server.uri()).off("f").await.unwrap(), FlagState::off("f"));

    let long = ResponseTemplate::new(503).insert_header("retry-after", "3600");
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(long).expect(1).mount(&server).await;
    let error = service(&server.uri()).read("f").await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");

    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(502).set_delay(Duration::ZERO))
        .expect(4)
        .mount(&server)
        .await;
    let error = service(&server.uri()).read("f").await.unwrap_err();
    assert_eq!(outcome_core::error::error_chain(&error), "custom http could not read flag `f`: status 502");
}

#[tokio::test]
async fn nobody_there_is_said() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = service(&format!("http://127.0.0.1:{port}/s3cret")).off("f").await.unwrap_err();
    let shown = outcome_core::error::error_chain(&error);
    assert!(shown.contains("refused") && !shown.contains("s3cret"), "{shown}");
    assert!(error.is_transient());
}

#[test]
fn wrong_settings_are_refused() {
    for url in ["", "flags.example.com", "ftp://h/", "https://u:p@h/", "https://h/?token=x"] {
        let Err(error) = open(url, "t0ken") else { panic!("{url} was opened") };
        assert_eq!(error.code(), Code::ConnectorConfig, "{url}");
    }
    assert!(open("https://h", "a\nb").is_err());
}
