//! The built programs, driven as a person and an agent would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation};
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::Value;

use crate::json::UniqueKeys;

/// Variables of the machine that would reach the programs: every test removes them.
pub const SETTINGS: [&str; 13] = [
    "DATABASE_URL",
    "OUTCOME_RUNTIME_DATABASE_URL",
    "OUTCOME_RUNTIME_HOME",
    "OUTCOME_RUNTIME_CLOCK_FILE",
    "OR_WORKSPACE",
    "APP_URL",
    "CLAUDE_PROJECT_DIR",
    "RUST_LOG",
    "ENCRYPTION_KEY",
    "OUTCOME_RUNTIME_ENCRYPTION_KEY",
    "OUTCOME_RUNTIME_ENCRYPTION_KEY_FILE",
    "OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY",
    "OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY_FILE",
];

/// A program that was built with this test, found beside it; or the one in the folder that `OUTCOME_TEST_PROGRAMS` names.
pub fn program(name: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("OUTCOME_TEST_PROGRAMS") {
        let path = Path::new(&folder).join(name);
        ensure!(path.exists(), "{} is not there: OUTCOME_TEST_PROGRAMS names another folder", path.display());
        return Ok(path);
    }
    let test = std::env::current_exe()?;
    // A test lies one folder below the programs, a program beside them.
    let beside = test.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
    beside.with_context(|| format!("{name} is not built: run `cargo build --workspace` first"))
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
        what_it_said(&done, args)
    }

    /// Runs `outcome-runtime --json ARGS`; the result.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.run(&[&["--json"], args].concat())?;
        let found: UniqueKeys = serde_json::from_str(&text)
            .with_context(|| format!("outcome-runtime {args:?} printed no JSON, or a key twice: {text}"))?;
        Ok(found.0)
    }

    /// Runs `outcome-runtime ARGS --passphrase-fd 3` with the passphrase on that descriptor.
    pub fn signed(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command(Path::new("sh"));
        command.args(["-c", r#"exec "$0" "$@" --passphrase-fd 3 3<"$PASSPHRASE_FILE""#]);
        command.arg(program("outcome-runtime")?).args(args).env("PASSPHRASE_FILE", &self.passphrase);
        let done = command.output()?;
        what_it_said(&done, args)
    }

    /// Runs `outcome-runtime key rotate`: a new key under the same passphrase.
    pub fn exchanged_key(&self) -> Result<String> {
        let args = ["key", "rotate"];
        let mut command = self.command(Path::new("sh"));
        let script =
            r#"exec "$0" "$@" --passphrase-fd 3 --new-passphrase-fd 4 3<"$PASSPHRASE_FILE" 4<"$PASSPHRASE_FILE""#;
        command
            .args(["-c", script])
            .arg(program("outcome-runtime")?)
            .args(args)
            .env("PASSPHRASE_FILE", &self.passphrase);
        let done = command.output()?;
        what_it_said(&done, &args)
    }

    /// Runs `outcome-runtime --json ARGS` in a session of its own, hence without a terminal; its exit code and its error.
    pub fn refused(&self, args: &[&str]) -> Result<Refused> {
        self.refusal(r#"exec setsid --wait "$0" "$@""#, args, &[])
    }

    /// As [`Self::refused`], with this passphrase on a descriptor.
    pub fn refused_with(&self, args: &[&str], passphrase: &str) -> Result<Refused> {
        let script = r#"printf '%s\n' "$GUESS" | exec setsid --wait "$0" "$@" --passphrase-fd 0"#;
        self.refusal(script, args, &[("GUESS", passphrase)])
    }

    /// Runs `sh -c SCRIPT` with the program as `$0` and `--json ARGS` as `$@`.
    pub fn refusal(&self, script: &str, args: &[&str], envs: &[(&str, &str)]) -> Result<Refused> {
        let mut command = self.command(Path::new("sh"));
        command.args(["-c", script]).arg(program("outcome-runtime")?).arg("--json").args(args);
        Refused::of(&command.envs(envs.iter().copied()).output()?)
    }

    /// Runs `outcome-runtime ARGS` on a pseudo-terminal and types the answers, each after its question was seen; the exit
    /// code and what was seen. `None` where there is no python3, which is said loudly.
    pub fn on_terminal(&self, args: &[&str], answers: &[(&str, &str)]) -> Result<Option<(Option<i32>, String)>> {
        let mut command = self.command(Path::new("python3"));
        command.args(["-c", TERMINAL]).args(answers.iter().flat_map(|(question, answer)| [*question, *answer]));
        command.arg("--").arg(program("outcome-runtime")?).args(args).env("TERM", "xterm");
        let done = match command.output() {
            Ok(done) => done,
            Err(error) if std::env::var_os("CI").is_some() => bail!("in CI nothing may be skipped: python3: {error}"),
            Err(error) => {
                eprintln!("SKIPPED: python3 cannot be run: {error}");
                return Ok(None);
            }
        };
        Ok(Some((done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())))
    }

    /// Starts `outcome-runtimed` here on a free port, and waits until it listens.
    pub async fn daemon(&self) -> Result<Daemon> {
        let address = self.passphrase.with_file_name("address");
        let _ = std::fs::remove_file(&address);
        let mut command = tokio::process::Command::from(self.command(&program("outcome-runtimed")?));
        command.args(["--listen", "127.0.0.1:0", "--tick", "3600", "--address-file"]).arg(&address);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            if let Ok(text) = std::fs::read_to_string(&address) {
                return Ok(Daemon { address: text.trim().to_owned(), child });
            }
            if let Some(status) = child.try_wait()? {
                bail!("the daemon ended with {status}");
            }
            ensure!(std::time::Instant::now() < deadline, "the daemon does not listen");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Runs `outcome-runtimed ARGS`, which is expected to end by itself; its exit code and standard error.
    pub fn failing_daemon(&self, args: &[&str]) -> Result<(Option<i32>, String)> {
        let done = self.command(&program("outcome-runtimed")?).args(args).output()?;
        Ok((done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned()))
    }

    /// The MCP server as a transport, for a client of the test's own.
    pub fn server(&self) -> Result<TokioChildProcess> {
        let mut command = tokio::process::Command::from(self.command(&program("outcome-runtime-mcp")?));
        command.kill_on_drop(true);
        Ok(TokioChildProcess::new(command)?)
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

/// What a program printed that must have succeeded.
fn what_it_said(done: &Output, args: &[&str]) -> Result<String> {
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(
        done.status.success(),
        "outcome-runtime {args:?} ended with {}:\n{shown}{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(shown)
}

/// A Python program: `QUESTION ANSWER ... -- COMMAND ...` runs the command on a terminal of its own and types each answer
/// after its question was seen. Prints what was seen and ends as the command does.
pub const TERMINAL: &str = r#"
import os, pty, select, sys, time
answers = [(sys.argv[i], sys.argv[i + 1]) for i in range(1, sys.argv.index("--"), 2)]
command = sys.argv[sys.argv.index("--") + 1:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, start = b"", 0
deadline = time.time() + 60
while time.time() < deadline:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
        if b"\x1b[6n" in chunk:
            os.write(fd, b"\x1b[1;1R")
    if answers and answers[0][0].encode() in seen[start:]:
        start = len(seen)
        time.sleep(0.2)
        os.write(fd, answers.pop(0)[1].encode() + b"\r")
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

/// How a program refused.
#[derive(Debug)]
pub struct Refused {
    /// Exit code.
    pub exit: Option<i32>,
    /// `error.code`, empty where there was no error.
    pub code: String,
    /// Everything on stdout, as JSON.
    pub json: Value,
    /// Standard error.
    pub stderr: String,
}

impl Refused {
    fn of(done: &Output) -> Result<Self> {
        let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        let json: Value = serde_json::from_str(&stdout).with_context(|| format!("no JSON: {stdout}{stderr}"))?;
        let code = json["error"]["code"].as_str().unwrap_or_default().to_owned();
        Ok(Self { exit: done.status.code(), code, json, stderr })
    }
}

/// A running daemon; killed when it is dropped.
pub struct Daemon {
    /// `127.0.0.1:PORT`.
    pub address: String,
    #[expect(dead_code, reason = "held so that the program lives")]
    child: tokio::process::Child,
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
