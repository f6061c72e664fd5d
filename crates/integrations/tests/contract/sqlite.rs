//! SQLite files.

use outcome_core::Code;
use outcome_core::domain::ArmSums;
use pretty_assertions::assert_eq;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::contract::{self, KEYED, ROWS, SqlConfig, Subject, day, signal, source};
use super::{fifteen, metrics};

const SLOW: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1e12) SELECT sum(x) AS value FROM c";

async fn execute(conn: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await.unwrap();
}

async fn file(dir: &tempfile::TempDir) -> (String, SqliteConnection) {
    let path = dir.path().join("shop ünï.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut conn = options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
    execute(&mut conn, "CREATE TABLE exposure (unit TEXT, variant TEXT, at TEXT, converted INTEGER, amount NUMERIC)")
        .await;
    execute(&mut conn, "CREATE TABLE note (body TEXT); INSERT INTO note VALUES ('naïve — 世界')").await;
    execute(&mut conn, ROWS).await;
    execute(&mut conn, KEYED).await;
    (format!("sqlite:{}", path.display()), conn)
}

#[tokio::test]
async fn a_sqlite_file_is_a_source() {
    let dir = tempfile::tempdir().unwrap();
    let (url, _writer) = file(&dir).await;
    contract::all(&Subject {
        config: SqlConfig::new(&url),
        url,
        server: "SQLite 3.",
        slow: SLOW,
        sneaky_write: Some("WITH x AS (SELECT 1) INSERT INTO note SELECT 'x' FROM x"),
        not_finite: "9e999",
        table: "exposure",
        scanned: Some("exposure"),
        proposes: true,
    })
    .await;
}

#[tokio::test]
async fn instants_are_bound_as_the_column_holds_them() {
    let dir = tempfile::tempdir().unwrap();
    let (url, mut conn) = file(&dir).await;
    execute(&mut conn, "CREATE TABLE e (iso TEXT, s INTEGER, ms INTEGER)").await;
    execute(
        &mut conn,
        "INSERT INTO e VALUES ('2026-11-20T23:59:59Z', 1795219199, 1795219199999),
             ('2026-11-21T00:00:00Z', 1795219200, 1795219200000)",
    )
    .await;
    for (format, column) in [("iso8601", "iso"), ("unix_seconds", "s"), ("unix_millis", "ms")] {
        let source = source(SqlConfig { time_format: format, ..SqlConfig::new(&url) });
        let sql = format!("SELECT count(*) AS n, 0 AS successes FROM e WHERE {column} >= :from AND {column} < :to");
        let got = source.level(&signal(&sql, ""), day()).await.unwrap();
        assert_eq!(got.data, ArmSums::Proportion { n: 1, successes: 0 }, "{format}");
    }
}

#[tokio::test]
async fn a_missing_file_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.db");
    let source = source(SqlConfig::new(format!("sqlite:{}", path.display())));
    let error = source.level(&signal("SELECT 1 AS value", ""), day()).await.unwrap_err();
    assert_eq!(error.code(), Code::SignalFetchFailed, "{error}");
    assert!(error.is_transient());
    assert!(!path.exists());
}

#[tokio::test]
async fn metrics_are_what_the_rows_say() {
    for (format, column, shown) in [
        ("native", "TEXT", "'%Y-%m-%d %H:%M:%S'"),
        ("iso8601", "TEXT", "'%Y-%m-%dT%H:%M:%SZ'"),
        ("unix_seconds", "INTEGER", "%s"),
        ("unix_millis", "INTEGER", "%s000"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let mut conn = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
        let all = metrics::tables(column, "NUMERIC", |at| at.strftime(shown).to_string());
        execute(&mut conn, &format!("BEGIN; {}; COMMIT", all.join(";"))).await;
        metrics::all(SqlConfig { time_format: format, ..SqlConfig::new(format!("sqlite:{}", path.display())) }).await;
    }
}

/// SQLite compares what does not fit without a word.
#[tokio::test]
async fn columns_that_do_not_fit_are_named_with_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let mut conn = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    let all = metrics::tables("TEXT", "NUMERIC", |at| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string());
    execute(&mut conn, &format!("BEGIN; {}; COMMIT", all.join(";"))).await;
    let config = |time_format| SqlConfig { time_format, ..SqlConfig::new(format!("sqlite:{}", path.display())) };
    let signal = metrics::signal("revenue");
    let said = async |time_format| match source(config(time_format)).fits(&signal).await {
        Ok(()) => String::new(),
        Err(error) => format!("{error} / {}", error.hint().unwrap_or_default()),
    };
    assert_eq!(said("native").await, "");
    let other = said("iso8601").await;
    assert!(other.contains("`exposures.seen_at` has instants as `2026-11-20 10:00:00`"), "{other}");
    execute(&mut conn, "UPDATE orders SET created_at = replace(created_at, ' ', 'T') || '+02:00' WHERE id % 2 = 0")
        .await;
    let mixed = said("native").await;
    assert!(
        mixed.contains("`created_at` of its `sql` has instants in 2 ways") && mixed.contains("strftime"),
        "{mixed}"
    );
    execute(&mut conn, "UPDATE exposures SET user_id = 'u' || user_id").await;
    let joined = said("native").await;
    let wanted = "joins `user_id` of its `sql`, which holds numbers, to `exposures.user_id`, which holds texts";
    assert!(joined.contains(wanted) && joined.contains("CAST(user_id AS TEXT)"), "{joined}");
}

#[tokio::test]
async fn fifteen_metrics_are_what_the_rows_say() {
    for (format, column, shown) in [
        ("native", "TEXT", "'%Y-%m-%d %H:%M:%S'"),
        ("iso8601", "TEXT", "'%Y-%m-%dT%H:%M:%SZ'"),
        ("unix_seconds", "INTEGER", "%s"),
        ("unix_millis", "INTEGER", "%s000"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let mut conn = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
        let all = fifteen::tables(column, "NUMERIC", |at| at.strftime(shown).to_string());
        execute(&mut conn, &format!("BEGIN; {}; COMMIT", all.join(";"))).await;
        fifteen::all(SqlConfig { time_format: format, ..SqlConfig::new(format!("sqlite:{}", path.display())) }).await;
    }
}

#[tokio::test]
async fn a_metric_whose_tables_are_missing_is_no_query_to_run_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let (url, _writer) = file(&dir).await;
    let error = source(SqlConfig::new(&url)).level(&metrics::signal("revenue"), day()).await.unwrap_err();
    let said = format!("{error}; {}", error.hint().unwrap());
    assert!(said.contains("no such table: orders") && said.contains("correct the metric, its facts"), "{said}");
}
