//! Mixpanel: against canned answers, and against a mock of its specification.

use std::sync::Arc;

use anyhow::Result;
use outcome_core::Code;
use outcome_core::domain::{ArmSums, Reading};
use outcome_core::ports::ReadError;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::contract::window;
use super::kit::prism::Prism;
use super::kit::{self, Subject, named, week};

fn funnel() -> Value {
    json!({
        "meta": { "dates": ["2026-11-14"] },
        "data": { "2026-11-14": {
            "steps": [{ "count": 32688, "goal": "App Open" }, { "count": 20524, "goal": "$custom_event:12345" }],
            "analysis": { "completion": 20524, "starting_amount": 32688, "steps": 2, "worst": 1 },
        } },
    })
}

fn segmentation(values: Value) -> Value {
    let days: Vec<_> = values["Signed up"].as_object().unwrap().keys().rev().cloned().collect();
    json!({ "data": { "series": days, "values": values }, "legend_size": 1 })
}

fn good(request: &Request) -> Value {
    // Both halves, `user:secret`.
    assert_eq!(request.headers["authorization"], "Basic c3ZjLWFjY291bnQ6czNjcmV0LW1wLWtleQ==");
    let query: std::collections::BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
    assert_eq!(query["project_id"], "12345");
    match request.url.path() {
        "/api/query/funnels/list" => json!([{ "funnel_id": 7509, "name": "Signup funnel" }]),
        "/api/query/funnels" => {
            assert_eq!(
                (query["from_date"].as_str(), query["to_date"].as_str(), query["interval"].as_str()),
                ("2026-10-31", "2026-11-06", "7"),
                "14 days back, so that everybody's time is over"
            );
            assert_eq!((query["length"].as_str(), query["length_unit"].as_str()), ("14", "day"));
            funnel()
        }
        "/api/query/segmentation" if query["type"] == "unique" => {
            assert_eq!(query["interval"], "7");
            segmentation(json!({ "Signed up": { "2026-11-14": 1376 } }))
        }
        "/api/query/segmentation" => {
            let days = ["14", "15", "16", "17", "18", "19", "20"].map(|day| (format!("2026-11-{day}"), json!(10)));
            segmentation(json!({ "Signed up": days.into_iter().collect::<serde_json::Map<_, _>>() }))
        }
        "/api/query/insights" => json!({
            "computed_at": "2026-11-21T16:35:41.252314+00:00",
            "date_range": { "from_date": "2026-11-14T00:00:00+00:00", "to_date": "2026-11-20T23:59:59.999000+00:00" },
            "headers": ["$metric"], "series": { "Paid - Conversion": { "all": 0.31 } },
        }),
        path => panic!("{path}"),
    }
}

