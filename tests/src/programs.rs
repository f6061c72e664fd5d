//! The built programs, driven as a person and an agent would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation};
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::Value;

/// A program that was built with this test, found beside it.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("the test has no folder")?;
    let path = folder.join(name);
    ensure!(path.exists(), "{name} is not built: run `cargo build --workspace` first");
    Ok(path)
}

/// The command line in one folder, with an environment of its own.
pub struct Cli {
    root: PathBuf,
    envs: Vec<(String, String)>,
    passphrase: PathBuf,
}

impl Cli {
    /// In `root`, with an empty home, this passphrase and these variables.
    pub fn new(root: &Path, home: &Path, passphrase: &str, envs: &[(&str, &str)]) -> Result<Self> {
        let file = home.join("passphrase");
        std::fs::write(&file, format!("{passphrase}\n"))?;
        let mut all = vec![("HOME".to_owned(), home.display().to_string())];
        all.extend(envs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Ok(Self { root: root.to_path_buf(), envs: all, passphrase: file })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.envs.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// Runs `outcome-runtime ARGS`, whatever comes of it.
    pub fn try_run(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(&program("outcome-runtime")?).args(args).output()?)
    }

    /// Runs `outcome-runtime ARGS`; what it printed.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let done = self.try_run(args)?;
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            done.status.success(),
            "outcome-runtime {args:?} ended with {}:\n{shown}{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(shown)
    }

    /// Runs `outcome-runtime --json ARGS`; the result.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.run(&[&["--json"], args].concat())?;
        serde_json::from_str(&text).with_context(|| format!("outcome-runtime {args:?} printed no JSON: {text}"))
    }

    /// Runs `outcome-runtime ARGS --passphrase-fd 3` with the passphrase on that descriptor.
    pub fn signed(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command(Path::new("sh"));
        command.args(["-c", r#"exec "$0" "$@" --passphrase-fd 3 3<"$PASSPHRASE_FILE""#]);
        command.arg(program("outcome-runtime")?).args(args).env("PASSPHRASE_FILE", &self.passphrase);
        let done = command.output()?;
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            done.status.success(),
            "outcome-runtime {args:?} ended with {}:\n{shown}{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(shown)
    }

    /// Starts `outcome-runtime-mcp` here and talks to it as an agent.
    pub async fn agent(&self) -> Result<Agent> {
        let mut command = tokio::process::Command::new(program("outcome-runtime-mcp")?);
        command.current_dir(&self.root).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.envs.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        let info = ClientConfig::new(ClientCapabilities::default(), Implementation::new("test-agent", "1"));
        Ok(Agent { service: info.serve(TokioChildProcess::new(command)?).await? })
    }
}

/// A real MCP client of the real server.
pub struct Agent {
    service: RunningService<RoleClient, ClientConfig>,
}

impl Agent {
    /// Calls a tool; a tool's own error is an `Err` that holds its JSON.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value> {
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = arguments.as_object().cloned();
        let result = self.service.call_tool(params).await?;
        let value = result.structured_content.unwrap_or(Value::Null);
        if result.is_error == Some(true) {
            bail!("{value}");
        }
        Ok(value)
    }

    /// The server's tools.
    pub async fn tools(&self) -> Result<Vec<rmcp::model::Tool>> {
        Ok(self.service.list_all_tools().await?)
    }

    /// Ends the server by closing its input.
    pub async fn stop(self) -> Result<()> {
        self.service.cancel().await?;
        Ok(())
    }
}
