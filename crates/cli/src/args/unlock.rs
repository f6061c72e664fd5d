//! How an act is signed.

use clap::Args;

/// How a signature is unlocked.
#[derive(Debug, Clone, Default, Args)]
pub struct Unlock {
    /// For scripts: read the passphrase (one line) from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

/// How a signature is unlocked, or done without.
#[derive(Debug, Clone, Default, Args)]
pub struct UnlockOrUnsigned {
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
    /// Act without your passphrase: a pause is done, everything else is asked of the members
    #[arg(long, alias = "unverified", conflicts_with = "passphrase_fd")]
    pub unsigned: bool,
}
