//! `BigQuery`: an emulator on `DuckDB` for the SQL, and canned answers for the protocol.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outcome_core::Code;
use outcome_core::domain::ArmSums;
use outcome_core::ports::{QueryKind, ReadError};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::contract::{SqlConfig, day, request, signal, source};
use super::emulator::{self, Emulator, batched};
use super::{fifteen, metrics};

/// A private key as PEM; made once a process.
pub(crate) fn private_key() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
    })
}

/// Where access tokens come from.
async fn google() -> MockServer {
    let google = MockServer::start().await;
    let granted = json!({ "access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer" });
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey";
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(body_string_contains(grant))
        .respond_with(ResponseTemplate::new(200).set_body_json(granted))
        .mount(&google)
        .await;
    google
}

fn config(url: &str, google: &MockServer) -> SqlConfig {
    let key = json!({
        "type": "service_account", "client_email": "reader@p1.iam.example", "private_key": private_key(),
        "token_uri": format!("{}/token", google.uri()),
    });
    SqlConfig {
        kind: "bigquery",
        more: ", project: p1, dataset: d, credentials: \"${KEY}\"".to_owned(),
        secrets: vec![("${KEY}", key.to_string())],
        ..SqlConfig::new(url)
    }
}

async fn execute(emulator: &Emulator, sql: &str) {
    let url = format!("{}/bigquery/v2/projects/p1/queries", emulator.url);
    let dataset = json!({ "projectId": "p1", "datasetId": "d" });
    let body = json!({ "query": sql, "useLegacySql": false, "defaultDataset": dataset });
    let sent = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    let said: Value = sent.json().await.unwrap();
    assert!(said.get("error").is_none() && said.get("errors").is_none(), "{said}: {sql}");
}

/// The statements with the names of types and tables that `BigQuery` has.
async fn made(emulator: &Emulator, tables: &[String]) {
    execute(emulator, "CREATE SCHEMA d").await;
    for statement in batched(tables) {
        let statement = statement.replace("INTEGER", "INT64").replace("VARCHAR(20)", "STRING");
        let statement = statement.replace("CREATE TABLE ", "CREATE TABLE d.").replace("INSERT INTO ", "INSERT INTO d.");
        // Quotes are not doubled there.
        execute(emulator, &statement.replace("o''n", "o\\'n")).await;
    }
}

#[tokio::test]
async fn metrics_are_what_the_rows_say() {
    let Some(emulator) = emulator::start("bigquery") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("TIMESTAMP '%Y-%m-%d %H:%M:%S+00'").to_string();
    made(&emulator, &metrics::tables("TIMESTAMP", "NUMERIC", shown)).await;
    metrics::all(config(&emulator.url, &google().await)).await;
}

#[tokio::test]
async fn fifteen_metrics_are_what_the_rows_say() {
    let Some(emulator) = emulator::start("bigquery") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("DATETIME '%Y-%m-%d %H:%M:%S'").to_string();
    made(&emulator, &fifteen::tables("DATETIME", "NUMERIC", shown)).await;
    let config = SqlConfig { time_format: "datetime", ..config(&emulator.url, &google().await) };
    fifteen::looking_at(config, &["basket", "tickets", "visitors_back"]).await;
}

const JOBS: &str = "/bigquery/v2/projects/p1/jobs";
const QUERIES: &str = "/bigquery/v2/projects/p1/queries";

/// A service whose dry runs say this kind of statement and number of bytes.
async fn service(kind: &str, bytes: u64) -> MockServer {
    let service = MockServer::start().await;
    let dry = json!({ "statistics": { "totalBytesProcessed": bytes.to_string(), "query": { "statementType": kind } } });
    answers(&service, "POST", JOBS, ResponseTemplate::new(200).set_body_json(dry)).await;
    service
}

async fn answers(service: &MockServer, verb: &str, at: &str, answer: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(service).await;
}

