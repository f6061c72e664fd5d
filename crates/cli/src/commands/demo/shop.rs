//! The played shop: a git repository with a little code, and an event database that visitors fill.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use outcome_core::scope::OwnRepo;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

/// Visitors a day.
const DAILY_VISITORS: u32 = 2400;
/// Share of visitors who order when nothing is changed.
const BASE_RATE: f64 = 0.30;
/// Share of payments that fail when nothing is changed.
const BASE_FAILURES: f64 = 0.010;

/// What a change really does to visitors: the truth that the runtime has to find.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Flag of the change.
    pub flag: &'static str,
    /// Added to the share who order.
    pub order_rate: f64,
    /// Added to the share whose payment fails.
    pub failure_rate: f64,
}

/// The shop.
pub struct Shop {
    root: PathBuf,
    db: SqlitePool,
    rng: ChaCha20Rng,
    next_unit: i64,
    truths: Vec<Truth>,
}

impl Shop {
    /// Makes the repository and the empty database in `root`.
    pub async fn open(root: &Path, seed: u64, truths: Vec<Truth>) -> Result<Self> {
        for (path, text) in [
            ("frontend/checkout/form.html", "<form>\n  <input name=\"mail\">\n  <input name=\"company\">\n</form>\n"),
            ("frontend/checkout/upsell.html", "<!-- nothing yet -->\n"),
            ("services/payments/charge.py", "def charge(order):\n    return gateway.charge(order)\n"),
            ("README.md", "# A shop, played by outcome-runtime demo\n"),
        ] {
            write(root, path, text)?;
        }
        OwnRepo::init(root.to_owned()).await?.commit_all("The shop as it is").await?;
        let options = SqliteConnectOptions::new().filename(root.join("shop.db")).create_if_missing(true);
        let db = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        for statement in [
            "CREATE TABLE visits (unit INTEGER PRIMARY KEY, at TEXT NOT NULL)",
            "CREATE TABLE exposures (unit INTEGER, flag TEXT, variant TEXT, at TEXT NOT NULL, PRIMARY KEY (flag, unit))",
            "CREATE TABLE orders (unit INTEGER PRIMARY KEY, at TEXT NOT NULL, is_failed INTEGER NOT NULL)",
            "CREATE INDEX visits_at ON visits (at)",
            "CREATE INDEX exposures_at ON exposures (flag, at)",
        ] {
            sqlx::query(statement).execute(&db).await?;
        }
        std::fs::write(root.join(".gitignore"), "shop.db\nflags.json\n.outcome/\n")?;
        Ok(Self { root: root.to_path_buf(), db, rng: ChaCha20Rng::seed_from_u64(seed), next_unit: 0, truths })
    }

