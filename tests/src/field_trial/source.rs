//! The database that is measured: the driver fills it day by day, and breaks it where the kind of the experiment says so.
//!
//! Experiments with a query have a table of their own with the counts of each day. Those with a metric share the tables of the shop: who
//! saw which flag, visits, orders, refunds; and the same of accounts, whose tables begin with `team_`.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::kind::{DELETED_A_DAY, Kind, LOST};
use super::people::{Row as Happened, draw_poisson};
use super::{BAD_RATE, BASE_RATE, MDE};

/// The tables of the shop; the same for its accounts.
const TABLES: &str = "
    CREATE TABLE {t}seen (user_id INTEGER, flag TEXT, variant TEXT, seen_at TEXT);
    CREATE INDEX {t}seen_of ON {t}seen (flag, seen_at); CREATE INDEX {t}seen_by ON {t}seen (user_id);
    CREATE TABLE {t}visits (user_id INTEGER, at TEXT);
    CREATE INDEX {t}visits_at ON {t}visits (at); CREATE INDEX {t}visits_by ON {t}visits (user_id, at);
    CREATE TABLE {t}orders (user_id INTEGER, at TEXT, total REAL); CREATE INDEX {t}orders_by ON {t}orders (user_id, at);
    CREATE TABLE {t}refunds (user_id INTEGER, at TEXT); CREATE INDEX {t}refunds_by ON {t}refunds (user_id, at);";
const MEMBERS: &str = "CREATE TABLE members (user_id INTEGER, account_id INTEGER);
    CREATE INDEX members_by ON members (user_id); CREATE INDEX members_of ON members (account_id, user_id)";
/// Rows of one statement.
const BATCH: usize = 500;

/// Whose tables these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Users,
    Accounts,
}

impl Side {
    fn prefix(self) -> &'static str {
        match self {
            Self::Users => "",
            Self::Accounts => "team_",
        }
    }
}

/// A SQLite file with a table of visits for each experiment that has a query, and those of the shop.
pub struct Source(SqliteConnection);

impl Source {
    /// Makes the file.
    pub async fn create(path: &std::path::Path) -> Result<Self> {
        Ok(Self(SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await?))
    }

    /// Makes the tables of the shop.
    pub async fn open_shop(&mut self) -> Result<()> {
        for side in [Side::Users, Side::Accounts] {
            self.tell(&TABLES.replace("{t}", side.prefix())).await?;
        }
        self.tell(MEMBERS).await
    }

