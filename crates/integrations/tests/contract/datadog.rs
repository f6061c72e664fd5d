//! Datadog: against canned answers, and against a mock of its specification.

use std::sync::Arc;

use anyhow::Result;
use outcome_core::Code;
use outcome_core::domain::{ArmSums, Reading, Window};
use outcome_core::ports::ReadError;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::contract::window;
use super::kit::prism::Prism;
use super::kit::{self, Subject, named};

/// A line of points, every five minutes from 10:00.
fn line(values: &[Option<f64>]) -> Value {
    let begin = "2026-11-20T10:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let points: Vec<_> = (0..).zip(values).map(|(i, value)| json!([begin + i * 300_000, value])).collect();
    json!({
        "status": "ok", "res_type": "time_series", "error": "",
        "series": [{ "metric": "orders", "interval": 300, "scope": "env:prod", "pointlist": points }],
    })
}

fn good(request: &Request) -> Value {
    assert_eq!(
        (&request.headers["dd-api-key"], &request.headers["dd-application-key"]),
        (&"first-k3y".parse().unwrap(), &"second-k3y".parse().unwrap())
    );
    match request.url.path() {
        "/api/v1/validate" => json!({ "valid": true }),
        "/api/v1/query" => line(&[Some(1.0), Some(2.0), Some(3.0)]),
        path => panic!("{path}"),
    }
}

fn hour() -> Window {
    window("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z")
}

fn subject() -> Subject {
    Subject {
        kind: "datadog",
        config: "url: ${URL}, api_key: \"${API}\", app_key: \"${APP}\"",
        secrets: &[("${API}", "first-k3y"), ("${APP}", "second-k3y")],
        signal: named("sum($window):sum:orders{env:prod}.as_count()"),
        window: hour(),
        good: Arc::new(good),
        before: &["/api/v1/validate"],
        level: ArmSums::Value { value: 6.0 },
        arms: None,
        number: "/series/0/interval",
        missing: "`series[0].interval` is missing",
        empty: json!({ "status": "ok", "series": [] }),
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
async fn the_specification_allows_its_requests() -> Result<()> {
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    source.level(&subject.signal, subject.window).await?;
    source.test().await?;
    if let Some(prism) = Prism::start("datadog-v1")? {
        prism.accepts(&server).await?;
    }
    Ok(())
}

async fn level_of(metric: &str, answer: Value, at: Option<&'static str>) -> Result<Reading<ArmSums>, ReadError> {
    level_said(Subject { signal: named(metric), ..subject() }, answer, at).await
}

/// What is made of an answer; `at`: when the vendor's clock says that it was given.
pub(crate) async fn level_said(
    subject: Subject,
    answer: Value,
    at: Option<&'static str>,
) -> Result<Reading<ArmSums>, ReadError> {
    let server = subject
        .stand_in_with(move |_| {
            let good = ResponseTemplate::new(200).set_body_json(&answer);
            at.map_or(good.clone(), |at| good.insert_header("date", at))
        })
        .await;
    subject.open(&server.uri()).level(&subject.signal, subject.window).await
}

#[tokio::test]
async fn the_newest_points_without_a_value_are_absent_and_not_zero() {
    let read = level_of("last($window):avg:load{*}", line(&[Some(1.0), Some(2.5), None, None]), None).await.unwrap();
    assert_eq!(read.data, ArmSums::Value { value: 2.5 });
    assert_eq!(read.window, window("2026-11-20T10:05:00Z", "2026-11-20T10:10:00Z"), "its own time");
    let error = level_of("last($window):avg:load{*}", line(&[None, None]), None).await.unwrap_err();
    assert!(error.to_string().contains("no point with a value"), "{error}");
    let read = level_of("avg:load{*}", line(&[Some(0.0)]), None).await.unwrap();
    assert_eq!(read.data, ArmSums::Value { value: 0.0 }, "0 where the source says 0");
}

#[tokio::test]
async fn a_bucket_that_is_still_filled_changes_nothing() {
    // Asked at 10:16 and a minute later: the bucket of 10:10 has ended, and 10:15 has only begun.
    let early = line(&[Some(4.0), Some(5.0), Some(6.0), Some(0.1)]);
    let late = line(&[Some(4.0), Some(5.0), Some(6.5), Some(0.9)]);
    let metric = "sum($window):sum:orders{*}.as_count()";
    let first = level_of(metric, early, Some("Fri, 20 Nov 2026 10:16:00 GMT")).await.unwrap();
    let second = level_of(metric, late, Some("Fri, 20 Nov 2026 10:17:00 GMT")).await.unwrap();
    assert_eq!(
        (&first.data, first.window),
        (&ArmSums::Value { value: 9.0 }, window("2026-11-20T10:00:00Z", "2026-11-20T10:10:00Z"))
    );
    assert_eq!(first, second);
}

#[tokio::test]
async fn one_line_is_expected_and_an_error_of_status_200_is_one() {
    let mut several = line(&[Some(1.0)]);
    let other = several["series"][0].clone();
    several["series"].as_array_mut().unwrap().push(other);
    let error = level_of("avg:load{*} by {host}", several, None).await.unwrap_err();
    assert_eq!(error.code(), Code::SignalShape);
    assert!(error.to_string().contains("it has 2 series where one is expected"), "{error}");

    let mut failed = line(&[Some(1.0)]);
    failed["error"] = json!("Rule 'scope_expr' didn't match at '}' with first-k3y");
    let error = level_of("avg:load{*}", failed, None).await.unwrap_err();
    assert!(matches!(&error, ReadError::Query { detail, .. } if detail.contains("scope_expr")), "{error:?}");
    assert!(!error.to_string().contains("first-k3y"), "{error}");
}

#[tokio::test]
async fn it_says_when_it_answers_again() {
    let subject = subject();
    let full =
        ResponseTemplate::new(429).insert_header("x-ratelimit-reset", "27").insert_header("x-ratelimit-limit", "1600");
    let server = subject.stand_in_with(move |_| full.clone()).await;
    let error = subject.error_at(&server.uri()).await;
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(27)), "{error:?}");
    let limits = subject.open(&server.uri()).limits();
    assert_eq!(limits.budget.map(|budget| budget.n), Some(1600));
}

#[tokio::test]
async fn keys_of_another_site_are_said() {
    let subject = subject();
    let said = ResponseTemplate::new(403).set_body_json(json!({ "errors": ["Forbidden"] }));
    let server = subject.stand_in_with(move |_| said.clone()).await;
    let error = subject.error_at(&server.uri()).await;
    assert_eq!(error.code(), Code::SignalUnauthorized);
    assert!(error.to_string().ends_with("status 403 Forbidden: Forbidden"), "{error}");
    assert!(error.hint().unwrap().contains("timeseries_query"), "{error:?}");
}
