//! Amplitude: against canned answers, and against a mock of its interface.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use outcome_core::Code;
use outcome_core::domain::{ArmSums, Cohort, CountedUnits, MetricMethod, SignalSpec, Variant, VariantReading};
use outcome_core::ports::{ReadError, VariantRequest};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::contract::{request, window};
use super::kit::prism::Prism;
use super::kit::{self, Subject, named, week};

fn funnel(counts: &[i64]) -> Value {
    json!({ "data": [{
        "meta": { "segmentIndex": 0 }, "cumulativeRaw": counts, "cumulative": [1.0, 0.5], "stepByStep": [1.0, 0.5],
        "events": ["a", "b"],
    }] })
}

fn users(n: i64) -> Value {
    json!({ "data": { "series": [[n, n]], "seriesLabels": [0], "seriesCollapsed": [[{ "value": n }]], "xValues": ["2026-11-14"] } })
}

/// The parameters, with each step of `e`.
fn asked(request: &Request) -> (BTreeMap<String, String>, Vec<Value>) {
    let pairs: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    let steps =
        pairs.iter().filter(|(key, _)| key == "e").map(|(_, step)| serde_json::from_str(step).unwrap()).collect();
    (pairs.into_iter().collect(), steps)
}

fn arm_of(event: &Value) -> Option<&str> {
    event["filters"].as_array()?.get(1)?["subprop_value"][0].as_str()
}

fn arms_of(event: &Value) -> Vec<String> {
    let values = event["filters"].as_array().and_then(|filters| filters.get(1)).map(|arm| arm["subprop_value"].clone());
    values.map(|values| serde_json::from_value(values).unwrap()).unwrap_or_default()
}

fn good(request: &Request) -> Value {
    // Both halves: `amp-k3y:amp-s3cret`.
    assert_eq!(request.headers["authorization"], "Basic YW1wLWszeTphbXAtczNjcmV0");
    let (_, steps) = asked(request);
    match request.url.path() {
        "/api/2/events/list" => json!({ "data": [{ "value": "order paid" }, { "value": "old", "deleted": true }] }),
        "/api/2/funnels" => match arm_of(&steps[0]) {
            Some("off") => funnel(&[310, 30]),
            Some("on") => funnel(&[290, 41]),
            _ => funnel(&[5000, 900, 600]),
        },
        "/api/2/events/segmentation" if steps[0]["event_type"] == "_active" => users(5000),
        "/api/2/events/segmentation" if steps[0]["event_type"] == "[Experiment] Exposure" => users(598),
        "/api/2/events/segmentation" => users(600),
        path => panic!("{path}"),
    }
}

const CONFIG: &str = "url: ${URL}, api_key: \"${API}\", secret_key: \"${SECRET}\", timezone: UTC, control: \"off\", treatment: \"on\", \
    exposure_event: \"[Experiment] Exposure\", flag_property: flag_key, variant_property: variant";

/// An arm of which nobody may be claimed on yet.
fn arm(variant: Variant, n: i64, successes: i64) -> VariantReading {
    let units = CountedUnits { n_units: Some(n), n_both: Some(2), same_as: None };
    let claimed = ArmSums::Proportion { n: 0, successes: 0 };
    let n_both = if variant == Variant::Control { 2 } else { 0 };
    let cohort = Cohort { claimed, n_both, n_capped: 0, uncapped: None, n_unmapped: 0, n_other: 0 };
    let sums = ArmSums::Proportion { n, successes };
    VariantReading { units: Some(units), cohort: Some(cohort), ..VariantReading::new(variant, sums) }
}

fn subject() -> Subject {
    Subject {
        kind: "amplitude",
        config: CONFIG,
        secrets: &[("${API}", "amp-k3y"), ("${SECRET}", "amp-s3cret")],
        signal: named("order paid"),
        window: week(),
        good: Arc::new(good),
        before: &[],
        level: ArmSums::Proportion { n: 5000, successes: 600 },
        arms: Some(vec![arm(Variant::Control, 310, 30), arm(Variant::Treatment, 290, 41)]),
        number: "/data/seriesCollapsed/0/0/value",
        missing: "value` is missing",
        empty: json!({ "data": { "series": [], "seriesLabels": [], "seriesCollapsed": [], "xValues": [] } }),
    }
}

