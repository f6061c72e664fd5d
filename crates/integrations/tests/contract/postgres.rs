//! A real PostgreSQL server.

use outcome_core::Code;
use outcome_core::domain::{ArmSums, Window};
use outcome_core::ports::VariantRequest;
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
        scanned: Some("exposure"),
        proposes: true,
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

/// The cure between `before` and the end of a hint, with this column for its example's.
fn cure(hint: &str, before: &str, example: &str, column: &str) -> String {
    let (_, rest) = hint.split_once(before).unwrap_or_else(|| panic!("{before} is not in {hint}"));
    rest.split('`').next().unwrap().replace(example, column)
}

#[tokio::test]
async fn a_hint_about_types_works_when_it_is_followed() {
    let Some(url) = database().await else { return };
    execute(
        &url,
        "CREATE TYPE plat AS ENUM ('mobile', 'web');
         CREATE TABLE typed (p plat, id uuid, at timestamptz, s bigint, ms bigint, iso text, tags text[]);
         INSERT INTO typed SELECT 'mobile', '3f2504e0-4f89-41d3-9a0c-0305e82c3301', t, extract(epoch FROM t), extract(epoch FROM t) * 1000,
           to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '{a,b,c}' FROM (SELECT '2026-11-20 12:00:00+00'::timestamptz AS t) x",
    )
    .await;
    let ask = async |config: SqlConfig, condition: &str| {
        let mut asked = signal(&format!("SELECT count(*) AS n, 0 AS successes FROM typed WHERE {condition}"), "");
        asked.segment.insert("platform".to_owned(), "mobile".to_owned());
        asked.segment.insert("id".to_owned(), "3f2504e0-4f89-41d3-9a0c-0305e82c3301".to_owned());
        source(config).level(&asked, day()).await
    };
    let hint_of = async |condition: &str| {
        let refused = ask(SqlConfig::new(&url), condition).await.unwrap_err();
        refused.hint().unwrap_or_else(|| panic!("no hint about {condition}: {refused}"))
    };
    let works = async |config: SqlConfig, condition: &str| {
        let got = ask(config, condition).await.unwrap_or_else(|error| panic!("{condition}: {error}"));
        assert_eq!(got.data, ArmSums::Proportion { n: 1, successes: 0 }, "{condition}");
    };
    for (column, parameter, kind) in [("p", ":segment_platform", "plat"), ("id", ":segment_id", "uuid")] {
        let hint = hint_of(&format!("{column} = {parameter}")).await;
        let cast =
            cure(&hint, "cast the parameter, as in `", ":segment_platform::my_enum", &format!("{parameter}::{kind}"));
        works(SqlConfig::new(&url), &format!("{column} = {cast}")).await;
        let cast = cure(&hint, "or the column, as in `", "column", column).replace(":segment_platform", parameter);
        works(SqlConfig::new(&url), &cast).await;
    }
    for (column, time_format) in [("s", "unix_seconds"), ("ms", "unix_millis"), ("iso", "iso8601")] {
        let condition = format!("{column} >= :from AND {column} < :to");
        let hint = hint_of(&condition).await;
        assert!(hint.contains(time_format), "{hint}");
        works(SqlConfig { time_format, ..SqlConfig::new(&url) }, &condition).await;
        if column != "ms" {
            let cast = cure(&hint, "or cast it, as in `", "column", column);
            works(SqlConfig::new(&url), &cast).await;
        }
    }
    for slice in ["tags[1:2]", "tags[:2]", "tags[1: 2]", "tags[1:array_length(tags, 1) - 1]"] {
        works(SqlConfig::new(&url), &format!("array_length({slice}, 1) = 2 AND at >= :from AND at < :to")).await;
    }
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

/// The server plans for what it last counted, and so for one unit of a flag that is new. Reading all events once for each unit would take
/// minutes.
#[tokio::test]
async fn a_new_flag_that_the_server_has_not_counted_is_read_in_time() {
    let Some(url) = database().await else { return };
    let tables = metrics::tables("timestamptz", "numeric(12, 2)", |_| "now()".to_owned());
    let create: Vec<String> = tables.into_iter().filter(|sql| sql.starts_with("CREATE")).collect();
    execute(&url, &create.join(";")).await;
    execute(
        &url,
        "ALTER TABLE exposures SET (autovacuum_enabled = false); ALTER TABLE orders SET (autovacuum_enabled = false);
         INSERT INTO exposures SELECT i, 'older', 'control', timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute', 0
         FROM generate_series(1, 20000) i;
         INSERT INTO orders SELECT i, i, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute', 5, 'paid'
         FROM generate_series(1, 20000) i;
         ANALYZE exposures; ANALYZE orders;
         INSERT INTO exposures SELECT i, 'fast', CASE WHEN i % 2 = 0 THEN 'control' ELSE 'o''n' END,
           timestamptz '2026-03-20 10:00:00+00' + i * interval '1 minute', 0 FROM generate_series(1, 8000) i;
         INSERT INTO orders SELECT i, i, timestamptz '2026-03-20 11:00:00+00' + i * interval '1 minute', 5, 'paid'
         FROM generate_series(1, 8000) i",
    )
    .await;
    let source = source(SqlConfig { statement_timeout: "5s", ..SqlConfig::new(&url) });
    let launched_at = "2026-03-20T09:30:00Z".parse().unwrap();
    let as_of = "2026-04-14T09:30:00Z".parse().unwrap();
    let window = Window { from: launched_at, to: as_of };
    let of =
        VariantRequest { flag_key: "fast".to_owned(), window, launched_at, as_of, on_until: None, ..request(day()) };
    let read = source.by_variant(&metrics::signal("share"), &of).await.unwrap();
    assert_eq!(read.data.iter().filter_map(|arm| arm.sums.n()).sum::<i64>(), 8000);
}