fn value_page(values: &[&str], more: Value) -> ResponseTemplate {
    let rows: Vec<Value> = values.iter().map(|value| json!({ "f": [{ "v": value }] })).collect();
    let mut page = json!({
        "jobComplete": true, "jobReference": { "projectId": "p1", "jobId": "j1", "location": "EU" }, "totalRows": "1",
        "schema": { "fields": [{ "name": "value", "type": "INTEGER", "mode": "NULLABLE" }] }, "rows": rows,
        "someNewField": { "a": 1 },
    });
    for (key, value) in more.as_object().unwrap() {
        page[key] = value.clone();
    }
    ResponseTemplate::new(200).set_body_json(page)
}

async fn read(service: &MockServer) -> Result<ArmSums, ReadError> {
    let source = source(config(&service.uri(), &google().await));
    source.level(&signal("SELECT 1 AS value", ""), day()).await.map(|reading| reading.data)
}

async fn n_asked(service: &MockServer, at: &str) -> usize {
    service.received_requests().await.unwrap().iter().filter(|request| request.url.path() == at).count()
}

fn refusal(status: u16, reason: &str, message: &str) -> ResponseTemplate {
    let error = json!({ "reason": reason, "message": message, "domain": "global" });
    ResponseTemplate::new(status)
        .set_body_json(json!({ "error": { "code": status, "message": message, "errors": [error] } }))
}

#[tokio::test]
async fn a_statement_is_tried_dry_and_then_runs_within_its_limits() {
    let service = service("SELECT", 5_000_000).await;
    answers(&service, "POST", QUERIES, value_page(&["9007199254740993"], json!({}))).await;
    let mut asked = signal("SELECT 1 AS value WHERE :from < :to AND 'a' = :segment_kind", "");
    asked.segment.insert("kind".to_owned(), "it's".to_owned());
    let google = google().await;
    let config = SqlConfig { row_cap: 7, ..config(&service.uri(), &google) };
    let config = SqlConfig { more: format!("{}, location: EU, max_gigabytes: 3", config.more), ..config };
    let source = source(config);
    let read = source.level(&asked, day()).await.unwrap();
    assert_eq!(read.data, ArmSums::Value { value: 9_007_199_254_740_993.0 });
    let requests = service.received_requests().await.unwrap();
    assert_eq!(requests.iter().map(|request| request.url.path()).collect::<Vec<_>>(), [JOBS, QUERIES]);
    assert!(requests.iter().all(|request| request.headers["authorization"] == "Bearer t0ken"));
    let dry: Value = requests[0].body_json().unwrap();
    assert_eq!((&dry["configuration"]["dryRun"], &dry["jobReference"]["location"]), (&json!(true), &json!("EU")));
    let run: Value = requests[1].body_json().unwrap();
    for (key, value) in [
        ("query", json!("SELECT 1 AS value WHERE @p1 < @p2 AND 'a' = @p3")),
        ("useLegacySql", json!(false)),
        ("useQueryCache", json!(false)),
        ("parameterMode", json!("NAMED")),
        ("maximumBytesBilled", json!("3000000000")),
        ("maxResults", json!(8)),
        ("location", json!("EU")),
        ("jobCreationMode", json!("JOB_CREATION_REQUIRED")),
        ("formatOptions", json!({ "useInt64Timestamp": true })),
        ("defaultDataset", json!({ "projectId": "p1", "datasetId": "d" })),
    ] {
        assert_eq!(run[key], value, "{key}");
    }
    assert_eq!(run["queryParameters"][0]["parameterType"]["type"], "TIMESTAMP");
    assert_eq!(run["queryParameters"][0]["parameterValue"]["value"], "2026-11-20 00:00:00.000000+00:00");
    assert_eq!(
        run["queryParameters"][2],
        json!({ "name": "p3", "parameterType": { "type": "STRING" }, "parameterValue": { "value": "it's" } })
    );
    assert_eq!(run["requestId"].as_str().unwrap().len(), 36);
    assert_eq!(google.received_requests().await.unwrap().len(), 1, "a token is used again");
    let plan = source.plan(&asked, QueryKind::Level, day()).await.unwrap().unwrap();
    assert_eq!(
        (plan.in_words(), plan.lines.concat()),
        ("reads 5 MB".to_owned(), "reads 5 MB; at most 3 GB may be billed".to_owned())
    );
}

