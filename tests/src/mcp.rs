//! A plain MCP client for tests: it writes the lines itself, in either protocol era, so that nothing a real client would
//! tidy up stays hidden. Every tool result is checked on the way: the text is the structured content, nothing is null, and
//! nothing is larger than the budget.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::lab::Lab;

/// Newest revision, without a handshake.
pub const MODERN: &str = "2026-07-28";
/// Newest revision with a handshake.
pub const LEGACY: &str = "2025-11-25";
/// Longest answer of a tool, in bytes.
pub const MAX_ANSWER: usize = 10_000;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client and the server that it started.
pub struct McpClient {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    version: String,
    capabilities: Value,
    next_id: i64,
    /// Notifications that arrived while something else was waited for.
    pub notifications: VecDeque<Value>,
    /// What the client answers when it is asked to show a page; the requests are kept in `asked`.
    pub elicitation_answer: Value,
    /// Requests of the server to this client.
    pub asked: Vec<Value>,
}

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The structured content.
    pub value: Value,
    /// A failure for the model.
    pub is_error: bool,
}

impl McpClient {
    /// Starts `program` in `root` and begins a session of `version` with these client capabilities.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub async fn start(
        program: &Path,
        root: &Path,
        env: &[(&str, String)],
        version: &str,
        capabilities: Value,
    ) -> Result<Self> {
        let mut client = Self::spawn(program, root, env, version, capabilities)?;
        if version != MODERN {
            let params = json!({
                "protocolVersion": version,
                "capabilities": client.capabilities,
                "clientInfo": { "name": "plain-client", "version": "1" },
            });
            let answer = client.request("initialize", params).await?.map_err(|e| anyhow::anyhow!("{e}"))?;
            ensure!(answer["protocolVersion"] == version, "{answer}");
            client.line(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()).await?;
        }
        Ok(client)
    }

    /// Starts `program` and says nothing yet.
    ///
    /// # Errors
    /// When it does not start.
    pub fn spawn(
        program: &Path,
        root: &Path,
        env: &[(&str, String)],
        version: &str,
        capabilities: Value,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        for name in crate::programs::SETTINGS {
            command.env_remove(name);
        }
        command.envs(env.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().with_context(|| format!("{} does not start", program.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout).lines(),
            version: version.to_owned(),
            capabilities,
            next_id: 1,
            notifications: VecDeque::new(),
            elicitation_answer: json!({ "action": "accept" }),
            asked: Vec::new(),
        })
    }

    /// A session in the laboratory's workspace, at the laboratory's time.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn in_lab(program: &Path, lab: &Lab, version: &str, capabilities: Value) -> Result<Self> {
        Self::start(program, &lab.root(), &lab_env(lab)?, version, capabilities).await
    }

    /// Process id of the server.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When the server has closed its input.
    pub async fn line(&mut self, text: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the input is closed")?;
        stdin.write_all(text.as_bytes()).await?;
        stdin.write_all(b"\n").await?;
        Ok(stdin.flush().await?)
    }

    /// Writes a request without waiting for its answer; its id.
    ///
    /// # Errors
    /// When the server has closed its input.
    pub async fn send(&mut self, method: &str, params: Value) -> Result<i64> {
        let id = self.next_id;
        self.next_id += 1;
        let mut params = params;
        if self.version == MODERN
            && let Value::Object(map) = &mut params
        {
            map.insert(
                "_meta".to_owned(),
                json!({
                    "io.modelcontextprotocol/protocolVersion": MODERN,
                    "io.modelcontextprotocol/clientInfo": { "name": "plain-client", "version": "1" },
                    "io.modelcontextprotocol/clientCapabilities": self.capabilities,
                }),
            );
        }
        self.line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()).await?;
        Ok(id)
    }

    /// Sends a request; the result, or the protocol error.
    ///
    /// # Errors
    /// When no answer comes, or a line that is not of the protocol.
    pub async fn request(&mut self, method: &str, params: Value) -> Result<Result<Value, Value>> {
        let id = self.send(method, params).await?;
        self.answer_to(id).await
    }

    /// The answer to a request that was sent.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn answer_to(&mut self, id: i64) -> Result<Result<Value, Value>> {
        loop {
            let message = self.message(PATIENCE).await?;
            if message["method"].is_string() {
                self.take(message).await?;
            } else if message["id"] == id {
                return Ok(match message.get("result") {
                    Some(result) => Ok(result.clone()),
                    None => Err(message["error"].clone()),
                });
            } else if message["id"].is_null() && message["error"].is_object() {
                // About a line that could not be read.
                self.notifications.push_back(message);
            } else {
                bail!("an answer to nothing: {message}");
            }
        }
    }

    async fn take(&mut self, message: Value) -> Result<()> {
        match message.get("id") {
            Some(id) => {
                let answer = json!({ "jsonrpc": "2.0", "id": id, "result": self.elicitation_answer });
                self.asked.push(message.clone());
                self.line(&answer.to_string()).await
            }
            None => {
                self.notifications.push_back(message);
                Ok(())
            }
        }
    }

    /// The next message of any kind; every line must be one.
    async fn message(&mut self, patience: Duration) -> Result<Value> {
        let line = tokio::time::timeout(patience, self.stdout.next_line()).await.context("no answer")??;
        let line = line.context("the server closed its output")?;
        let message: Value = serde_json::from_str(&line).with_context(|| format!("not of the protocol: {line}"))?;
        ensure!(message["jsonrpc"] == "2.0", "not of the protocol: {line}");
        Ok(message)
    }

    /// The next notification of this method.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn notification(&mut self, method: &str, patience: Duration) -> Result<Value> {
        let until = Instant::now() + patience;
        loop {
            if let Some(at) = self.notifications.iter().position(|message| message["method"] == method) {
                return self.notifications.remove(at).context("gone");
            }
            let left = until.saturating_duration_since(Instant::now());
            let message = self.message(left).await?;
            self.take(message).await?;
        }
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// When the server answers with a protocol error, or breaks the contract that holds for every result.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Result<Answer> {
        let result = self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await?;
        let result = result.map_err(|error| anyhow::anyhow!("{tool}: protocol error {error}"))?;
        checked(tool, &result)
    }

    /// Calls a tool that must succeed.
    ///
    /// # Errors
    /// As [`Self::call`], and when it fails.
    pub async fn ok(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        let answer = self.call(tool, arguments).await?;
        ensure!(!answer.is_error, "{tool} failed: {}", answer.value);
        Ok(answer.value)
    }

    /// Calls a tool that must fail for the model; its `error`.
    ///
    /// # Errors
    /// As [`Self::call`], and when it succeeds.
    pub async fn fails(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        let answer = self.call(tool, arguments).await?;
        ensure!(answer.is_error, "{tool} succeeded: {}", answer.value);
        ensure!(answer.value["error"]["code"].is_string(), "{}", answer.value);
        ensure!(answer.value["error"]["message"].is_string(), "{}", answer.value);
        Ok(answer.value)
    }

    /// Closes the input and waits for the end; how long it took.
    ///
    /// # Errors
    /// When it does not end within ten seconds.
    pub async fn close(mut self) -> Result<(ExitStatus, Duration)> {
        drop(self.stdin.take());
        let began = Instant::now();
        let status =
            tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.context("it does not end")??;
        Ok((status, began.elapsed()))
    }

    /// Waits for the end without closing the input.
    ///
    /// # Errors
    /// When it does not end within ten seconds.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        Ok(tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.context("it does not end")??)
    }
}

