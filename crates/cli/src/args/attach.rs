//! Flags of `attach`.

use clap::Args;

/// `attach`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime attach posthog 42 --guard 'error_rate < 1%'
  outcome-runtime attach growthbook exp_abc --metric paid_7d --metric revenue_14d
  outcome-runtime attach unleash new-checkout --since 2026-11-03T09:00:00Z --days 28

It reads the experiment, looks once at what is measured, and opens the gate at
which you sign the plan as it is; nothing is changed at the service. From then
on the daemon watches it, turns its flag off when harm is proven, and asks what
to do. It never ships anything.")]
pub struct Attach {
    /// The flag service that is applied: posthog, growthbook, launchdarkly or unleash
    pub provider: String,
    /// Number, id or key of the experiment there; at Unleash, its flag
    pub experiment: String,
    /// What it must hold besides the outcome's constraints, such as `error_rate < 1%` or `paid_7d not worse by 0.5%`
    #[arg(long = "guard", value_name = "LIMIT")]
    pub guards: Vec<String>,
    /// A metric of `metrics` that must not get worse
    #[arg(long = "metric", value_name = "NAME")]
    pub metrics: Vec<String>,
    /// The outcome whose signal and constraints guard it [default: the only active one]
    #[arg(long)]
    pub outcome: Option<String>,
    /// Count units from this instant on, in UTC, such as 2026-11-03T10:00:00Z [default: its start there]
    #[arg(long, value_name = "INSTANT")]
    pub since: Option<jiff::Timestamp>,
    /// For how many days from now on it is guarded [default: to the outcome's deadline]
    #[arg(long)]
    pub days: Option<u32>,
}
