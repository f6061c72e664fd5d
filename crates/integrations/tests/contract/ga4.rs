//! Google Analytics 4: against canned answers, and against a mock of its specification.

use std::sync::Arc;

use anyhow::Result;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use outcome_core::Code;
use outcome_core::domain::{ArmSums, Reading, SignalSpec};
use outcome_core::ports::ReadError;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::contract::window;
use super::kit::prism::Prism;
use super::kit::{self, Subject, named, week};

/// A service account with a key of its own, and who gives it tokens.
struct Google {
    tokens: MockServer,
    key: KeyPair,
    file: &'static str,
}

async fn google() -> Google {
    let tokens = MockServer::start().await;
    let granted = json!({ "access_token": "ya29.t0ken", "expires_in": 3599, "token_type": "Bearer" });
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(granted)).mount(&tokens).await;
    google_with(tokens)
}

fn google_with(tokens: MockServer) -> Google {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let file = json!({
        "type": "service_account", "client_email": "runtime@p.iam.gserviceaccount.com", "private_key": pem,
        "private_key_id": "1", "token_uri": format!("{}/token", tokens.uri()),
    });
    drop(der);
    Google { tokens, key, file: Box::leak(file.to_string().into_boxed_str()) }
}

fn report(value: &str) -> Value {
    json!({
        "metricHeaders": [{ "name": "totalUsers", "type": "TYPE_INTEGER" }],
        "rows": [{ "metricValues": [{ "value": value }] }], "rowCount": 1,
        "metadata": { "currencyCode": "EUR", "timeZone": "UTC" }, "kind": "analyticsData#runReport",
    })
}

