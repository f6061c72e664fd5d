//! Running git: a fixed environment, a time limit, bounded output.
//!
//! The repository under check may have been prepared by the agent that is being checked, so its configuration is not
//! trusted: what could run a program, hide a change or show other content is switched off here, for every command.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::programs::{search_path, trusted};
use crate::scope::error::ScopeError;
use crate::sealing::KEY_VARIABLES;

const MAX_STDERR_BYTES: u64 = 64 * 1024;
const SHOWN_STDERR_CHARS: usize = 500;

/// Settings that outrank the repository's own.
const SETTINGS: [&str; 10] = [
    "core.commitGraph=false",
    "core.quotePath=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.pager=cat",
    "diff.external=",
    "diff.ignoreSubmodules=none",
    "log.showSignature=false",
    "protocol.allow=never",
];

const ENVIRONMENT: [(&str, &str); 11] = [
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    // Grafts and replacements would show another history and other content than the ids stand for.
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    // A partial clone must not fetch what is missing: that could run the remote's own helper.
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ADVICE", "0"),
    ("LC_ALL", "C"),
];

/// The protocols in which a remote is asked, after `protocol.allow=never`.
const REMOTE_SETTINGS: [&str; 7] = [
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.ssh.allow=always",
    "protocol.git.allow=always",
    "protocol.file.allow=always",
    "protocol.ext.allow=never",
    "credential.interactive=false",
];

const REMOTE_ENVIRONMENT: [(&str, &str); 3] = [
    ("GIT_DIR", "/dev/null"),
    ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=5"),
    ("SSH_ASKPASS_REQUIRE", "never"),
];

/// How git is run.
#[derive(Debug, Clone)]
pub struct GitOptions {
    /// The program, by its whole path; `None` for the git that is found in trusted places.
    pub program: Option<PathBuf>,
    /// For each single command.
    pub timeout: Duration,
    /// Most bytes that one command may write.
    pub max_output_bytes: u64,
}

impl Default for GitOptions {
    fn default() -> Self {
        Self { program: None, timeout: Duration::from_mins(1), max_output_bytes: 64 * 1024 * 1024 }
    }
}

/// How and where git is run.
#[derive(Debug, Clone)]
pub(super) struct Git {
    options: GitOptions,
    directory: PathBuf,
    /// The user's own `safe.directory` values; empty unless they were needed.
    trusted: Vec<OsString>,
    /// Settings whose names come from the repository; see [`Git::without_filters`].
    overrides: Vec<(OsString, &'static str)>,
    /// Whether the user's own configuration is read; see [`Git::as_user`].
    is_as_user: bool,
    /// Whether a remote may be asked; see [`Git::to_remote`].
    is_to_remote: bool,
}

#[derive(Debug)]
pub(super) struct Output {
    /// `None` when a signal ended the program.
    pub(super) status: Option<i32>,
    pub(super) stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Git {
    pub(super) fn new(options: GitOptions, directory: PathBuf) -> Self {
        Self { options, directory, trusted: Vec::new(), overrides: Vec::new(), is_as_user: false, is_to_remote: false }
    }

    pub(super) fn at(mut self, directory: PathBuf) -> Self {
        self.directory = directory;
        self
    }

    /// The same with the user's own configuration and identity, for what is done in the user's name. Hooks and filters of
    /// the repository stay off.
    pub(super) fn as_user(&self) -> Self {
        Self { is_as_user: true, ..self.clone() }
    }

    /// The same outside of any repository, with the user's own configuration, for asking a remote. Nobody is asked for a
    /// password, and only the usual protocols are spoken: the address comes from the repository.
    pub(super) fn to_remote(&self, timeout: Duration) -> Self {
        let options = GitOptions { timeout, ..self.options.clone() };
        let directory = PathBuf::from(std::path::MAIN_SEPARATOR_STR);
        Self { options, directory, overrides: Vec::new(), is_as_user: true, is_to_remote: true, ..self.clone() }
    }

    /// Runs one command and gives what it wrote, whatever its status.
    pub(super) async fn run<const N: usize>(
        &self,
        args: [&str; N],
        stdin: Option<Vec<u8>>,
    ) -> Result<Output, ScopeError> {
        self.run_all(&args, stdin).await
    }

    /// The same for arguments whose number is not known.
    pub(super) async fn run_all(&self, args: &[&str], stdin: Option<Vec<u8>>) -> Result<Output, ScopeError> {
        let mut command = self.command()?;
        command.arg("-C").arg(&self.directory).arg("--no-pager");
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        if self.is_to_remote {
            for setting in REMOTE_SETTINGS {
                command.arg("-c").arg(setting);
            }
        }
        for directory in &self.trusted {
            let mut setting = OsString::from("safe.directory=");
            setting.push(directory);
            command.arg("-c").arg(setting);
        }
        command.args(arguments(args));
        clear_git_variables(&mut command, |name| self.is_as_user && is_of_user(name));
        command.envs(ENVIRONMENT.into_iter().filter(|(name, _)| !(self.is_as_user && is_of_user(name))));
        if self.is_to_remote {
            command.envs(REMOTE_ENVIRONMENT).env_remove("SSH_ASKPASS");
        }
        // Not as `-c name=value`, which a name with `=` in it would confuse.
        if !self.overrides.is_empty() {
            command.env("GIT_CONFIG_COUNT", self.overrides.len().to_string());
        }
        for (n, (name, value)) in self.overrides.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{n}"), name).env(format!("GIT_CONFIG_VALUE_{n}"), value);
        }
        self.finish(command, args, stdin).await
    }

