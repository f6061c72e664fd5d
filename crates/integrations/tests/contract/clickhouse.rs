//! `ClickHouse`: a current engine behind its HTTP interface, and canned answers for what goes wrong on the way.

use outcome_core::Code;
use outcome_core::domain::ArmSums;
use outcome_core::ports::ReadError;
use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::{any, body_string_contains};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::contract::{self, ROWS, SqlConfig, Subject, day, signal, source};
use super::emulator::{self, Emulator, batched};
use super::{fifteen, metrics};

fn config(url: &str) -> SqlConfig {
    SqlConfig { kind: "clickhouse", ..SqlConfig::new(url) }
}

async fn execute(emulator: &Emulator, sql: &str) {
    // As the columns of other databases are.
    let settings = [("data_type_default_nullable", "1"), ("default_table_engine", "MergeTree")];
    let sent = reqwest::Client::new().post(&emulator.url).query(&settings).body(sql.to_owned()).send().await.unwrap();
    let (status, text) = (sent.status(), sent.text().await.unwrap());
    assert!(status.is_success(), "{text}: {sql}");
}

async fn made(emulator: &Emulator, tables: &[String]) {
    for statement in batched(tables) {
        let order = if statement.starts_with("CREATE TABLE") { " ORDER BY tuple()" } else { "" };
        execute(emulator, &format!("{statement}{order}")).await;
    }
}

#[tokio::test]
async fn a_clickhouse_server_is_a_source() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    for sql in [
        "CREATE TABLE exposure (unit String, variant LowCardinality(String) NOT NULL, at DateTime64(6, 'UTC'), converted Int32, amount Decimal(12, 2)) \
         ORDER BY tuple()",
        ROWS,
        "CREATE TABLE note (body String) ORDER BY tuple()",
        "INSERT INTO note VALUES ('naïve — 世界')",
        "CREATE TABLE keyed (id Int64 NOT NULL) ORDER BY id SETTINGS index_granularity = 50",
        "INSERT INTO keyed SELECT number + 1 FROM numbers(500)",
    ] {
        execute(&emulator, sql).await;
    }
    contract::all(&Subject {
        config: config(&emulator.url),
        url: emulator.url.clone(),
        server: "ClickHouse 26.",
        slow: "SELECT count() AS value FROM numbers(100000000000000) WHERE sipHash64(number) = 1",
        sneaky_write: Some("SELECT 1 AS value SETTINGS readonly = 0"),
        not_finite: "nan",
        table: "default.exposure",
        scanned: Some("default.exposure"),
        proposes: false,
    })
    .await;
}

#[tokio::test]
async fn metrics_are_what_the_rows_say() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string();
    made(&emulator, &metrics::tables("DateTime", "Decimal(12, 2)", shown)).await;
    metrics::all(config(&emulator.url)).await;
}

#[tokio::test]
async fn metrics_of_floating_point_numbers_and_of_numbers_of_milliseconds_are_what_the_rows_say() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    made(&emulator, &metrics::tables("Int64", "Float64", |at| at.as_millisecond().to_string())).await;
    metrics::all(SqlConfig { time_format: "unix_millis", ..config(&emulator.url) }).await;
}

#[tokio::test]
async fn fifteen_metrics_are_what_the_rows_say() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("'%Y-%m-%d %H:%M:%S.000001'").to_string();
    let tables = fifteen::tables("DateTime64(6, 'America/New_York')", "Decimal(12, 2)", |at| {
        format!("toDateTime64({}, 6, 'UTC')", shown(at).replace(".000001", ""))
    });
    made(&emulator, &tables).await;
    fifteen::all(config(&emulator.url)).await;
}

const READONLY: &str =
    r#"{"meta":[{"name":"m","type":"Int64"},{"name":"v","type":"String"}],"data":[["0","26.9.2.1"]],"rows":1}"#;

