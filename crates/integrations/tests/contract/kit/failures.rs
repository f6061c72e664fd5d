//! Refusals, overload, silence and detours: which error it is, how often is asked, and that no credentials travel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outcome_core::Code;
use outcome_core::ports::ReadError;
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::{MockServer, ResponseTemplate};

use super::Subject;

pub(super) async fn all(subject: &Subject) {
    refuses_credentials(subject).await;
    waits_as_it_is_asked(subject).await;
    asks_again_a_few_times(subject).await;
    follows_no_redirect(subject).await;
    says_who_cannot_be_reached(subject).await;
}

async fn status(subject: &Subject, answer: ResponseTemplate) -> (ReadError, usize) {
    let server = subject.stand_in_with(move |_| answer.clone()).await;
    let error = subject.error_at(&server.uri()).await;
    (error, subject.n_asked(&server).await)
}

async fn refuses_credentials(subject: &Subject) {
    for (code, words) in [(401, "the key has expired"), (403, "no right to read this")] {
        let secrets: Vec<_> = subject.secrets.iter().map(|(_, secret)| *secret).collect();
        let said = json!({ "error": format!("{words} {}", secrets.join(" ")) });
        let (error, n_asked) = status(subject, ResponseTemplate::new(code).set_body_json(said)).await;
        assert_eq!(error.code(), Code::SignalUnauthorized, "{}: {error}", subject.kind);
        assert!(error.to_string().contains(words), "{}: the vendor's own words: {error}", subject.kind);
        assert!(error.hint().unwrap().contains("docs/connectors/"), "{error:?}");
        assert!(!error.hint().unwrap().contains("SELECT"), "{error:?}");
        assert!(!error.is_transient(), "{}: {error}", subject.kind);
        // A token that was given for a time may be replaced once.
        let most = if code == 401 { 2 } else { 1 };
        assert!(n_asked <= most, "{}: asked {n_asked} times", subject.kind);
    }
}

async fn waits_as_it_is_asked(subject: &Subject) {
    let (error, n_asked) = status(subject, ResponseTemplate::new(429).set_body_string("slow down")).await;
    assert_eq!(error.code(), Code::SignalThrottled, "{}: {error}", subject.kind);
    assert!(error.to_string().contains("slow down"), "{error}");
    assert_eq!((error.retry_after(), n_asked), (None, 1), "{}: it is not hammered", subject.kind);

    for code in [429, 503] {
        let answer = ResponseTemplate::new(code).insert_header("retry-after", "3600");
        let (error, n_asked) = status(subject, answer).await;
        assert_eq!(error.code(), Code::SignalThrottled, "{}: {error}", subject.kind);
        assert_eq!((error.retry_after(), n_asked), (Some(Duration::from_hours(1)), 1), "{}", subject.kind);
    }
}

async fn asks_again_a_few_times(subject: &Subject) {
    for code in [500, 502, 503, 504] {
        let page = ResponseTemplate::new(code).set_body_raw("<html>s3cret page</html>", "text/html");
        let (error, n_asked) = status(subject, page).await;
        let expected = if code == 500 { Code::SignalFetchFailed } else { Code::SignalThrottled };
        assert_eq!((error.code(), n_asked), (expected, 3), "{}: {error}", subject.kind);
        assert!(error.is_transient(), "{}: {error}", subject.kind);
        assert!(!error.to_string().contains("s3cret page"), "{error}");
    }
    for passing in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(503).insert_header("retry-after", "0"),
        ResponseTemplate::new(429).insert_header("retry-after", "0"),
    ] {
        let n = Arc::new(AtomicUsize::new(0));
        let server = subject
            .stand_in_with(move |value| match n.fetch_add(1, Ordering::SeqCst) {
                0 => passing.clone(),
                _ => ResponseTemplate::new(200).set_body_json(value),
            })
            .await;
        assert_eq!(subject.level_at(&server.uri()).await, Ok(subject.level), "{}", subject.kind);
    }
}

async fn follows_no_redirect(subject: &Subject) {
    let other = MockServer::start().await;
    for code in [301, 302, 307, 308] {
        let target = format!("{}/there?token=s3cret-query", other.uri());
        let (error, n_asked) = status(subject, ResponseTemplate::new(code).insert_header("location", &*target)).await;
        assert_eq!((error.code(), n_asked), (Code::ConnectorConfig, 1), "{}: {error}", subject.kind);
        assert!(error.to_string().contains(&format!("a redirect to {}", other.uri())), "{error}");
        assert!(!format!("{error:?}").contains("s3cret-query"), "{error:?}");
    }
    assert!(other.received_requests().await.unwrap().is_empty(), "{}: the credentials travelled", subject.kind);
}

async fn says_who_cannot_be_reached(subject: &Subject) {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = subject.error_at(&format!("http://127.0.0.1:{port}/s3cret-path")).await;
    assert!(matches!(error, ReadError::Unreachable { .. }), "{}: {error}", subject.kind);
    assert!(error.is_transient() && !format!("{error:?}").contains("s3cret-path"), "{error:?}");

    let plain = subject.stand_in().await;
    let error = subject.error_at(&plain.uri().replace("http://", "https://")).await;
    assert!(matches!(error, ReadError::Unreachable { .. }), "{}: {error}", subject.kind);

    let cut = closing("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"a\":").await;
    let error = subject.error_at(&cut).await;
    assert!(matches!(error, ReadError::Unreachable { .. }), "{}: cut off: {error}", subject.kind);
}

/// A server that says this to everybody and closes the connection.
async fn closing(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// Nobody answers: at connect, after the request, or in the middle of the answer. Call it under paused time.
pub(crate) async fn stalls(subject: &Subject) {
    for said in ["", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"a\":"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let held = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 65_536];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(said.as_bytes()).await;
                open.push(stream);
            }
        });
        let error = subject.error_at(&url).await;
        assert_eq!(error.code(), Code::SignalTimeout, "{}: {error}", subject.kind);
        assert!(error.is_transient() && !error.hint().unwrap().contains("statement_timeout"), "{error:?}");
        held.abort();
    }
}