fn through() -> SignalSpec {
    let steps = ["cart viewed", "address given", "order paid"].map(str::to_owned).to_vec();
    SignalSpec { method: MetricMethod::Funnel, funnel_steps: steps, ..named("checkout") }
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
    source.test().await?;
    let mut segmented = through();
    segmented.segment.insert("platform".to_owned(), "iOS".to_owned());
    source.level(&segmented, subject.window).await?;
    source.level(&subject.signal, subject.window).await?;
    source.by_variant(&subject.signal, &subject.request()).await?;
    if let Some(prism) = Prism::start("amplitude-dashboard")? {
        prism.accepts(&server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_funnel_begins_with_the_exposure_to_one_arm() {
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    // The phase began in the middle of a day, and today is not over.
    let phase = request(window("2026-11-14T15:00:00Z", "2026-11-21T09:00:00Z"));
    let read = source.by_variant(&subject.signal, &phase).await.unwrap();
    assert_eq!(read.window, window("2026-11-15T00:00:00Z", "2026-11-21T00:00:00Z"));
    let sent = server.received_requests().await.unwrap();
    let (query, steps) = asked(&sent[0]);
    let expected = json!([
        { "event_type": "[Experiment] Exposure", "filters": [
            { "subprop_type": "event", "subprop_key": "flag_key", "subprop_op": "is", "subprop_value": ["short-form"] },
            { "subprop_type": "event", "subprop_key": "variant", "subprop_op": "is", "subprop_value": ["off"] },
        ] },
        { "event_type": "order paid" },
    ]);
    assert_eq!(json!(steps), expected);
    let of = |key: &str| query[key].as_str();
    assert_eq!((of("start"), of("end"), of("cs"), of("mode")), ("20261115", "20261120", "1209600", "ordered"));

    let early = request(window("2026-11-14T15:00:00Z", "2026-11-15T09:00:00Z"));
    let nothing = source.by_variant(&subject.signal, &early).await.unwrap();
    assert_eq!(nothing.data, [], "no whole day is over");
    assert_eq!(nothing.window, window("2026-11-14T15:00:00Z", "2026-11-14T15:00:00Z"), "nothing was looked at");
    let read = source.level(&through(), subject.window).await.unwrap();
    assert_eq!((read.data, read.window), (ArmSums::Proportion { n: 5000, successes: 600 }, subject.window));
    // Those who began 14 days earlier, whose time is over.
    let sent = server.received_requests().await.unwrap();
    let (query, _) = asked(sent.last().unwrap());
    assert_eq!((query["start"].as_str(), query["end"].as_str()), ("20261031", "20261106"));
}

#[tokio::test]
async fn only_users_whose_time_is_over_are_claimed_on() {
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    let of = |as_of: &str, on_until: Option<&str>| VariantRequest {
        as_of: as_of.parse().unwrap(),
        on_until: on_until.map(|at| at.parse().unwrap()),
        ..subject.request()
    };
    for (request, expected, n_asked, last) in [
        (of("2026-11-21T00:00:00Z", None), [0, 0], 4, "20261120"),
        // 14 days and 6 hours later all are over; a little earlier those of the first four days.
        (of("2026-12-05T06:00:00Z", None), [310, 290], 4, "20261120"),
        (of("2026-12-02T06:00:00Z", None), [310, 290], 6, "20261117"),
        (of("2026-12-05T06:00:00Z", Some("2026-12-01T00:00:00Z")), [310, 290], 6, "20261116"),
    ] {
        let server = subject.stand_in().await;
        let source = subject.open(&server.uri());
        let read = source.by_variant(&subject.signal, &request).await.unwrap();
        let claimed: Vec<_> = read.data.iter().map(|arm| arm.cohort.unwrap().claimed.n().unwrap()).collect();
        assert_eq!((claimed.as_slice(), read.warnings.as_slice()), (expected.as_slice(), [].as_slice()), "{request:?}");
        let sent = server.received_requests().await.unwrap();
        assert_eq!((sent.len(), asked(sent.last().unwrap()).0["end"].as_str()), (n_asked, last), "{request:?}");
    }
    // Of a later step it is not known who is of an earlier one.
    let later = VariantRequest { launched_at: "2026-11-07T00:00:00Z".parse().unwrap(), ..subject.request() };
    let read = source.by_variant(&subject.signal, &later).await.unwrap();
    assert_eq!(
        read.warnings,
        ["users who were exposed in an earlier step of the rollout are counted again in this one"]
    );
}

#[tokio::test]
async fn no_arm_vanishes_and_exposures_must_be_said() {
    let of = |everybody: i64, in_arms: i64| Subject {
        good: Arc::new(move |request: &Request| match request.url.path() {
            "/api/2/events/segmentation" => match arms_of(&asked(request).1[0]).as_slice() {
                [] => users(everybody),
                arms => {
                    assert_eq!(arms, ["off", "on"]);
                    users(in_arms)
                }
            },
            _ => good(request),
        }),
        ..subject()
    };
    let read = async |everybody, in_arms| {
        let server = of(everybody, in_arms).stand_in().await;
        of(everybody, in_arms).open(&server.uri()).by_variant(&subject().signal, &subject().request()).await
    };
    let both = read(500, 500).await.unwrap().data;
    assert_eq!(both.iter().map(|arm| arm.units.unwrap().n_both).collect::<Vec<_>>(), [Some(100), Some(100)]);
    // A third arm does not hide behind those who saw both.
    for (everybody, in_arms) in [(700, 600), (520, 500)] {
        let error = read(everybody, in_arms).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape);
        assert!(
            error.to_string().contains(&format!("{everybody} users saw the flag, and only {in_arms} of")),
            "{error}"
        );
    }
    assert_eq!(read(590, 601).await.unwrap_err().code(), Code::SignalShape, "more in any of two than in both together");

    let plain = "url: ${URL}, api_key: \"${API}\", secret_key: \"${SECRET}\", timezone: UTC";
    let subject = Subject { config: plain, ..subject() };
    let error = subject.open("http://127.0.0.1:9").by_variant(&subject.signal, &subject.request()).await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectorConfig);
    assert!(error.hint().unwrap().contains("`exposure_event`, `flag_property`"), "{error:?}");
}

#[tokio::test]
async fn no_answer_is_no_zero_and_has_its_cause() {
    let error_of = async |answer: ResponseTemplate| {
        let subject = subject();
        let server = subject.stand_in_with(move |_| answer.clone()).await;
        subject.error_at(&server.uri()).await
    };
    let refused = error_of(ResponseTemplate::new(403)).await;
    assert!(matches!(refused, ReadError::Unauthorized { .. }), "{refused:?}");
    let page = error_of(ResponseTemplate::new(200).set_body_raw("<html>", "text/html")).await;
    assert!(page.to_string().contains("a web page"), "{page}");
    let empty = error_of(ResponseTemplate::new(200).set_body_json(json!({}))).await;
    assert!(empty.to_string().contains("`data` is missing"), "{empty}");
    let drifted = json!({ "data": { "seriesCollapsed": [[{ "value": 3 }]], "xValues": [] } });
    let drifted = error_of(ResponseTemplate::new(200).set_body_json(drifted)).await;
    assert!(drifted.to_string().contains("`data.series` is missing"), "{drifted}");
    let nothing = json!({ "data": { "series": [], "seriesCollapsed": [], "xValues": [] } });
    let nothing = error_of(ResponseTemplate::new(200).set_body_json(nothing)).await;
    assert!(nothing.to_string().contains("`data.series` is empty"), "{nothing}");
    let zero = subject().stand_in_that(|_| users(0)).await;
    assert_eq!(subject().level_at(&zero.uri()).await, Ok(ArmSums::Proportion { n: 0, successes: 0 }));

    let limit = ResponseTemplate::new(429).set_body_string("Too many concurrent requests");
    assert!(error_of(limit).await.to_string().contains("Too many concurrent requests"));
}