/// The environment in which a program shares the laboratory's clock and database.
///
/// # Errors
/// When the clock cannot be written.
pub fn lab_env(lab: &Lab) -> Result<Vec<(&'static str, String)>> {
    let clock = lab.root().join(".clock");
    std::fs::write(&clock, lab.runtime.now().to_string())?;
    let mut env = vec![("OUTCOME_RUNTIME_CLOCK_FILE", clock.display().to_string())];
    env.extend(lab.database().map(|url| ("OUTCOME_RUNTIME_DATABASE_URL", url.to_owned())));
    Ok(env)
}

/// What holds for every result of every tool.
///
/// # Errors
/// When it does not.
pub fn checked(tool: &str, result: &Value) -> Result<Answer> {
    let value =
        result.get("structuredContent").with_context(|| format!("{tool}: no structured content: {result}"))?.clone();
    let content = result["content"].as_array().context("no content")?;
    ensure!(content.len() == 1, "{tool}: {result}");
    let text = content[0]["text"].as_str().context("no text")?;
    ensure!(serde_json::from_str::<Value>(text)? == value, "{tool}: the text is not the structured content");
    ensure!(text.len() <= MAX_ANSWER, "{tool}: {} bytes", text.len());
    ensure!(!has_null(&value), "{tool}: something is null in {value}");
    let actions = value["next_actions"].as_array().map_or(0, Vec::len);
    ensure!(actions <= 3, "{tool}: {actions} next actions");
    Ok(Answer { value, is_error: result["isError"] == true })
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}
