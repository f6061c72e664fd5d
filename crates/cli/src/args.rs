//! Every flag of the command line, and nothing else: the help texts are the reference that people read first.

mod attach;
mod audit;
mod client;
mod connectors;
mod correct;
mod flags;
mod init;
mod key;
mod member;
mod messages;
mod metrics;
mod secrets;
mod simulate;
mod stats;
mod unlock;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use outcome_core::domain::Verdict;

pub use attach::Attach;
pub use audit::Audit;
pub use client::{Doctor, Guard, GuardClient, InitClients};
pub use connectors::Connectors;
pub use correct::{CorrectQuery, ForgetReading};
pub use flags::Flags;
pub use init::Init;
pub use key::Key;
pub use member::Member;
pub use messages::{Messages, MessagesCommand};
pub use metrics::{Metrics, MetricsCompare};
pub use secrets::Secrets;
pub use simulate::{Mishaps as SimulateMishaps, Simulate};
pub use stats::{Better, PlanTest, Stats, StatsAb, StatsPlan, StatsProof, StatsRecompute};
pub use unlock::{SSH_FOLDER, Unlock, UnlockOrTouch, UnlockOrUnsigned};

/// Declare an outcome, let agents propose and build, measure the result, and decide at gates that only you can end.
#[derive(Debug, Parser)]
#[command(name = "outcome-runtime", version, max_term_width = 100, arg_required_else_help = true, after_help = FLOW)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is said where nothing was asked.
pub const START: &str = "\
Your agent ships ten changes a week. Which of them worked?

  outcome-runtime demo                   see the whole loop in a minute, offline
  outcome-runtime init                   set up this repository, and measure a first number
  outcome-runtime init --client CLIENT   give your agent access (claude-code, codex, cursor, ...)
  outcome-runtime status                 everything at a glance, and what waits for you
  outcome-runtime gate decide GATE       read a question and its facts, then decide

`outcome-runtime --help` lists every command.
";

const FLOW: &str = "\
TYPICAL FLOW:
  outcome-runtime init                   set up this repository, and measure a first number
  outcome-runtime init --client CLIENT   give your agent access
  outcome-runtime status                 see everything at a glance, and what waits for you
  outcome-runtime gate decide GATE       read the question and the facts, then decide
  outcome-runtime poll                   read the signals now; the daemon does this on a schedule
  outcome-runtime plan, then apply       after a change of outcome.yaml: see it, make it count

EXAMPLES:
  outcome-runtime init --source sqlite:app.db
  outcome-runtime status --json

