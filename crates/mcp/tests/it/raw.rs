//! The program with its three pipes in the hands of the test, for clients that behave as no client should.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use outcome_tests::mcp::{LEGACY, MODERN};
use serde_json::{Value, json};

use super::program;

/// A server; both of its outputs are read from the start.
pub struct Raw {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<Reader>,
    stderr: Reader,
}

/// What has come out of a pipe so far.
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn new(mut pipe: impl std::io::Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut some) {
                all.lock().unwrap().extend_from_slice(&some[..n]);
            }
        });
        Self { bytes, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn whole(self) -> Result<String> {
        self.thread.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
        Ok(String::from_utf8(self.bytes.lock().unwrap().clone())?)
    }
}

/// How a server ended.
pub struct Ended {
    pub status: ExitStatus,
    /// From the end of its input.
    pub took: Duration,
    pub stdout: String,
    pub stderr: String,
}

impl Raw {
    pub fn spawn(root: &Path, env: &[(&str, String)]) -> Result<Self> {
        Self::start(root, env, true)
    }

    /// With a standard output that nobody reads.
    pub fn spawn_deaf(root: &Path, env: &[(&str, String)]) -> Result<Self> {
        Self::start(root, env, false)
    }

    fn start(root: &Path, env: &[(&str, String)], is_read: bool) -> Result<Self> {
        let mut command = Command::new(program());
        command.current_dir(root).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in outcome_tests::programs::SETTINGS {
            command.env_remove(name);
        }
        let mut child = command.envs(env.iter().map(|(name, value)| (name, value))).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().filter(|_| is_read).map(Reader::new);
        let stderr = Reader::new(child.stderr.take().context("no standard error")?);
        Ok(Self { child, stdin, stdout, stderr })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes; a server that has left is no error here.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
        }
    }

    /// True when the request with this id has its answer.
    pub fn has_answered(&self, id: i64) -> bool {
        let is_it = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|message| message["id"] == id);
        self.stdout.as_ref().is_some_and(|stdout| stdout.so_far().lines().any(is_it))
    }

    /// Closes the input and waits for the end.
    pub fn close(mut self) -> Result<Ended> {
        drop(self.stdin.take());
        self.end()
    }

    /// Kills it.
    pub fn kill(mut self) -> Result<Ended> {
        self.child.kill()?;
        self.end()
    }

    fn end(mut self) -> Result<Ended> {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if began.elapsed() > Duration::from_secs(10) {
                self.child.kill()?;
                anyhow::bail!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = began.elapsed();
        Ok(Ended {
            status,
            took,
            stdout: self.stdout.map_or(Ok(String::new()), Reader::whole)?,
            stderr: self.stderr.whole()?,
        })
    }
}

impl Ended {
    /// The lines of the standard output, each of which must be a message; the last one may be cut where it was killed.
    pub fn messages(&self) -> Result<Vec<Value>> {
        let until_cut = self.stdout.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let whole = if self.status.success() { self.stdout.as_str() } else { until_cut };
        let message = |line: &str| {
            let message: Value = serde_json::from_str(line).with_context(|| format!("not of the protocol: {line}"))?;
            anyhow::ensure!(message["jsonrpc"] == "2.0", "not of the protocol: {line}");
            Ok(message)
        };
        whole.lines().map(message).collect()
    }

    /// The result of the request with this id.
    pub fn result(&self, id: i64) -> Result<Value> {
        let message = self.messages()?.into_iter().find(|message| message["id"] == id);
        Ok(message.with_context(|| format!("no answer to {id}: {}{}", self.stdout, self.stderr))?["result"].clone())
    }
}

/// A whole session of this era as lines: what begins it, then these calls with the ids 1, 2, ...
pub fn session_lines(version: &str, calls: &[(&str, Value)]) -> Vec<String> {
    let client = json!({ "name": "plain-client", "version": "1" });
    let mut lines = Vec::new();
    if version != MODERN {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client });
        lines.push(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }));
        lines.push(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }
    for (number, (tool, arguments)) in calls.iter().enumerate() {
        let mut params = json!({ "name": tool, "arguments": arguments });
        if version == MODERN {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": client,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        lines.push(json!({ "jsonrpc": "2.0", "id": number + 1, "method": "tools/call", "params": params }));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Processes that still work in this folder.
#[cfg(target_os = "linux")]
pub fn left_behind(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(root)))
        .map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default().replace('\0', " "))
        .collect()
}
