//! A MySQL or MariaDB server for tests: one a test process, in a temporary directory, which ends with the process.
//!
//! `OUTCOME_TEST_MYSQL_URL` names a running server to use instead (an empty database whose user may make others).
//! `tests/run` sets it, so that the server is started once for all tests.

use std::fmt;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Child;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};

use crate::supervised::{self, User, command, program};

/// Why there is no server. Print it: a skipped test must not look like a passed one.
#[derive(Debug, Clone)]
pub struct Skip(String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SKIPPED, no MySQL or MariaDB: {}", self.0)
    }
}

/// A running server.
#[derive(Debug)]
pub struct MariadbServer {
    url: String,
    /// Held for its standard input; `None` for a server that ran before.
    #[expect(dead_code, reason = "held so that the server lives")]
    supervisor: Option<Child>,
}

/// The server of this process; started by the first call.
///
/// # Errors
/// [`Skip`] when there is none and none can be started.
///
/// # Panics
/// Instead of that, when `CI` is set.
pub fn server() -> Result<&'static MariadbServer, Skip> {
    static SERVER: OnceLock<Result<MariadbServer, Skip>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let given = std::env::var("OUTCOME_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty());
        let started = match given {
            Some(url) => Ok(MariadbServer { url, supervisor: None }),
            None => start(),
        };
        started.map_err(|error| Skip(format!("{error:#}")))
    });
    if let Err(skip) = server {
        assert!(std::env::var_os("CI").is_none(), "in CI nothing may be skipped: {skip}");
    }
    server.as_ref().map_err(Clone::clone)
}

impl MariadbServer {
    /// The address of its own database: `mysql://root@127.0.0.1:PORT/mysql`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it answers, at most a minute.
    ///
    /// # Errors
    /// When it does not.
    pub async fn is_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            match MySqlConnection::connect(&self.url).await {
                Ok(conn) => return Ok(conn.close().await?),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Makes a fresh, empty database of this name, in place of one that was there, and returns its URL. Tests that run
    /// beside each other need different names.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn database(&self, name: &str) -> Result<String> {
        self.is_ready().await?;
        let mut conn = MySqlConnection::connect(&self.url).await?;
        let sql = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await?;
        conn.close().await?;
        let (server, _) = self.url.rsplit_once('/').context("OUTCOME_TEST_MYSQL_URL names no database")?;
        Ok(format!("{server}/{name}"))
    }
}

fn start() -> Result<MariadbServer> {
    let server = program(&["mariadbd"]).context("no `mariadbd` in PATH")?;
    let install = program(&["mariadb-install-db"]).context("no `mariadb-install-db` in PATH")?;
    let dir = tempfile::Builder::new().prefix("outcome-mysql-").tempdir()?;
    let is_root = std::fs::metadata(dir.path())?.uid() == 0;
    let user = if is_root { Some(User::first_of(&["mysql", "nobody"])?) } else { None };
    if let Some(user) = user {
        chown(dir.path(), Some(user.uid), Some(user.gid))?;
    }
    let data = format!("--datadir={}", dir.path().join("data").display());
    let made = command(&install, dir.path(), user)
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &data])
        .output()
        .context("mariadb-install-db")?;
    if !made.status.success() {
        bail!("mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut run = command(&server, dir.path(), user);
    run.args(["--no-defaults", "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", &data]);
    run.arg(format!("--port={port}")).arg(format!("--socket={}", dir.path().join("sock").display()));
    let supervisor = supervised::start(&run, "TERM", dir.path(), user)?;
    // From here on the supervisor removes the directory.
    let _ = dir.keep();
    Ok(MariadbServer { url: format!("mysql://root@127.0.0.1:{port}/mysql"), supervisor: Some(supervisor) })
}
