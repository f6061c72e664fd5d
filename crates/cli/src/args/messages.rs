//! Flags about messages to people.

use clap::{Args, Subcommand};

/// `messages`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime messages                 what waits, and what was given up
  outcome-runtime messages test            send a test message to every channel
  outcome-runtime messages retry --all     try everything again now

A message that no channel took is tried again for about two and a half days.
Then it is a dead letter, which is tried again only by hand. Flags are tried
until they are set.")]
pub struct Messages {
    /// What to do with them; without it they are listed.
    #[command(subcommand)]
    pub command: Option<MessagesCommand>,
}

/// `messages ...`.
#[derive(Debug, Subcommand)]
pub enum MessagesCommand {
    /// Try a message again now, or all of them, also those that were given up
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime messages retry gate/0199f0a2-7d0c-7c3e-9f5e-2b1f5c3d4e5f/opened\n  \
        outcome-runtime messages retry --all"
    )]
    Retry {
        /// Key of the message, as `messages` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        key: Option<String>,
        /// Every message that waits or was given up
        #[arg(long)]
        all: bool,
    },
    /// Send a test message to a channel of outcome.yaml and show what the receiver answered
    #[command(after_help = "EXAMPLES:\n  outcome-runtime messages test\n  outcome-runtime messages test webhook")]
    Test {
        /// The channel, such as `webhook` [default: all of them]
        channel: Option<String>,
    },
}