Exit codes: 0 done, 1 bug, 2 invalid, 3 not found, 4 conflict, 5 refused,
6 tampered, 7 out of scope, 8 environment. `outcome-runtime errors` lists all codes.";

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The outcome file [default: the nearest outcome.yaml, up to the root of the git repository]
    #[arg(long, global = true, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// The runtime's own database: sqlite:PATH or postgres://... [default: a file of your account]
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,
    /// Print the result (and errors) as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    /// Never prompt: fail if an answer is missing
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Leave out hints and notes
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log more to stderr: -v shows steps, -vv shows everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    // Plain comments: documented values would spread the help of every command over two pages.
    // On a terminal; also in a pipe; nowhere.
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up a workspace in this repository (folder, database, your signing key, a first outcome.yaml), or a client
    Init(Init),
    /// Check outcome.yaml: report every problem with its line, the valid values and a fix
    Validate(Validate),
    /// Show what `apply` would change
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime plan\n  outcome-runtime plan --json | jq '.outcomes[].changes'"
    )]
    Plan,
    /// Store what outcome.yaml declares; applying the same file twice changes nothing
    Apply(Apply),
    /// Activate a draft outcome: measure its baseline and start its horizon
    Activate(Activate),
    /// Abandon an outcome
    Abandon(Abandon),
    /// Confirm that an outcome is achieved
    Confirm(Confirm),
    /// Show everything at a glance: outcomes, experiments, pending gates, failing signals
    Status(Status),
    /// List and show experiments, propose your own, pause, resume or kill one
    #[command(subcommand, visible_alias = "exp", after_help = EXPERIMENT_EXAMPLES)]
    Experiment(Experiment),
    /// List, show and decide gates
    #[command(subcommand, after_help = GATE_EXAMPLES)]
    Gate(Gate),
    /// Report a build by hand; agents do this through MCP
    Report(Report),
    /// Read the signals that are due, evaluate, and take the steps that follow
    Poll(Poll),
    /// Show the messages that have not arrived, try them again, test the channels
    Messages(Messages),
    /// Search what past experiments taught
    Learnings(Learnings),
    /// Check that a change stays within the scope of an outcome
    #[command(subcommand, after_help = SCOPE_EXAMPLES)]
    Scope(Scope),
    /// Verify, export and anchor the audit log
    #[command(subcommand, after_help = audit::EXAMPLES)]
    Audit(Audit),
    /// Choose a new passphrase, recover a lost one, revoke a key
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(Key),
    /// Remove what a member is called
    #[command(subcommand, after_help = member::EXAMPLES)]
    Member(Member),
    /// Simulate an experiment's decision policy on synthetic units before any user is exposed
    Simulate(Simulate),
    /// Use the statistics directly: test two arms, plan a test, export a proof, check the formulas
    #[command(subcommand, after_help = stats::EXAMPLES)]
    Stats(Stats),
    /// Guard an experiment that runs at a flag service already: turn it off when harm is proven, claim nothing
    Attach(Attach),
    /// List and test the sources that outcome.yaml declares
    #[command(subcommand, after_help = connectors::EXAMPLES)]
    Connectors(Connectors),
    /// Test the flag service that outcome.yaml declares, and show where its flags are
    #[command(subcommand, after_help = flags::EXAMPLES)]
    Flags(Flags),
    /// Keep the secrets that outcome.yaml refers to: sealed in the store, or in the operating system's keyring
    #[command(subcommand, after_help = secrets::EXAMPLES)]
    Secrets(Secrets),
    /// Say what a metric of outcome.yaml means, check its units and its test on the rows, and compare the arms of an
    /// experiment that ran elsewhere
    #[command(subcommand, after_help = metrics::EXAMPLES)]
    Metrics(Metrics),
    /// Give an agent access to the REST API
    #[command(subcommand, after_help = AGENT_EXAMPLES)]
    Agent(Agent),
    /// Run the whole loop on a virtual clock: offline, without an account or key, in under a minute
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime demo\n  outcome-runtime demo --keep shop   keep the folder so that you can explore it\n  outcome-runtime demo --serve       serve its pages, to look around in them"
    )]
    Demo(Demo),
    /// Check the installation: show each effective setting, where it came from, and what is wrong
    Doctor(Doctor),
    /// Bring the runtime's own database up to the schema of this version; make a backup first
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime migrate\n\nWhere an older program wrote lines without a signature, your passphrase is asked for, to sign them as they are. \
            No other command but `init` and `apply` changes the schema."
    )]
    Migrate {
        /// The passphrase.
        #[command(flatten)]
        unlock: Unlock,
    },
    /// Answer a client's hook: refuse an edit outside the active experiment's scope
    Guard(Guard),
    /// Print the JSON Schema of outcome.yaml
    #[command(after_help = "EXAMPLES:\n  outcome-runtime schema > outcome.schema.json\n\n\
        Editors use it with this first line of outcome.yaml:\n  \
        # yaml-language-server: $schema=outcome.schema.json")]
    Schema,
    /// Print a shell completion script
    #[command(after_help = "EXAMPLES:\n  \
        outcome-runtime completions bash > ~/.local/share/bash-completion/completions/outcome-runtime\n  \
        outcome-runtime completions zsh > ~/.zfunc/_outcome-runtime")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// List every error code with its exit code and meaning
    #[command(after_help = "EXAMPLES:\n  outcome-runtime errors\n  outcome-runtime errors --json")]
    Errors,
}

/// `validate`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime validate
  outcome-runtime validate --skip-env            in CI, where secrets are not available
  outcome-runtime validate other/outcome.yaml

Where the measured baseline and traffic are known, it also answers whether the
horizon is long enough.")]
pub struct Validate {
    /// The file [default: the nearest outcome.yaml]
    pub path: Option<PathBuf>,
    /// Accept references to environment variables and files that do not exist
    #[arg(long)]
    pub skip_env: bool,
}

/// `apply`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime plan && outcome-runtime apply

Only a file that lowers the assurance of a gate needs your passphrase.")]
pub struct Apply {
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
}

/// `activate`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime activate signup-rate
  outcome-runtime activate signup-rate --accept-baseline

