//! A real Prometheus server, where one is installed. Without it a test says loudly that it was skipped; with `CI` set that is a failure.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};

use crate::peers::{run, runs, skip};
use crate::supervised;

/// How long a start may take on a machine that is busy.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How far apart values of the past are; a value holds for five minutes.
const STEP: SignedDuration = SignedDuration::from_mins(1);

/// A running server. It ends with this value, and with the test process.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    /// Held for its standard input.
    _supervisor: Child,
}

/// What a gauge was: from each instant on, up to the next or the end.
#[derive(Debug)]
pub struct Past<'a> {
    /// Its name.
    pub metric: &'a str,
    /// Since when it had which value.
    pub values: &'a [(Timestamp, f64)],
    /// Until when.
    pub until: Timestamp,
}

impl Prometheus {
    /// One that reads the numbers of this server each second; `None`, said loudly, where it is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn reading(target: SocketAddr) -> Result<Option<Self>> {
        let scrapes = format!("scrape_configs:\n- job_name: shop\n  static_configs: [{{ targets: [\"{target}\"] }}]\n");
        Self::start(&format!("global: {{ scrape_interval: 1s }}\n{scrapes}"), None).await
    }

    /// One that remembers what a gauge was, and reads nothing; `None`, said loudly, where it is not installed.
    ///
    /// # Errors
    /// As above.
    pub async fn remembering(past: &Past<'_>) -> Result<Option<Self>> {
        Self::start("global: { scrape_interval: 1m }\n", Some(past)).await
    }

    async fn start(config: &str, past: Option<&Past<'_>>) -> Result<Option<Self>> {
        if !runs("prometheus") || !runs("promtool") {
            skip("prometheus is not installed");
            return Ok(None);
        }
        let dir = tempfile::Builder::new().prefix("outcome-prometheus-").tempdir()?.keep();
        std::fs::write(dir.join("prometheus.yml"), config)?;
        if let Some(past) = past {
            remember(&dir, past)?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Command::new("prometheus");
        server.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
        server.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
        server.args(["--storage.tsdb.retention.time=10y".to_owned(), format!("--web.listen-address=127.0.0.1:{port}")]);
        let supervisor = supervised::start(&server, "TERM", &dir, None)?;
        let url = format!("http://127.0.0.1:{port}");
        let until = Instant::now() + START_LIMIT;
        let is_ready = async || {
            let answer = reqwest::Client::builder().no_proxy().build()?.get(format!("{url}/-/ready")).send().await?;
            anyhow::Ok(answer.status().is_success())
        };
        while !is_ready().await.unwrap_or(false) {
            ensure!(Instant::now() < until, "Prometheus did not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Some(Self { url, _supervisor: supervisor }))
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn remember(dir: &Path, past: &Past<'_>) -> Result<()> {
    let mut text = format!("# TYPE {} gauge\n", past.metric);
    for (index, (since, value)) in past.values.iter().enumerate() {
        let end = past.values.get(index + 1).map_or(past.until, |next| next.0);
        let mut at = *since;
        while at < end {
            writeln!(text, "{} {value} {}", past.metric, at.as_second())?;
            at += STEP;
        }
    }
    text.push_str("# EOF\n");
    std::fs::write(dir.join("past.txt"), text)?;
    let made = ["tsdb", "create-blocks-from", "openmetrics", "past.txt", "data"];
    run(Command::new("promtool").current_dir(dir).args(made))?;
    Ok(())
}
