//! Snowflake: its SQL on `fakesnow` behind a thin SQL API, and canned answers for the protocol.

use std::io::Write as _;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use outcome_core::Code;
use outcome_core::config::parse;
use outcome_core::domain::ArmSums;
use outcome_core::ports::{QueryKind, ReadError};
use outcome_integrations::VENDORS;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::bigquery::private_key;
use super::contract::{SqlConfig, day, request, signal, source};
use super::emulator::{self, Emulator, batched};
use super::{fifteen, metrics};

const PLACE: &str = ", role: READER, warehouse: W, database: SHOP";

fn config(url: &str) -> SqlConfig {
    SqlConfig {
        kind: "snowflake",
        more: format!("{PLACE}, user: reader, account: my-org.eu, key_pair: \"${{KEY}}\""),
        secrets: vec![("${KEY}", private_key().to_owned())],
        ..SqlConfig::new(url)
    }
}

async fn execute(emulator: &Emulator, sql: &str) {
    let url = format!("{}/api/v2/statements", emulator.url);
    let sent = reqwest::Client::builder().user_agent("tests").build().unwrap().post(url);
    let sent = sent
        .bearer_auth("t")
        .header("X-Snowflake-Authorization-Token-Type", "OAUTH")
        .header("Accept", "application/json");
    let sent = sent.json(&json!({ "statement": sql })).send().await.unwrap();
    let (status, text) = (sent.status(), sent.text().await.unwrap());
    assert!(status.is_success(), "{text}: {sql}");
}

async fn made(emulator: &Emulator, tables: &[String]) {
    for statement in batched(tables) {
        execute(emulator, &statement).await;
    }
}

#[tokio::test]
async fn metrics_are_what_the_rows_say() {
    let Some(emulator) = emulator::start("snowflake") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string();
    made(&emulator, &metrics::tables("TIMESTAMP_NTZ", "NUMBER(12, 2)", shown)).await;
    metrics::all(config(&emulator.url)).await;
}

#[tokio::test]
async fn fifteen_metrics_are_what_the_rows_say() {
    let Some(emulator) = emulator::start("snowflake") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("'%Y-%m-%d %H:%M:%S+00:00'").to_string();
    made(&emulator, &fifteen::tables("TIMESTAMP_TZ", "FLOAT", shown)).await;
    fifteen::all(config(&emulator.url)).await;
}

const STATEMENTS: &str = "/api/v2/statements";

async fn answers(service: &MockServer, verb: &str, at: &str, answer: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(service).await;
}

