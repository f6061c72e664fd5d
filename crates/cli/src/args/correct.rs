//! Flags of `experiment correct-query` and `experiment forget-reading`.

use clap::Args;

use super::unlock::Unlock;

/// `experiment correct-query`.
#[derive(Debug, Args)]
pub struct CorrectQuery {
    /// Slug of the experiment
    pub experiment: String,
    /// Name of the signal: the metric, or a constraint
    #[arg(long)]
    pub signal: String,
    /// What was wrong; stored in the log
    #[arg(long)]
    pub note: String,
    /// E-mail of the member who acts [default: the first member]
    #[arg(long)]
    pub member: Option<String>,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
}

/// `experiment forget-reading`.
#[derive(Debug, Args)]
pub struct ForgetReading {
    /// The same as for a query.
    #[command(flatten)]
    pub of: CorrectQuery,
    /// When the reading was stored, in UTC, such as 2026-11-03T10:00:00Z; a wrong one lists the newest readings
    #[arg(long, value_name = "INSTANT")]
    pub at: jiff::Timestamp,
}
