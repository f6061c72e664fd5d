//! Pushed readings: signed, fresh, once.

use outcome_core::ports::push::sign;
use outcome_tests::lab::{INGEST_SECRET, OUTCOME};
use reqwest::{Method, Response};
use secrecy::SecretString;
use serde_json::json;

use crate::support::Daemon;

async fn push(daemon: &Daemon, id: &str, at: i64, body: &str, secret: &str) -> Response {
    let signature = sign(id, at, body.as_bytes(), &SecretString::from(secret)).unwrap();
    daemon
        .request(Method::POST, "/api/v1/signals/ingest")
        .header("webhook-id", id)
        .header("webhook-timestamp", at.to_string())
        .header("webhook-signature", signature)
        .body(body.to_owned())
        .send()
        .await
        .unwrap()
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let problem: serde_json::Value = response.json().await.unwrap();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_signed_reading_is_taken_once_and_others_are_refused() {
    let daemon = Daemon::start().await;
    let now = daemon.lab.runtime.now();
    let at = now.as_second();
    let body = json!({
        "schema_version": 1, "source": "push", "signal": "orders", "outcome": OUTCOME,
        "window": { "from": "2026-09-24T08:00:00Z", "to": "2026-10-01T08:00:00Z" },
        "readings": [{ "value": 12.5 }],
    })
    .to_string();
    let first: serde_json::Value = push(&daemon, "msg_1", at, &body, INGEST_SECRET).await.json().await.unwrap();
    assert_eq!(first, json!({ "n_stored": 1, "is_repeat": false }));
    let again: serde_json::Value = push(&daemon, "msg_1", at, &body, INGEST_SECRET).await.json().await.unwrap();
    assert_eq!(again, json!({ "n_stored": 0, "is_repeat": true }));

    let stale = push(&daemon, "msg_2", at - 3600, &body, INGEST_SECRET).await;
    assert_eq!(code(stale).await, (401, "ingest_stale".to_owned()));
    let forged = push(&daemon, "msg_3", at, &body, "another secret of some length").await;
    assert_eq!(code(forged).await, (401, "ingest_signature".to_owned()));
    let unknown = push(&daemon, "msg_4", at, &body.replace("\"push\"", "\"nobody\""), INGEST_SECRET).await;
    assert_eq!(code(unknown).await, (401, "ingest_signature".to_owned()));
    let shape = push(&daemon, "msg_5", at, &body.replace("12.5", "\"many\""), INGEST_SECRET).await;
    assert_eq!(code(shape).await, (422, "signal_shape".to_owned()));
    let large = push(&daemon, "msg_6", at, &" ".repeat(256 * 1024 + 1), INGEST_SECRET).await;
    assert_eq!(large.status(), 413);
    // The signature is checked before anything of the body is looked at.
    for nonsense in ["", "{", "[[[[[[", "{\"source\": \"push\", \"source\": 1}", &"[".repeat(200_000)] {
        let forged = push(&daemon, "msg_7", at, nonsense, "another secret of some length").await;
        assert_eq!(code(forged).await, (401, "ingest_signature".to_owned()));
        let signed = push(&daemon, "msg_8", at, nonsense, INGEST_SECRET).await;
        assert_eq!(code(signed).await, (422, "signal_shape".to_owned()));
    }
    let bare = daemon.request(Method::POST, "/api/v1/signals/ingest").body(body).send().await.unwrap();
    assert_eq!(code(bare).await, (401, "ingest_signature".to_owned()));
}

#[tokio::test]
async fn who_does_not_sign_is_answered_before_the_body_is_read() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let daemon = Daemon::start().await;
    for headers in ["", "webhook-id: a\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,AAAA\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(daemon.address).await.unwrap();
        // The body is announced and never sent.
        let head = format!(
            "POST /api/v1/signals/ingest HTTP/1.1\r\nhost: {}\r\ncontent-length: 200000\r\n{headers}\r\n",
            daemon.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        let read = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_exact(&mut answer));
        read.await.unwrap_or_else(|_| panic!("it waits for the body: {headers}")).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401");
    }
}
