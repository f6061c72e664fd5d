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

const TEMPLATE: &str = r"# Which metric should move, how it is measured, what must not break, and who decides.
# Every key: docs/outcome-yaml.md. Check this file with `outcome-runtime validate`.
version: 1

outcomes:
  - id: @ID@                     # stable: lower-case letters, digits, hyphens
    title: More visitors sign up              # one line for people
@OWNER@

    signal:                                   # the metric that decides
      source: app                             # a name from `signal_connectors` below
      metric: signup_rate
      query:
        # TODAY'S VALUE: one row for all units in [:from, :to). `n` = all units, `successes` = units that did it.
        # For a mean write `n, sum, sum_squares` instead.
        level: |
          SELECT count(*) AS n, count(signed_up_at) AS successes
          FROM visitors
          WHERE first_seen_at >= :from AND first_seen_at < :to
        # THE COMPARISON: the same for each variant of an experiment, by time of exposure.
        by_variant: |
          SELECT e.variant AS variant, count(*) AS n, count(v.signed_up_at) AS successes
          FROM exposures e JOIN visitors v ON v.id = e.visitor_id
          WHERE e.exposed_at >= :from AND e.exposed_at < :to
          GROUP BY e.variant

    target:
      direction: increase                     # increase | decrease
      from: 0.10                              # the current level; activation measures it
      to: 0.13                                # the target level

    # constraints:                            # limits that must not be crossed
    #   - signal: refund_rate
    #     source: app
    #     max: 0.02
    #     query:
    #       level: |
    #         SELECT count(*) AS n, sum(is_refunded) AS successes
    #         FROM orders WHERE created_at >= :from AND created_at < :to
    #   - rule: No changes to the payment provider integration

    horizon: 6w                               # until the deadline

    scope:                                    # which paths an experiment may change, as in .gitignore
      forbidden_paths:
        - migrations/

signal_connectors:
  - name: app
    type: sql                                 # PostgreSQL, MySQL or SQLite, read-only
    config:
      url: @URL@

feature_flags:
  provider: flagd_file                        # a JSON file that flagd reads; for production: custom_http
  config:
    path: flags.json
";
