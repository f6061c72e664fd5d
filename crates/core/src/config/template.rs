//! The file that `init` writes: short, commented, valid.

use crate::domain::Slug;

/// What `init` knows when it writes the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateOptions {
    /// Id of the outcome.
    pub outcome: Slug,
    /// E-mail of the first member; the gates go to the first member anyway.
    pub owner: Option<String>,
    /// Address of the database: a reference such as `${DATABASE_URL}`, or `sqlite:app.db`.
    pub url: String,
}

impl Default for TemplateOptions {
    fn default() -> Self {
        Self { outcome: Slug::from_title("signup-rate"), owner: None, url: "${DATABASE_URL}".to_owned() }
    }
}

/// A file to begin with: one outcome on one database.
#[must_use]
pub fn template(options: &TemplateOptions) -> String {
    let owner = options.owner.as_ref().map_or_else(
        || "    # owner: you@example.com                # the accountable member\n".to_owned(),
        |owner| format!("    owner: {}\n", quoted(owner)),
    );
    TEMPLATE
        .replace("@ID@", options.outcome.as_str())
        .replace("@OWNER@\n", &owner)
        .replace("@URL@", &quoted(&options.url))
}

/// The text in double quotes, as YAML and JSON both read it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const TEMPLATE: &str = r"# What should move, how it is measured, what must not break, and who decides.
# Check this file with `outcome-runtime validate`; `outcome-runtime schema` prints every key.
# Replace the tables and columns below by your own; the runtime writes the SQL and only ever reads.
version: 1

outcomes:
  - id: @ID@                           # keep it: it is the outcome's identity
    title: More visitors sign up
@OWNER@
    signal: { metric: signup_rate }           # what decides: one of `metrics` below
    target:
      direction: increase                     # increase | decrease
      from: 0.10                              # where it is now, 10 %; measured when you activate the outcome
      to: 0.13                                # where it should be
    horizon: 6w                               # until then

    # constraints:                            # what must not break
    #   - { signal: refund_rate, max: 0.02 }  # another one of `metrics`
    #   - rule: No changes to the payment provider integration

    scope:                                    # what agents may change, as in .gitignore
      forbidden_paths: [migrations/]

# The metric: of 100 visitors, how many sign up within a day? The day begins when a visitor first sees the change, so results are a day
# behind.
metrics:
  - { name: signup_rate, kind: conversion, of: signups, window: 1d, better: up }

# Tables with one row for each event: when it happened, and whose it is.
facts:
  visits: { source: app, table: visitors, at: first_seen_at, units: { user: id } }
  signups: { source: app, table: visitors, at: signed_up_at, units: { user: id } }

signal_connectors:
  - name: app
    type: sql                                 # PostgreSQL, MySQL or SQLite
    config: { url: @URL@ }
    # The table in which your application notes who saw which variant of which experiment. A row each time is fine: the first one counts.
    exposures: { table: exposures, unit: visitor_id, is: user, experiment: flag, variant: variant, at: exposed_at }
    population: { fact: visits }              # everybody, for the level of today

feature_flags:
  provider: flagd_file                        # a JSON file that flagd reads; for production: custom_http
  config: { path: flags.json }
";
