//! Prometheus: against canned answers, against a mock of its specification, and against a real server where one is installed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use outcome_core::Code;
use outcome_core::domain::{ArmSums, SignalSpec, Window};
use outcome_core::ports::{ReadError, SignalSource};
use outcome_tests::prometheus::Prometheus;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::contract::request;
use super::kit::prism::Prism;
use super::kit::{self, Subject, named, week};

fn vector(value: &str) -> Value {
    json!({ "status": "success", "data": { "resultType": "vector", "result": [
        { "metric": { "job": "shop" }, "value": [1_795_192_105.125, value] },
    ] } })
}

fn good(request: &Request) -> Value {
    if request.url.path().ends_with("/status/buildinfo") {
        return json!({ "status": "success", "data": { "version": "2.42.0", "revision": "x" } });
    }
    assert_eq!(request.url.path(), "/api/v1/query");
    assert_eq!(request.headers["authorization"], "Bearer t0ken");
    assert_eq!(request.headers["x-scope-orgid"], "tenant-1");
    vector("0.25")
}

fn subject() -> Subject {
    Subject {
        kind: "prometheus",
        config: "url: ${URL}, token: \"${TOKEN}\", tenant: tenant-1",
        secrets: &[("${TOKEN}", "t0ken")],
        signal: named("sum(rate(errors_total[$window])) / sum(rate(requests_total[$window]))"),
        window: week(),
        good: Arc::new(good),
        before: &["/api/v1/status/buildinfo"],
        level: ArmSums::Value { value: 0.25 },
        arms: None,
        number: "/data/result/0/value/1",
        missing: "`data.result[0].value",
        empty: json!({ "status": "success", "data": { "resultType": "vector", "result": [] } }),
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
    if let Some(prism) = Prism::start("prometheus")? {
        prism.accepts(&server).await?;
        assert!(prism.refuses("/api/v1/query?time=1").await?, "the query is needed");
        assert!(prism.refuses("/api/v1/nothing").await?);
    }
    Ok(())
}

async fn level_of(answer: Value) -> Result<outcome_core::domain::Reading<ArmSums>, ReadError> {
    let subject = subject();
    let server = subject.stand_in_that(move |_| answer.clone()).await;
    subject.open(&server.uri()).level(&subject.signal, subject.window).await
}

#[tokio::test]
async fn the_window_is_written_into_the_expression_and_ends_where_it_is_asked() {
    let subject = subject();
    let server = subject.stand_in().await;
    let read = subject.open(&server.uri()).level(&subject.signal, subject.window).await.unwrap();
    assert_eq!(read.window, week());
    let asked = server.received_requests().await.unwrap();
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&asked[0].body).into_owned().collect();
    let expected = "sum(rate(errors_total[604800s])) / sum(rate(requests_total[604800s]))";
    assert_eq!(form, [("query".to_owned(), expected.to_owned()), ("time".to_owned(), "1795219200.000".to_owned())]);
}

#[tokio::test]
async fn warnings_are_kept_beside_the_value() {
    let mut answer = vector("7");
    answer["warnings"] = json!(["partial response\nof t0ken", "store unreachable"]);
    answer["infos"] = json!(["metric might not be a counter"]);
    let read = level_of(answer).await.unwrap();
    assert_eq!(read.data, ArmSums::Value { value: 7.0 });
    assert_eq!(read.warnings, ["partial response of [redacted]", "store unreachable"]);
}

