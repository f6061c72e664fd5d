//! Arguments of `metrics`.

use clap::Subcommand;

pub(super) const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime metrics show revenue_14d
  outcome-runtime metrics check revenue_14d";

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
}
