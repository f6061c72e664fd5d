//! Programs of others that our tests talk to: fetched once into `target/clients`, from pinned lists beside the tests.
//!
//! Without Python or Node a test says loudly that it was skipped; with `CI` set that is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The folder of a client's sources.
#[must_use]
pub fn sources(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(client)
}

/// Where a client's packages are kept.
///
/// # Errors
/// When the folder cannot be made.
pub fn home(client: &str) -> Result<PathBuf> {
    // A test lies in `target/PROFILE/deps`, a program in `target/PROFILE`.
    let programs = match std::env::var_os("OUTCOME_TEST_PROGRAMS") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let test = std::env::current_exe()?;
            let mut folders = test.ancestors().skip(1);
            folders.find(|folder| !folder.ends_with("deps")).context("a test without a folder")?.to_owned()
        }
    };
    let target = programs.parent().context("no target directory")?;
    let home = target.join("clients").join(client);
    std::fs::create_dir_all(&home)?;
    Ok(home)
}

/// Says that something is skipped.
///
/// # Panics
/// With `CI` set.
pub fn skip(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: nothing may be skipped in CI");
    eprintln!("SKIPPED: {what}");
}

/// True when the program is there.
#[must_use]
pub fn runs(program: &str) -> bool {
    let done = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// Runs a command that must succeed; what it printed.
///
/// # Errors
/// With everything it said.
pub fn run(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("{command:?}"))?;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{command:?}: {}\n{out}\n{err}", done.status);
    Ok(out.into_owned())
}

/// Installs the packages of a client in its home, once for all tests that run beside each other, in whatever process.
fn fetch(kind: &str, client: &str) -> Result<PathBuf> {
    let home = home(client)?;
    let lock = std::fs::File::create(home.join("lock"))?;
    lock.lock()?;
    run(Command::new(sources("fetch")).args([kind, client]).arg(&home))?;
    Ok(home)
}

/// A virtual environment with the packages of `clients/CLIENT/requirements.txt`; `None` (said loudly) where there is no
/// Python.
///
/// # Errors
/// When pip fails.
pub fn python(client: &str) -> Result<Option<PathBuf>> {
    if !runs("python3") {
        skip(&format!("{client}: there is no python3"));
        return Ok(None);
    }
    if let Err(error) = run(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        skip(&format!("{client}: no virtual environment can be made ({error:#})"));
        return Ok(None);
    }
    fetch("python", client).map(Some)
}

/// The folder into which a client's npm packages and scripts were put; `None` (said loudly) where there is no Node.
///
/// # Errors
/// When npm fails.
pub fn npm(client: &str) -> Result<Option<PathBuf>> {
    if !runs("node") || !runs("npm") {
        skip(&format!("{client}: there is no node with npm"));
        return Ok(None);
    }
    fetch("npm", client).map(Some)
}

/// A command that runs the program `name` of the packages in `home` with the Node that was installed beside them: newer than
/// that of many machines.
///
/// # Errors
/// On a machine for which there is none.
pub fn node24(home: &Path, name: &str) -> Result<Command> {
    let modules = home.join("node_modules");
    let built = ["linux-x64", "linux-arm64"].map(|kind| modules.join(format!("node-{kind}/bin/node")));
    let node = built.iter().find(|path| path.exists()).context("there is no Node 24 for this machine")?;
    let mut command = Command::new(node);
    command.arg(modules.join(".bin").join(name));
    Ok(command)
}
