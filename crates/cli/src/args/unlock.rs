//! How an act is signed.

use std::path::PathBuf;

use clap::Args;

/// How a signature is unlocked.
#[derive(Debug, Clone, Default, Args)]
pub struct Unlock {
    /// For scripts: read the passphrase (one line) from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

/// Stands for the enrolled key that is found there.
pub const SSH_FOLDER: &str = "~/.ssh";

/// How a signature is unlocked, or with which key in hardware it is made.
#[derive(Debug, Clone, Default, Args)]
pub struct UnlockOrTouch {
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
    /// Sign by touching your security key instead of with your passphrase: its file [default: the enrolled one in ~/.ssh]
    #[arg(long = "key", value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = SSH_FOLDER,
          conflicts_with = "passphrase_fd")]
    pub touch: Option<PathBuf>,
}

/// How a signature is unlocked, or done without.
#[derive(Debug, Clone, Default, Args)]
pub struct UnlockOrUnsigned {
    /// The passphrase, or the key.
    #[command(flatten)]
    pub unlock: UnlockOrTouch,
    /// Act without your passphrase: a pause is done, everything else is asked of the members
    #[arg(long, alias = "unverified", conflicts_with_all = ["passphrase_fd", "touch"])]
    pub unsigned: bool,
}
