//! What the built server answers over standard input and output, without a workspace.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::facts::{items, text};

/// The revision that this program speaks; it needs no handshake.
const VERSION: &str = "2026-07-28";

/// The server's own words.
pub struct Answers {
    /// Answer to `server/discover`.
    pub discovered: Value,
    /// The tools, as they are listed.
    pub tools: Value,
    /// The resource templates, as they are listed.
    pub templates: Value,
    /// The prompts, as they are listed.
    pub prompts: Value,
    /// For each prompt the text that it gives, with `${arguments.NAME}` for each argument.
    pub prompt_texts: Map<String, Value>,
    /// The variables that it reads.
    pub variables: Value,
}

impl Answers {
    /// Starts `program` and asks.
    ///
    /// # Errors
    /// When it does not start, or answers with an error.
    pub fn of(program: &Path) -> Result<Self> {
        let mut session = Session::start(program)?;
        let mut list = |method: &str, key: &str| -> Result<Value> {
            let answer = session.request(method, json!({}))?;
            answer.get(key).cloned().with_context(|| format!("{method} answered without `{key}`"))
        };
        let tools = list("tools/list", "tools")?;
        let templates = list("resources/templates/list", "resourceTemplates")?;
        let prompts = list("prompts/list", "prompts")?;
        let discovered = session.request("server/discover", json!({}))?;
        let mut prompt_texts = Map::new();
        for prompt in items(&prompts) {
            let name = text(prompt, "/name")?;
            let arguments: Map<String, Value> = items(prompt.get("arguments").unwrap_or(&Value::Null))
                .filter_map(|argument| argument.get("name").and_then(Value::as_str))
                .map(|name| (name.to_owned(), format!("${{arguments.{name}}}").into()))
                .collect();
            let got = session.request("prompts/get", json!({ "name": name, "arguments": arguments }))?;
            prompt_texts.insert(name.to_owned(), text(&got, "/messages/0/content/text")?.into());
        }
        session.end()?;
        Ok(Self { discovered, tools, templates, prompts, prompt_texts, variables: variables(program)? })
    }

    /// Version of the server.
    ///
    /// # Errors
    /// When it did not say.
    pub fn version(&self) -> Result<&str> {
        text(self.identity()?, "/version")
    }

    /// What the server says it is.
    ///
    /// # Errors
    /// When it did not say.
    pub fn identity(&self) -> Result<&Value> {
        let meta = self.discovered.get("_meta").and_then(|meta| meta.get("io.modelcontextprotocol/serverInfo"));
        meta.context("the server did not say who it is")
    }

    /// The variables that a person may set.
    pub fn settings(&self) -> impl Iterator<Item = &Value> {
        items(&self.variables).filter(|variable| variable.get("is_setting") == Some(&Value::Bool(true)))
    }
}

fn variables(program: &Path) -> Result<Value> {
    let said = Command::new(program).arg("--describe").output()?;
    let mut described: Value = serde_json::from_slice(&said.stdout).context("--describe printed no JSON")?;
    Ok(described.get_mut("variables").context("--describe printed no variables")?.take())
}

/// A running server.
struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

impl Session {
    fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, input, output, next_id: 1 })
    }

    fn request(&mut self, method: &str, mut params: Value) -> Result<Value> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": { "name": "xtask", "version": env!("CARGO_PKG_VERSION") },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if let Some(map) = params.as_object_mut() {
            map.insert("_meta".to_owned(), meta);
        }
        let id = self.next_id;
        self.next_id += 1;
        writeln!(self.input, "{}", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line).with_context(|| format!("{method}: no answer"))?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => bail!("{method}: {line}"),
        }
    }

    fn end(mut self) -> Result<()> {
        drop(self.input);
        self.child.wait()?;
        Ok(())
    }
}
