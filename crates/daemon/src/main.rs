//! `outcome-runtimed`: reads the arguments and hands over to the library.

use std::process::ExitCode;

use clap::Parser as _;
use outcome_runtimed::{Args, daemon, logs};

#[tokio::main]
async fn main() -> ExitCode {
    outcome_core::usecases::keep_memory_private();
    let args = Args::parse();
    logs::init(args.log_format, outcome_integrations::NEVER_LOGGED);
    match daemon::run(args, &outcome_integrations::VENDORS).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logs::fatal(&error);
            ExitCode::from(error.code().exit_code())
        }
    }
}