fn rows(values: &[&str], more: Value) -> Value {
    let data: Vec<Value> = values.iter().map(|value| json!([value])).collect();
    let mut answer = json!({
        "resultSetMetaData": {
            "numRows": values.len(), "format": "jsonv2", "partitionInfo": [{ "rowCount": values.len(), "uncompressedSize": 40 }],
            "rowType": [{ "name": "VALUE", "type": "fixed", "scale": 0, "precision": 38, "nullable": false }],
        },
        "data": data, "code": "090001", "sqlState": "00000", "statementHandle": "h1", "someNewField": [1],
    });
    for (key, value) in more.as_object().unwrap() {
        answer["resultSetMetaData"][key] = value.clone();
    }
    answer
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn refused(status: u16, code: &str, sql_state: &str, message: &str) -> ResponseTemplate {
    let body = json!({ "code": code, "sqlState": sql_state, "message": message, "statementHandle": "h1" });
    ResponseTemplate::new(status).set_body_json(body)
}

fn goes_on() -> ResponseTemplate {
    refused(202, "333334", "00000", "Asynchronous execution in progress.")
}

async fn read(service: &MockServer) -> Result<ArmSums, ReadError> {
    let source = source(config(&service.uri()));
    source.level(&signal("SELECT 1 AS value", ""), day()).await.map(|reading| reading.data)
}

async fn said(answer: ResponseTemplate) -> ReadError {
    let service = MockServer::start().await;
    answers(&service, "POST", STATEMENTS, answer).await;
    read(&service).await.unwrap_err()
}

#[tokio::test]
async fn a_statement_runs_as_one_in_utc_and_is_signed_with_the_key() {
    let service = MockServer::start().await;
    answers(&service, "POST", STATEMENTS, ok(rows(&["9007199254740993"], json!({})))).await;
    let mut asked = signal("SELECT 1 AS value WHERE :from < :to AND 'a' = :segment_kind AND :from < 'x'", "");
    asked.segment.insert("kind".to_owned(), "it's".to_owned());
    let read = source(config(&service.uri())).level(&asked, day()).await.unwrap();
    assert_eq!(read.data, ArmSums::Value { value: 9_007_199_254_740_993.0 });
    let requests = service.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let body: Value = request.body_json().unwrap();
    let at = "CAST(? AS TIMESTAMP_NTZ)";
    assert_eq!(body["statement"], format!("SELECT 1 AS value WHERE {at} < {at} AND 'a' = ? AND {at} < 'x'"));
    assert_eq!(body["bindings"]["1"], json!({ "type": "TEXT", "value": "2026-11-20 00:00:00.000000" }));
    assert_eq!(
        (&body["bindings"]["3"]["value"], &body["bindings"]["4"]["value"]),
        (&json!("it's"), &json!("2026-11-20 00:00:00.000000"))
    );
    for (key, value) in [("timezone", "UTC"), ("use_cached_result", "false")] {
        assert_eq!(body["parameters"][key], value, "{key}");
    }
    for (key, value) in [("role", "READER"), ("warehouse", "W"), ("database", "SHOP"), ("schema", "PUBLIC")] {
        assert_eq!(body[key], value, "{key}");
    }
    assert_eq!((&body["timeout"], &body["parameters"]["multi_statement_count"]), (&json!(30), &json!(1)));
    assert_eq!(request.headers["accept"], "application/json");
    assert!(request.headers["user-agent"].to_str().unwrap().starts_with("outcome-runtime/"));
    assert_eq!(request.headers["x-snowflake-authorization-token-type"], "KEYPAIR_JWT");
    let (_, id) = request.url.query_pairs().find(|(name, _)| name == "requestId").unwrap();
    assert_eq!(id.len(), 36);

    let token = request.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let der = STANDARD.decode(private_key().lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&der).unwrap();
    let public =
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!(claims["sub"], "MY-ORG.READER", "a region is no part of the account");
    assert!(claims["iss"].as_str().unwrap().starts_with("MY-ORG.READER.SHA256:"), "{claims}");
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 3600);
}

