//! Arguments of `connectors`.

use clap::Subcommand;

use super::Unlock;

pub(super) const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime connectors list
  outcome-runtime connectors test app
  outcome-runtime connectors conformance app
  outcome-runtime connectors role app";

/// `connectors ...`.
#[derive(Debug, Subcommand)]
pub enum Connectors {
    /// List the sources that outcome.yaml declares
    #[command(after_help = "EXAMPLES:\n  outcome-runtime connectors list")]
    List,
    /// Connect to a source, try each query of its signals on an empty window, and show what was found
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime connectors test app\n  outcome-runtime connectors test app --plans"
    )]
    Test {
        /// Name of the connector
        name: String,
        /// Also show how the database would answer each query
        #[arg(long)]
        plans: bool,
        /// The passphrase, where the source is not applied yet and is sent secrets
        #[command(flatten)]
        unlock: Unlock,
    },
    /// Ask a source about windows that are over and about nobody, and check that its answers fit each other: for a program or an API
    /// of your own
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime connectors conformance warehouse\n  outcome-runtime connectors conformance warehouse --flag softer-level\n\n\
            It asks some twenty questions for each signal. It ends with an error where a check failed."
    )]
    Conformance {
        /// Name of the connector
        name: String,
        /// A flag that people were exposed to lately, for the checks by variant
        #[arg(long, value_name = "KEY")]
        flag: Option<String>,
        /// The passphrase, where the source is not applied yet and is sent secrets
        #[command(flatten)]
        unlock: Unlock,
    },
    /// Print the SQL that makes a database user who can read what the queries of a source read, and nothing else
    #[command(after_help = "EXAMPLES:\n  outcome-runtime connectors role app")]
    Role {
        /// Name of the connector
        name: String,
    },
}