The baseline is measured from the source. If it is far from `target.from`, the
activation is refused, because one of the two is wrong.")]
pub struct Activate {
    /// Slug of the outcome
    pub outcome: String,
    /// Accept the measured value as the baseline even if it is far from `target.from`
    #[arg(long)]
    pub accept_baseline: bool,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
}

/// `abandon`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  outcome-runtime abandon signup-rate")]
pub struct Abandon {
    /// Slug of the outcome
    pub outcome: String,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
}

/// `confirm`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  outcome-runtime poll --all && outcome-runtime confirm signup-rate")]
pub struct Confirm {
    /// Slug of the outcome
    pub outcome: String,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime status
  outcome-runtime status --active
  outcome-runtime status --json | jq '.gates[].gate'")]
pub struct Status {
    /// Show only active outcomes: leave out drafts and finished ones
    #[arg(long)]
    pub active: bool,
    /// Add the numbers behind each sentence: effect, interval, p-values, units
    #[arg(long)]
    pub full: bool,
}

const EXPERIMENT_EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime experiment list
  outcome-runtime experiment show short-signup-form
  outcome-runtime experiment propose --outcome signup-rate --file hypothesis.yaml
  outcome-runtime experiment pause short-signup-form --note 'support is overwhelmed'";

/// `experiment ...`.
#[derive(Debug, Subcommand)]
pub enum Experiment {
    /// List experiments, newest first
    #[command(after_help = "EXAMPLES:\n  outcome-runtime experiment list --outcome signup-rate")]
    List {
        /// Only experiments of this outcome
        #[arg(long)]
        outcome: Option<String>,
        /// Maximum number of experiments
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show one experiment: what it came to in one sentence, a chart, what happened, what can follow
    #[command(
        after_help = "EXAMPLES:\n  outcome-runtime experiment show short-signup-form\n  outcome-runtime experiment show short-signup-form --full"
    )]
    Show {
        /// Slug of the experiment
        experiment: String,
        /// Add the hypothesis, the plan and every number of the result
        #[arg(long)]
        full: bool,
    },
    /// Open the portfolio gate of a stored hypothesis, or submit your own
    Propose(Propose),
    /// Pause an experiment: turn its flag off until you resume it
    #[command(after_help = "EXAMPLES:\n  outcome-runtime experiment pause short-signup-form --note 'incident 42'")]
    Pause(Act),
    /// Resume a paused experiment: turn its flag on again. Always needs your passphrase
    #[command(after_help = "EXAMPLES:\n  outcome-runtime experiment resume short-signup-form")]
    Resume(Resume),
    /// Guard an attached experiment no longer, and leave its flag as it is. Always needs your passphrase
    #[command(after_help = "EXAMPLES:\n  outcome-runtime experiment detach new-checkout --note 'it ended there'")]
    Detach(Resume),
    /// End an experiment permanently
    #[command(after_help = "EXAMPLES:\n  outcome-runtime experiment kill short-signup-form --note 'no longer wanted'")]
    Kill(Act),
    /// Read a signal of a running experiment with the corrected query of the outcome. Always needs your passphrase
    #[command(after_help = "\
EXAMPLES:
  outcome-runtime apply
  outcome-runtime experiment correct-query short-signup-form --signal signups \\
    --note 'the table was renamed'

Correct the query in outcome.yaml and run `apply` first. Both queries are shown
before you sign. The readings of the old query stay stored and do not count any
more, and each correction halves the error rate of the experiment's claims.")]
    CorrectQuery(CorrectQuery),
    /// Leave a wrong reading out of the statistics of an experiment. Always needs your passphrase
    #[command(after_help = "\
EXAMPLES:
  outcome-runtime experiment forget-reading short-signup-form --signal signups --at 2026-11-03T10:00:00Z \\
    --note 'the nightly import was half done'")]
    ForgetReading(ForgetReading),
    /// Allow another attempt after a failed build
    #[command(after_help = "EXAMPLES:\n  outcome-runtime experiment retry short-signup-form")]
    Retry {
        /// Slug of the experiment
        experiment: String,
    },
    /// Show the brief: what a builder needs to know
    #[command(after_help = "EXAMPLES:\n  outcome-runtime experiment brief short-signup-form --json")]
    Brief {
        /// Slug of the experiment
        experiment: String,
    },
}

