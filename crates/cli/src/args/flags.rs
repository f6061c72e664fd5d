//! Arguments of `flags`.

use clap::Subcommand;

pub(super) const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime flags list
  outcome-runtime flags test
  outcome-runtime flags role unleash";

/// `flags ...`.
#[derive(Debug, Subcommand)]
pub enum Flags {
    /// List the flags of experiments that were ever live: where each should be, and where it is
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime flags list\n\nIt ends with an error where a flag is elsewhere, cannot be moved, or cannot be read."
    )]
    List,
    /// Ask the flag service what its token allows; nothing is changed
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime flags test\n\nIt ends with an error where the token lacks a right that the runtime needs."
    )]
    Test,
    /// Print the least rights that a flag service must give, and how to make a token with them
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime flags role unleash\n  outcome-runtime flags role   of the one that is applied"
    )]
    Role {
        /// The provider, as in `feature_flags`
        provider: Option<String>,
    },
}
