//! `audit ...`.

use std::path::PathBuf;

use clap::Subcommand;

use super::Unlock;

/// What `audit --help` ends with.
pub const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime audit verify
  outcome-runtime audit export > log.jsonl && python3 docs/verify_audit_export.py log.jsonl
  outcome-runtime audit anchor --git-note
  outcome-runtime audit restore --from 'the backup of Monday night'";

/// `audit ...`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check the whole log: chain, signatures, steps, stored state, anchors; the exit code is 6 if it is broken
    #[command(after_help = "EXAMPLES:\n  outcome-runtime audit verify\n  \
        outcome-runtime audit verify --anchor /media/usb/anchors.jsonl")]
    Verify {
        /// A file with anchors kept elsewhere; can be repeated
        #[arg(long, value_name = "FILE")]
        anchor: Vec<PathBuf>,
    },
    /// Print the log as JSON lines, oldest first
    #[command(after_help = "EXAMPLES:\n  outcome-runtime audit export > log.jsonl\n  \
        outcome-runtime audit export --after 1200 | tail -1")]
    Export {
        /// Start after this line number
        #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
        after: i64,
        /// Also print, after the log, what opens the commitments in it: the members' names and e-mails
        #[arg(long)]
        with_names: bool,
    },
    /// Print the signed decisions about a gate, an experiment or an outcome, one DSSE envelope a line
    #[command(after_help = "EXAMPLES:\n  outcome-runtime audit decisions short-signup-form > decisions.jsonl\n  \
        python3 docs/verify_decision.py decisions.jsonl --root FINGERPRINT --log log.jsonl")]
    Decisions {
        /// Slug or id
        name: String,
    },
    /// Print what a source answered about an experiment, by the `raw_hash` of a reading
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime stats proof short-signup-form | jq -r '.snapshots[-1].readings[0].raw_hash'\n  \
        outcome-runtime audit answer 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n\nThe text is kept for as long as \
        `retention.raw_answers` says, 30 days unless changed; the hash for ever."
    )]
    Answer {
        /// SHA-256 of the answer, in hexadecimal
        #[arg(value_name = "RAW_HASH")]
        raw_hash: String,
    },
    /// After a backup was restored: sign that the log goes on from it, and that lines are lost
    #[command(after_help = "EXAMPLES:\n  outcome-runtime audit restore --from 'the backup of Monday night'")]
    Restore {
        /// Which backup; stored in the log
        #[arg(long, value_name = "TEXT")]
        from: String,
        /// The passphrase.
        #[command(flatten)]
        unlock: Unlock,
    },
    /// Sign the log as it stands, so that what an older program wrote without a signature cannot be changed unseen any more
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime audit vouch\n\nEach decision does the same; this one decides nothing else. \
        `migrate` offers it."
    )]
    Vouch {
        /// The passphrase.
        #[command(flatten)]
        unlock: Unlock,
    },
    /// Sign the head of the log and store it elsewhere, so that rewriting the whole log can be detected
    #[command(after_help = "EXAMPLES:\n  outcome-runtime audit anchor\n  \
        outcome-runtime audit anchor --to /media/usb/anchors.jsonl\n  outcome-runtime audit anchor --git-note")]
    Anchor {
        /// Append the anchor to this file [default: .outcome/anchors.jsonl]
        #[arg(long, value_name = "FILE", conflicts_with = "git_note")]
        to: Option<PathBuf>,
        /// Store the anchor as a git note on the head commit (refs/notes/outcome-audit)
        #[arg(long)]
        git_note: bool,
        /// The passphrase.
        #[command(flatten)]
        unlock: Unlock,
    },
}
