//! The database that is measured: the driver fills it day by day, and breaks it where the kind of the experiment says so.

use anyhow::Result;
use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, Poisson};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::kind::{DELETED_A_DAY, Kind, LOST};
use super::{BAD_RATE, BASE_RATE, MDE};

/// A SQLite file with a table of visits for each experiment.
pub struct Source(SqliteConnection);

impl Source {
    /// Makes the file.
    pub async fn create(path: &std::path::Path) -> Result<Self> {
        Ok(Self(SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await?))
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

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
fn draw_poisson(mean: f64, rng: &mut ChaCha8Rng) -> Result<u64> {
    Ok(Poisson::new(mean)?.sample(rng) as u64)
}
