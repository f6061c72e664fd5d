//! The second version of Datadog's query API: against canned answers in the shape of recorded ones, and against a mock of its specification.

use std::sync::Arc;

use anyhow::Result;
use outcome_core::Code;
use outcome_core::domain::{ArmSums, Reading, Window};
use outcome_core::ports::ReadError;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::contract::window;
use super::datadog::level_said;
use super::kit::prism::Prism;
use super::kit::{self, Subject, named};

const V2: &str = "url: ${URL}, api_key: \"${API}\", app_key: \"${APP}\", api: v2";

/// A line of points, every five minutes from 10:00.
fn line(values: &[Option<f64>]) -> Value {
    let begin = "2026-11-20T10:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let times: Vec<_> = (0..).zip(values).map(|(i, _)| begin + i * 300_000).collect();
    json!({ "data": { "id": "0", "type": "timeseries_response", "attributes": {
        "series": [{ "group_tags": [], "query_index": 0, "unit": null }], "times": times, "values": [values],
    } } })
}

fn number(values: &Value) -> Value {
    json!({ "data": { "id": "0", "type": "scalar_response", "attributes": {
        "columns": [{ "name": "a", "type": "number", "values": values, "meta": { "unit": null } }],
    } } })
}

fn good(request: &Request) -> Value {
    assert_eq!(request.headers["dd-application-key"], "second-k3y");
    match request.url.path() {
        "/api/v1/validate" => json!({ "valid": true }),
        "/api/v2/query/timeseries" => line(&[Some(1.0), Some(2.0), Some(3.0)]),
        "/api/v2/query/scalar" => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body["data"]["attributes"]["queries"][0]["aggregator"], "percentile");
            number(&json!([412.5]))
        }
        path => panic!("{path}"),
    }
}

fn hour() -> Window {
    window("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z")
}

fn subject(metric: &str) -> Subject {
    Subject {
        kind: "datadog",
        config: V2,
        secrets: &[("${API}", "first-k3y"), ("${APP}", "second-k3y")],
        signal: named(metric),
        window: hour(),
        good: Arc::new(good),
        before: &["/api/v1/validate"],
        level: ArmSums::Value { value: 412.5 },
        arms: None,
        number: "/data/attributes/columns/0/values/0",
        missing: "it has no value",
        empty: number(&json!([])),
    }
}

const SCALAR: &str = "percentile($window):p95:trace.http.request{env:prod}";
const SUM: &str = "sum($window):sum:orders{env:prod}.as_count()";

#[tokio::test]
async fn it_does_what_every_source_does() {
    kit::all(&subject(SCALAR)).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    kit::failures::stalls(&subject(SUM)).await;
}

#[tokio::test]
async fn the_specification_allows_its_requests() -> Result<()> {
    for metric in [SCALAR, SUM] {
        let subject = subject(metric);
        let server = subject.stand_in().await;
        subject.open(&server.uri()).level(&subject.signal, subject.window).await?;
        if let Some(prism) = Prism::start("datadog-v2")? {
            prism.accepts(&server).await?;
        }
    }
    Ok(())
}

async fn level_of(metric: &str, answer: Value, at: Option<&'static str>) -> Result<Reading<ArmSums>, ReadError> {
    level_said(subject(metric), answer, at).await
}

