//! A real MySQL or MariaDB server: the one of `OUTCOME_TEST_MYSQL_URL` (an empty database that may be written), else a
//! MariaDB that is started here and ends with this process.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use outcome_core::Code;
use outcome_core::domain::ArmSums;
use pretty_assertions::assert_eq;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use super::contract::{self, ROWS, SqlConfig, Subject, day, signal, source};

/// As in `outcome_tests::postgres`: the pipe closes with the test process, however it ends.
const SUPERVISOR: &str = r#"
dir=$1; shift
"$@" >"$dir/log" 2>&1 </dev/null &
pid=$!
cat >/dev/null
kill -TERM $pid 2>/dev/null
wait $pid
rm -rf "$dir"
"#;

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]).collect();
    names.iter().find_map(|name| dirs.iter().map(|dir| dir.join(name)).find(|file| file.is_file()))
}

/// Starts MariaDB; its URL and its supervisor.
fn start() -> Result<(String, Child), String> {
    let server = program(&["mariadbd"]).ok_or("no `mariadbd` in PATH")?;
    let install = program(&["mariadb-install-db"]).ok_or("no `mariadb-install-db` in PATH")?;
    let dir = tempfile::Builder::new().prefix("outcome-mysql-").tempdir().unwrap();
    let is_root = std::fs::metadata(dir.path()).unwrap().uid() == 0;
    let user = is_root.then(|| owner(&["mysql", "nobody"]));
    let command = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(dir.path());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    if let Some((uid, gid)) = user {
        chown(dir.path(), Some(uid), Some(gid)).unwrap();
    }
    let data = format!("--datadir={}", dir.path().join("data").display());
    let made = command(&install)
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &data])
        .output();
    let made = made.map_err(|error| error.to_string())?;
    if !made.status.success() {
        return Err(format!("mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut shell = command(Path::new("/bin/sh"));
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.args(["-c", SUPERVISOR, "outcome-mysql"]).arg(dir.path()).arg(server);
    shell.args(["--no-defaults", "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", &data]);
    shell.arg(format!("--port={port}")).arg(format!("--socket={}", dir.path().join("sock").display()));
    let supervisor = shell.spawn().map_err(|error| error.to_string())?;
    let _ = dir.keep();
    Ok((format!("mysql://root@127.0.0.1:{port}/mysql"), supervisor))
}

fn owner(names: &[&str]) -> (u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = names.iter().find_map(|name| passwd.lines().find(|line| line.starts_with(&format!("{name}:")))).unwrap();
    let fields: Vec<_> = line.split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

async fn execute(url: &str, sql: &str) {
    let mut conn = MySqlConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// The URL of a fresh database of this name with the contract's tables; `None`, said loudly, without a server.
async fn database(name: &str) -> Option<String> {
    static SERVER: OnceLock<Result<(String, Option<Child>), String>> = OnceLock::new();
    let server = SERVER.get_or_init(|| match std::env::var("OUTCOME_TEST_MYSQL_URL") {
        Ok(url) if !url.is_empty() => Ok((url, None)),
        _ => start().map(|(url, child)| (url, Some(child))),
    });
    let url = match server {
        Ok((url, _)) => url,
        Err(problem) => {
            assert!(std::env::var_os("CI").is_none(), "in CI nothing may be skipped: no MariaDB: {problem}");
            eprintln!("SKIPPED, no MySQL or MariaDB: {problem}");
            return None;
        }
    };
    let mut tries = 0;
    while let Err(error) = MySqlConnection::connect(url).await {
        tries += 1;
        assert!(tries < 600, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    execute(url, &format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4")).await;
    let (server, _) = url.rsplit_once('/').unwrap();
    let url = format!("{server}/{name}");
    execute(
        &url,
        "CREATE TABLE exposure (unit VARCHAR(20), variant ENUM('control', 'treatment'), at DATETIME(6), converted INT,
             amount DECIMAL(12, 2));
         CREATE TABLE note (body TEXT); INSERT INTO note VALUES ('naïve — 世界')",
    )
    .await;
    execute(&url, ROWS).await;
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
