//! `outcome-runtime`: the human's command line. It parses input, names the caller and renders output; every rule lives in
//! `outcome-core`.

mod args;
mod clients;
mod commands;
mod cx;
mod guard;
mod line;
mod links;
mod meant;
mod output;
mod pages;
mod ssh_keygen;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use outcome_core::{Code, Error};
use tracing_subscriber::EnvFilter;

use args::Cli;
use cx::Cx;
use output::Out;

fn main() -> ExitCode {
    outcome_core::usecases::keep_memory_private();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let out = Out::new(&cli.globals);
    log_to_stderr(cli.globals.verbose, out.is_stderr_coloured());
    let done = Cx::new(&cli.globals, &cli.command, &outcome_integrations::VENDORS).and_then(|cx| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .build()
            .map_err(|e| Error::new(Code::Internal, "no threads can be started").because(e))?
            .block_on(commands::run(&cx, cli.command))
    });
    match done {
        Ok(exit) => ExitCode::from(exit.0),
        Err(error) => {
            out.error(&error);
            ExitCode::from(error.code().exit_code())
        }
    }
}

/// Help, version, and what cannot be parsed.
fn usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|arg| arg == "--json");
    let typed: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let meant = meant::meant(error.kind(), &typed);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if std::env::args_os().len() == 1 => {
            let _ = std::io::Write::write_all(&mut anstream::stdout(), args::START.as_bytes());
            ExitCode::SUCCESS
        }
        // Clients read 2 as a refusal of the edit.
        _ if std::env::args_os().skip(1).find(|arg| !arg.to_string_lossy().starts_with('-'))
            == Some("guard".into()) =>
        {
            let _ = error.print();
            ExitCode::from(Code::Internal.exit_code())
        }
        _ if wants_json => {
            let text = error.render().to_string();
            let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
            let message = text.split("\n\n").next().unwrap_or(text);
            let hint = meant.unwrap_or_else(|| "`--help` lists the valid values".to_owned());
            Out::for_json().error(&Error::new(Code::InvalidInput, message).hint(hint));
            ExitCode::from(Code::InvalidInput.exit_code())
        }
        _ => {
            let _ = error.print();
            if let Some(meant) = meant {
                let _ = std::io::Write::write_all(&mut anstream::stderr(), format!("\n  = help: {meant}\n").as_bytes());
            }
            ExitCode::from(Code::InvalidInput.exit_code())
        }
    }
}

/// Logs go to stderr. What polling and delivering report is part of their results and is not said twice.
fn log_to_stderr(verbose: u8, is_coloured: bool) {
    let default = match verbose {
        0 => "warn,outcome_core::usecases::poll=off,outcome_core::usecases::deliver=off",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let filter = match outcome_integrations::NEVER_LOGGED.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_coloured)
        .with_target(verbose > 0)
        .compact()
        .init();
}