/// `experiment propose`.
#[derive(Debug, Args)]
#[command(override_usage = "\
outcome-runtime experiment propose <EXPERIMENT>
       outcome-runtime experiment propose --outcome <OUTCOME> --file <PATH>
       outcome-runtime experiment propose --template")]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime experiment propose short-signup-form
  outcome-runtime experiment propose --template > hypothesis.yaml
  outcome-runtime experiment propose --outcome signup-rate --file hypothesis.yaml
  cat answer.json | outcome-runtime experiment propose --outcome signup-rate --file -")]
pub struct Propose {
    /// Slug of a stored hypothesis
    #[arg(required_unless_present_any = ["outcome", "template"], conflicts_with_all = ["outcome", "template"])]
    pub experiment: Option<String>,
    /// The outcome that the submitted hypotheses belong to
    #[arg(long, requires = "file")]
    pub outcome: Option<String>,
    /// One hypothesis or a list of them, as YAML or JSON; `-` reads stdin (this --file is not the outcome file)
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Print a commented hypothesis as a starting point
    #[arg(long, conflicts_with_all = ["outcome", "file"])]
    pub template: bool,
}

/// `experiment pause`, `experiment kill`.
#[derive(Debug, Args)]
pub struct Act {
    /// Slug of the experiment
    pub experiment: String,
    /// Your reason; stored in the log
    #[arg(long)]
    pub note: Option<String>,
    /// E-mail of the member who acts [default: the first member]
    #[arg(long)]
    pub member: Option<String>,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: UnlockOrUnsigned,
}

/// `experiment resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// Slug of the experiment
    pub experiment: String,
    /// Your reason; stored in the log
    #[arg(long)]
    pub note: Option<String>,
    /// E-mail of the member who acts [default: the first member]
    #[arg(long)]
    pub member: Option<String>,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: UnlockOrTouch,
}

const GATE_EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime gate list
  outcome-runtime gate show GATE
  outcome-runtime gate decide GATE
  outcome-runtime gate decide GATE --verdict approve --condition 'only on weekdays'";

/// `gate ...`.
#[derive(Debug, Subcommand)]
pub enum Gate {
    /// List the pending gates, most urgent first
    #[command(after_help = "EXAMPLES:\n  outcome-runtime gate list")]
    List,
    /// Show the question of a gate, the facts that decide most often, and what is signed
    #[command(after_help = "EXAMPLES:\n  outcome-runtime gate show GATE\n  outcome-runtime gate show GATE --full")]
    Show {
        /// Slug of the gate
        gate: String,
        /// Show everything that is signed: diff, plan, simulation, hypothesis, every number
        #[arg(long)]
        full: bool,
    },
    /// Decide a gate: shows it on one screen, then asks for your verdict and your passphrase
    Decide(Decide),
    /// Ask a human for a decision about an experiment
    #[command(after_help = "EXAMPLES:\n  \
        outcome-runtime gate open short-signup-form --question 'May the form drop the phone number?'")]
    Open {
        /// Slug of the experiment
        experiment: String,
        /// The question
        #[arg(long)]
        question: String,
        /// Additional details
        #[arg(long)]
        details: Option<String>,
    },
}

/// `gate decide`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime gate decide GATE
  outcome-runtime gate decide GATE --verdict approve
  outcome-runtime gate decide GATE --verdict approve --condition 'only on weekdays'
  outcome-runtime gate decide GATE --verdict reject --note 'not now' --unsigned
  outcome-runtime gate decide GATE --verdict approve --passphrase-fd 3 3<FILE
  outcome-runtime gate decide GATE GATE GATE

Several gates are shown one after the other, and then decided with one
passphrase: portfolio gates and escalations. All others are decided one at
a time.

The decision is signed over exactly what was shown. A script should pass
--context-hash with what `gate show` printed when a human looked at it.")]
pub struct Decide {
    /// Slug of the gate; several are decided with one passphrase
    #[arg(required = true, value_name = "GATE")]
    pub gates: Vec<String>,
    /// Your verdict; `gate show` lists those that the gate accepts. On a terminal you are asked for it
    #[arg(long, value_parser = verdict_parser())]
    pub verdict: Option<Verdict>,
    /// A condition of the approval; can be repeated
    #[arg(long, value_name = "TEXT")]
    pub condition: Vec<String>,
    /// Your reason; stored in the log and with the learning
    #[arg(long)]
    pub note: Option<String>,
    /// Confirm every rule of the checklist at once instead of one by one
    #[arg(long)]
    pub confirm_checklist: bool,
    /// Refuse if the gate has changed: the hash from `gate show`, or its first 12 characters
    #[arg(long, value_name = "HASH")]
    pub context_hash: Option<String>,
    /// E-mail of the member who decides [default: the first member]
    #[arg(long)]
    pub member: Option<String>,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: UnlockOrUnsigned,
}