#[tokio::test]
async fn what_is_no_select_or_reads_too_much_never_runs() {
    for (kind, bytes, expected) in [
        ("SCRIPT", 0, "the dry run says that it is a SCRIPT, and only a SELECT is run"),
        ("CREATE_TABLE_AS_SELECT", 0, "it is a CREATE_TABLE_AS_SELECT"),
        ("SELECT", 10_000_000_001, "it would read 10.00 GB, and at most 10 GB may be billed"),
    ] {
        let service = service(kind, bytes).await;
        let error = read(&service).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalFetchFailed);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(n_asked(&service, QUERIES).await, 0);
    }
    let report = source(config(&service("CREATE_TABLE", 0).await.uri(), &google().await)).test().await.unwrap();
    assert!(
        report.is_read_only && report.risks.iter().any(|risk| risk.what.contains("may make tables in `d`")),
        "{report:?}"
    );
}

#[tokio::test]
async fn what_a_dry_run_says_is_shown_with_its_place_and_what_a_running_query_says_is_not() {
    let dry = MockServer::start().await;
    answers(&dry, "POST", JOBS, refusal(400, "invalidQuery", "Unrecognized name: nope at [2:3]")).await;
    let source_of = async |service: &MockServer| source(config(&service.uri(), &google().await));
    let error = source_of(&dry).await.level(&signal("SELECT 1 AS value,\n  nope", ""), day()).await.unwrap_err();
    assert!(error.to_string().ends_with("at line 2, column 3: Unrecognized name: nope"), "{error}");
    let running = service("SELECT", 0).await;
    answers(&running, "POST", QUERIES, refusal(400, "invalidQuery", "Bad int64 value: ceo@corp.example")).await;
    let error = read(&running).await.unwrap_err();
    assert!(
        error.to_string().contains("the query failed while it ran") && !format!("{error:?}").contains("ceo"),
        "{error}"
    );
    // With 200 there may be an error or a warning beside rows.
    let partial = service("SELECT", 0).await;
    let errors = json!({ "errors": [{ "reason": "invalidQuery", "message": "ceo@corp.example" }] });
    answers(&partial, "POST", QUERIES, value_page(&["1"], errors)).await;
    let error = read(&partial).await.unwrap_err();
    assert!(!format!("{error:?}").contains("ceo"), "{error}");
}

#[tokio::test]
async fn a_page_without_a_job_is_asked_again_with_one_and_never_taken_alone() {
    let service = service("SELECT", 0).await;
    let no_job = json!({ "jobReference": null, "pageToken": "t", "totalRows": "2" });
    answers(&service, "POST", QUERIES, value_page(&["1"], no_job)).await;
    let error = read(&service).await.unwrap_err();
    assert!(error.to_string().contains("further pages and no job"), "{error}");
    assert_eq!((error.code(), n_asked(&service, QUERIES).await), (Code::SignalShape, 2));
}

#[tokio::test]
async fn a_job_of_our_own_that_is_unknown_has_not_begun_yet() {
    let not_done = || value_page(&[], json!({ "jobComplete": false, "schema": null, "totalRows": null }));
    let job = format!("{QUERIES}/j1");
    let later = service("SELECT", 0).await;
    answers(&later, "POST", QUERIES, not_done()).await;
    Mock::given(method("GET"))
        .and(path(&job))
        .and(query_param("location", "EU"))
        .respond_with(refusal(404, "notFound", "Not found: Job p1:EU.j1"))
        .up_to_n_times(2)
        .mount(&later)
        .await;
    answers(&later, "GET", &job, value_page(&["7"], json!({}))).await;
    assert_eq!(read(&later).await.unwrap(), ArmSums::Value { value: 7.0 });
    assert_eq!(n_asked(&later, &job).await, 3);

    let never = service("SELECT", 0).await;
    answers(&never, "POST", QUERIES, not_done()).await;
    answers(&never, "GET", &job, refusal(404, "notFound", "Not found: Job p1:EU.j1")).await;
    let error = read(&never).await.unwrap_err();
    assert!(error.to_string().contains("Not found: Job"), "unknown is not done: {error}");
}