#[tokio::test]
async fn points_without_a_value_are_absent_and_those_that_are_still_filled_change_nothing() {
    let read = level_of("last($window):avg:load{*}", line(&[Some(1.0), Some(2.5), None, None]), None).await.unwrap();
    assert_eq!(read.data, ArmSums::Value { value: 2.5 });
    assert_eq!(read.window, window("2026-11-20T10:05:00Z", "2026-11-20T10:10:00Z"), "its own time");
    let error = level_of("avg:load{*}", line(&[None, None]), None).await.unwrap_err();
    assert!(error.to_string().contains("no point with a value"), "{error}");
    // Asked at 10:16 and a minute later.
    let first =
        level_of(SUM, line(&[Some(4.0), Some(5.0), Some(6.0), Some(0.1)]), Some("Fri, 20 Nov 2026 10:16:00 GMT"));
    let second =
        level_of(SUM, line(&[Some(4.0), Some(5.0), Some(6.5), Some(0.9)]), Some("Fri, 20 Nov 2026 10:17:00 GMT"));
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(
        (&first.data, first.window.to.to_string().as_str()),
        (&ArmSums::Value { value: 9.0 }, "2026-11-20T10:10:00Z")
    );
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_number_of_a_window_is_of_buckets_that_are_over() {
    let subject = subject(SCALAR);
    let answer = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let to = body["data"]["attributes"]["to"].as_i64().unwrap_or_default();
        // Its answer tells for which end it is.
        number(&json!([to / 1000 % 86_400]))
    };
    let server = wiremock::MockServer::start().await;
    let at = "Fri, 20 Nov 2026 11:00:30 GMT";
    let respond =
        move |request: &Request| ResponseTemplate::new(200).set_body_json(answer(request)).insert_header("date", at);
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(respond).mount(&server).await;
    let read = subject.open(&server.uri()).level(&subject.signal, hour()).await.unwrap();
    assert_eq!(read.window, window("2026-11-20T10:00:00Z", "2026-11-20T10:55:00Z"));
    assert_eq!(read.data, ArmSums::Value { value: f64::from(10 * 3600 + 55 * 60) }, "it was asked for that time");
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_line_is_no_reading() {
    let mut two = line(&[Some(1.0), Some(2.0)]);
    two["data"]["attributes"]["series"] = json!([{ "group_tags": ["host:a"] }, { "group_tags": ["host:b"] }]);
    two["data"]["attributes"]["values"] = json!([[1.0, 2.0], [3.0, 4.0]]);
    let mut uneven = line(&[Some(1.0), Some(2.0)]);
    uneven["data"]["attributes"]["values"] = json!([[1.0]]);
    let mut lists = line(&[Some(1.0), Some(2.0)]);
    lists["data"]["attributes"]["values"] = json!([]);
    let mut none = line(&[]);
    none["data"]["attributes"]["series"] = json!([]);
    none["data"]["attributes"]["values"] = json!([]);
    let mut groups = number(&json!([1.0, 2.0]));
    groups["data"]["attributes"]["columns"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "env", "type": "group", "values": [["a"], ["b"]] }));
    for (metric, answer, expected) in [
        (SUM, two, "it has 2 series where one is expected, such as host:a; host:b"),
        (SUM, uneven, "not equally long"),
        (SUM, lists, "1 series and 0 lists of values"),
        (SUM, none, "it has no series"),
        (SUM, line(&[Some(1.0)]), "fewer than two points"),
        (SCALAR, groups, "it has 2 series where one is expected"),
        (SCALAR, number(&json!([null])), "its value is null"),
    ] {
        let error = level_of(metric, answer, None).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape, "{error}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(!error.hint().unwrap().is_empty());
    }
    let said = json!({ "errors": "Rule 'scope_expr' didn't match with first-k3y" });
    let error = level_of(SUM, said, None).await.unwrap_err();
    assert!(matches!(&error, ReadError::Query { detail, .. } if detail.contains("scope_expr")), "{error:?}");
    assert!(!error.to_string().contains("first-k3y"), "{error}");
}

#[tokio::test]
async fn kinds_that_are_not_known_are_passed_over() {
    let mut answer = number(&json!([7]));
    answer["data"]["type"] = json!("scalar_response_of_tomorrow");
    answer["data"]["attributes"]["columns"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "x", "type": "colour", "values": ["red"] }));
    assert_eq!(level_of(SCALAR, answer, None).await.unwrap().data, ArmSums::Value { value: 7.0 });
    let mut points = line(&[Some(1.0), Some(2.0)]);
    points["data"]["type"] = json!("timeseries_response_of_tomorrow");
    points["data"]["attributes"]["series"][0]["unit"] = json!([{ "family": "of tomorrow" }, null]);
    assert_eq!(level_of(SUM, points, None).await.unwrap().data, ArmSums::Value { value: 3.0 });
}

#[tokio::test]
async fn the_first_version_says_what_it_cannot_do() {
    let subject = Subject { config: "url: ${URL}, api_key: \"${API}\", app_key: \"${APP}\"", ..subject(SCALAR) };
    let server = subject.stand_in().await;
    let error = subject.error_at(&server.uri()).await;
    assert_eq!(error.code(), Code::ConnectorConfig);
    assert!(error.hint().unwrap().contains("`api: v2`"), "{error:?}");
    assert_eq!(subject.n_asked(&server).await, 0, "nothing is asked");
}
