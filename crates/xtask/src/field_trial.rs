//! Plays experiments from `init` to their end. The driver is a program of the tests, which this builds and calls, so that xtask
//! itself depends on nothing that is measured.

use std::process::Command;

use anyhow::Result;

use crate::programs::{built, call};
use crate::root;

/// Builds the programs and plays; the arguments are those of `tests/src/bin/field_trial.rs`.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut driver = Command::new(built()?.join("field_trial"));
    driver.current_dir(root()).args(arguments);
    call(&mut driver)
}