/// A server that says who it is, and then this.
async fn canned(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(body_string_contains("getSetting"))
        .respond_with(ResponseTemplate::new(200).set_body_string(READONLY))
        .mount(&server)
        .await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn said(answer: ResponseTemplate) -> Result<ArmSums, ReadError> {
    let server = canned(answer).await;
    let read = source(config(&server.uri())).level(&signal("SELECT 1 AS value", ""), day()).await;
    read.map(|reading| reading.data)
}

fn value(kind: &str, shown: &str) -> String {
    format!(r#"{{"meta":[{{"name":"value","type":"{kind}"}}],"data":[[{shown}]],"rows":1}}"#)
}

#[tokio::test]
async fn the_header_of_an_exception_means_failure_whatever_the_status() {
    let timeout = ResponseTemplate::new(200).insert_header("X-ClickHouse-Exception-Code", "209");
    assert_eq!(said(timeout).await.unwrap_err().code(), Code::SignalTimeout);
    let empty = said(ResponseTemplate::new(200)).await.unwrap_err();
    assert_eq!(empty.code(), Code::SignalShape);
    assert!(empty.to_string().contains("its answer is empty"), "{empty}");
}

#[tokio::test]
async fn wide_numbers_are_the_same_quoted_and_bare() {
    for kind in ["Int64", "UInt64", "Int128", "Decimal(38, 0)"] {
        for shown in ["9007199254740993", "\"9007199254740993\""] {
            let body = format!(
                r#"{{"meta":[{{"name":"n","type":"{kind}"}},{{"name":"successes","type":"{kind}"}}],"data":[[{shown},{shown}]],"rows":1}}"#
            );
            let read = said(ResponseTemplate::new(200).set_body_string(body)).await;
            // More units than there may be; the message shows the number with its last digit.
            let error = read.unwrap_err().to_string();
            assert!(error.contains("9007199254740993"), "{kind} {shown}: {error}");
        }
    }
    let wide = value("Int128", "170141183460469231731687303715884105727");
    let read = said(ResponseTemplate::new(200).set_body_string(wide)).await.unwrap();
    assert_eq!(read, ArmSums::Value { value: 170_141_183_460_469_231_731_687_303_715_884_105_727.0 });
}

#[tokio::test]
async fn an_error_after_the_first_rows_is_no_reading() {
    let begun = r#"{"meta":[{"name":"value","type":"Int64"}],"data":[["1"]"#;
    let block = "__exception__\r\nabcdefgh\r\nCode: 159. DB::Exception: Timeout exceeded: elapsed 1.0 seconds. (TIMEOUT_EXCEEDED)\n80 abcdefgh\r\n__exception__\r\n";
    let error = said(ResponseTemplate::new(200).set_body_string(format!("{begun}{block}"))).await.unwrap_err();
    assert_eq!(error.code(), Code::SignalTimeout, "{error}");
    let error = said(ResponseTemplate::new(200).set_body_string(begun)).await.unwrap_err();
    assert_eq!(error.code(), Code::SignalShape, "{error}");
    let cut = value("Int64", "\"1\"").replace("\"rows\":1", "\"rows\":2");
    let error = said(ResponseTemplate::new(200).set_body_string(cut)).await.unwrap_err();
    assert!(error.to_string().contains("1 rows where it says 2"), "{error}");
    // Without the last chunk, and with an error after it.
    let whole = value("Int64", "\"1\"");
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let trailed = format!("{}0\r\nX-ClickHouse-Exception-Code: 241\r\n\r\n", chunk(&whole));
    for (chunks, expected) in [(chunk(&whole), "error"), (trailed, "error 241: the query needs more memory")] {
        let url = raw(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-ClickHouse-Exception-Code\r\nConnection: close\r\n\r\n{chunks}")).await;
        let error = source(config(&url)).level(&signal("SELECT 1 AS value", ""), day()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// A server that answers with these bytes after it said who it is, and then hangs up.
async fn raw(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let n = stream.read(&mut request).await.unwrap();
            let is_first = String::from_utf8_lossy(&request[..n]).contains("getSetting");
            let known =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{READONLY}", READONLY.len());
            stream.write_all(if is_first { known.as_bytes() } else { answer.as_bytes() }).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn what_is_not_from_clickhouse_or_too_much_is_said() {
    for (answer, code, expected) in [
        (ResponseTemplate::new(401), Code::SignalUnauthorized, "status 401"),
        (ResponseTemplate::new(429).insert_header("Retry-After", "70"), Code::SignalThrottled, "status 429"),
        (ResponseTemplate::new(503).insert_header("Retry-After", "7"), Code::SignalThrottled, "status 503"),
        (
            ResponseTemplate::new(302).insert_header("Location", "http://127.0.0.1:1/"),
            Code::SignalFetchFailed,
            "redirect",
        ),
        (ResponseTemplate::new(200).set_body_string("<html>"), Code::SignalShape, "a page of HTML"),
        (ResponseTemplate::new(404).set_body_string("nothing"), Code::SignalShape, "not as ClickHouse does"),
        (
            ResponseTemplate::new(200).set_body_string("x".repeat(17 << 20)),
            Code::SignalShape,
            "more than 16777216 bytes",
        ),
    ] {
        let error = said(answer).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = said(ResponseTemplate::new(429).insert_header("Retry-After", "70")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(70)));
}

#[tokio::test]
async fn each_statement_is_limited_and_the_password_is_in_no_address() {
    let server = canned(ResponseTemplate::new(200).set_body_string(value("Int64", "\"1\""))).await;
    let source = source(SqlConfig {
        more: ", user: reader, password: \"${P}\", max_gigabytes: 3".to_owned(),
        secrets: vec![("${P}", "s3cret".to_owned())],
        row_cap: 7,
        ..config(&server.uri())
    });
    let mut asked = signal("SELECT 1 AS value WHERE :from < :to AND 'a' = :segment_kind", "");
    asked.segment.insert("kind".to_owned(), "a\\b".to_owned());
    source.level(&asked, day()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let last = requests.last().unwrap();
    let query: std::collections::BTreeMap<String, String> = last.url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("readonly", "1"),
        ("max_result_rows", "7"),
        ("max_bytes_to_read", "3000000000"),
        ("max_execution_time", "30"),
        ("join_use_nulls", "1"),
        ("wait_end_of_query", "1"),
        ("final", "1"),
        ("param_p1", "2026-11-20 00:00:00.000000"),
        ("param_p3", "a\\\\b"),
    ] {
        assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
    }
    let sent = String::from_utf8(last.body.clone()).unwrap();
    assert_eq!(
        sent,
        "SELECT 1 AS value WHERE {p1:DateTime64(6, 'UTC')} < {p2:DateTime64(6, 'UTC')} AND 'a' = {p3:String}"
    );
    assert!(
        requests
            .iter()
            .all(|request| !request.url.as_str().contains("s3cret") && request.headers["x-clickhouse-key"] == "s3cret")
    );
}

#[tokio::test]
async fn a_user_is_refused_let_in_or_told_what_its_profile_lacks() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    execute(&emulator, "CREATE TABLE t (a Int64) ORDER BY tuple()").await;
    let of = |user: &str, password: &str| {
        source(SqlConfig {
            more: format!(", user: {user}, password: \"${{P}}\""),
            secrets: vec![("${P}", password.to_owned())],
            ..config(&emulator.url)
        })
    };
    let report = of("reader", "s3cret").test().await.unwrap();
    assert!(report.is_read_only, "{report:?}");
    let sneaky = of("reader", "s3cret").level(&signal("SELECT 1 AS value SETTINGS readonly = 0", ""), day()).await;
    assert_eq!(sneaky.unwrap_err().code(), Code::SignalFetchFailed);
    let wrong = of("reader", "hunter2").test().await.unwrap_err();
    assert_eq!(wrong.code(), Code::SignalUnauthorized);
    assert!(!format!("{wrong:?}").contains("hunter2"));
    let locked = of("locked", "").test().await.unwrap_err();
    assert_eq!(locked.code(), Code::ConnectorConfig);
    assert!(locked.hint().unwrap().contains("`readonly`"), "{locked}");
    // What a running query says can hold a row.
    execute(&emulator, "CREATE TABLE secrets (body String) ORDER BY tuple()").await;
    execute(&emulator, "INSERT INTO secrets VALUES ('ceo@corp.example')").await;
    let query = "SELECT sum(toInt64(assumeNotNull(body))) AS value FROM secrets";
    let error = of("reader", "s3cret").level(&signal(query, ""), day()).await.unwrap_err();
    assert!(
        !format!("{error:?}").contains("ceo") && error.to_string().contains("error 6: a text is not a value"),
        "{error}"
    );
}

#[tokio::test]
async fn rows_that_replace_others_are_read_merged() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    execute(&emulator, "CREATE TABLE r (id Int64 NOT NULL, v Int64) ENGINE = ReplacingMergeTree ORDER BY id").await;
    for v in [1, 2] {
        execute(&emulator, &format!("INSERT INTO r VALUES (7, {v})")).await;
    }
    let read = async |merge: &str| {
        let source = source(SqlConfig { more: format!(", merge_rows: {merge}"), ..config(&emulator.url) });
        source.level(&signal("SELECT sum(v) AS value FROM r", ""), day()).await.unwrap().data
    };
    assert_eq!(read("true").await, ArmSums::Value { value: 2.0 });
    assert_eq!(read("false").await, ArmSums::Value { value: 3.0 });
}

#[tokio::test]
async fn the_statements_for_a_user_name_the_tables_of_the_queries() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    execute(&emulator, "CREATE TABLE orders (a Int64) ORDER BY tuple()").await;
    let role = source(config(&emulator.url))
        .reader_role(&["SELECT count(*) AS value FROM orders".to_owned()])
        .await
        .unwrap()
        .unwrap();
    assert!(role.contains(&"GRANT SELECT ON `default`.`orders` TO outcome_reader;".to_owned()), "{role:?}");
}

/// A conversion of a text in a column that may be NULL is NULL where the text is no number: values would be missing without a word.
#[tokio::test]
async fn an_amount_that_is_no_number_is_no_reading_and_not_nothing() {
    let Some(emulator) = emulator::start("clickhouse") else { return };
    let shown = |at: jiff::Timestamp| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string();
    made(&emulator, &metrics::tables("DateTime", "String", shown)).await;
    metrics::all(config(&emulator.url)).await;
    execute(&emulator, "INSERT INTO orders SELECT 9999, user_id, created_at, 'many', 'paid' FROM orders LIMIT 1").await;
    let error =
        source(config(&emulator.url)).level(&metrics::signal("revenue"), metrics::everybody()).await.unwrap_err();
    assert!(error.to_string().contains("error 6: a text is not a value"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_up_or_says_nothing_is_said_without_its_address() {
    let mut asked = signal("SELECT 1 AS value WHERE 'a' = :segment_kind", "");
    asked.segment.insert("kind".to_owned(), "s3cret".to_owned());
    let url = raw(String::new()).await;
    let error = source(config(&url)).level(&asked, day()).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), (Code::SignalFetchFailed, true), "{error}");
    assert!(!format!("{error:?}").contains("s3cret") && !format!("{error:?}").contains("param_"), "{error:?}");

    let silent = canned(ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(20))).await;
    let source = source(SqlConfig { statement_timeout: "1s", ..config(&silent.uri()) });
    let error = source.level(&asked, day()).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), (Code::SignalTimeout, true), "{error}");
}
