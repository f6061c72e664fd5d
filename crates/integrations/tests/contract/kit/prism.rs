//! Prism, a mock that is made from a vendor's specification: each request that a source or a flag service sent to a stand-in is sent again to it, and it
//! says what the specification does not allow. <https://github.com/stoplightio/prism>
//!
//! The specifications are beside the repository, in `../shared/contracts/specs`. Without them, or without Node, this is skipped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use outcome_tests::peers::{run, runs, skip};
use serde_json::Value;
use wiremock::{MockServer, Request};

/// The last one for Node 20. `tests/run` fetches it before the tests.
const PRISM: &str = "@stoplight/prism-cli@5.14.2";

/// A running mock.
pub(crate) struct Prism {
    child: Child,
    url: String,
    #[expect(dead_code, reason = "held so that the file lives")]
    dir: tempfile::TempDir,
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contracts/specs")
}

/// Where the programs of the package are, in the cache of npx.
fn program() -> Result<PathBuf> {
    let found =
        run(Command::new("npx").args(["--yes", "--prefer-offline", "--package", PRISM, "--", "which", "prism"]))?;
    Ok(PathBuf::from(found.trim()))
}

impl Prism {
    /// A mock of a specification; `None` (said loudly) where there is none.
    pub(crate) fn start(spec: &str) -> Result<Option<Self>> {
        let file = specs().join(format!("{spec}.openapi.json"));
        if !file.exists() {
            eprintln!("SKIPPED: {spec}: the specifications are not beside the repository");
            return Ok(None);
        }
        if !runs("node") || !runs("npx") {
            skip(&format!("{spec}: there is no node with npx"));
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        let copy = dir.path().join("spec.json");
        std::fs::write(&copy, with_prefix(&whole(spec, &file)?)?)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(program()?)
            .args(["mock", "-h", "127.0.0.1", "-m", "false", "-p", &port.to_string()])
            .arg(&copy)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mock = Self { child, url: format!("http://127.0.0.1:{port}"), dir };
        let until = Instant::now() + Duration::from_mins(1);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < until, "Prism did not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Some(mock))
    }

    /// Sends everything that the stand-in got, and expects nothing to be wrong with it.
    ///
    /// # Errors
    /// With what the specification does not allow.
    pub(crate) async fn accepts(&self, stand_in: &MockServer) -> Result<()> {
        let requests = stand_in.received_requests().await.context("nothing was recorded")?;
        ensure!(!requests.is_empty(), "nothing was asked");
        for request in &requests {
            let asked = || format!("{} {}", request.method, request.url);
            let (status, violations) = self.replay(request).await.with_context(asked)?;
            let of_request: Vec<_> = violations.iter().filter(|entry| is_of_request(entry)).collect();
            if !(200..300).contains(&status) || !of_request.is_empty() {
                bail!("{} {}: status {status}, {of_request:?}", request.method, request.url);
            }
        }
        Ok(())
    }

    /// True when a GET of this path is not what the specification allows: that it says so at all.
    pub(crate) async fn refuses(&self, path: &str) -> Result<bool> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(client.get(format!("{}{path}", self.url)).send().await?.status().is_client_error())
    }

    /// The status and what was wrong.
    async fn replay(&self, request: &Request) -> Result<(u16, Vec<Value>)> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let address = format!("{}{}", self.url, &request.url[url::Position::BeforePath..]);
        let method = reqwest::Method::from_bytes(request.method.as_str().as_bytes())?;
        let mut again = client.request(method, address).body(request.body.clone());
        for (name, value) in &request.headers {
            if !["host", "content-length", "accept-encoding"].contains(&name.as_str()) {
                again = again.header(name.as_str(), value.as_bytes());
            }
        }
        let answer = again.send().await?;
        let status = answer.status().as_u16();
        let header =
            answer.headers().get("sl-violations").map(|value| value.to_str().map(str::to_owned)).transpose()?;
        let violations = header.map_or(Ok(Vec::new()), |text| entries(&text))?;
        Ok((status, violations))
    }
}

/// A list that is too long for the header begins with a word and is cut.
fn entries(text: &str) -> Result<Vec<Value>> {
    let Some((_, cut)) = text.split_once("Too many violations! ") else { return Ok(serde_json::from_str(text)?) };
    ensure!(!cut.contains(r#""location":["request""#), "the request is wrong: {cut}");
    Ok(Vec::new())
}

/// A specification, with the paths of `more/` that were cut from it and are used.
fn whole(spec: &str, file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)?;
    let more = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/contract/kit/more/{spec}.json"));
    if !more.exists() {
        return Ok(text);
    }
    let mut found: Value = serde_json::from_str(&text)?;
    let more: Value = serde_json::from_str(&std::fs::read_to_string(more)?)?;
    let paths = found["paths"].as_object_mut().context("no paths")?;
    paths.extend(more["paths"].as_object().context("no more paths")?.clone());
    Ok(found.to_string())
}

fn is_of_request(entry: &Value) -> bool {
    entry["location"][0].as_str().is_some_and(|place| place == "request")
}

/// Prism does not serve the path of `servers`, so it goes into each path.
fn with_prefix(text: &str) -> Result<String> {
    let mut spec: Value = serde_json::from_str(text)?;
    let server = spec["servers"][0]["url"].as_str().unwrap_or_default().to_owned();
    let rest =
        server.split_once("://").map_or(server.as_str(), |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    let prefix = rest.trim_end_matches('/').to_owned();
    let paths = spec["paths"].as_object().context("no paths")?;
    let moved: serde_json::Map<_, _> =
        paths.iter().map(|(path, item)| (format!("{prefix}{path}"), item.clone())).collect();
    spec["paths"] = Value::Object(moved);
    spec["servers"] = serde_json::json!([{ "url": "/" }]);
    Ok(spec.to_string())
}
