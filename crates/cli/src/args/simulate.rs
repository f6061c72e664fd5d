//! Flags of `simulate`.

use clap::Args;

/// `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime simulate short-signup-form
  outcome-runtime simulate short-signup-form --effects 0,0.01,-0.02 --replications 10000
  outcome-runtime simulate short-signup-form --baseline 5% --traffic 2000/day --guardrail refunds=2%
  outcome-runtime simulate short-signup-form --answer-after 3d --delay 7d --deletions 0.2%
  outcome-runtime simulate order-value --numerator 100,60 --denominator 2,1 --correlation 0.8

Nothing is read from your sources and nothing changes. The simulation uses the
real decision policy (the frozen plan, the poll times, the guardrails and the
stopping rules) on synthetic units drawn from the outcome's own history. The
launch gate shows a short run of it.")]
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
    /// Mean and standard deviation of a ratio's numerator, per unit
    #[arg(long, value_name = "MEAN,SD", requires = "denominator", conflicts_with = "baseline")]
    pub numerator: Option<String>,
    /// Mean and standard deviation of a ratio's denominator, per unit
    #[arg(long, value_name = "MEAN,SD", requires = "numerator")]
    pub denominator: Option<String>,
    /// Correlation of numerator and denominator within one unit [default: 0]
    #[arg(long, value_name = "R", requires = "numerator", allow_hyphen_values = true)]
    pub correlation: Option<String>,
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
    // Last, since its heading would stand above whatever follows.
    /// What goes wrong in every run.
    #[command(flatten)]
    pub mishaps: Mishaps,
}

/// What goes wrong in every run.
#[derive(Debug, Args)]
#[command(next_help_heading = "What goes wrong")]
pub struct Mishaps {
    /// Time until a human answers a gate, such as 3d [default: at once]
    #[arg(long, value_name = "TIME")]
    pub answer_after: Option<String>,
    /// Time within which a unit's value arrives after its exposure, such as 7d [default: at once]
    #[arg(long, value_name = "TIME")]
    pub delay: Option<String>,
    /// Share of the units so far that is deleted each day, from both arms alike, such as 0.2%
    #[arg(long, value_name = "SHARE")]
    pub deletions: Option<String>,
    /// Time without readings, somewhere in the run, such as 2d
    #[arg(long, value_name = "TIME")]
    pub outage: Option<String>,
    /// Share of its units that the treatment loses uncounted, such as 5%
    #[arg(long, value_name = "SHARE")]
    pub lost_treatment: Option<String>,
}
