//! Any API that answers with JSON: against canned answers.

use std::sync::Arc;

use outcome_core::Code;
use outcome_core::domain::ArmSums;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::contract::window;
use super::kit::{self, Subject, named, week};

fn good(request: &Request) -> Value {
    assert_eq!(request.headers["x-api-key"], "t0ken-stats");
    json!({ "data": { "users": 5000, "orders": 600, "p95": 412.5, "sum": 9.5, "squares": 40.25 }, "rows": [{ "n": 1 }] })
}

const CONFIG: &str = "url: ${URL}, token: \"${TOKEN}\", token_header: X-Api-Key, timezone: Europe/Amsterdam, per_hour: 60, metrics: [\
    { name: rate, path: \"/v1/stats?from={from}&to={to}\", n: $.data.users, successes: $.data.orders }, \
    { name: p95, path: \"/v1/latency?hours={seconds}&at={to_unix}\", value: $.data.p95 }, \
    { name: revenue, path: /v1/query, body: '{\"from\": \"{from_date}\", \"to\": \"{to_date}\", \"where\": {\"plan\": \"{segment.plan}\"}}', \
      n: $.data.users, sum: $.data.sum, sum_squares: $.data.squares }]";

fn subject() -> Subject {
    Subject {
        kind: "http_json",
        config: CONFIG,
        secrets: &[("${TOKEN}", "t0ken-stats")],
        signal: named("rate"),
        window: week(),
        good: Arc::new(good),
        before: &[],
        level: ArmSums::Proportion { n: 5000, successes: 600 },
        arms: None,
        number: "/data/orders",
        missing: "`$.data.orders` is missing",
        empty: json!({ "data": {} }),
    }
}

#[tokio::test]
async fn it_does_what_every_source_does() {
    kit::all(&subject()).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    kit::failures::stalls(&subject()).await;
}

#[tokio::test]
async fn the_window_goes_where_the_file_says() {
    let subject = subject();
    let server = subject.stand_in().await;
    // The last part of the address belongs to what is configured.
    let source = subject.open(&format!("{}/api/", server.uri()));
    source.level(&subject.signal, subject.window).await.unwrap();
    let read = source.level(&named("p95"), subject.window).await.unwrap();
    assert_eq!((read.data, read.window), (ArmSums::Value { value: 412.5 }, week()));
    let mut revenue = named("revenue");
    revenue.segment.insert("plan".to_owned(), "pro \"x\"".to_owned());
    let read = source.level(&revenue, window("2026-11-14T10:00:00Z", "2026-11-21T10:00:00Z")).await.unwrap();
    assert_eq!(read.data, ArmSums::Mean { n: 5000, sum: 9.5, sum_squares: 40.25 });
    assert_eq!(read.window, window("2026-11-13T23:00:00Z", "2026-11-20T23:00:00Z"), "whole days of Amsterdam");

    let asked = server.received_requests().await.unwrap();
    let asked: Vec<_> = asked
        .iter()
        .map(|request| {
            format!(
                "{} {} {}",
                request.method,
                &request.url[url::Position::BeforePath..],
                String::from_utf8_lossy(&request.body)
            )
        })
        .collect();
    assert_eq!(
        asked,
        [
            "GET /api/v1/stats?from=2026%2D11%2D14T00%3A00%3A00Z&to=2026%2D11%2D21T00%3A00%3A00Z ",
            "GET /api/v1/latency?hours=604800&at=1795219200 ",
            "POST /api/v1/query {\"from\": \"2026-11-14\", \"to\": \"2026-11-20\", \"where\": {\"plan\": \"pro \\\"x\\\"\"}}",
        ]
    );
    assert_eq!(source.limits().budget.map(|budget| budget.n), Some(60));
    let names: Vec<_> = source.list().await.unwrap().into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["rate", "p95", "revenue"]);
}

#[tokio::test]
async fn what_is_not_declared_is_refused() {
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    let error = source.level(&named("churn"), week()).await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectorConfig);
    assert!(error.to_string().contains("no metric `churn`; there are `rate`, `p95`, `revenue`"), "{error}");
    let mut restricted = named("rate");
    restricted.segment.insert("plan".to_owned(), "pro".to_owned());
    let error = source.level(&restricted, week()).await.unwrap_err();
    assert!(error.to_string().contains("does not use `{segment.plan}`"), "{error}");
    let error = source.level(&named("revenue"), week()).await.unwrap_err();
    assert!(error.to_string().contains("`{segment.plan}` has no value"), "{error}");
    assert!(server.received_requests().await.unwrap().is_empty(), "nothing of it was sent");

    let wrong = ResponseTemplate::new(422).set_body_json(json!({ "message": "no such range" }));
    let server = subject.stand_in_with(move |_| wrong.clone()).await;
    assert!(
        subject.error_at(&server.uri()).await.to_string().contains("status 422 Unprocessable Entity: no such range")
    );
}

/// What is said about a metric that is written so.
fn said_about(metric: &str) -> String {
    let text = format!(
        "version: 1\nsignal_connectors:\n  - name: s\n    type: http_json\n    config:\n      url: https://h\n      metrics:\n        - {metric}\n"
    );
    let parsed = outcome_core::config::parse(&text, "outcome.yaml", &outcome_integrations::VENDORS, None);
    outcome_core::config::render_all(&parsed.diagnostics, false)
}

#[test]
fn metrics_that_cannot_work_are_said_with_their_place() {
    for (metric, expected) in [
        ("{ name: a, path: \"/s?x={until}\", value: $.v }", "`{until}` is not a placeholder"),
        ("{ name: a, path: \"s?x=1\", value: $.v }", "this is not a path below `url`"),
        ("{ name: a, path: /s, value: \"$.rows[*].n\" }", "it may name several values"),
        ("{ name: a, path: /s, n: $.n }", "a metric needs the places of its numbers"),
        ("{ name: a, path: /s, value: $.v, n: $.n, successes: $.s }", "a metric needs the places of its numbers"),
        ("{ name: a, path: /s, value: $.v, body: '{\"x\": {from}}' }", "with its placeholders filled this is not JSON"),
        ("{ name: a, path: /s, value: $.v }\n        - { name: a, path: /t, value: $.v }", "two metrics are named `a`"),
    ] {
        let said = said_about(metric);
        assert!(said.contains(expected), "{metric}: {said}");
    }
    assert!(!said_about("{ name: a, path: \"/s?x={to}\", value: $.v }").contains("outcome.yaml:9"));
}

#[tokio::test]
async fn what_does_not_say_until_when_is_of_now() {
    let config = "url: ${URL}, token: \"${TOKEN}\", token_header: X-Api-Key, metrics: [\
        { name: newest, path: /v1/latency, value: $.data.p95 }, \
        { name: last, path: \"/v1/latency?last={seconds}&from={from}\", value: $.data.p95 }, \
        { name: of_then, path: /v1/latency, body: '{\"until\": {to_ms}}', value: $.data.p95 }]";
    let subject = Subject { config, ..subject() };
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    for metric in ["newest", "last"] {
        let error = source.level(&named(metric), week()).await.unwrap_err();
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains("does not say until when"), "{error}");
        assert!(error.hint().unwrap().contains("{to}"), "{error:?}");
    }
    source.level(&named("of_then"), week()).await.unwrap();
    let notes = source.test().await.unwrap();
    assert!(
        !notes.is_read_only && notes.notes.concat().contains("`newest` was read over the last 24 hours"),
        "{notes:?}"
    );
}
