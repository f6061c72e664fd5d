//! Flags about the programs in which agents live.

use clap::{Args, ValueEnum};

use crate::clients::{Client, Scope};

/// The part of `init` about clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub struct InitClients {
    /// Write this client's configuration, rules and scope guard; may be repeated, also where a workspace is already
    #[arg(long, value_enum, value_name = "CLIENT")]
    pub client: Vec<Client>,
    /// In this repository or for all of yours [default: project, where the client knows it]
    #[arg(long, value_enum, value_name = "SCOPE", requires = "client")]
    pub scope: Option<Scope>,
    /// Only print the client's files as they would be; write nothing
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
  outcome-runtime doctor --client claude-code   start the server as this client does")]
pub struct Doctor {
    /// Start the server as this client would, from its configuration, and talk to it
    #[arg(long, value_enum, value_name = "CLIENT")]
    pub client: Option<Client>,
    /// Where its configuration is [default: in this repository, else the user's]
    #[arg(long, value_enum, value_name = "SCOPE", requires = "client")]
    pub scope: Option<Scope>,
}

/// `guard`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime init --client claude-code   puts it into the client's settings
  echo '{\"cwd\":\".\",\"tool_name\":\"Write\",\"tool_input\":{\"file_path\":\"x\"}}' | outcome-runtime guard

Says nothing when the edit may go on, or when it cannot tell: the build report
recomputes the difference from git in any case.")]
pub struct Guard {
    /// Answer in this client's form [default: by the shape of the question]
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