    /// Visitors arrive in `[from, from + length)`. Each flag splits them as the flag file says at that time.
    pub async fn visitors(&mut self, from: Timestamp, length: SignedDuration) -> Result<()> {
        let shares = self.shares()?;
        let n_visitors = f64::from(DAILY_VISITORS) * length.as_secs_f64() / 86_400.0;
        let mut tx = self.db.begin().await?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred visitors")]
        for i in 0..n_visitors as u32 {
            self.next_unit += 1;
            let unit = self.next_unit;
            let at = from + SignedDuration::from_secs_f64(length.as_secs_f64() * f64::from(i) / n_visitors);
            let at = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
            sqlx::query("INSERT INTO visits (unit, at) VALUES (?, ?)").bind(unit).bind(&at).execute(&mut *tx).await?;
            let (mut order, mut failure) = (BASE_RATE, BASE_FAILURES);
            for (truth, share) in self.truths.iter().zip(&shares) {
                let Some(share) = share else { continue };
                let is_treatment = self.rng.random_bool(*share);
                let variant = if is_treatment { "treatment" } else { "control" };
                sqlx::query("INSERT INTO exposures (unit, flag, variant, at) VALUES (?, ?, ?, ?)")
                    .bind(unit)
                    .bind(truth.flag)
                    .bind(variant)
                    .bind(&at)
                    .execute(&mut *tx)
                    .await?;
                if is_treatment {
                    order += truth.order_rate;
                    failure += truth.failure_rate;
                }
            }
            if self.rng.random_bool(order.clamp(0.0, 1.0)) {
                let is_failed = self.rng.random_bool(failure.clamp(0.0, 1.0));
                sqlx::query("INSERT INTO orders (unit, at, is_failed) VALUES (?, ?, ?)")
                    .bind(unit)
                    .bind(&at)
                    .bind(i64::from(is_failed))
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// The treatment's share of each flag, read from the flag file as the shop's own code would; `None` while it is off.
    fn shares(&self) -> Result<Vec<Option<f64>>> {
        let path = self.root.join("flags.json");
        let file: serde_json::Value = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).context("the flag file is not JSON")?,
            Err(_) => return Ok(vec![None; self.truths.len()]),
        };
        Ok(self
            .truths
            .iter()
            .map(|truth| {
                let flag = file.get("flags")?.get(truth.flag)?;
                (flag.get("state")? == "ENABLED").then(|| treatment_share(flag))?
            })
            .collect())
    }
}

/// The weight next to `treatment` in flagd's `fractional` targeting.
fn treatment_share(flag: &serde_json::Value) -> Option<f64> {
    fn find(value: &serde_json::Value) -> Option<f64> {
        match value {
            serde_json::Value::Array(items) => match items.as_slice() {
                [serde_json::Value::String(name), weight] if name == "treatment" => weight.as_f64(),
                items => items.iter().find_map(find),
            },
            serde_json::Value::Object(fields) => fields.values().find_map(find),
            _ => None,
        }
    }
    let pct = find(flag.get("targeting")?).unwrap_or_default();
    Some(pct / 100.0).filter(|share| (0.0..=1.0).contains(share))
}

/// Writes a file below `root`.
pub fn write(root: &Path, path: &str, text: &str) -> Result<()> {
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// The outcome file of the shop.
pub const OUTCOME_FILE: &str = r#"version: 1

outcomes:
  - id: checkout
    title: "More visitors finish the checkout"
    signal:
      source: shop
      metric: order_placed
      method: custom
      aggregation: 7d_rolling
      poll_interval: 6h
      query:
        level: |
          SELECT count(*) AS n, count(o.unit) AS successes
          FROM visits v LEFT JOIN orders o ON o.unit = v.unit
          WHERE v.at >= :from AND v.at < :to
        by_variant: |
          SELECT e.variant, count(*) AS n, count(DISTINCT e.unit) AS n_units, count(o.unit) AS successes
          FROM exposures e LEFT JOIN orders o ON o.unit = e.unit
          WHERE e.flag = :flag AND e.at >= :from AND e.at < :to
          GROUP BY e.variant
    target:
      direction: increase
      from: 0.30
      to: 0.33
      confidence: 0.95
    mde: 0.02
    randomisation_unit: visitor
    constraints:
      - signal: payment_failures
        source: shop
        metric: payment_failed
        method: custom
        query:
          by_variant: |
            SELECT e.variant, count(*) AS n, count(DISTINCT e.unit) AS n_units, coalesce(sum(o.is_failed), 0) AS successes
            FROM exposures e LEFT JOIN orders o ON o.unit = e.unit
            WHERE e.flag = :flag AND e.at >= :from AND e.at < :to
            GROUP BY e.variant
        not_worse: { direction: decrease, margin: 0.002 }
      - rule: "The payment provider's integration is not touched"
    horizon: 6w
    # Whether a payment failed or an order was made is known at once.
    ship_test: known_end
    portfolio: { max_concurrent: 2 }
    scope:
      allowed_paths: ["frontend/"]
      forbidden_paths: ["services/payments/"]

signal_connectors:
  - name: shop
    type: sql
    config: { url: "sqlite:shop.db" }

feature_flags:
  provider: flagd_file
  config: { path: flags.json }
"#;
