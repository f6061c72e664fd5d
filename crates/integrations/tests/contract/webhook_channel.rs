//! The signed webhook channel, against a real HTTP server of ours and the reference implementation of Standard Webhooks.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use outcome_core::clock::{Clock as _, SystemClock};
use outcome_core::ports::push::sign;
use outcome_core::ports::{Letter, LetterAbout, Notifier, NotifyError};
use outcome_tests::peers;
use pretty_assertions::assert_eq;
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::contract::channel;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BEFORE: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn open_with(config: &str, url: &str, secret: &str) -> Result<Box<dyn Notifier>, NotifyError> {
    let values = [("${URL}", url), ("${S}", secret), ("${B}", BEFORE)];
    channel("webhook", &format!("url: \"${{URL}}\", secret: \"${{S}}\"{config}"), Path::new("/"), &values)
}

fn open(url: &str) -> Box<dyn Notifier> {
    open_with(", allow_private: true", url, SECRET).unwrap()
}

fn letter() -> Letter {
    Letter {
        key: "gate/0199f0a2-7d0c-7c3e-9f5e-2b1f5c3d4e5f/opened".to_owned(),
        kind: "gate_opened".to_owned(),
        created_at: "2026-10-01T08:00:00.25Z".parse().unwrap(),
        about: LetterAbout { gate: Some("launch-naïve".to_owned()), ..LetterAbout::default() },
        subject: "Gate `launch-naïve` wäits — 世界 \u{1f6d2}".to_owned(),
        text: "Two\nlines, \"quotes\", </script> and \u{2028}.".to_owned(),
        link: Some("https://outcome.example.com/gates/launch".to_owned()),
        recipient: Some("dana@example.com".to_owned()),
        place: Some("payments".to_owned()),
    }
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn sent_to(answer: ResponseTemplate) -> (Result<String, NotifyError>, Vec<Request>) {
    let server = answering(answer).await;
    let sent = open(&format!("{}/hook?a=1", server.uri())).send(&letter(), SystemClock.now()).await;
    (sent, server.received_requests().await.unwrap())
}

fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    request.headers[name].to_str().unwrap()
}

/// What the reference implementation checks.
fn as_checked(request: &Request, secret: &str, fresh: bool) -> Value {
    json!({
        "secret": secret,
        "id": header(request, "webhook-id"),
        "timestamp": header(request, "webhook-timestamp"),
        "signature": header(request, "webhook-signature"),
        "body": String::from_utf8(request.body.clone()).unwrap(),
        "fresh": fresh,
    })
}

