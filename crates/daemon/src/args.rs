//! The daemon's flags, the only place of them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  outcome-runtimed                                 the workspace of the working directory, on 127.0.0.1:8787
  outcome-runtimed --workspace ~/shop              another workspace
  outcome-runtimed --listen 127.0.0.1:9090         another port
  outcome-runtimed --log-format json 2>daemon.log  one JSON object a line

Exit codes: 0 stopped by a signal, 2 bad arguments, 3 no workspace, 8 the port is taken or the database cannot be reached.";

/// Reads signals on schedule, and serves the REST API and the pages on which humans decide.
#[derive(Debug, Clone, Parser)]
#[command(name = "outcome-runtimed", version, after_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on. Port 0 takes a free one. Anything but loopback needs a TLS proxy in front
    #[arg(long, value_name = "ADDRESS", env = "OUTCOME_RUNTIME_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,

    /// The repository whose workspace is served; found above the working directory when absent
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// The database, `sqlite:PATH` or `postgres://...`; DATABASE_URL and the workspace's own file when absent
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,

    /// Seconds between two looks at what is due. How often a signal is read stands in the outcome file
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub tick: u64,

    /// A further name under which clients reach the daemon, besides loopback names and the host of APP_URL
    #[arg(long = "allow-host", value_name = "NAME", env = "OUTCOME_RUNTIME_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allow_hosts: Vec<String>,

    /// Writes the address that is listened on to this file, for scripts
    #[arg(long, value_name = "FILE")]
    pub address_file: Option<PathBuf>,

    /// How log lines look on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
