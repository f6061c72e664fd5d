//! `secrets ...`.

use clap::Subcommand;

pub(super) const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime secrets new-key > /etc/outcome-runtime/encryption-key
  export OUTCOME_RUNTIME_ENCRYPTION_KEY_FILE=/etc/outcome-runtime/encryption-key
  outcome-runtime secrets set PG_URL            asks for the value without showing it
  outcome-runtime secrets set PG_URL < url.txt
  outcome-runtime secrets list

outcome.yaml refers to it as `${secret:PG_URL}`. Every program that reads your
sources needs the same key: the daemon, the MCP server and this one.";

/// `secrets ...`.
#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Seal a secret in the store. The value is asked for or read from stdin, and never an argument
    #[command(after_help = "\
EXAMPLES:
  outcome-runtime secrets set PG_URL
  outcome-runtime secrets set GA4_KEY < service-account.json
  outcome-runtime secrets set --keyring PG_URL

A secret of this name is replaced, and sources that are open use the new one
when they are asked next.")]
    Set {
        /// Name of the secret: letters, digits and `_`
        name: String,
        /// Keep it in the keyring of the operating system: outcome.yaml refers to it as `${keyring:NAME}`
        #[arg(long)]
        keyring: bool,
    },
    /// List the secrets: name, last characters, when they were set, who uses them, whether they open. Never a value
    #[command(after_help = "EXAMPLES:\n  outcome-runtime secrets list\n  outcome-runtime secrets list --json")]
    List,
    /// Remove a secret
    #[command(after_help = "EXAMPLES:\n  outcome-runtime secrets remove PG_URL")]
    Remove {
        /// Name of the secret
        name: String,
        /// It is kept in the keyring of the operating system
        #[arg(long)]
        keyring: bool,
        /// Also where outcome.yaml, as it is applied, refers to it
        #[arg(long)]
        even_if_used: bool,
    },
    /// Seal all secrets with a new key: afterwards the old key opens none of them
    #[command(after_help = "\
EXAMPLES:
  outcome-runtime secrets new-key > new-key
  export OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY_FILE=new-key
  outcome-runtime secrets rotate-key

The old key is read from where it is (OUTCOME_RUNTIME_ENCRYPTION_KEY or _FILE),
the new one from OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY or _FILE. A daemon that was
started with both goes on reading meanwhile. Running it twice changes nothing.")]
    RotateKey,
    /// Print a new key, once: it is stored nowhere
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime secrets new-key > ~/.config/outcome-runtime/encryption-key\n\n\
            Nobody else should read that file: run `umask 077` before."
    )]
    NewKey,
}
