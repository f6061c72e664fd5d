//! The daemon's flags, the only place of them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  outcome-runtimed                                 the workspace of the working directory, on 127.0.0.1:8787
  outcome-runtimed --workspace ~/shop              another workspace
  outcome-runtimed --listen 127.0.0.1:9090         another port
  outcome-runtimed --also ~/blog --also ~/app      reads the signals of two more workspaces
  outcome-runtimed --log-format json 2>daemon.log  one JSON object per line

Exit codes: 0 stopped by a signal, 2 invalid arguments, 3 no workspace, 8 the port is in use or the database cannot be reached.";

/// Reads signals on a schedule, and serves the REST API and the pages on which humans decide.
#[derive(Debug, Clone, Parser)]
#[command(name = "outcome-runtimed", version, after_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on. Port 0 selects a free port. Use a TLS proxy for any address other than loopback
    #[arg(long, value_name = "ADDRESS", env = "OUTCOME_RUNTIME_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,

    /// The repository whose workspace is served [default: found from the working directory]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// A further repository whose signals are read and whose gates are kept, without pages of its own; can be repeated
    #[arg(long, value_name = "DIR")]
    pub also: Vec<PathBuf>,

    /// The database: `sqlite:PATH` or `postgres://...` [default: `OUTCOME_RUNTIME_DATABASE_URL`, then the workspace's own file]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,

    /// Longest time between two looks at what is due. The outcome file sets how often a signal is read
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub tick: u64,

    /// An additional host name for the daemon, besides loopback names and the host of `review_url`
    #[arg(long = "allow-host", value_name = "NAME", env = "OUTCOME_RUNTIME_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allow_hosts: Vec<String>,

    /// Write the listening address to this file, for scripts
    #[arg(long, value_name = "FILE")]
    pub address_file: Option<PathBuf>,

    /// Format of the log lines on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
