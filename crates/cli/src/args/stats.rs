//! Flags of `stats`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub const EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime stats ab --control 500/10000 --treatment 550/10000 --mde 10%
  outcome-runtime stats plan --baseline 5% --mde 10% --traffic 2000/day
  outcome-runtime stats proof short-signup-form -o proof.json
  outcome-runtime stats recompute --check
  outcome-runtime stats eval < questions.jsonl > answers.jsonl

Only `recompute` changes anything; `proof` and `recompute` need a workspace.";

/// `stats ...`.
#[derive(Debug, Subcommand)]
pub enum Stats {
    /// Compare treatments with a control, from counts or means
    Ab(StatsAb),
    /// Calculate how many units and days a test needs
    Plan(StatsPlan),
    /// Export everything that is needed to recompute the result of an experiment independently
    Proof(StatsProof),
    /// Recompute every running experiment from its stored readings, and store the differences
    Recompute(StatsRecompute),
    /// Call the formulas directly, with JSON lines as input and output
    #[command(after_help = "EXAMPLES:\n  outcome-runtime stats eval < questions.jsonl > answers.jsonl\n  \
        echo '{\"id\": 1, \"fn\": \"r_star\", \"input\": {\"alpha\": 0.05}}' | outcome-runtime stats eval\n\n\
        Each input line {\"id\", \"fn\", \"input\"} gets one output line {\"id\", ...}, or {\"id\", \"error\"}\n\
        if it cannot be answered. Each answer is written before the next line is read.")]
    Eval,
}

/// `stats proof`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime stats proof short-signup-form -o proof.json
  python3 docs/verify_proof.py proof.json    # ends with 10: not compared with the log
  outcome-runtime audit export > log.jsonl && python3 docs/verify_proof.py proof.json --log log.jsonl

The proof pack holds the units and sums of every poll, the plan with its hash, and
the conclusions, but never a row about a single unit. The script recomputes all of
it and uses none of our code.")]
pub struct StatsProof {
    /// Slug of the experiment
    pub experiment: String,
    /// Write the proof pack to this file [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `stats recompute`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime stats recompute --check
  outcome-runtime stats recompute
  outcome-runtime stats recompute short-signup-form

This uses the stored readings and reads no source. Run it after an update that
changed a formula, or to check that the stored results were not altered.")]
pub struct StatsRecompute {
    /// Slug of one experiment [default: all running experiments]
    pub experiment: Option<String>,
    /// Only show the differences; the exit code is 4 if there are any
    #[arg(long)]
    pub check: bool,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Better {
    // More is better; less is better.
    Increase,
    Decrease,
}

/// `stats ab`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime stats ab --control 500/10000 --treatment 550/10000 --mde 10%
  outcome-runtime stats ab --control 1000,12.3,4.5 --treatment 1010,12.9,4.6 --mde 0.5
  outcome-runtime stats ab --control n=1000,mean=12.3,sd=4.5 --treatment n=990,mean=12.1,sd=4.4 \\
      --tau 0.5 --direction decrease
  outcome-runtime stats ab --control 40/1000 --treatment 52/990 --treatment 61/1005 --mde 20% \\
      --split 34/33/33

You may look as often as you like, as long as you choose --mde (or --tau), --alpha and
--direction before the first look and keep them. Units are people, each counted once;
never page views or events.")]
pub struct StatsAb {
    /// The control: X/N for a share, or N,MEAN,SD (also n=N,mean=M,sd=S)
    #[arg(long, value_name = "ARM")]
    pub control: String,
    /// The treatment, in the same form; can be repeated, and several treatments share alpha
    #[arg(long, value_name = "ARM", required = true)]
    pub treatment: Vec<String>,
    /// The smallest effect that you do not want to miss: `10%` of control, or an absolute value
    #[arg(long, value_name = "EFFECT", required_unless_present = "tau", allow_hyphen_values = true)]
    pub mde: Option<String>,
    /// Width of the mixture, absolute [default: the minimum detectable effect]
    #[arg(long, value_name = "WIDTH", allow_hyphen_values = true)]
    pub tau: Option<String>,
    /// Error probability over all looks and all treatments
    #[arg(long, default_value = "0.05", allow_hyphen_values = true)]
    pub alpha: String,
    /// Which way is better
    #[arg(long, value_enum, default_value_t = Better::Increase)]
    pub direction: Better,
    /// The planned traffic split, control first: 50/50, 90/10, 34/33/33 [default: equal shares]
    #[arg(long, value_name = "SHARES")]
    pub split: Option<String>,
    /// The values can be negative (profit, for example); then 1,000 units are needed in each arm
    #[arg(long)]
    pub signed: bool,
}

/// `stats plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime stats plan --baseline 5% --mde 10% --traffic 2000/day
  outcome-runtime stats plan --baseline 12.3 --sd 4.5 --mde 0.5 --traffic 9000/week
  outcome-runtime stats plan --baseline 5% --mde 5%,10%,20% --traffic 2000/day --power 0.9

Traffic is the number of units that enter the experiment, all arms together.")]
pub struct StatsPlan {
    /// The current level of the metric: a share (`5%` or 0.05), or a mean together with --sd
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub baseline: String,
    /// Standard deviation of one unit, for a mean
    #[arg(long, value_name = "SD", allow_hyphen_values = true)]
    pub sd: Option<String>,
    /// The effect to detect: `10%` of the baseline, or an absolute value; separate several with commas
    #[arg(long, value_name = "EFFECT", required = true, value_delimiter = ',', allow_hyphen_values = true)]
    pub mde: Vec<String>,
    /// Units that enter the experiment: 2000/day, 14000/week, 80/hour
    #[arg(long, value_name = "UNITS/TIME")]
    pub traffic: String,
    /// Error probability of all planned experiments together
    #[arg(long, default_value = "0.05", allow_hyphen_values = true)]
    pub alpha: String,
    /// Number of experiments that share the error probability, as `planned_experiments` in outcome.yaml; 0 gives all of it to one
    #[arg(long, value_name = "EXPERIMENTS", default_value_t = 3)]
    pub planned: u32,
    /// The test that decides on success, as `ship_test` in outcome.yaml; `two-sided` is the one of earlier versions
    #[arg(long, value_enum, default_value_t = PlanTest::KnownEnd)]
    pub test: PlanTest,
    /// Probability of detecting an effect of exactly that size
    #[arg(long, default_value = "0.8", allow_hyphen_values = true)]
    pub power: String,
    /// The traffic split, control first
    #[arg(long, value_name = "SHARES", default_value = "50/50")]
    pub split: String,
    /// Number of looks at the data, evenly spaced, 1 to 1000; only for the test `two-sided`
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub looks: u32,
}

/// The test that a sample is planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanTest {
    /// One claim look a day until the end of the plan
    KnownEnd,
    /// Always valid, without an end
    OpenEnd,
    /// Always valid, with one interval for success and harm
    TwoSided,
}
