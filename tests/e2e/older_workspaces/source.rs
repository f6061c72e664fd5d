//! What a made workspace measures: its outcome file, and a small database in which the future is written down already, so
//! that later versions can go on polling it.

use std::path::Path;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, SqlitePool};

/// What signs pushed readings.
pub const INGEST_SECRET: &str = "a secret of at least sixteen bytes";
/// Hours between two rows of a flag.
const STEP: i64 = 12;
/// Days that are written down in advance.
const DAYS_AHEAD: i64 = 45;

const SHARE: &str = "sum(n) AS n, sum(a) AS successes";
const MEAN: &str = "sum(n) AS n, sum(a) AS sum, sum(b) AS sum_squares";
const RATIO: &str = "sum(n) AS n, sum(a) AS num_sum, sum(b) AS num_sum_squares, sum(c) AS den_sum, sum(d) AS den_sum_squares, \
                     sum(e) AS num_den_sum";
const VALUE: &str = "avg(a) AS value";

fn by_variant(table: &str, signal: &str, columns: &str) -> String {
    format!(
        "SELECT variant, {columns} FROM {table} WHERE flag = :flag AND signal = '{signal}' AND at >= :from AND at < :to \
         GROUP BY variant"
    )
}

fn level(signal: &str, columns: &str) -> String {
    format!("SELECT {columns} FROM facts WHERE flag = '' AND signal = '{signal}' AND at >= :from AND at < :to")
}

fn constraint(name: &str, table: &str, signal: &str, columns: &str, bound: &str) -> String {
    format!(
        "      - signal: \"{name}\"\n        source: shop\n        metric: {signal}\n        method: custom\n        \
         {bound}\n        query: {{ by_variant: \"{}\" }}\n",
        by_variant(table, signal, columns)
    )
}

struct Outcome<'a> {
    id: &'a str,
    title: &'a str,
    queries: String,
    target: &'a str,
    constraints: String,
    more: &'a str,
}

impl Outcome<'_> {
    fn text(&self) -> String {
        let Self { id, title, queries, target, constraints, more } = self;
        let constraints =
            if constraints.is_empty() { String::new() } else { format!("    constraints:\n{constraints}") };
        format!(
            "  - id: {id}\n    title: \"{title}\"\n    signal:\n      source: shop\n      metric: {}\n      method: custom\n      \
             query:\n{queries}    target: {{ {target} }}\n{constraints}    horizon: 10w\n    scope:\n      allowed_paths: \
             [\"game/\"]\n      forbidden_paths: [\"game/payments/\"]\n{more}",
            id.replace('-', "_")
        )
    }
}

fn queries(level: &str, by_variant: Option<String>) -> String {
    let more = by_variant.map(|query| format!("        by_variant: \"{query}\"\n")).unwrap_or_default();
    format!("        level: \"{level}\"\n{more}")
}

