//! Flags of `init`.

use clap::Args;

use super::{InitClients, Unlock};

/// `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  outcome-runtime init
  outcome-runtime init --dry-run                        show what would be proposed, write nothing
  outcome-runtime init --source sqlite:app.db --metric order_rate --target '29 %'
  outcome-runtime init --source '${DATABASE_URL}'
  outcome-runtime init --email sam@example.com --name Sam --passphrase-fd 3 3<FILE
  outcome-runtime init --client claude-code             also set this client up
  outcome-runtime init --client codex --client cursor --yes

Looks at your database (read-only, for at most 10 seconds) and at the folders of
the repository, proposes an outcome.yaml, and with your passphrase applies it and
measures the first number. No value of a variable or password is ever written.

The passphrase seals the key with which you decide gates. It is never an argument
or an environment variable, and only the recovery code that is printed at the end replaces it: keep both somewhere safe.")]
pub struct Init {
    /// Your e-mail, which names you to people; the log holds a commitment to it [default: git's user.email]
    #[arg(long)]
    pub email: Option<String>,
    /// Your name [default: git's user.name]
    #[arg(long)]
    pub name: Option<String>,
    /// The database to measure: sqlite:PATH, postgres://..., mysql://... or ${VARIABLE} [default: a SQLite file in the
    /// usual places, else the variable that your application uses, such as DATABASE_URL]
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// The proposed metric that should move, by name; `--dry-run` shows them [default: the first]
    #[arg(long, value_name = "NAME", conflicts_with = "no_outcome_file")]
    pub metric: Option<String>,
    /// Where the metric should be: '29 %' or 0.29 for a share, else a number [default: a tenth more than today]
    #[arg(long, value_name = "VALUE", conflicts_with = "no_outcome_file")]
    pub target: Option<String>,
    /// Id of the outcome [default: made from the metric, such as order-rate]
    #[arg(long, value_name = "SLUG", conflicts_with = "no_outcome_file")]
    pub outcome: Option<String>,
    /// Write the template to be edited by hand; do not look at the database
    #[arg(long, conflicts_with_all = ["no_outcome_file", "metric", "target"])]
    pub template: bool,
    /// Print the outcome.yaml that would be written, and write nothing
    #[arg(long, conflicts_with_all = ["no_outcome_file", "client"])]
    pub dry_run: bool,
    /// Do not write an outcome.yaml
    #[arg(long)]
    pub no_outcome_file: bool,
    /// Make another workspace where this folder held one before, with another root key and without its history
    #[arg(long)]
    pub anew: bool,
    /// Let this folder belong to a workspace of yours again: the one that it held before `.outcome/` was removed, or, in another clone,
    /// the one that outcome.yaml names with `root:`
    #[arg(long, conflicts_with_all = ["anew", "email", "name", "source", "metric", "target", "outcome", "template", "dry_run",
                                      "no_outcome_file", "no_apply", "client"])]
    pub link: bool,
    /// Leave the outcome file as a proposal: do not apply it, and activate nothing
    #[arg(long)]
    pub no_apply: bool,
    /// The passphrase.
    #[command(flatten)]
    pub unlock: Unlock,
    /// The clients.
    #[command(flatten)]
    pub clients: InitClients,
}
