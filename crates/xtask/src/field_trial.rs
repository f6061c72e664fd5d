//! Plays experiments from `init` to their end. The driver is a program of the tests, which this builds and calls, so that xtask
//! itself depends on nothing that is measured.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;

/// Builds the programs and plays; the arguments are those of `tests/src/bin/field_trial.rs`.
pub fn run(arguments: &[String]) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    call(Command::new(cargo).current_dir(root()).args(["build", "--workspace", "--bins", "--locked"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let mut driver = Command::new(target.join("debug/field_trial"));
    driver.current_dir(root()).args(arguments);
    call(&mut driver)
}

fn call(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} ended with {status}") }
}
