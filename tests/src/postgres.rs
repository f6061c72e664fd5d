//! A PostgreSQL server for tests: one a test process, in a temporary directory, which ends with the process.
//!
//! ```no_run
//! # async fn example() {
//! let server = match outcome_tests::postgres::server() {
//!     Ok(server) => server,
//!     Err(skip) => return eprintln!("{skip}"),
//! };
//! let url = server.database().await;
//! # }
//! ```
//!
//! `OUTCOME_TEST_POSTGRES_URL` names a running server to use instead (its user must be allowed to make databases).
//! `tests/run` sets it, so that the server is started once for all tests. Where there is neither, the caller gets a [`Skip`] to print; with `CI` set that is a panic, since nothing may be
//! skipped there.

use std::fmt;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::supervised::{self, User};

/// Why there is no server. Print it: a skipped test must not look like a passed one.
#[derive(Debug, Clone)]
pub struct Skip(String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SKIPPED, no PostgreSQL: {}", self.0)
    }
}

/// A running server.
#[derive(Debug)]
pub struct PostgresServer {
    /// Without a database: `postgres://user@host:port`.
    address: Url,
    version: String,
    databases: AtomicU32,
    /// Held for its standard input; `None` for a server that was there before.
    supervisor: Option<Child>,
}

/// The server of this process; started by the first call.
///
/// # Errors
/// [`Skip`] when there is none and none can be started.
///
/// # Panics
/// Instead of that, when `CI` is set.
#[expect(clippy::panic, reason = "in CI nothing may be skipped")]
pub fn server() -> Result<&'static PostgresServer, Skip> {
    static SERVER: OnceLock<Result<PostgresServer, Skip>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let given = std::env::var("OUTCOME_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty());
        // A thread, because the caller may stand in a runtime that must not be blocked on itself.
        let started = std::thread::scope(|scope| scope.spawn(|| open(given.as_deref())).join());
        let started = started.unwrap_or_else(|_| bail!("the thread that starts it panicked"));
        started.map_err(|error| Skip(format!("{error:#}")))
    });
    if let Err(skip) = server
        && std::env::var_os("CI").is_some()
    {
        panic!("in CI nothing may be skipped: {skip}");
    }
    server.as_ref().map_err(Clone::clone)
}

impl PostgresServer {
    /// Its address without a database: `postgres://user@host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.as_str()
    }

    /// The server's version: `17.2`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Makes a fresh, empty database and returns its URL.
    pub async fn database(&self) -> String {
        self.database_from_template("template1").await
    }

    /// Makes a copy of the database `template` of this server (a name, not a URL) and returns its URL. Nobody may be
    /// connected to the template.
    ///
    /// # Panics
    /// When the server refuses.
    #[expect(clippy::panic, reason = "a test cannot go on without its database")]
    pub async fn database_from_template(&self, template: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let make = async {
            let mut conn = PgConnection::connect(self.url("postgres").as_str()).await?;
            if self.supervisor.is_none() {
                // A lasting server may have a database of this name from an earlier process with the same id.
                let drop = format!("DROP DATABASE IF EXISTS {}", quoted(&name));
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut conn).await?;
            }
            let create = format!("CREATE DATABASE {} TEMPLATE {}", quoted(&name), quoted(template));
            sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut conn).await?;
            conn.close().await
        };
        match make.await {
            Ok(()) => self.url(&name).into(),
            Err(error) => panic!("cannot make the database {name} from {template}: {error}"),
        }
    }

    fn url(&self, database: &str) -> Url {
        let mut url = self.address.clone();
        url.set_path(&format!("/{database}"));
        url
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn open(given: Option<&str>) -> Result<PostgresServer> {
    let (address, supervisor) = match given {
        Some(url) => (Url::parse(url).context("OUTCOME_TEST_POSTGRES_URL")?, None),
        None => {
            let (address, supervisor) = start()?;
            (address, Some(supervisor))
        }
    };
    let mut server = PostgresServer { address, version: String::new(), databases: AtomicU32::new(0), supervisor };
    server.version = version(&server)?;
    Ok(server)
}

fn version(server: &PostgresServer) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut conn = PgConnection::connect(server.url("postgres").as_str()).await?;
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut conn).await?;
        conn.close().await?;
        Ok(version)
    })
}

/// The directory with `initdb` and `postgres`.
fn binaries() -> Option<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").output().ok();
    let said = said.and_then(|out| Some(PathBuf::from(String::from_utf8(out.stdout).ok()?.trim())));
    let mut versions: Vec<_> =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let number =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    said.into_iter()
        .chain(versions.into_iter().map(|dir| dir.join("bin")))
        .chain(std::env::split_paths(&path))
        .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
}

fn command(program: &Path, dir: &Path, user: Option<User>) -> Command {
    let mut command = supervised::command(program, dir, user);
    command.env_remove("PGDATA").env_remove("PGOPTIONS");
    command
}

/// A client program that came with the server, for example `pg_dump`.
#[must_use]
pub fn client_program(name: &str) -> Option<PathBuf> {
    binaries().map(|bin| bin.join(name)).filter(|path| path.is_file())
}

fn start() -> Result<(Url, Child)> {
    let bin = binaries().context("no `initdb` and `postgres` beside pg_config, in /usr/lib/postgresql or in PATH")?;
    // Another process may take the port between its choice and the start.
    let mut tries = 0;
    loop {
        tries += 1;
        match start_once(&bin) {
            Err(error) if tries < 5 && error.to_string().contains("could not bind") => {}
            out => return out,
        }
    }
}

fn start_once(bin: &Path) -> Result<(Url, Child)> {
    let dir = tempfile::Builder::new().prefix("outcome-postgres-").tempdir()?;
    let is_root = std::fs::metadata(dir.path())?.uid() == 0;
    let user = if is_root { Some(User::first_of(&["postgres", "nobody"])?) } else { None };
    if let Some(user) = user {
        chown(dir.path(), Some(user.uid), Some(user.gid))?;
    }
    let data = dir.path().join("data");
    let made = command(&bin.join("initdb"), dir.path(), user)
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--pgdata"])
        .arg(&data)
        .output()
        .context("initdb")?;
    if !made.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = command(&bin.join("postgres"), dir.path(), user);
    server.arg("-D").arg(&data);
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "shared_buffers=32MB",
        "max_connections=200",
        &format!("port={port}"),
    ] {
        server.args(["-c", setting]);
    }
    let mut supervisor = supervised::start(&server, "INT", dir.path(), user)?;
    if let Err(error) = is_ready(&dir.path().join("log")) {
        drop(supervisor.stdin.take());
        supervisor.wait()?;
        return Err(error);
    }
    // From here on the supervisor removes the directory.
    let _ = dir.keep();
    Ok((Url::parse(&format!("postgres://postgres@127.0.0.1:{port}"))?, supervisor))
}

/// Waits for the server's own word, at most 30 s.
fn is_ready(log: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if text.contains("ready to accept connections") {
            return Ok(());
        }
        if text.contains("FATAL") || Instant::now() > deadline {
            bail!("postgres did not start: {}", text.trim().replace('\n', "; "));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A connection that looks at the runtime's own tables.
///
/// # Errors
/// What the server says.
pub async fn ours(url: &str) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql("SET search_path TO outcome_runtime").execute(&mut connection).await?;
    Ok(connection)
}