/// The verdicts of gates; hyphens are taken too.
fn verdict_parser() -> impl TypedValueParser<Value = Verdict> {
    let values =
        ["approve", "approve_with_conditions", "reject", "rework", "ship", "scale", "extend", "iterate", "kill"].map(
            |name| match name {
                "approve_with_conditions" => PossibleValue::new(name).alias("approve-with-conditions"),
                _ => PossibleValue::new(name),
            },
        );
    PossibleValuesParser::new(values).try_map(|text| text.replace('-', "_").parse::<Verdict>())
}

/// `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime report short-signup-form --summary 'two fields instead of five' --head my-branch
  outcome-runtime report short-signup-form --failed 'the form library cannot do it'

The difference to the brief's base commit is computed from git and checked
against the scope.")]
pub struct Report {
    /// Slug of the experiment
    pub experiment: String,
    /// What was built
    #[arg(long, required_unless_present = "failed", conflicts_with = "failed")]
    pub summary: Option<String>,
    /// Commit, branch or tag that holds the change [default: the checked-out commit]
    #[arg(long, value_name = "REVISION")]
    pub head: Option<String>,
    /// Additional notes
    #[arg(long)]
    pub notes: Option<String>,
    /// Report that the build failed, with the reason
    #[arg(long, value_name = "REASON")]
    pub failed: Option<String>,
}

/// `poll`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime poll
  outcome-runtime poll --all
  outcome-runtime poll --outcome signup-rate --all

Without a daemon, let cron run it:
  */15 * * * * cd /path/to/repo && outcome-runtime poll --quiet
The exit code is 8 if a source could not be read, and 9 if the round did not run: another program polled for more than 30 seconds, or the clock of this machine is not believed. A failed reading never decides anything by itself.")]
pub struct Poll {
    /// Only this outcome
    #[arg(long)]
    pub outcome: Option<String>,
    /// Also read signals that are not due yet
    #[arg(long, visible_alias = "force")]
    pub all: bool,
    /// The clock of this machine is right, whatever else shows another time
    #[arg(long)]
    pub clock_is_right: bool,
}

/// `learnings`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime learnings
  outcome-runtime learnings sign-up form
  outcome-runtime learnings pricing --outcome revenue --json")]
pub struct Learnings {
    /// Words to search for; without words, the newest learnings are listed
    pub words: Vec<String>,
    /// Only learnings of this outcome
    #[arg(long)]
    pub outcome: Option<String>,
    /// Maximum number of learnings
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=100))]
    pub limit: i64,
}

const SCOPE_EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime scope check --base main --head HEAD";

/// `scope ...`.
#[derive(Debug, Subcommand)]
pub enum Scope {
    /// Check whether a change stays within its scope; the exit code is 7 if it does not
    Check(ScopeCheck),
}

/// `scope check`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime scope check --base main --head HEAD
  outcome-runtime scope check --base origin/main --head HEAD --outcome signup-rate
  outcome-runtime scope check --base main --experiment short-signup-form

Without a workspace (in CI, for example) the scope is read from outcome.yaml at
the --base commit.")]
pub struct ScopeCheck {
    /// The commit before the change
    #[arg(long, value_name = "REVISION")]
    pub base: String,
    /// The last commit of the change
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    pub head: String,
    /// The outcome whose scope applies [default: the only one]
    #[arg(long, conflicts_with = "experiment")]
    pub outcome: Option<String>,
    /// The experiment whose outcome's scope applies
    #[arg(long)]
    pub experiment: Option<String>,
}

const AGENT_EXAMPLES: &str = "\
EXAMPLES:
  outcome-runtime agent token ci-bot";

/// `agent ...`.
#[derive(Debug, Subcommand)]
pub enum Agent {
    /// Create a token for the REST API. It is printed once. It can propose and report, never decide
    #[command(after_help = "EXAMPLES:\n  outcome-runtime agent token ci-bot --quiet > token.txt")]
    Token {
        /// A name for the agent that uses it
        name: String,
    },
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the demonstration's folder here; the folder must not exist yet
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Serve its pages at the end, on this machine only, until you press Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub serve: bool,
}
