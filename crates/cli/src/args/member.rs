//! `member ...`.

use clap::Subcommand;

use super::UnlockOrTouch;

/// What `member --help` ends with.
pub const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime member forget kim@example.com
  outcome-runtime member forget 0199a3f2-5d0e-7c31-9a55-0c1f6e0b2a47";

/// `member ...`.
#[derive(Debug, Subcommand)]
pub enum Member {
    /// Remove a member's name and e-mail: the log keeps their id, and what they decided still verifies
    #[command(after_help = "EXAMPLES:\n  outcome-runtime member forget kim@example.com\n\n\
        Their keys go on counting: `outcome-runtime key revoke` takes one away.\n\
        It cannot be undone, and backups, clones, messages that were delivered and outcome.yaml are not touched.")]
    Forget {
        /// Their e-mail or id
        member: String,
        /// Also if nobody else has a key that counts: nobody can tell from the log any more who decided
        #[arg(long)]
        even_the_last: bool,
        /// The passphrase, or a key that is touched.
        #[command(flatten)]
        unlock: UnlockOrTouch,
    },
}
