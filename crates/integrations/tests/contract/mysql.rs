//! A real MySQL or MariaDB server as a source.

use outcome_core::Code;
use outcome_core::domain::ArmSums;
use outcome_tests::mariadb;
use pretty_assertions::assert_eq;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use super::contract::{self, KEYED, ROWS, SqlConfig, Subject, day, signal, source};
use super::{fifteen, metrics};

async fn execute(url: &str, sql: &str) {
    let mut conn = MySqlConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// The URL of a fresh database of this name with the contract's tables; `None`, said loudly, without a server.
async fn database(name: &str) -> Option<String> {
    let server = match mariadb::server() {
        Ok(server) => server,
        Err(skip) => {
            eprintln!("{skip}");
            return None;
        }
    };
    let url = server.database(name).await.unwrap();
    execute(
        &url,
        "CREATE TABLE exposure (unit VARCHAR(20), variant ENUM('control', 'treatment'), at DATETIME(6), converted INT,
             amount DECIMAL(12, 2));
         CREATE TABLE note (body TEXT); INSERT INTO note VALUES ('naïve — 世界')",
    )
    .await;
    execute(&url, ROWS).await;
    execute(&url, KEYED).await;
    Some(url)
}

#[tokio::test]
async fn a_mysql_database_is_a_source() {
    let Some(url) = database("contract").await else { return };
    execute(
        &url,
        "CREATE FUNCTION sneak() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO note VALUES ('x'); RETURN 1; END",
    )
    .await;
    contract::all(&Subject {
        config: SqlConfig::new(&url),
        url,
        server: ".",
        slow: "SELECT 1 AS value FROM (SELECT SLEEP(60) AS s) AS q",
        sneaky_write: Some("SELECT sneak() AS value"),
        not_finite: "'nan'",
        table: "contract.exposure",
        scanned: Some("exposure"),
        proposes: true,
    })
    .await;
}

#[tokio::test]
async fn numbers_of_every_type_are_read() {
    let Some(url) = database("numbers").await else { return };
    let source = source(SqlConfig::new(&url));
    execute(
        &url,
        "CREATE TABLE t (a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT UNSIGNED, e BIGINT, f BIGINT UNSIGNED,
             g FLOAT, h DOUBLE, i DECIMAL(10, 3), j CHAR(5), k TEXT, l BLOB, z TIMESTAMP NULL);
         INSERT INTO t VALUES (12, 12, 12, 12, 12, 12, 12, 12, 12, '12', '12', '12', NULL)",
    )
    .await;
    for column in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "sum(a)", "count(*) * 12", "12", "'12'"]
    {
        let query = format!("SELECT {column} AS n, {column} AS successes FROM t");
        let got = source.level(&signal(&query, ""), day()).await.unwrap_or_else(|e| panic!("{column}: {e}"));
        assert_eq!(got.data, ArmSums::Proportion { n: 12, successes: 12 }, "{column}");
    }
    for sql in ["18446744073709551615 AS n, 0 AS successes", "NOW() AS value", "POINT(1, 1) AS value"] {
        let error = source.level(&signal(&format!("SELECT {sql}"), ""), day()).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape, "{sql}: {error}");
    }
}

#[tokio::test]
async fn instants_are_bound_as_the_column_holds_them() {
    let Some(url) = database("instants").await else { return };
    execute(
        &url,
        "SET time_zone = '+00:00'; CREATE TABLE e (dt DATETIME, ts TIMESTAMP NULL, iso TEXT, s INT);
         INSERT INTO e VALUES ('2026-11-20 23:59:59', '2026-11-20 23:59:59', '2026-11-20T23:59:59Z', 1795219199),
             ('2026-11-21 00:00:00', '2026-11-21 00:00:00', '2026-11-21T00:00:00Z', 1795219200)",
    )
    .await;
    for (format, column) in [("native", "dt"), ("native", "ts"), ("iso8601", "iso"), ("unix_seconds", "s")] {
        let source = source(SqlConfig { time_format: format, ..SqlConfig::new(&url) });
        let sql = format!("SELECT count(*) AS n, 0 AS successes FROM e WHERE {column} >= :from AND {column} < :to");
        let got = source.level(&signal(&sql, ""), day()).await.unwrap();
        assert_eq!(got.data, ArmSums::Proportion { n: 1, successes: 0 }, "{column}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let Some(url) = database("passwords").await else { return };
    let url = url.replace("root@", "nobody-here:s3cret@");
    let error = source(SqlConfig::new(url)).test().await.unwrap_err();
    assert_eq!(error.code(), Code::SignalUnauthorized, "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn metrics_are_what_the_rows_say() {
    let Some(url) = database("metrics").await else { return };
    let all = metrics::tables("DATETIME(6)", "DECIMAL(12, 2)", |at| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string());
    execute(&url, &all.join(";")).await;
    metrics::all(SqlConfig::new(&url)).await;
}

#[tokio::test]
async fn fifteen_metrics_are_what_the_rows_say() {
    let Some(url) = database("fifteen").await else { return };
    let all = fifteen::tables("DATETIME(6)", "DECIMAL(12, 2)", |at| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string());
    execute(&url, &all.join(";")).await;
    fifteen::all(SqlConfig::new(&url)).await;
}