#[tokio::test]
async fn tokens_say_their_kind_and_a_password_is_refused() {
    for (key, kind) in [("access_token", "PROGRAMMATIC_ACCESS_TOKEN"), ("oauth_token", "OAUTH")] {
        let service = MockServer::start().await;
        answers(&service, "POST", STATEMENTS, ok(rows(&["1"], json!({})))).await;
        let secrets = vec![("${KEY}", "t0ken".to_owned())];
        let config = SqlConfig { more: format!("{PLACE}, {key}: \"${{KEY}}\""), secrets, ..config(&service.uri()) };
        source(config).level(&signal("SELECT 1 AS value", ""), day()).await.unwrap();
        let requests = service.received_requests().await.unwrap();
        assert_eq!(requests[0].headers["x-snowflake-authorization-token-type"], kind);
        assert_eq!(requests[0].headers["authorization"], "Bearer t0ken");
    }
    for (keys, expected) in [
        ("user: a, password: \"${P}\"", "has no key `password`"),
        ("user: a", "one of `key_pair`, `access_token` and `oauth_token`, and this has 0"),
        ("key_pair: \"${P}\"", "`key_pair` needs the key `user`"),
        ("access_token: \"${P}\", oauth_token: \"${P}\"", "and this has 2"),
        ("access_token: hunter2", "holds a secret written into the file"),
    ] {
        let text = format!(
            "version: 1\nsignal_connectors:\n  - {{ name: w, type: snowflake, config: {{ url: https://a-b.snowflakecomputing.com{PLACE}, {keys} }} }}\noutcomes: []\n"
        );
        let parsed = parse(&text, "outcome.yaml", &VENDORS, None);
        assert!(
            parsed.diagnostics.iter().any(|found| found.message.contains(expected)),
            "{keys}: {:#?}",
            parsed.diagnostics
        );
    }
    let refused = SqlConfig { secrets: vec![("${KEY}", "hunter2".to_owned())], ..config("http://127.0.0.1:1") }
        .open(std::path::Path::new("/"));
    let Err(error) = refused else { panic!("it was opened") };
    assert_eq!(error.code(), Code::ConnectorConfig);
    assert!(error.hint().unwrap().contains("openssl") && !format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_refused_sign_in_names_the_network_policy() {
    for status in [401, 403] {
        let text = "Incoming request with IP/Token 203.0.113.9 is not allowed to access Snowflake. Contact your account administrator.";
        let error = said(refused(status, "390422", "08004", text)).await;
        assert_eq!(error.code(), Code::SignalUnauthorized);
        assert!(error.to_string().contains("let in the address of this machine alone"), "{error}");
    }
    let error = said(refused(401, "390432", "08001", "Network policy is required.")).await;
    assert!(
        error.to_string().contains("network policy does not let this address in, or the token's user has none"),
        "{error}"
    );
    let error = said(refused(401, "390144", "08001", "JWT token is invalid. [1234]")).await;
    assert!(error.to_string().contains("JWT token is invalid") && !error.to_string().contains("policy"), "{error}");
}

#[tokio::test]
async fn every_partition_is_read_or_the_reading_is_refused() {
    let three = json!({ "numRows": 3, "partitionInfo": [{ "rowCount": 1 }, { "rowCount": 1 }, { "rowCount": 1 }] });
    let at = format!("{STATEMENTS}/h1");
    let with_third = |third: ResponseTemplate| {
        let (three, at) = (three.clone(), at.clone());
        async move {
            let service = MockServer::start().await;
            answers(&service, "POST", STATEMENTS, ok(rows(&["1"], three))).await;
            for (number, answer) in [("1", ok(json!({ "data": [["2"]] }))), ("2", third)] {
                Mock::given(method("GET"))
                    .and(path(&at))
                    .and(query_param("partition", number))
                    .respond_with(answer)
                    .mount(&service)
                    .await;
            }
            read(&service).await.unwrap_err().to_string()
        }
    };
    let whole = with_third(ok(json!({ "data": [["3"]] }))).await;
    assert!(whole.contains("it has 3 rows where one is expected"), "all of them were read: {whole}");
    // Later partitions are compressed.
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(br#"{"data": [["3"]]}"#).unwrap();
    let packed =
        ResponseTemplate::new(200).insert_header("Content-Encoding", "gzip").set_body_bytes(packed.finish().unwrap());
    let whole = with_third(packed).await;
    assert!(whole.contains("it has 3 rows where one is expected"), "{whole}");
    let failed = with_third(ResponseTemplate::new(500)).await;
    assert!(failed.contains("status 500"), "{failed}");
    let short = with_third(ok(json!({ "data": [] }))).await;
    assert!(short.contains("partition 2 has 0 rows where it says 1"), "{short}");
    let error = said(ok(rows(&["1"], json!({ "numRows": 2 })))).await;
    assert!(error.to_string().contains("it has 1 rows where it says 2"), "{error}");
    let error = said(ok(rows(&["1"], json!({ "numRows": 1001 })))).await;
    assert!(error.to_string().ends_with("it has more than 1000 rows"), "{error}");
}

#[tokio::test]
async fn a_statement_that_goes_on_is_waited_for_and_stopped_at_its_limit() {
    let at = format!("{STATEMENTS}/h1");
    let service = MockServer::start().await;
    answers(&service, "POST", STATEMENTS, goes_on()).await;
    Mock::given(method("GET")).and(path(&at)).respond_with(goes_on()).up_to_n_times(1).mount(&service).await;
    answers(&service, "GET", &at, ok(rows(&["7"], json!({})))).await;
    assert_eq!(read(&service).await.unwrap(), ArmSums::Value { value: 7.0 });

    let never = MockServer::start().await;
    answers(&never, "POST", STATEMENTS, goes_on()).await;
    answers(&never, "GET", &at, goes_on()).await;
    answers(&never, "POST", &format!("{at}/cancel"), ok(json!({}))).await;
    let short = SqlConfig { statement_timeout: "1s", ..config(&never.uri()) };
    let error = source(short).level(&signal("SELECT 1 AS value", ""), day()).await.unwrap_err();
    assert_eq!(error.code(), Code::SignalTimeout, "{error}");
    let asked = never.received_requests().await.unwrap();
    assert!(asked.iter().any(|request| request.url.path().ends_with("/cancel")));
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_repeated_under_its_name() {
    let service = MockServer::start().await;
    Mock::given(method("POST"))
        .and(query_param_is_missing("retry"))
        .respond_with(ResponseTemplate::new(504))
        .mount(&service)
        .await;
    Mock::given(method("POST"))
        .and(query_param("retry", "true"))
        .respond_with(ok(rows(&["7"], json!({}))))
        .mount(&service)
        .await;
    assert_eq!(read(&service).await.unwrap(), ArmSums::Value { value: 7.0 });
    let asked = service.received_requests().await.unwrap();
    let ids: Vec<String> = asked
        .iter()
        .map(|request| request.url.query_pairs().find(|(name, _)| name == "requestId").unwrap().1.into_owned())
        .collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
}

#[tokio::test]
async fn what_is_said_of_compiling_is_shown_and_of_running_only_the_code() {
    let text = "SQL compilation error: error line 1 at position 7\ninvalid identifier 'NOPE'";
    let error = said(refused(422, "000904", "42000", text)).await;
    assert!(
        error.to_string().ends_with("at line 1, column 8: SQL compilation error: invalid identifier 'NOPE'"),
        "{error}"
    );
    let error = said(refused(422, "100038", "22018", "Numeric value 'ceo@corp.example' is not recognized")).await;
    assert!(error.to_string().contains("SQLSTATE 22018") && !format!("{error:?}").contains("ceo"), "{error}");
    for (answer, code, expected) in [
        (ResponseTemplate::new(408), Code::SignalTimeout, "did not answer within"),
        (ResponseTemplate::new(429).insert_header("Retry-After", "9"), Code::SignalThrottled, "status 429"),
        (
            ResponseTemplate::new(302).insert_header("Location", "http://127.0.0.1:1/"),
            Code::SignalFetchFailed,
            "redirect",
        ),
        (ResponseTemplate::new(200).set_body_string("<html>"), Code::SignalShape, "a page of HTML"),
        (ResponseTemplate::new(404).set_body_string("nothing"), Code::SignalShape, "not as Snowflake's SQL API does"),
        (
            refused(422, "000606", "57P03", "No active warehouse selected"),
            Code::ConnectorConfig,
            "no warehouse computes for it",
        ),
    ] {
        let error = said(answer).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_rights_of_the_role_are_looked_at_and_nothing_is_tried() {
    let service = MockServer::start().await;
    let text = |names: &[&str], data: Value| {
        let columns: Vec<Value> = names.iter().map(|name| json!({ "name": name, "type": "text" })).collect();
        let n = data.as_array().unwrap().len();
        let meta = json!({ "numRows": n, "partitionInfo": [{ "rowCount": n }], "rowType": columns });
        ok(json!({ "resultSetMetaData": meta, "data": data, "statementHandle": "h1" }))
    };
    let when =
        |words: &'static str, answer| Mock::given(wiremock::matchers::body_string_contains(words)).respond_with(answer);
    when("CURRENT_VERSION", text(&["V"], json!([["9.31.0"]]))).mount(&service).await;
    let granted =
        json!([["USAGE", "DATABASE", "SHOP"], ["INSERT", "TABLE", "SHOP.PUBLIC.ORDERS"], ["USAGE", "ROLE", "LOADER"]]);
    when("SHOW GRANTS TO ROLE \\\"READER\\\"", text(&["privilege", "granted_on", "name"], granted))
        .mount(&service)
        .await;
    when("CURRENT_SECONDARY_ROLES", text(&["R"], json!([[r#"{"roles":"A","value":"ALL"}"#]]))).mount(&service).await;
    let report = source(config(&service.uri())).test().await.unwrap();
    assert_eq!((report.server.as_str(), report.is_read_only), ("Snowflake 9.31.0", false));
    let risks: Vec<&str> = report.risks.iter().map(|risk| risk.what.as_str()).collect();
    assert_eq!(risks[0], "it has INSERT on table `SHOP.PUBLIC.ORDERS`");
    assert!(risks[1].contains("`LOADER`") && risks[2].contains("DEFAULT_SECONDARY_ROLES"), "{risks:?}");
}

#[tokio::test]
async fn queries_of_ones_own_are_asked_for_each_arm_and_tables_are_listed() {
    let Some(emulator) = emulator::start("snowflake") else { return };
    execute(
        &emulator,
        "CREATE TABLE exposure (unit VARCHAR, variant VARCHAR, seen TIMESTAMP_NTZ, converted INTEGER, user_id VARCHAR)",
    )
    .await;
    let rows = "('c1', 'control', '2026-11-20 10:00:00', 1, '1'), ('c2', 'control', '2026-11-20 11:00:00', NULL, '2'), \
                ('t1', 'treatment', '2026-11-20 10:30:00', 1, '3'), ('t2', 'treatment', '2026-11-21 00:00:00', 1, '4')";
    execute(&emulator, &format!("INSERT INTO exposure VALUES {rows}")).await;
    let source = source(config(&emulator.url));
    let by_variant = "SELECT variant, count(*) AS n, count(converted) AS successes FROM exposure
        WHERE seen >= :from AND seen < :to GROUP BY variant";
    let asked = signal("SELECT count(*) AS value FROM exposure", by_variant);
    let read = source.by_variant(&asked, &request(day())).await.unwrap();
    let sums: Vec<_> = read.data.iter().map(|arm| arm.sums).collect();
    assert_eq!(sums, [ArmSums::Proportion { n: 2, successes: 1 }, ArmSums::Proportion { n: 1, successes: 1 }]);
    let tables = source.list().await.unwrap();
    assert!(
        tables
            .iter()
            .any(|table| table.name == "PUBLIC.EXPOSURE" && table.fields.iter().any(|field| field == "VARIANT TEXT")),
        "{tables:?}"
    );
    let plan = source.plan(&asked, QueryKind::Level, day()).await.unwrap().unwrap();
    assert_eq!((plan.in_words().as_str(), plan.lines[0].as_str()), ("reads 5 MB", "reads at most 2 of 7 partitions"));
    let error = source.level(&signal("SELECT nope AS value FROM exposure", ""), day()).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("nope"), "{error}");
    assert!(source.test().await.unwrap().is_read_only);
    let role = source.reader_role(&["SELECT 1 AS value FROM exposure".to_owned()]).await.unwrap().unwrap();
    let grant = r#"GRANT SELECT ON TABLE "SHOP"."PUBLIC"."EXPOSURE" TO ROLE OUTCOME_READER;"#;
    assert!(role.iter().any(|line| line == grant), "{role:?}");
    assert!(source.clock().await.unwrap().is_some());
}

/// It compares a number with a text as numbers, without a word.
#[tokio::test]
async fn columns_that_do_not_fit_are_named() {
    let Some(emulator) = emulator::start("snowflake") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string();
    let tables = metrics::tables("TIMESTAMP_NTZ", "NUMBER(12, 2)", shown);
    let texts: Vec<String> = tables
        .iter()
        .map(|sql| sql.replace("orders (id INTEGER, user_id INTEGER", "orders (id INTEGER, user_id VARCHAR"))
        .collect();
    made(&emulator, &texts).await;
    let error = source(config(&emulator.url)).fits(&metrics::signal("revenue")).await.unwrap_err();
    assert!(error.to_string().contains("which holds texts, to `exposures.user_id`, which holds numbers"), "{error}");
}
