//! A real PostgreSQL server.

use outcome_core::Code;
use outcome_core::domain::ArmSums;
use pretty_assertions::assert_eq;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::contract::{self, KEYED, ROWS, SqlConfig, Subject, day, request, signal, source};
use super::{fifteen, metrics};

/// The URL of a database with the contract's tables; `None`, said loudly, without a server.
async fn database() -> Option<String> {
    let server = match outcome_tests::postgres::server() {
        Ok(server) => server,
        Err(skip) => {
            eprintln!("{skip}");
            return None;
        }
    };
    let url = server.database().await;
    execute(&url, "CREATE TYPE arm AS ENUM ('control', 'treatment')").await;
    execute(
        &url,
        "CREATE TABLE exposure (unit text, variant arm, at timestamptz, converted int, amount numeric(12, 2));
         CREATE TABLE note (body text); INSERT INTO note VALUES ('naïve — 世界'); SET TIME ZONE 'UTC';",
    )
    .await;
    execute(&url, &format!("SET TIME ZONE 'UTC'; {ROWS}")).await;
    execute(&url, KEYED).await;
    Some(url)
}

async fn execute(url: &str, sql: &str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_postgresql_database_is_a_source() {
    let Some(url) = database().await else { return };
    contract::all(&Subject {
        config: SqlConfig::new(&url),
        url,
        server: "PostgreSQL ",
        slow: "SELECT 1 AS value FROM pg_sleep(60)",
        sneaky_write: Some(
            "WITH x AS (INSERT INTO note (body) VALUES ('x') RETURNING body) SELECT count(*) AS value FROM x",
        ),
        not_finite: "'NaN'::numeric",
        table: "public.exposure",
    })
    .await;
}

#[tokio::test]
async fn numbers_of_every_type_are_read() {
    let Some(url) = database().await else { return };
    let source = source(SqlConfig::new(&url));
    for sql in [
        "12::smallint",
        "12::int",
        "12::bigint",
        "12::real",
        "12::float8",
        "12::numeric",
        "12.000::numeric(10, 3)",
        "'12'::text",
        "'12'::varchar(5)",
        "'12'::char(5)",
        "sum(12::bigint)",
        "count(*) * 12",
    ] {
        let query = format!("SELECT {sql} AS n, {sql} AS successes FROM note");
        let got = source.level(&signal(&query, ""), day()).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(got.data, ArmSums::Proportion { n: 12, successes: 12 }, "{sql}");
    }
    for (sql, value) in [
        ("123456789012345678.25", 123_456_789_012_345_678.25),
        ("-0.000000125", -0.000_000_125),
        ("1e20::numeric", 1e20),
        ("-98765.4321", -98_765.432_1),
        ("0.1::real", f64::from(0.1_f32)),
        ("'1e-5'::text", 1e-5),
    ] {
        let got = source.level(&signal(&format!("SELECT {sql} AS value"), ""), day()).await.unwrap();
        assert_eq!(got.data, ArmSums::Value { value }, "{sql}");
    }
    for sql in ["'infinity'::float8", "'NaN'::float8", "now()", "'{1}'::int[]", "true", "'1'::money", "1e200::numeric"]
    {
        let error = source.level(&signal(&format!("SELECT {sql} AS value"), ""), day()).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape, "{sql}: {error}");
    }
}

#[tokio::test]
async fn an_error_points_into_the_query_as_written() {
    let Some(url) = database().await else { return };
    let source = source(SqlConfig::new(&url));
    let sql = "SELECT count(*) AS n, 0 AS successes\nFROM exposure -- é\nWHERE at >= :from AND at < :to AND é.nope = 1";
    let error = source.level(&signal(sql, ""), day()).await.unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("refused the query of `paid` at line 3, column 36: "), "{shown}");
}

#[tokio::test]
async fn columns_without_a_time_zone_are_utc_whatever_the_server_thinks() {
    let Some(url) = database().await else { return };
    execute(
        &url,
        "CREATE TABLE e (at timestamp); INSERT INTO e VALUES ('2026-11-20 00:00:00'), ('2026-11-21 00:00:00')",
    )
    .await;
    let name = url.rsplit('/').next().unwrap();
    execute(&url, &format!("ALTER DATABASE {name} SET TIME ZONE 'Asia/Tokyo'")).await;
    let source = source(SqlConfig::new(&url));
    let sql = "SELECT count(*) AS n, 0 AS successes FROM e WHERE at >= :from AND at < :to";
    assert_eq!(source.level(&signal(sql, ""), day()).await.unwrap().data, ArmSums::Proportion { n: 1, successes: 0 });
}

#[tokio::test]
async fn refused_credentials_and_rights_are_told_apart_from_a_lost_server() {
    let Some(url) = database().await else { return };
    execute(&url, "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$").await;
    let reader = url.replace("postgres@", "reader:s3cret@");
    let error = source(SqlConfig::new(&reader)).level(&signal("SELECT count(*) AS value FROM note", ""), day()).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::SignalUnauthorized, "{error}");
    assert!(
        error.to_string().ends_with("SQLSTATE 42501: the user may not read something that the query uses"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("`outcome-runtime connectors role shop`"));

    let stranger = url.replace("postgres@", "stranger:s3cret@");
    let error = source(SqlConfig::new(&stranger)).test().await.unwrap_err();
    assert_eq!(error.code(), Code::SignalUnauthorized, "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = source(SqlConfig::new(format!("postgres://u:s3cret@127.0.0.1:{port}/x")));
    let error = nowhere.by_variant(&signal("", "SELECT 1"), &request(day())).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), (Code::SignalFetchFailed, true), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn metrics_are_what_the_rows_say() {
    let Some(url) = database().await else { return };
    let all = metrics::tables("timestamptz", "numeric(12, 2)", |at| at.strftime("'%Y-%m-%d %H:%M:%S+00'").to_string());
    execute(&url, &all.join(";")).await;
    metrics::all(SqlConfig::new(&url)).await;
    // A zone with summer time begins in the middle of it, and columns without a zone are UTC.
    execute(
        &url,
        "ALTER ROLE CURRENT_USER SET TIME ZONE 'Europe/Berlin';
         ALTER TABLE exposures ALTER seen_at TYPE timestamp USING seen_at AT TIME ZONE 'UTC';
         ALTER TABLE orders ALTER created_at TYPE timestamp USING created_at AT TIME ZONE 'UTC', ALTER total TYPE float8",
    )
    .await;
    metrics::all(SqlConfig::new(&url)).await;
    execute(&url, "ALTER ROLE CURRENT_USER RESET TIME ZONE").await;
}

#[tokio::test]
async fn fifteen_metrics_are_what_the_rows_say() {
    let Some(url) = database().await else { return };
    let all = fifteen::tables("timestamptz", "numeric(12, 2)", |at| at.strftime("'%Y-%m-%d %H:%M:%S+00'").to_string());
    execute(&url, &all.join(";")).await;
    fifteen::all(SqlConfig::new(&url)).await;
}
