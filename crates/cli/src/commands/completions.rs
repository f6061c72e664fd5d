//! `completions`: a script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;
use outcome_core::Result;

use crate::args::Cli;
use crate::cx::{Cx, Exit};

/// Runs it.
pub fn run(cx: &Cx, shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "outcome-runtime", &mut script);
    cx.out.write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::OK)
}
