//! `key ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Unlock, UnlockOrTouch};

/// What `key --help` ends with.
pub const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime key list
  outcome-runtime key add --ssh ~/.ssh/id_ed25519_sk.pub
  outcome-runtime key rotate
  outcome-runtime key recover
  outcome-runtime key revoke 3f9a02c1 --because 'the laptop was sold'";

/// `key ...`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List the keys of the members: which count, which is the root
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime key list\n  outcome-runtime key list --json | jq '.[].fingerprint'"
    )]
    List,
    /// Enrol a key that you touch (`sk-ssh`): from then on whoever ships needs one
    #[command(after_help = "EXAMPLES:\n  outcome-runtime key add --ssh ~/.ssh/id_ed25519_sk.pub\n\n\
        Such a key is made with `ssh-keygen -t ed25519-sk -O verify-required`.\n\
        The key is touched once to show that it signs. While one counts, the next one needs its touch (--key).\n\
        Keep your recovery code: it is the only way to go on without the key.")]
    Add {
        /// File of the public key
        #[arg(long, value_name = "FILE.pub")]
        ssh: PathBuf,
        /// The passphrase, or the key that counts.
        #[command(flatten)]
        unlock: UnlockOrTouch,
    },
    /// Choose a new passphrase: a new key counts from then on, and the old one no longer
    #[command(after_help = "EXAMPLES:\n  outcome-runtime key rotate\n  \
        outcome-runtime key rotate --passphrase-fd 3 --new-passphrase-fd 4 3<OLD 4<NEW")]
    Rotate {
        /// The passphrase of before.
        #[command(flatten)]
        unlock: Unlock,
        /// The new one.
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Choose a new passphrase with the recovery code that `init` printed
    #[command(after_help = "EXAMPLES:\n  outcome-runtime key recover\n  \
        outcome-runtime key recover --code-fd 3 --new-passphrase-fd 4 3<CODE 4<NEW\n\n\
        The code works once: a new one is printed. Every other key of yours counts no longer.")]
    Recover {
        /// For scripts: read the code (one line) from this file descriptor instead of the terminal
        #[arg(long, value_name = "N")]
        code_fd: Option<u32>,
        /// The new passphrase.
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Let a key count no longer; what it signed before still counts
    #[command(after_help = "EXAMPLES:\n  outcome-runtime key revoke 3f9a02c1 --because 'the laptop was sold'")]
    Revoke {
        /// Its id, or the beginning of its fingerprint
        key: String,
        /// Why; stored in the log
        #[arg(long, value_name = "TEXT")]
        because: String,
        /// The passphrase, or a key that is touched; only a touch or `key recover` takes away one that is touched.
        #[command(flatten)]
        unlock: UnlockOrTouch,
    },
    /// Say that somebody else had a key: `audit verify` then names what was signed with it since
    #[command(after_help = "EXAMPLES:\n  \
        outcome-runtime key compromised 3f9a02c1 --since 1204 --because 'the passphrase was in a script'\n\n\
        Revoke or rotate the key as well: this only marks what was signed with it.")]
    Compromised {
        /// Its id, or the beginning of its fingerprint
        key: String,
        /// Number of the first line of the log that is not trusted
        #[arg(long, value_name = "LINE", value_parser = clap::value_parser!(i64).range(1..))]
        since: i64,
        /// Why; stored in the log
        #[arg(long, value_name = "TEXT")]
        because: String,
        /// The passphrase, or a key that is touched; only a touch or `key recover` takes away one that is touched.
        #[command(flatten)]
        unlock: UnlockOrTouch,
    },
}

/// Where the new passphrase comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct NewPassphrase {
    /// For scripts: read the new passphrase (one line) from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    pub new_passphrase_fd: Option<u32>,
}