/// The outcome file. `margin`: how much worse than the control group search may time out.
pub fn outcome_file(margin: &str) -> String {
    let main = |columns| Some(by_variant("facts", "main", columns));
    let crashes = constraint(
        "crashes",
        "facts",
        "crashes",
        SHARE,
        "not_worse: { direction: decrease, margin: 0.005, must_prove: true }",
    );
    let outcomes = [
        Outcome {
            id: "signup",
            title: "More visitors sign up",
            queries: queries(&level("main", SHARE), main(SHARE)),
            target: "direction: increase, from: 0.30, to: 0.40, confidence: 0.95",
            constraints: crashes.clone()
                + &constraint("checkout errors", "facts", "errors", SHARE, "max: 0.05\n        on_violation: pause")
                + "      - rule: \"The telephone number stays optional\"\n      - rule: \"No change of prices\"\n",
            more: "    description: \"Visitors who make an account within a day\"\n    owner: dana@example.com\n    team: \
                   [dana@example.com, lee@example.com]\n    mde: 0.03\n    exposure: form_viewed\n    portfolio: { \
                   max_concurrent: 30, candidates: 5, planned_experiments: 25 }\n    gates:\n      portfolio_review: { \
                   assigned_to: dana@example.com, sla: 48h, channel: \"slack:#signup\", escalation: [lee@example.com] }\n      \
                   ship_approval: { sla: 12h, channel: email }\n",
        },
        Outcome {
            id: "revenue",
            title: "Visitors buy more",
            queries: queries(&level("revenue", MEAN), main(MEAN)),
            target: "direction: increase, from: 12, to: 14, confidence: 0.9",
            constraints: constraint("errors", "facts", "errors", SHARE, "max: 0.05\n        on_violation: kill")
                + &constraint("delay", "facts", "delay", VALUE, "max: 900\n        min: 10\n        consecutive: 2")
                + &constraint("minutes", "facts", "minutes", MEAN, "not_worse: { direction: increase, margin: 0.5 }"),
            more: "    mde: \"5%\"\n    portfolio: { max_concurrent: 10, planned_experiments: 5 }\n",
        },
        Outcome {
            id: "refunds",
            title: "Fewer orders come back",
            queries: queries(&level("main", SHARE), main(RATIO)),
            target: "direction: decrease, from: 0.30, to: 0.25, confidence: 0.95",
            constraints: crashes.clone(),
            more: "    mde: 0.04\n    portfolio: { max_concurrent: 5 }\n",
        },
        Outcome {
            id: "returns",
            title: "Visitors come back",
            queries: queries(&level("weekly", SHARE), None),
            target: "direction: increase, from: 0.30, to: 0.36, confidence: 0.95",
            constraints: String::new(),
            more: "    mde: 0.02\n    design: before_after\n",
        },
        Outcome {
            id: "search",
            title: "Visitors find what they look for",
            queries: queries(&level("main", SHARE), Some(by_variant("search_facts", "main", SHARE))),
            target: "direction: increase, from: 0.30, to: 0.35, confidence: 0.95",
            constraints: constraint(
                "timeouts",
                "facts",
                "crashes",
                SHARE,
                &format!("not_worse: {{ direction: decrease, margin: {margin} }}"),
            ),
            more: "    mde: 0.03\n    gates:\n      portfolio_review: { assurance: A2, sla: 24h }\n      analysis_review: { \
                   assurance: A2 }\n",
        },
        Outcome {
            id: "support",
            title: "Fewer complaints",
            queries: queries(&level("main", SHARE), main(SHARE)),
            target: "direction: increase, from: 0.30, to: 0.35, confidence: 0.95",
            constraints:
                "      - signal: complaints\n        source: push\n        metric: complaints\n        method: \
                          event\n        not_worse: { direction: decrease, margin: 0.01 }\n"
                    .to_owned(),
            more: "    secondary_signals:\n      - { source: push, metric: orders, method: event }\n    mde: 0.03\n",
        },
        Outcome {
            id: "speed",
            title: "Pages open at once",
            queries: queries(&level("speed", SHARE), None),
            target: "direction: increase, from: 0.30, to: 0.35, confidence: 0.95, dwell: 7d",
            constraints: String::new(),
            more: "    mde: 0.02\n",
        },
        Outcome {
            id: "loyalty",
            title: "Given up",
            queries: queries(&level("main", SHARE), None),
            target: "direction: increase, from: 0.30, to: 0.35, confidence: 0.95",
            constraints: String::new(),
            more: "    mde: 0.02\n",
        },
        Outcome {
            id: "later",
            title: "Not begun yet",
            queries: queries(&level("main", SHARE), None),
            target: "direction: increase, from: 0.30, to: 0.35, confidence: 0.95",
            constraints: String::new(),
            more: "    mde: 0.02\n    llm_provider: host-agent\n",
        },
    ];
    let all: String = outcomes.iter().map(Outcome::text).collect();
    // One whose deadline passes.
    let short = Outcome {
        id: "short",
        title: "Two weeks only",
        queries: queries(&level("main", SHARE), None),
        target: "direction: increase, from: 0.30, to: 0.35, confidence: 0.95",
        constraints: String::new(),
        more: "    mde: 0.02\n",
    };
    let short = short.text().replace("horizon: 10w", "horizon: 2w");
    format!(
        "version: 1\noutcomes:\n{all}{short}signal_connectors:\n  - {{ name: shop, type: sql, config: {{ url: \"sqlite:shop.db\" }} \
         }}\n  - {{ name: push, type: webhook, config: {{ secret: \"${{file:push.secret}}\" }} }}\nfeature_flags:\n  provider: \
         flagd_file\n  config: {{ path: flags.json }}\nlimits: {{ max_active_outcomes: 20 }}\n"
    )
}