/// The bodies as the reference implementation reads them; `None` (said loudly) where it cannot be had.
fn verified(requests: &[Value]) -> Option<Value> {
    let home = peers::python("webhooks").unwrap()?;
    let mut verifier = Command::new(home.join("bin/python"))
        .arg(peers::sources("webhooks").join("verify.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    verifier.stdin.take().unwrap().write_all(json!(requests).to_string().as_bytes()).unwrap();
    let done = verifier.wait_with_output().unwrap();
    assert!(done.status.success(), "the reference implementation refuses a request");
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

#[tokio::test]
async fn the_reference_implementation_verifies_what_is_sent_also_while_secrets_change() {
    let server = answering(ResponseTemplate::new(204)).await;
    let both = ", allow_private: true, previous_secret: \"${B}\"";
    let channel = open_with(both, &format!("{}/hook", server.uri()), SECRET).unwrap();
    let now = SystemClock.now();
    assert_eq!(channel.send(&letter(), now).await.unwrap(), "status 204");
    // Again, later: another signature and the same id.
    let later = now.checked_add(SignedDuration::from_secs(90)).unwrap();
    channel.send(&letter(), later).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let [first, second] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((first.method.as_str(), first.url.path()), ("POST", "/hook"));
    assert_eq!(header(first, "content-type"), "application/json");
    assert!(header(first, "user-agent").starts_with("outcome-runtime/"));
    assert_eq!(header(first, "webhook-id"), header(second, "webhook-id"));
    assert_eq!(header(second, "webhook-timestamp"), later.as_second().to_string());
    assert_ne!(header(first, "webhook-signature"), header(second, "webhook-signature"));
    assert_eq!(first.body, second.body);
    let body = json!({
        "type": "gate_opened",
        "timestamp": "2026-10-01T08:00:00.25Z",
        "data": {
            "subject": letter().subject,
            "text": letter().text,
            "link": "https://outcome.example.com/gates/launch",
            "recipient": "dana@example.com",
            "place": "payments",
            "gate": "launch-naïve",
        },
    });
    assert_eq!(first.body_json::<Value>().unwrap(), body);

    let cases = [as_checked(first, SECRET, true), as_checked(first, BEFORE, true), as_checked(second, SECRET, true)];
    if let Some(read) = verified(&cases) {
        assert_eq!(read, json!([body, body, body]));
    }
}

#[test]
fn the_worked_example_of_the_contract_is_what_we_sign() {
    let body = "{\"test\": 2432232314}";
    let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(sign(id, at, body.as_bytes(), &SecretString::from(SECRET)).unwrap(), signature);
    let case = json!({ "secret": SECRET, "id": id, "timestamp": at.to_string(), "signature": signature, "body": body,
        "fresh": false });
    if let Some(read) = verified(&[case]) {
        assert_eq!(read, json!([{ "test": 2_432_232_314_i64 }]));
    }
}

#[tokio::test]
async fn each_answer_means_what_the_specification_says() {
    for status in [200, 201, 202, 204, 299] {
        assert_eq!(sent_to(ResponseTemplate::new(status)).await.0.unwrap(), format!("status {status}"));
    }
    let (gone, _) = sent_to(ResponseTemplate::new(410).set_body_string("closed")).await;
    let gone = gone.unwrap_err();
    assert!(gone.is_final(), "{gone}");
    assert_eq!(gone.to_string(), "channel `webhook` wants no more messages: status 410: closed");
    for status in [400, 401, 403, 404, 413, 422, 501] {
        let error = sent_to(ResponseTemplate::new(status)).await.0.unwrap_err();
        assert!(matches!(error, NotifyError::Refused { .. }) && !error.is_final(), "{status}: {error}");
    }
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let (sent, requests) = sent_to(ResponseTemplate::new(status).insert_header("retry-after", "120")).await;
        let error = sent.unwrap_err();
        assert!(error.is_transient(), "{status}: {error}");
        assert_eq!(error.retry_after(), Some(SignedDuration::from_secs(120)));
        assert_eq!(requests.len(), 1, "trying again is the outbox's");
    }
    // What follows a success does not matter, however much it is.
    let large = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 2 * 1024 * 1024]);
    assert_eq!(sent_to(large).await.0.unwrap(), "status 200");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = answering(ResponseTemplate::new(204)).await;
    for status in [301, 302, 303, 307, 308] {
        let (sent, _) = sent_to(ResponseTemplate::new(status).insert_header("location", other.uri())).await;
        let error = sent.unwrap_err();
        assert!(error.to_string().contains("redirects are not followed"), "{error}");
    }
    assert_eq!(other.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_within_fifteen_seconds() {
    let slow = ResponseTemplate::new(204).set_delay(Duration::from_mins(10));
    let server = answering(slow).await;
    let channel = open(&server.uri());
    tokio::time::pause();
    let (letter, began) = (letter(), tokio::time::Instant::now());
    let error = channel.send(&letter, Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert_eq!(error.to_string(), "channel `webhook` could not be reached: no answer within 15 s");
    assert!(error.is_transient() && began.elapsed() <= Duration::from_secs(16), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_address_of_this_machine_is_refused_unless_the_file_allows_it() {
    let server = answering(ResponseTemplate::new(204)).await;
    let port = server.address().port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "10.0.0.1", "[::1]"] {
        for scheme in ["http", "https"] {
            let error = open_with("", &format!("{scheme}://{host}:{port}/"), SECRET).err().unwrap();
            assert!(matches!(error, NotifyError::Config { .. }), "{host}: {error}");
        }
    }
    // A name is looked at when it is connected to.
    let by_name = open_with("", &format!("https://localhost:{port}/"), SECRET).unwrap();
    let error = by_name.send(&letter(), SystemClock.now()).await.unwrap_err();
    assert!(error.to_string().contains("this name leads only to private addresses"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
    open(&format!("http://localhost:{port}/")).send(&letter(), SystemClock.now()).await.unwrap();
}

#[tokio::test]
async fn no_secret_is_in_an_error() {
    let told = format!(
        "you sent {SECRET}, that is {}, to /s3cret-path?key=t0ken%2Fvalue t0ken/value",
        SECRET.trim_start_matches("whsec_")
    );
    let server = answering(ResponseTemplate::new(400).set_body_string(told)).await;
    let url = format!("{}/s3cret-path?key=t0ken%2Fvalue", server.uri());
    let error = open(&url).send(&letter(), SystemClock.now()).await.unwrap_err();
    assert!(error.to_string().contains("[redacted]"), "{error}");
    assert!(!error.to_string().contains("MfKQ9r8"), "{error}");
    assert!(!error.to_string().contains("s3cret") && !error.to_string().contains("t0ken"), "{error}");
    drop(server);
    let unreachable = open("http://127.0.0.1:9/s3cret-path").send(&letter(), SystemClock.now()).await.unwrap_err();
    assert!(unreachable.is_transient() && !unreachable.to_string().contains("s3cret"), "{unreachable}");

    for weak in ["plain text of some length", "whsec_", "whsec_%%%", "whsec_c2hvcnQ="] {
        let error = open_with(", allow_private: true", "https://example.com/", weak).err().unwrap();
        let is_quiet = matches!(error, NotifyError::Config { .. }) && !error.to_string().contains(&weak[6..]);
        assert!(is_quiet || weak == "whsec_", "{error}");
    }
    let error = open_with("", "https://user:hunter2@example.com/", SECRET).err().unwrap();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
