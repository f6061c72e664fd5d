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
    /// Test treatments against a control, from counts or means that you have at hand
    Ab(StatsAb),
    /// Say how many units and days a test needs
    Plan(StatsPlan),
    /// Write down everything from which anybody can recompute the verdict of an experiment
    Proof(StatsProof),
    /// Compute every running experiment once more from its stored readings, and store what differs
    Recompute(StatsRecompute),
    /// Answer JSON lines with the formulas themselves
    #[command(after_help = "EXAMPLES:\n  outcome-runtime stats eval < questions.jsonl > answers.jsonl\n  \
        echo '{\"id\": 1, \"fn\": \"r_star\", \"input\": {\"alpha\": 0.05}}' | outcome-runtime stats eval\n\n\
        Each line {\"id\", \"fn\", \"input\"} gets one line {\"id\", ...}; what cannot be answered gets\n\
        {\"id\", \"error\"}. Answers come as soon as their question is there.")]
    Eval,
}

/// `stats proof`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime stats proof short-signup-form -o proof.json
  python3 docs/verify_proof.py proof.json
  outcome-runtime audit export > log.jsonl && python3 docs/verify_proof.py proof.json --log log.jsonl

The pack holds the units and sums of every poll, the plan with its hash, and what
was concluded from them; never a row about a single unit. The script recomputes all
of it without any of our code.")]
pub struct StatsProof {
    /// Slug of the experiment
    pub experiment: String,
    /// Write it to this file [default: print it]
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

No source is asked: the readings are those that were stored. Use it after an update
that changed a formula, or to see that nobody touched the results.")]
pub struct StatsRecompute {
    /// Slug of one experiment [default: all that are running]
    pub experiment: Option<String>,
    /// Only say what differs, and exit with 4 when something does
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

You may look as often as you like, as long as --mde (or --tau), --alpha and --direction
stay what they were before the first look. Units are people, counted once; never
page views or events.")]
pub struct StatsAb {
    /// The control: X/N for a share, or N,MEAN,SD (also n=N,mean=M,sd=S)
    #[arg(long, value_name = "ARM")]
    pub control: String,
    /// The treatment, likewise; several share alpha
    #[arg(long, value_name = "ARM", required = true)]
    pub treatment: Vec<String>,
    /// The smallest effect that you do not want to miss: `10%` of control, or absolute
    #[arg(long, value_name = "EFFECT", required_unless_present = "tau", allow_hyphen_values = true)]
    pub mde: Option<String>,
    /// Width of the mixture, absolute [default: the minimum detectable effect]
    #[arg(long, value_name = "WIDTH", allow_hyphen_values = true)]
    pub tau: Option<String>,
    /// Error probability over all looks and treatments
    #[arg(long, default_value = "0.05", allow_hyphen_values = true)]
    pub alpha: String,
    /// Which way is better
    #[arg(long, value_enum, default_value_t = Better::Increase)]
    pub direction: Better,
    /// How traffic was meant to be split, control first: 50/50, 90/10, 34/33/33 [default: equally]
    #[arg(long, value_name = "SHARES")]
    pub split: Option<String>,
    /// The values may be negative (profit): asks for 1000 units an arm
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

Traffic is what enters the experiment, all arms together.")]
pub struct StatsPlan {
    /// Where the metric stands: a share (`5%` or 0.05), or a mean together with --sd
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub baseline: String,
    /// Standard deviation of one unit, for a mean
    #[arg(long, value_name = "SD", allow_hyphen_values = true)]
    pub sd: Option<String>,
    /// The effect to be found, `10%` of the baseline or absolute; several, separated by commas, make the rows of the table
    #[arg(long, value_name = "EFFECT", required = true, value_delimiter = ',', allow_hyphen_values = true)]
    pub mde: Vec<String>,
    /// Units that enter: 2000/day, 14000/week, 80/hour
    #[arg(long, value_name = "UNITS/TIME")]
    pub traffic: String,
    /// Error probability
    #[arg(long, default_value = "0.05", allow_hyphen_values = true)]
    pub alpha: String,
    /// Probability to find an effect of exactly that size
    #[arg(long, default_value = "0.8", allow_hyphen_values = true)]
    pub power: String,
    /// How traffic is split, control first
    #[arg(long, value_name = "SHARES", default_value = "50/50")]
    pub split: String,
    /// How often is looked, evenly spread, 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub looks: u32,
}
