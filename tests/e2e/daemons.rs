//! Real daemons of a laboratory, which can be killed.

use std::process::Stdio;

use anyhow::Result;
use outcome_tests::lab::Lab;
use outcome_tests::programs::program;
use tokio::process::{Child, Command};

/// Tells the daemons of a laboratory what time it is.
pub(crate) fn write_clock(lab: &Lab) -> Result<()> {
    // A daemon may read it at any time, so it is there as a whole.
    let part = lab.root().join(".clock.part");
    std::fs::write(&part, lab.runtime.now().to_string())?;
    Ok(std::fs::rename(part, lab.root().join(".clock"))?)
}

/// Starts a daemon of a laboratory, whose clock is [`write_clock`]'s.
pub(crate) fn daemon(lab: &Lab) -> Result<Child> {
    let mut command = Command::new(program("outcome-runtimed")?);
    command.args(["--listen", "127.0.0.1:0", "--tick", "1", "--workspace"]).arg(lab.root());
    command.env("OUTCOME_RUNTIME_CLOCK_FILE", lab.root().join(".clock"));
    match lab.database() {
        Some(url) => command.env("OUTCOME_RUNTIME_DATABASE_URL", url),
        None => command.env_remove("OUTCOME_RUNTIME_DATABASE_URL"),
    };
    let log = std::fs::OpenOptions::new().create(true).append(true).open(lab.root().join(".outcome/daemons.log"))?;
    Ok(command.stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn()?)
}