fn subject() -> Subject {
    Subject {
        kind: "mixpanel",
        config: "url: ${URL}, project_id: \"12345\", service_account: \"${ACCOUNT}\", timezone: UTC, counts: people",
        secrets: &[("${ACCOUNT}", "svc-account:s3cret-mp-key")],
        signal: named("funnel/7509"),
        window: week(),
        good: Arc::new(good),
        before: &[],
        level: ArmSums::Proportion { n: 32688, successes: 20524 },
        arms: None,
        number: "/data/2026-11-14/analysis/completion",
        missing: "completion` is missing",
        empty: json!({ "meta": { "dates": [] }, "data": {} }),
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

const METRICS: [&str; 4] = ["Signed up", "total/Signed up", "funnel/7509", "insights/42"];

#[tokio::test]
async fn the_specification_allows_its_requests() -> Result<()> {
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    source.test().await?;
    for metric in METRICS {
        source.level(&named(metric), subject.window).await?;
    }
    if let Some(prism) = Prism::start("mixpanel-query")? {
        prism.accepts(&server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn events_funnels_and_reports_are_read() {
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    let mut found = Vec::new();
    for metric in METRICS {
        let read = source.level(&named(metric), subject.window).await.unwrap();
        found.push((read.data, read.window));
    }
    assert_eq!(
        found,
        [
            (ArmSums::Value { value: 1376.0 }, week()),
            (ArmSums::Value { value: 70.0 }, week()),
            (ArmSums::Proportion { n: 32688, successes: 20524 }, week()),
            (ArmSums::Value { value: 0.31 }, week()),
        ]
    );
    let notes = source.test().await.unwrap().notes.concat();
    assert!(notes.contains("only maintains the query of saved funnels"), "{notes}");
    assert_eq!(source.list().await.unwrap()[0].name, "funnel/7509");
    assert_eq!((source.limits().at_once, source.limits().budget.map(|budget| budget.n)), (5, Some(60)));
}

async fn level_of(metric: &'static str, answer: Value) -> Result<Reading<ArmSums>, ReadError> {
    let subject = Subject { signal: named(metric), ..subject() };
    let server = subject.stand_in_that(move |_| answer.clone()).await;
    subject.open(&server.uri()).level(&subject.signal, subject.window).await
}

#[tokio::test]
async fn users_of_several_buckets_are_not_added_and_absent_days_are_said() {
    let two = segmentation(json!({ "Signed up": { "2026-11-14": 3, "2026-11-15": 3 } }));
    let error = level_of("Signed up", two.clone()).await.unwrap_err();
    assert!(error.to_string().contains("2 buckets where one is expected"), "{error}");
    let read = level_of("total/Signed up", two).await.unwrap();
    assert_eq!(
        (read.data, read.warnings),
        (ArmSums::Value { value: 6.0 }, vec!["5 of 7 days have no value".to_owned()])
    );

    let mut several = funnel();
    several["data"]["2026-11-15"] = several["data"]["2026-11-14"].clone();
    assert!(level_of("funnel/7509", several).await.unwrap_err().to_string().contains("not exactly one bucket"));

    let empty = json!({ "data": { "series": ["2026-11-14"], "values": {} }, "legend_size": 0 });
    for metric in ["Signed up", "total/Signed up"] {
        let error = level_of(metric, empty.clone()).await.unwrap_err();
        assert!(error.to_string().contains("its name may be wrong, and it is not 0"), "{error}");
    }
    let range = json!({ "from_date": "2026-11-14T00:00:00Z", "to_date": "2026-11-20T23:59:59.999Z" });
    for (series, expected) in [
        (json!({ "A": { "2026-11-14": 1, "2026-11-15": 2 } }), "2 numbers where one is expected"),
        (json!({}), "0 numbers where one is expected"),
        (json!({ "A": { "all": null } }), "null or not finite"),
        (json!({ "A": ["s3cret"] }), "`series.*` is sequence"),
    ] {
        let error = level_of("insights/42", json!({ "date_range": range, "series": series })).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_report_of_another_time_is_refused_and_an_old_one_is_a_doubt() {
    let read = async |from: &str, to: &str, computed_at: &str| {
        let range = json!({ "from_date": from, "to_date": to });
        let answer = json!({ "date_range": range, "computed_at": computed_at, "series": { "A": { "all": 0.5 } } });
        level_of("insights/42", answer).await
    };
    let last = "2026-11-20T23:59:59.999Z";
    let good = read("2026-11-14T00:00:00Z", last, "2026-11-21T00:00:01Z").await.unwrap();
    assert_eq!((good.data, good.warnings.len()), (ArmSums::Value { value: 0.5 }, 0));
    let old = read("2026-11-14T00:00:00Z", last, "2026-11-20T12:00:00Z").await.unwrap();
    assert_eq!(old.warnings, ["Mixpanel computed the report at 2026-11-20T12:00:00Z, before its time was over"]);
    for (from, to, expected) in [
        ("2026-11-15T00:00:00Z", "2026-11-21T23:59:59.999Z", "it is up to 2026-11-22T00:00:00Z"),
        ("2026-11-15T00:00:00Z", last, "it is of 144 hours, and 168 are asked for"),
        ("2026-10-22T00:00:00Z", last, "it is of 720 hours, and 168 are asked for"),
    ] {
        let error = read(from, to, "2026-11-22T01:00:00Z").await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_funnel_is_a_share_only_of_people() {
    let config = "url: ${URL}, project_id: \"12345\", service_account: \"${ACCOUNT}\", timezone: UTC";
    let read = async |answer: Value| {
        let subject = Subject { config, ..subject() };
        let server = subject.stand_in_that(move |_| answer.clone()).await;
        subject.level_at(&server.uri()).await
    };
    assert_eq!(read(funnel()).await, Ok(ArmSums::Value { value: 20524.0 / 32688.0 }));
    let mut empty = funnel();
    empty["data"]["2026-11-14"]["analysis"] = json!({ "completion": 0, "starting_amount": 0 });
    let error = read(empty).await.unwrap_err();
    assert!(error.to_string().contains("nobody is in the funnel"), "{error}");
}

#[tokio::test]
async fn another_region_is_said_and_not_tried_again() {
    let subject = subject();
    let said = json!({ "error": "Invalid project id 12345 for cluster: mixpanel-prod-1", "status": "error" });
    let answer = ResponseTemplate::new(400).set_body_json(said);
    let server = subject.stand_in_with(move |_| answer.clone()).await;
    let error = subject.error_at(&server.uri()).await;
    assert_eq!((error.code(), error.is_transient()), (Code::ConnectorConfig, false));
    assert!(error.hint().unwrap().contains("https://eu.mixpanel.com"), "{error:?}");
    assert_eq!(subject.n_asked(&server).await, 1);
}

#[tokio::test]
async fn days_are_those_of_the_project() {
    let config = "url: ${URL}, project_id: \"12345\", service_account: \"${ACCOUNT}\", timezone: America/New_York, workspace_id: \"9\", \
        conversion_window: 36h";
    let subject = Subject { config, good: Arc::new(|_: &Request| Value::Null), ..subject() };
    let server = subject.stand_in_with(|_| ResponseTemplate::new(200).set_body_json(funnel())).await;
    let source = subject.open(&server.uri());
    // 20:30 in New York of the 20th, which is not over.
    let asked = window("2026-11-14T01:30:00Z", "2026-11-21T01:30:00Z");
    let read = source.level(&subject.signal, asked).await;
    let sent = server.received_requests().await.unwrap();
    let query: std::collections::BTreeMap<_, _> = sent[0].url.query_pairs().into_owned().collect();
    assert_eq!(
        (query["from_date"].as_str(), query["to_date"].as_str(), query["workspace_id"].as_str()),
        ("2026-11-11", "2026-11-17", "9")
    );
    assert_eq!((query["length"].as_str(), query["length_unit"].as_str()), ("129600", "second"));
    assert_eq!(read.unwrap().window, window("2026-11-13T05:00:00Z", "2026-11-20T05:00:00Z"));
}