    /// Takes over the directories of other users that the user or the machine has named as safe. Only these values are
    /// read from the user's configuration, which is otherwise left out.
    pub(super) async fn trust_what_the_user_trusts(&mut self) -> Result<(), ScopeError> {
        let args = ["config", "--null", "--get-all", "safe.directory"];
        let mut command = self.command()?;
        command.args(arguments(&args));
        clear_git_variables(&mut command, |_| false);
        // Outside any repository: a repository must not vouch for itself.
        command.env("GIT_DIR", "/dev/null").env("LC_ALL", "C");
        let output = self.finish(command, &args, None).await?;
        let values = output.stdout.split(|byte| *byte == 0).filter(|value| !value.is_empty());
        self.trusted = values.map(os_string).collect();
        Ok(())
    }

    /// The same, with every filter that the repository configures switched off: they are programs.
    pub(super) async fn without_filters(&self) -> Result<Self, ScopeError> {
        const FILTERS: &str = r"^filter\..*\.(clean|smudge|process|required)$";
        let args = ["config", "--null", "--name-only", "--get-regexp", FILTERS];
        let output = self.run(args, None).await?;
        // Status 1 says that there are none.
        let names = if output.status == Some(1) { &[] } else { output.success(&args)? };
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let off = |name: &[u8]| (os_string(name), if name.ends_with(b".required") { "false" } else { "" });
        Ok(Self { overrides: names.map(off).collect(), ..self.clone() })
    }

    /// Git itself, which finds its own helpers where it is found.
    fn command(&self) -> Result<Command, ScopeError> {
        let program = match &self.options.program {
            Some(program) => program.clone(),
            None => trusted("git").map_err(|passed_over| ScopeError::GitUntrusted { passed_over })?,
        };
        let mut command = Command::new(&program);
        // Its helpers are other people's programs.
        for name in KEY_VARIABLES {
            command.env_remove(name);
        }
        if let Some(path) = search_path(&program) {
            command.env("PATH", path);
        }
        Ok(command)
    }

    async fn finish(&self, mut command: Command, args: &[&str], stdin: Option<Vec<u8>>) -> Result<Output, ScopeError> {
        let name = name_of(args);
        let pipe = |cause| ScopeError::GitPipe { command: name.clone(), cause };
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().map_err(|cause| ScopeError::GitUnavailable { cause })?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let limit = self.options.max_output_bytes;

        let feed = async {
            if let (Some(mut pipe), Some(bytes)) = (input, stdin) {
                // A program that stops reading says why on its own; the broken pipe adds nothing.
                let _ = pipe.write_all(&bytes).await;
            }
            Ok(())
        };
        let talk = async {
            let ((), stdout, stderr) =
                tokio::try_join!(feed, read(output, limit, false), read(errors, MAX_STDERR_BYTES, true))
                    .map_err(pipe)?;
            // Dropping the child below ends it; waiting for a program that still wants to write would hang.
            if u64::try_from(stdout.len()).unwrap_or(u64::MAX) > limit {
                return Err(ScopeError::GitOutputTooLarge { command: name.clone(), limit_bytes: limit });
            }
            let status = child.wait().await.map_err(pipe)?;
            Ok(Output { status: status.code(), stdout, stderr })
        };
        match tokio::time::timeout(self.options.timeout, talk).await {
            Ok(result) => result,
            Err(_) => Err(ScopeError::GitTimedOut { command: name.clone(), timeout: self.options.timeout }),
        }
    }
}

impl Output {
    /// What the command wrote, if it succeeded.
    pub(super) fn success(&self, args: &[&str]) -> Result<&[u8], ScopeError> {
        if self.status == Some(0) {
            return Ok(&self.stdout);
        }
        let stderr = text(&self.stderr);
        Err(ScopeError::GitFailed {
            command: name_of(args),
            status: self.status,
            stderr: stderr.trim().chars().take(SHOWN_STDERR_CHARS).collect(),
        })
    }

    pub(super) fn is_refused_for_its_owner(&self) -> bool {
        self.status != Some(0) && self.says("dubious ownership")
    }

    pub(super) fn is_not_a_repository(&self) -> bool {
        self.status != Some(0) && (self.says("not a git repository") || self.says("cannot change to"))
    }

    fn says(&self, words: &str) -> bool {
        text(&self.stderr).contains(words)
    }
}

/// Text from git, shown as well as it can be.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(unix)]
pub(super) fn os_string(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStrExt as _;
    OsStr::from_bytes(bytes).to_owned()
}

#[cfg(not(unix))]
pub(super) fn os_string(bytes: &[u8]) -> OsString {
    text(bytes).into()
}

fn arguments<'a>(args: &'a [&'a str]) -> impl Iterator<Item = OsString> + 'a {
    args.iter().map(|arg| OsStr::new(arg).to_owned())
}

/// Variables that say who the user is, or where the user's configuration is.
fn is_of_user(name: &str) -> bool {
    ["GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"]
        .iter()
        .any(|begin| name.starts_with(begin))
}

fn clear_git_variables(command: &mut Command, is_kept: impl Fn(&str) -> bool) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") && !name.to_str().is_some_and(&is_kept) {
            command.env_remove(name);
        }
    }
}

/// Reads up to `limit` bytes, and one more when there are more. With `drain` the rest is read and forgotten, so that
/// the program is not stopped by a full pipe.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64, drain: bool) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        let most = if drain { limit } else { limit.saturating_add(1) };
        (&mut pipe).take(most).read_to_end(&mut kept).await?;
        if drain {
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
        }
    }
    Ok(kept)
}

fn name_of(args: &[&str]) -> String {
    args.first().copied().unwrap_or_default().to_owned()
}
