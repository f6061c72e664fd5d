//! Flags of `simulate`.

use clap::Args;

/// `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime simulate short-signup-form
  outcome-runtime simulate short-signup-form --effects 0,0.01,-0.02 --replications 10000
  outcome-runtime simulate short-signup-form --baseline 5% --traffic 2000/day --guardrail refunds=2%

Nothing is read from your sources and nothing changes. The decision policy is the
real one: the frozen plan, the poll times, the guardrails and the stopping rules,
over synthetic units drawn from the outcome's own history. A short run of it stands
in the launch gate.")]
pub struct Simulate {
    /// Slug of the experiment
    pub experiment: String,
    /// True effects to try, in the signal's units: 0,0.01,-0.01 [default: none, half, once and twice the minimum
    /// detectable effect, and its opposite]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub effects: Option<String>,
    /// Level without the experiment, as 5% for a share or 12.3 for a mean [default: its history]
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub baseline: Option<String>,
    /// Standard deviation of one unit, with a mean as --baseline
    #[arg(long, value_name = "SD", requires = "baseline")]
    pub sd: Option<String>,
    /// Units that enter the experiment, as 2000/day [default: its history]
    #[arg(long, value_name = "RATE")]
    pub traffic: Option<String>,
    /// Rate of a constraint whose level is not known, as refunds=2%
    #[arg(long = "guardrail", value_name = "NAME=RATE")]
    pub guardrails: Vec<String>,
    /// Runs for each effect
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub replications: u32,
    /// Any number; the same repeats the report
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}
