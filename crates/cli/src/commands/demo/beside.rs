//! The other programs of the demonstration: those that lie beside this one, on its clock and with nothing of the user's settings.

use std::path::Path;

use anyhow::{Result, bail};
use tokio::process::Command;

/// The program of this name, ready to be started; it ends with what holds it.
///
/// # Errors
/// When it is not there.
pub fn beside(name: &str, clock: &Path) -> Result<Command> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: build it with `cargo build --release`", path.display());
    }
    let mut command = Command::new(path);
    command
        .env("OUTCOME_RUNTIME_CLOCK_FILE", clock)
        .env_remove("OUTCOME_RUNTIME_DATABASE_URL")
        .env_remove("OUTCOME_RUNTIME_HOME")
        .env_remove("OR_WORKSPACE")
        .kill_on_drop(true);
    Ok(command)
}
