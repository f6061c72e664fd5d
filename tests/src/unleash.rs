//! A real Unleash server with a database of its own on the tests' PostgreSQL: `unleash-server` of npm, pinned in `tests/clients/unleash`.
//!
//! The first start makes its tables and takes about 20 s, so a test process starts one, and its tests use flags of their own names.
//! It has the project `default` with the environments `development` and `production`. Without Node or PostgreSQL a test says loudly
//! that it was skipped; with `CI` set that is a failure.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::peers::{npm, run, skip};
use crate::{postgres, supervised};

/// A token that may do everything with the admin API.
pub const ADMIN_TOKEN: &str = "*:*.outcome-tests-admin";
/// The token with which applications ask for flags of `development`.
pub const CLIENT_TOKEN: &str = "default:development.outcome-tests-client";
/// How long a start may take on a machine that is busy.
const START_LIMIT: Duration = Duration::from_mins(3);

/// A running server. It ends with this value, and with the test process.
#[derive(Debug)]
pub struct Unleash {
    url: String,
    packages: PathBuf,
    client: Client,
    database: String,
    /// Held for its standard input.
    supervisor: Child,
}

impl Unleash {
    /// Starts one; `None`, said loudly, where it cannot run.
    ///
    /// # Panics
    /// Instead of that, when `CI` is set.
    pub async fn start() -> Option<Self> {
        let server = match postgres::server() {
            Ok(server) => server,
            Err(why) => {
                eprintln!("{why}");
                return None;
            }
        };
        let started = async {
            let Some(packages) = npm("unleash")? else { return Ok(None) };
            start(packages, server.database().await).await.map(Some)
        };
        started.await.map_err(|error: anyhow::Error| skip(&format!("Unleash: {error:#}"))).ok().flatten()
    }

    /// Its address, without `/api`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its database, for what its API does not let a test set up.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The flag as an SDK gets it from `GET /api/client/features`; `None` when it is not in the answer. The server looks once a second
    /// whether something changed.
    ///
    /// # Errors
    /// When there is no such answer.
    pub async fn as_sdk(&self, flag: &str) -> Result<Option<Value>> {
        let address = format!("{}/api/client/features", self.url);
        let answer = self.client.get(address).header("authorization", CLIENT_TOKEN).send().await?;
        let found: Value = answer.error_for_status()?.json().await?;
        let all = found["features"].as_array().context("no `features`")?;
        Ok(all.iter().find(|one| one["name"] == flag).cloned())
    }

    /// How many of `n` units the vendor's own SDK gives the treatment, with the unit's id in the context's field `stickiness`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn n_on(&self, flag: &str, stickiness: &str, n: u32) -> Result<u64> {
        let mut command = Command::new("node");
        command.arg(self.packages.join("evaluate.mjs")).args([&self.url, CLIENT_TOKEN, flag, stickiness]);
        let said: Value = serde_json::from_str(&run(command.arg(n.to_string()))?)?;
        said["n_on"].as_u64().context("no `n_on`")
    }

    /// Asks the admin API below `/api/admin`, as a person with all rights: status and answer, `null` where it is none.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.ask(ADMIN_TOKEN, method, path, body).await
    }

    /// The same with another token.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn ask(&self, token: &str, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let request = self.client.request(method, format!("{}/api/admin/{path}", self.url));
        let request = request.header("authorization", token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }

    /// Ends it and waits until it has ended.
    ///
    /// # Errors
    /// When its supervisor is lost.
    pub fn stop(mut self) -> Result<()> {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait()?;
        Ok(())
    }
}

async fn start(packages: PathBuf, database: String) -> Result<Unleash> {
    let dir = tempfile::Builder::new().prefix("outcome-unleash-").tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = supervised::command(Path::new("node"), dir.path(), None);
    server.arg(packages.join("node_modules/unleash-server/dist/server.js")).envs([
        ("DATABASE_URL", database.as_str()),
        ("DATABASE_SSL", "false"),
        ("HTTP_HOST", "127.0.0.1"),
        ("PORT", &port.to_string()),
        ("INIT_ADMIN_API_TOKENS", ADMIN_TOKEN),
        ("INIT_CLIENT_API_TOKENS", CLIENT_TOKEN),
        ("CHECK_VERSION", "false"),
        ("SEND_TELEMETRY", "false"),
        ("LOG_LEVEL", "error"),
    ]);
    let supervisor = supervised::start(&server, "TERM", dir.path(), None)?;
    // From here on the supervisor removes the directory.
    let log = dir.keep().join("log");
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    let unleash = Unleash { url: format!("http://127.0.0.1:{port}"), packages, client, database, supervisor };
    is_ready(&unleash, &log).await?;
    Ok(unleash)
}

/// Waits until it says that it is well.
async fn is_ready(unleash: &Unleash, log: &Path) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Ok(answer) = unleash.client.get(format!("{}/health", unleash.url)).send().await {
            ensure!(answer.status().is_success(), "it answers {}", answer.status());
            return Ok(());
        }
        if Instant::now() > deadline {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            bail!("it did not start: {}", said.trim().replace('\n', "; "));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
