//! Flags about the programs in which agents live.

use clap::{Args, ValueEnum};

use crate::clients::{Client, Scope};

/// The part of `init` about clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub struct InitClients {
    /// Write this client's configuration, rules and scope guard; can be repeated, also in an existing workspace
    #[arg(long, value_enum, value_name = "CLIENT")]
    pub client: Vec<Client>,
    /// For this repository or for all your repositories [default: project, if the client supports it]
    #[arg(long, value_enum, value_name = "SCOPE", requires = "client")]
    pub scope: Option<Scope>,
    /// Take our part out of this client's files again; what else is in them stays
    #[arg(long, requires = "client")]
    pub remove: bool,
    /// Only print what the client's files would contain; write nothing
    #[arg(long, requires = "client")]
    pub print: bool,
    /// Write the client's files without asking
    #[arg(long, short, requires = "client")]
    pub yes: bool,
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime doctor
  outcome-runtime doctor --json
  outcome-runtime doctor --client claude-code   start the server as this client would")]
pub struct Doctor {
    /// Start the server as this client would, from its configuration, and call it
    #[arg(long, value_enum, value_name = "CLIENT")]
    pub client: Option<Client>,
    /// Where the client's configuration is [default: this repository, then the user's]
    #[arg(long, value_enum, value_name = "SCOPE", requires = "client")]
    pub scope: Option<Scope>,
}

/// `guard`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime init --client claude-code   adds it to the client's settings
  echo '{\"cwd\":\".\",\"tool_name\":\"Write\",\"tool_input\":{\"file_path\":\"x\"}}' | outcome-runtime guard

Prints nothing if the edit is allowed or if it cannot tell. The build report
recomputes the diff from git in any case.")]
pub struct Guard {
    /// Answer in this client's format [default: detected from the input]
    #[arg(long, value_enum, value_name = "CLIENT")]
    pub client: Option<GuardClient>,
}

/// A client whose hooks can refuse an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GuardClient {
    // Claude Code and Codex speak alike.
    ClaudeCode,
    Codex,
    Cursor,
    Windsurf,
}
