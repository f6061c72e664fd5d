//! Flags of `simulate`.

use clap::Args;

/// `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime simulate short-signup-form
  outcome-runtime simulate short-signup-form --effects 0,0.01,-0.02 --replications 10000
  outcome-runtime simulate short-signup-form --baseline 5% --traffic 2000/day --guardrail refunds=2%

Nothing is read from your sources and nothing changes. The simulation uses the real
decision policy (the frozen plan, the poll times, the guardrails and the stopping
rules) on synthetic units drawn from the outcome's own history. The launch gate
shows a short run of it.")]
pub struct Simulate {
    /// Slug of the experiment
    pub experiment: String,
    /// True effects to simulate, in the signal's units: 0,0.01,-0.01 [default: 0, half the minimum detectable
    /// effect (MDE), the MDE, twice the MDE, and minus the MDE]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub effects: Option<String>,
    /// Level without the experiment: 5% for a share, 12.3 for a mean [default: from its history]
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub baseline: Option<String>,
    /// Standard deviation of one unit, if --baseline is a mean
    #[arg(long, value_name = "SD", requires = "baseline")]
    pub sd: Option<String>,
    /// Units that enter the experiment, such as 2000/day [default: from its history]
    #[arg(long, value_name = "RATE")]
    pub traffic: Option<String>,
    /// Rate of a constraint whose level is not known, such as refunds=2%
    #[arg(long = "guardrail", value_name = "NAME=RATE")]
    pub guardrails: Vec<String>,
    /// Number of runs for each effect
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub replications: u32,
    /// Seed of the random numbers; the same seed gives the same report
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}