/// What one arm does in half a day.
#[derive(Debug, Clone, Copy)]
pub enum Arm {
    /// So many units, and this share of them.
    Share(f64, f64),
    /// So many units with this mean.
    Mean(f64, f64),
    /// So many units with two tries each, and this share of them with one success.
    Ratio(f64, f64),
    /// A bare value.
    Value(f64),
}

impl Arm {
    fn columns(self) -> String {
        let number = |value: Option<f64>| value.map_or("NULL".to_owned(), |value| value.to_string());
        let all = match self {
            Self::Share(n, rate) => [Some(n), Some((n * rate).floor()), None, None, None, None],
            Self::Mean(n, mean) => [Some(n), Some(n * mean), Some(n * (mean * mean + 6.25)), None, None, None],
            Self::Ratio(n, share) => {
                let x = (n * share).floor();
                [Some(n), Some(x), Some(x), Some(2.0 * n), Some(4.0 * n), Some(2.0 * x)]
            }
            Self::Value(value) => [None, Some(value), None, None, None, None],
        };
        all.map(number).join(", ")
    }
}

/// The database that is measured.
pub struct Source(SqlitePool);

impl Source {
    /// Makes it, with the levels of the whole population from before `now` on.
    pub async fn make(root: &Path, now: Timestamp) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(root.join("shop.db")).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Delete);
        let source = Self(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?);
        for table in ["facts", "search_facts"] {
            source
                .tell(&format!(
                    "CREATE TABLE {table} (flag TEXT, signal TEXT, variant TEXT, at TEXT, n, a, b, c, d, e,
                     PRIMARY KEY (flag, signal, variant, at)) WITHOUT ROWID"
                ))
                .await?;
        }
        for day in -9..70 {
            let at = now + SignedDuration::from_hours(day * 24 + 6);
            let n = 20_000.0 + 10.0 * f64::from(i32::try_from(day)?);
            source.put("facts", "", "main", "", at, Arm::Share(n, 0.30)).await?;
            source.put("facts", "", "revenue", "", at, Arm::Mean(n, 12.0)).await?;
            source.put("facts", "", "speed", "", at, Arm::Share(n, if day < 2 { 0.30 } else { 0.41 })).await?;
        }
        for week in -12..10 {
            let at = now + SignedDuration::from_hours((week * 7 + 3) * 24);
            let noise = [0.002, -0.001, 0.001, -0.002, 0.0][usize::try_from((week + 15) % 5)?];
            let rate = if week < 0 { 0.30 } else { 0.36 } + noise;
            source.put("facts", "", "weekly", "", at, Arm::Share(10_000.0, rate)).await?;
        }
        Ok(source)
    }

    async fn put(&self, table: &str, flag: &str, signal: &str, variant: &str, at: Timestamp, arm: Arm) -> Result<()> {
        let at = at.strftime("%Y-%m-%d %H:%M:%S");
        let columns = arm.columns();
        self.tell(&format!("INSERT INTO {table} VALUES ('{flag}', '{signal}', '{variant}', '{at}', {columns})")).await
    }

    /// From `now` on these come to a flag's arms, twice a day.
    pub async fn comes(&self, table: &str, flag: &str, now: Timestamp, arms: &[(&str, Arm, Arm)]) -> Result<()> {
        self.tell("BEGIN").await?;
        for from in ["facts", "search_facts"] {
            let at = now.strftime("%Y-%m-%d %H:%M:%S");
            self.tell(&format!("DELETE FROM {from} WHERE flag = '{flag}' AND at >= '{at}'")).await?;
        }
        for half_day in 0..DAYS_AHEAD * 24 / STEP {
            let at = now + SignedDuration::from_hours(half_day * STEP + STEP / 2);
            for (signal, control, treatment) in arms {
                let table = if *signal == "main" { table } else { "facts" };
                self.put(table, flag, signal, "control", at, *control).await?;
                self.put(table, flag, signal, "treatment", at, *treatment).await?;
            }
        }
        self.tell("COMMIT").await
    }

    /// Runs statements.
    pub async fn tell(&self, sql: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.0).await?;
        Ok(())
    }

    /// Closes it, so that the file holds everything.
    pub async fn close(self) -> Result<()> {
        self.tell("VACUUM").await?;
        self.0.close().await;
        Ok(())
    }
}
