//! Arguments of `metrics`.

use clap::{Args, Subcommand};
use jiff::Timestamp;

pub(super) const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime metrics show revenue_14d
  outcome-runtime metrics check revenue_14d
  outcome-runtime metrics compare revenue_14d --flag new-checkout --from 2026-10-01 --to 2026-10-22 --mde 10%";

/// `metrics ...`.
#[derive(Debug, Subcommand)]
pub enum Metrics {
    /// Say what a metric of outcome.yaml means, and which SQL the runtime writes for it
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime metrics show revenue_14d\n  outcome-runtime metrics show revenue_14d --sql"
    )]
    Show {
        /// Name of the metric
        name: String,
        /// Also print the statements, with their parameters by name
        #[arg(long)]
        sql: bool,
    },
    /// Look at the rows behind a metric: whether its unit is the right one, what its test can find, what is odd
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime metrics check revenue_14d\n  outcome-runtime metrics check revenue_14d --flag new-checkout --days 90"
    )]
    Check {
        /// Name of the metric
        name: String,
        /// Look only at exposures of this flag
        #[arg(long, value_name = "KEY")]
        flag: Option<String>,
        /// How many days back
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
    /// Say what an experiment came to that ran somewhere else, from its exposures and a metric of outcome.yaml
    Compare(MetricsCompare),
}

/// `metrics compare`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime metrics compare revenue_14d --flag new-checkout --from 2026-10-01 --to 2026-10-22 --mde 10%
  outcome-runtime metrics compare activation --flag big-button --from 2026-11-02 --mde 0.02 --split 90/10

It reads the table of exposures that the metric names, counts each unit once, in the arm that
it saw first, and judges those whose values are final. Nothing is stored. Experiments that this
runtime launched have a plan that was signed before: `outcome-runtime experiment show`.")]
pub struct MetricsCompare {
    /// Name of the metric
    pub name: String,
    /// What the exposures say that names the experiment: the key of its flag
    #[arg(long, value_name = "KEY")]
    pub flag: String,
    /// When it began: a date (its beginning in UTC) or an instant
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub from: Timestamp,
    /// When it ended, not included [default: it still runs]
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub to: Option<Timestamp>,
    /// The smallest effect that you do not want to miss: `10%` of control, or an absolute value
    #[arg(long, value_name = "EFFECT", allow_hyphen_values = true)]
    pub mde: String,
    /// Error probability over all looks
    #[arg(long, default_value = "0.05", allow_hyphen_values = true)]
    pub alpha: String,
    /// The planned traffic split, control first: 50/50, 90/10 [default: equal shares]
    #[arg(long, value_name = "SHARES")]
    pub split: Option<String>,
}

/// `2026-10-01` or `2026-10-01T08:00:00Z`.
fn instant(text: &str) -> Result<Timestamp, String> {
    let of_date = || text.parse::<jiff::civil::Date>().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC));
    text.parse().or_else(|_| of_date().map(|begin| begin.timestamp())).map_err(|_| {
        format!("`{text}` is neither a date such as 2026-10-01 nor an instant such as 2026-10-01T08:00:00Z")
    })
}