#[tokio::test]
async fn a_failure_at_any_page_refuses_the_whole_reading() {
    let job = format!("{QUERIES}/j1");
    let second = |answer: ResponseTemplate| {
        let job = job.clone();
        async move {
            let service = service("SELECT", 0).await;
            answers(&service, "POST", QUERIES, value_page(&["1"], json!({ "pageToken": "t1", "totalRows": "3" })))
                .await;
            Mock::given(method("GET"))
                .and(path(&job))
                .and(query_param("pageToken", "t1"))
                .respond_with(answer)
                .mount(&service)
                .await;
            service
        }
    };
    for (answer, expected) in [
        (refusal(404, "notFound", "Not found: Job p1:j1"), "Not found: Job"),
        (refusal(500, "backendError", "ceo@corp.example"), "the service failed for now"),
        (value_page(&["2"], json!({ "pageToken": "t1", "totalRows": "3" })), "its pages lead to each other"),
        (value_page(&["2"], json!({ "totalRows": "3" })), "it has 2 rows where it says 3"),
    ] {
        let error = read(&second(answer).await).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // An empty first page, and two more.
    let paged = service("SELECT", 0).await;
    answers(&paged, "POST", QUERIES, value_page(&[], json!({ "pageToken": "t1" }))).await;
    let page = |token: &'static str, answer| {
        Mock::given(method("GET")).and(path(&job)).and(query_param("pageToken", token)).respond_with(answer)
    };
    page("t1", value_page(&[], json!({ "pageToken": "t2" }))).mount(&paged).await;
    page("t2", value_page(&["5"], json!({}))).mount(&paged).await;
    assert_eq!(read(&paged).await.unwrap(), ArmSums::Value { value: 5.0 });
    let many = service("SELECT", 0).await;
    answers(&many, "POST", QUERIES, value_page(&["1"], json!({ "totalRows": "1001", "pageToken": "t" }))).await;
    assert!(read(&many).await.unwrap_err().to_string().ends_with("it has more than 1000 rows"));
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped_there() {
    let service = service("SELECT", 0).await;
    let not_done = || value_page(&[], json!({ "jobComplete": false, "schema": null }));
    answers(&service, "POST", QUERIES, not_done()).await;
    answers(&service, "GET", &format!("{QUERIES}/j1"), not_done().set_delay(std::time::Duration::from_millis(300)))
        .await;
    answers(&service, "POST", &format!("{JOBS}/j1/cancel"), ResponseTemplate::new(200)).await;
    let config = SqlConfig { statement_timeout: "1s", ..config(&service.uri(), &google().await) };
    let error = source(config).level(&signal("SELECT 1 AS value", ""), day()).await.unwrap_err();
    assert_eq!(error.code(), Code::SignalTimeout, "{error}");
    assert_eq!(n_asked(&service, &format!("{JOBS}/j1/cancel")).await, 1);
}

#[tokio::test]
async fn credentials_and_limits_are_told_apart_and_no_secret_is_shown() {
    for (answer, code, expected) in [
        (refusal(401, "authError", "Invalid Credentials"), Code::SignalUnauthorized, "Invalid Credentials"),
        (
            refusal(403, "accessDenied", "Access Denied: Project p1: User does not have bigquery.jobs.create"),
            Code::SignalUnauthorized,
            "bigquery.jobs.create",
        ),
        (refusal(403, "quotaExceeded", "x"), Code::SignalThrottled, "a limit or quota"),
        (
            refusal(403, "rateLimitExceeded", "x").insert_header("Retry-After", "9"),
            Code::SignalThrottled,
            "rateLimitExceeded",
        ),
        (ResponseTemplate::new(429), Code::SignalThrottled, "status 429"),
        (
            ResponseTemplate::new(301).insert_header("Location", "http://127.0.0.1:1/"),
            Code::SignalFetchFailed,
            "redirect",
        ),
        (ResponseTemplate::new(200).set_body_string("<html>"), Code::SignalShape, "a page of HTML"),
        (ResponseTemplate::new(404).set_body_string("nothing"), Code::SignalShape, "not as BigQuery answers"),
    ] {
        let service = MockServer::start().await;
        answers(&service, "POST", JOBS, answer).await;
        let error = read(&service).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("t0ken"), "{error:?}");
    }
    let denied = MockServer::start().await;
    let body = json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." });
    answers(&denied, "POST", "/token", ResponseTemplate::new(400).set_body_json(body)).await;
    let error = source(config("http://127.0.0.1:1", &denied)).test().await.unwrap_err();
    assert_eq!(error.code(), Code::SignalUnauthorized);
    assert!(
        error.to_string().contains("no token for reader@p1.iam.example (400): invalid_grant Invalid JWT Signature."),
        "{error}"
    );
    for (key, expected) in [
        ("hunter2".to_owned(), "not the JSON key of a service account"),
        (json!({ "client_email": "a@b", "private_key": "hunter2" }).to_string(), "its `private_key`"),
        (
            json!({ "client_email": "a@b", "private_key": private_key(), "token_uri": "http://evil.example/" })
                .to_string(),
            "https://",
        ),
    ] {
        let config = SqlConfig { secrets: vec![("${KEY}", key)], ..config("http://127.0.0.1:1", &denied) };
        let Err(error) = config.open(std::path::Path::new("/")) else { panic!("it was opened") };
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains(expected) && !format!("{error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn queries_of_ones_own_are_asked_for_each_arm_and_tables_are_listed() {
    let Some(emulator) = emulator::start("bigquery") else { return };
    execute(&emulator, "CREATE SCHEMA d").await;
    execute(&emulator, "CREATE TABLE d.exposure (unit STRING, variant STRING, seen TIMESTAMP, converted INT64)").await;
    let rows = "('c1', 'control', TIMESTAMP '2026-11-20 10:00:00+00', 1), ('c2', 'control', TIMESTAMP '2026-11-20 11:00:00+00', NULL), \
                ('t1', 'treatment', TIMESTAMP '2026-11-20 10:30:00+00', 1), ('t2', 'treatment', TIMESTAMP '2026-11-21 00:00:00+00', 1)";
    execute(&emulator, &format!("INSERT INTO d.exposure VALUES {rows}")).await;
    let source = source(config(&emulator.url, &google().await));
    let by_variant = "SELECT variant, count(*) AS n, count(converted) AS successes FROM exposure
        WHERE seen >= :from AND seen < :to GROUP BY variant";
    let read = source.by_variant(&signal("", by_variant), &request(day())).await.unwrap();
    let sums: Vec<_> = read.data.iter().map(|arm| arm.sums).collect();
    assert_eq!(sums, [ArmSums::Proportion { n: 2, successes: 1 }, ArmSums::Proportion { n: 1, successes: 1 }]);
    let tables = source.list().await.unwrap();
    assert!(
        tables
            .iter()
            .any(|table| table.name == "d.exposure" && table.fields.iter().any(|field| field == "unit STRING")),
        "{tables:?}"
    );
    assert!(source.clock().await.unwrap().is_some());
    let role = source.reader_role(&["SELECT 1 AS value FROM `p1.d.exposure`".to_owned()]).await.unwrap().unwrap();
    let grant =
        "GRANT `roles/bigquery.dataViewer` ON TABLE `p1.d.exposure` TO \"serviceAccount:reader@p1.iam.example\";";
    assert!(role.iter().any(|line| line == grant), "{role:?}");
    let report = source.test().await.unwrap();
    assert!(report.is_read_only && report.server.starts_with("BigQuery, project p1"), "{report:?}");
}