fn sent(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn good(request: &Request) -> Value {
    assert_eq!(request.headers["authorization"], "Bearer ya29.t0ken");
    assert_eq!(request.url.path(), "/v1beta/properties/123456:runReport");
    match sent(request).pointer("/dimensionFilter/andGroup/expressions") {
        Some(_) => report("41"),
        None => report("2541"),
    }
}

const CONFIG: &str = "url: ${URL}, property_id: \"123456\", credentials: \"${KEY}\"";

fn subject(google: &Google) -> Subject {
    Subject {
        kind: "ga4",
        config: CONFIG,
        secrets: Box::leak(Box::new([("${KEY}", google.file)])),
        signal: named("activeUsers"),
        window: week(),
        good: Arc::new(good),
        before: &[],
        level: ArmSums::Value { value: 2541.0 },
        arms: None,
        number: "/rows/0/metricValues/0/value",
        missing: "`rows[0].metricValues[0].value` is missing",
        empty: json!({ "metricHeaders": [{ "name": "activeUsers" }], "metadata": {}, "kind": "x" }),
    }
}

#[tokio::test]
async fn it_does_what_every_source_does() {
    kit::all(&subject(&google().await)).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    kit::failures::stalls(&subject(&google().await)).await;
}

#[tokio::test]
async fn the_specification_allows_its_requests() -> Result<()> {
    let google = google().await;
    let subject = Subject {
        good: Arc::new(|request: &Request| match request.url.path() {
            "/v1beta/properties/123456/metadata" => {
                json!({ "metrics": [{ "apiName": "sessions", "uiName": "Sessions" }] })
            }
            _ => good(request),
        }),
        ..subject(&google)
    };
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    source.test().await?;
    assert_eq!(source.list().await?[0].name, "sessions");
    let mut segmented = named("rate/purchase");
    segmented.segment.insert("deviceCategory".to_owned(), "mobile".to_owned());
    source.level(&segmented, subject.window).await?;
    if let Some(prism) = Prism::start("google-analytics-data-v1beta")? {
        prism.accepts(&server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_account_shows_that_it_has_the_key_and_keeps_its_token() {
    let google = google().await;
    let subject = subject(&google);
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    for metric in ["activeUsers", "event/purchase"] {
        source.level(&named(metric), subject.window).await.unwrap();
    }
    let asked = google.tokens.received_requests().await.unwrap();
    assert_eq!(asked.len(), 1, "the token is kept for its time");
    let form: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(&asked[0].body).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (signed, signature) = form["assertion"].rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, google.key.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap()).unwrap();
    assert_eq!(claims["iss"], "runtime@p.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/analytics.readonly");
    assert_eq!(claims["aud"].as_str(), Some(&*format!("{}/token", google.tokens.uri())));
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 3600);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_and_a_deleted_key_is_said() {
    let google = google().await;
    let subject = subject(&google);
    let n = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = subject
        .stand_in_with(move |value| match n.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => ResponseTemplate::new(401).set_body_json(json!({ "error": { "message": "expired ya29.t0ken" } })),
            _ => ResponseTemplate::new(200).set_body_json(value),
        })
        .await;
    assert_eq!(subject.level_at(&server.uri()).await, Ok(subject.level));
    assert_eq!(google.tokens.received_requests().await.unwrap().len(), 2);

    let refused = ResponseTemplate::new(401).set_body_json(json!({ "error": { "message": "wrong ya29.t0ken" } }));
    let server = subject.stand_in_with(move |_| refused.clone()).await;
    let error = subject.error_at(&server.uri()).await;
    assert!(
        matches!(error, ReadError::Unauthorized { .. }) && !format!("{error:?}").contains("ya29.t0ken"),
        "{error:?}"
    );

    let tokens = MockServer::start().await;
    let gone = json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." });
    Mock::given(any()).respond_with(ResponseTemplate::new(400).set_body_json(gone)).mount(&tokens).await;
    let google = google_with(tokens);
    let subject = self::subject(&google);
    let error = subject.error_at("http://127.0.0.1:9").await;
    assert_eq!(error.code(), Code::SignalUnauthorized);
    assert!(error.to_string().contains("no token for runtime@p.iam.gserviceaccount.com"), "{error}");
}

async fn level_of(metric: &str, answer: Value) -> Result<Reading<ArmSums>, ReadError> {
    let google = google().await;
    let subject = Subject { signal: named(metric), ..subject(&google) };
    let server = subject.stand_in_that(move |_| answer.clone()).await;
    subject.open(&server.uri()).level(&subject.signal, subject.window).await
}

#[tokio::test]
async fn users_of_several_rows_are_never_added() {
    let row =
        |value: &str| json!({ "dimensionValues": [{ "value": "20261114" }], "metricValues": [{ "value": value }] });
    let mut several = report("3");
    several["rows"] = json!([row("3"), row("3")]);
    several["rowCount"] = json!(2);
    let error = level_of("totalUsers", several.clone()).await.unwrap_err();
    assert!(error.to_string().contains("2 rows without one total"), "{error}");
    several["totals"] =
        json!([{ "dimensionValues": [{ "value": "RESERVED_TOTAL" }], "metricValues": [{ "value": "4" }] }]);
    assert_eq!(level_of("totalUsers", several).await.unwrap().data, ArmSums::Value { value: 4.0 });
    // A page that is not the whole report.
    let mut page = report("3");
    page["rowCount"] = json!(3);
    let error = level_of("totalUsers", page).await.unwrap_err();
    assert!(error.to_string().contains("3 rows without one total"), "{error}");
}

#[tokio::test]
async fn doubts_of_the_report_are_kept() {
    let mut answer = report("7");
    answer["metadata"] = json!({
        "dataLossFromOtherRow": true, "subjectToThresholding": true,
        "samplingMetadatas": [{ "samplesReadCount": "5", "samplingSpaceSize": "10" }],
    });
    let read = level_of("activeUsers", answer).await.unwrap();
    assert_eq!(read.data, ArmSums::Value { value: 7.0 });
    assert_eq!(
        read.warnings,
        [
            "rare values were put together into a row `(other)`",
            "small groups are held back to protect people (thresholding)",
            "the report was made from a sample",
        ]
    );
    let mut other = report("7");
    other["rows"] = json!([{ "dimensionValues": [{ "value": "(other)" }], "metricValues": [{ "value": "7" }] }]);
    assert_eq!(level_of("activeUsers", other).await.unwrap().warnings.len(), 1);
}

#[tokio::test]
async fn an_event_is_filtered_and_a_rate_is_a_value() {
    let google = google().await;
    let subject = subject(&google);
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    let read = source.level(&named("rate/purchase"), subject.window).await.unwrap();
    assert_eq!((read.data, read.window), (ArmSums::Value { value: 41.0 / 2541.0 }, week()));
    let requests = server.received_requests().await.unwrap();
    let asked = sent(&requests[1]);
    assert_eq!(asked["dateRanges"], json!([{ "startDate": "2026-11-14", "endDate": "2026-11-20" }]));
    assert_eq!(
        asked["dimensionFilter"]["andGroup"]["expressions"],
        json!([{ "filter": { "fieldName": "eventName", "stringFilter": { "matchType": "EXACT", "value": "purchase" } } }])
    );
}

#[tokio::test]
async fn days_that_google_still_changes_are_not_read() {
    let google = google().await;
    let subject = subject(&google);
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    // Long after the lag of two days, whatever day it is: the end is in the future.
    let future = window("2999-01-01T00:00:00Z", "2999-01-08T00:00:00Z");
    let read = source.level(&SignalSpec { ..subject.signal.clone() }, future).await.unwrap();
    let now =
        jiff::Timestamp::from_second(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().try_into().unwrap()).unwrap();
    let since = now.duration_since(read.window.to).as_hours();
    assert!((48..73).contains(&since), "{since}");
}

#[tokio::test]
async fn another_time_zone_and_wrong_settings_are_said() {
    let mut answer = report("7");
    answer["metadata"]["timeZone"] = json!("America/Los_Angeles");
    let error = level_of("activeUsers", answer).await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectorConfig);
    assert!(error.to_string().contains("begin in America/Los_Angeles, and `timezone` is UTC"), "{error}");

    for (key, expected) in [
        ("hunter2", "not the JSON key of a service account"),
        (r#"{"client_email":"a","private_key":"hunter2"}"#, "no private key in PEM"),
        (
            r#"{"client_email":"a","private_key":"x","token_uri":"http://evil.example/t"}"#,
            "`token_uri` does not begin with https",
        ),
        (
            r#"{"client_email":"a","private_key":"x","token_uri":"http://localhost.evil.example/t"}"#,
            "`token_uri` does not begin with https",
        ),
        (
            r#"{"client_email":"a","private_key":"x","token_uri":"http://127.0.0.1@evil.example/t"}"#,
            "`token_uri` does not begin with https",
        ),
        (r#"{"client_email":"a","private_key":"x","token_uri":"file://localhost/t"}"#, "`token_uri` does not begin"),
        (r#"{"client_email":"a","private_key":"x","token_uri":"nowhere"}"#, "`token_uri`: "),
    ] {
        let opened = super::contract::source_of(
            "ga4",
            CONFIG,
            std::path::Path::new("/"),
            &[("${URL}", "https://h"), ("${KEY}", key)],
        );
        let Err(error) = opened else { panic!("it was opened") };
        assert!(error.to_string().contains(expected) && !format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
