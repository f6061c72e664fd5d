//! The programs of the workspace, built before they are run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::root;

/// Builds all of them; the folder in which they lie.
pub fn built() -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    call(Command::new(cargo).current_dir(root()).args(["build", "--workspace", "--bins", "--locked"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("debug"))
}

/// Runs a command.
///
/// # Errors
/// When it cannot be run, or ends with another code than 0.
pub fn call(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} ended with {status}") }
}