#[tokio::test]
async fn one_number_is_expected() {
    let of =
        |kind: &str, result: Value| json!({ "status": "success", "data": { "resultType": kind, "result": result } });
    let scalar = level_of(of("scalar", json!([1_795_192_105, "3.5"]))).await.unwrap();
    assert_eq!(scalar.data, ArmSums::Value { value: 3.5 });
    let series = |job: &str, pod: &str| json!({ "metric": { "job": job, "pod": pod }, "value": [1, "1"] });
    for (answer, expected) in [
        (of("vector", json!([])), "no series fits the expression, so there is no value"),
        (
            of("vector", json!([series("a", "x"), series("a", "y"), series("a", "z")])),
            "it has 3 series where one is expected; they differ in `pod`",
        ),
        (of("vector", json!([{ "metric": {}, "value": [1, "NaN"] }])), "its value is NaN or infinite"),
        (of("scalar", json!([1, "-Inf"])), "its value is NaN or infinite"),
        (of("vector", json!([{ "metric": {}, "histogram": [1, {}] }])), "it is a histogram and not a number"),
        (of("matrix", json!([])), "it is not an instant vector or a scalar"),
        (of("string", json!([1, "x"])), "it is not an instant vector or a scalar"),
        (json!({ "status": "success" }), "`data` is missing"),
    ] {
        let error = level_of(answer).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn what_the_server_says_about_an_expression_is_shown() {
    let said = json!({
        "status": "error", "errorType": "bad_data",
        "error": "invalid parameter \"query\": 1:4: parse error: unclosed left parenthesis",
    });
    for code in [400, 422] {
        let (subject, answer) = (subject(), ResponseTemplate::new(code).set_body_json(&said));
        let server = subject.stand_in_with(move |_| answer.clone()).await;
        let error = subject.error_at(&server.uri()).await;
        assert!(matches!(error, ReadError::Query { .. }) && !error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("1:4: parse error: unclosed left parenthesis"), "{error}");
    }
    let error = level_of(said).await.unwrap_err();
    assert!(matches!(error, ReadError::Query { .. }), "an error of status 200 is none the less one: {error:?}");
}

#[tokio::test]
async fn it_has_no_variants() {
    let subject = subject();
    let source = subject.open("http://127.0.0.1:9");
    let error = source.by_variant(&subject.signal, &request(subject.window)).await.unwrap_err();
    assert!(error.to_string().contains("counts requests and not units"), "{error}");
}

async fn value(source: &dyn SignalSource, expression: &str) -> Result<ArmSums, ReadError> {
    let now = source.clock().await?.unwrap();
    let window = Window { from: now - jiff::SignedDuration::from_mins(1), to: now };
    let signal = SignalSpec { name: "paid".to_owned(), ..named(expression) };
    source.level(&signal, window).await.map(|reading| reading.data)
}

#[tokio::test]
async fn a_real_server_answers() {
    let target = MockServer::start().await;
    let text = "# HELP paid Orders that were paid.\n# TYPE paid gauge\npaid{pod=\"a\"} 40\npaid{pod=\"b\"} 2\n";
    let metrics = ResponseTemplate::new(200).set_body_raw(text, "text/plain; version=0.0.4");
    Mock::given(path("/metrics")).respond_with(metrics).mount(&target).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(404)).mount(&target).await;
    let Some(server) = Prometheus::reading(*target.address()).await.unwrap() else { return };
    let source = kit::open("prometheus", "url: ${URL}", &[("${URL}", server.url())]);

    let until = Instant::now() + Duration::from_mins(1);
    while value(&*source, "sum(paid)").await != Ok(ArmSums::Value { value: 42.0 }) {
        assert!(Instant::now() < until, "{:?}", value(&*source, "sum(paid)").await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(value(&*source, "max_over_time(sum(paid)[$window:1s])").await.is_ok());
    let error = value(&*source, "paid").await.unwrap_err();
    assert!(error.to_string().contains("2 series where one is expected; they differ in `pod`"), "{error}");
    let error = value(&*source, "nothing_like_this").await.unwrap_err();
    assert!(error.to_string().contains("no series fits"), "{error}");
    let error = value(&*source, "sum(paid").await.unwrap_err();
    assert!(matches!(&error, ReadError::Query { detail, .. } if detail.contains("parse error")), "{error:?}");
    let error = value(&*source, "sum(paid) / 0").await.unwrap_err();
    assert!(error.to_string().contains("NaN or infinite"), "{error}");

    let report = source.test().await.unwrap();
    assert!(report.server.starts_with("Prometheus 2.") && !report.is_read_only, "no write was tried: {report:?}");
    let listed = source.list().await.unwrap();
    let paid = listed.iter().find(|metric| metric.name == "paid").unwrap();
    assert_eq!(paid.fields, ["gauge: Orders that were paid."]);
}
