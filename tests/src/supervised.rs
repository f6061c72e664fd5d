//! What the servers for tests share: another user when we are root, and an end together with the test process.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Keeps the server alive while its standard input is open. That pipe is held by the test process alone, so the system
/// closes it even after `kill -9`; the server then gets the signal and its directory is removed.
const SUPERVISOR: &str = r#"
dir=$1; signal=$2; shift 2
"$@" >"$dir/log" 2>&1 </dev/null &
pid=$!
cat >/dev/null
kill -"$signal" $pid 2>/dev/null
wait $pid
rm -rf "$dir"
"#;

/// A user other than root to run as: database servers refuse to run as root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The first of these users that this machine has.
    pub(crate) fn first_of(names: &[&str]) -> Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
        let find = |name: &&str| {
            passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                let uid = (fields.next()? == *name).then(|| fields.nth(1))??;
                Some(Self { uid: uid.parse().ok()?, gid: fields.next()?.parse().ok()? })
            })
        };
        names.iter().find_map(find).with_context(|| format!("this machine has none of the users {names:?}"))
    }
}

/// A command in `dir`, as `user`.
pub(crate) fn command(program: &Path, dir: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Starts `server` with its output in `dir/log`. It gets `signal` and `dir` is removed as soon as the returned process
/// loses its standard input.
pub(crate) fn start(server: &Command, signal: &str, dir: &Path, user: Option<User>) -> Result<Child> {
    let mut shell = command(Path::new("/bin/sh"), dir, user);
    // A group of its own: a signal to the test's whole group must not end the supervisor before it has cleaned up.
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.args(["-c", SUPERVISOR, "outcome-server"]).arg(dir).arg(signal);
    shell.arg(server.get_program()).args(server.get_args());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.spawn().context("sh")
}

/// The first of these programs in PATH or in the folders for servers.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]).collect();
    names.iter().find_map(|name| dirs.iter().map(|dir| dir.join(name)).find(|file| file.is_file()))
}