    /// Writes what happened; `flag` is what users saw, and `start` the instant of which rows count their seconds.
    pub async fn write(&mut self, side: Side, flag: &str, start: Timestamp, rows: &[Happened]) -> Result<()> {
        let prefix = side.prefix();
        let mut by_table: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            let at = |seconds: i64| (start + SignedDuration::from_secs(seconds)).strftime("%Y-%m-%d %H:%M:%S");
            let (table, values) = match *row {
                Happened::Member { user, account } => ("members".to_owned(), format!("({user}, {account})")),
                Happened::Seen { user, is_treatment, at: seen_at } => {
                    let variant = if is_treatment { "treatment" } else { "control" };
                    (format!("{prefix}seen"), format!("({user}, '{flag}', '{variant}', '{}')", at(seen_at)))
                }
                Happened::Visit { user, at: came_at } => {
                    (format!("{prefix}visits"), format!("({user}, '{}')", at(came_at)))
                }
                Happened::Order { user, at: ordered_at, total } => {
                    (format!("{prefix}orders"), format!("({user}, '{}', {total})", at(ordered_at)))
                }
                Happened::Refund { user, at: sent_at } => {
                    (format!("{prefix}refunds"), format!("({user}, '{}')", at(sent_at)))
                }
            };
            by_table.entry(table).or_default().push(values);
        }
        self.tell("BEGIN").await?;
        for (table, rows) in by_table {
            for rows in rows.chunks(BATCH) {
                self.tell(&format!("INSERT INTO {table} VALUES {}", rows.join(","))).await?;
            }
        }
        self.tell("COMMIT").await
    }

    /// Deletes all rows of these users.
    pub async fn forget(&mut self, side: Side, users: &[i64]) -> Result<()> {
        if users.is_empty() {
            return Ok(());
        }
        let (prefix, users) = (side.prefix(), users.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
        let mut tables: Vec<String> =
            ["seen", "visits", "orders", "refunds"].iter().map(|table| format!("{prefix}{table}")).collect();
        tables.extend((side == Side::Accounts).then(|| "members".to_owned()));
        let all: Vec<String> =
            tables.iter().map(|table| format!("DELETE FROM {table} WHERE user_id IN ({users})")).collect();
        self.tell(&format!("BEGIN; {}; COMMIT", all.join(";"))).await
    }

    /// Makes the table of one experiment: a line for each day and arm.
    pub async fn declare(&mut self, name: &str) -> Result<()> {
        let columns = "variant TEXT, at TEXT, n INTEGER, bought INTEGER, refunded INTEGER, PRIMARY KEY (variant, at)";
        self.tell(&format!("CREATE TABLE {name} ({columns})")).await
    }

    /// The units of one day. `units`: of both arms together, on average.
    pub async fn fill(
        &mut self,
        name: &str,
        kind: Kind,
        at: Timestamp,
        units: f64,
        rng: &mut ChaCha8Rng,
    ) -> Result<()> {
        let n = draw_poisson(units, rng)?;
        let n_assigned = draw(n, 0.5, rng)?;
        let n_treatment = if kind == Kind::Crash { draw(n_assigned, 1.0 - LOST, rng)? } else { n_assigned };
        let at = at.strftime("%Y-%m-%d %H:%M:%S");
        for (variant, n, effect) in [("control", n - n_assigned, 0.0), ("treatment", n_treatment, kind.effect() * MDE)]
        {
            let (bought, refunded) = (draw(n, BASE_RATE + effect, rng)?, draw(n, BAD_RATE, rng)?);
            self.tell(&format!("INSERT INTO {name} VALUES ('{variant}', '{at}', {n}, {bought}, {refunded})")).await?;
        }
        Ok(())
    }

    /// Deletes some of all units so far, from both arms alike.
    pub async fn delete_some(&mut self, name: &str, rng: &mut ChaCha8Rng) -> Result<()> {
        let query = format!("SELECT rowid, n, bought, refunded FROM {name}");
        let lines = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut self.0).await?;
        for line in lines {
            let count = |column: &str| line.try_get::<i64, _>(column).map(i64::cast_unsigned);
            let (n, bought, refunded) = (count("n")?, count("bought")?, count("refunded")?);
            let deleted = draw(n, DELETED_A_DAY, rng)?;
            if deleted == 0 {
                continue;
            }
            let of = |part: u64| part as f64 / n as f64;
            let (buyers, refunds) = (draw(deleted, of(bought), rng)?, draw(deleted, of(refunded), rng)?);
            let sets = format!(
                "n = n - {deleted}, bought = max(0, bought - {buyers}), refunded = max(0, refunded - {refunds})"
            );
            let rowid: i64 = line.try_get("rowid")?;
            self.tell(&format!("UPDATE {name} SET {sets} WHERE rowid = {rowid}")).await?;
        }
        Ok(())
    }

    /// Takes the table away, so that queries fail.
    pub async fn go_away(&mut self, name: &str) -> Result<()> {
        self.tell(&format!("ALTER TABLE {name} RENAME TO away_{name}")).await
    }

    /// Brings it back, with all that came meanwhile.
    pub async fn come_back(&mut self, name: &str) -> Result<()> {
        self.tell(&format!("ALTER TABLE away_{name} RENAME TO {name}")).await
    }

    async fn tell(&mut self, sql: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await?;
        Ok(())
    }
}

fn draw(n: u64, share: f64, rng: &mut ChaCha8Rng) -> Result<u64> {
    Ok(Binomial::new(n, share.clamp(0.0, 1.0))?.sample(rng))
}
