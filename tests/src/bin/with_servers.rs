//! `with_servers COMMAND [ARGUMENTS]`: starts PostgreSQL and MariaDB once, runs the command with their addresses in
//! `OUTCOME_TEST_POSTGRES_URL` and `OUTCOME_TEST_MYSQL_URL`, stops them, and ends as the command does. Addresses that are
//! set already stay. A server that cannot be started is named; its tests then say that they are skipped.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use outcome_tests::{mariadb, postgres};

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let mut command = Command::new(args.next().context("which command?")?);
    command.args(args);
    match postgres::server() {
        Ok(server) => drop(command.env("OUTCOME_TEST_POSTGRES_URL", server.address())),
        Err(skip) => eprintln!("{skip}"),
    }
    match mariadb::server() {
        Ok(server) => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(server.is_ready())?;
            command.env("OUTCOME_TEST_MYSQL_URL", server.url());
        }
        Err(skip) => eprintln!("{skip}"),
    }
    let status = command.status().with_context(|| format!("{command:?}"))?;
    // The servers end with this process.
    std::process::exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()));
}
