//! What the statistics need of many experiments at once: readings as who said what about which window, the plan, and what is
//! remembered.
//!
//! The readings of one signal come as one row of text, a line each: a driver's cost is by the row. No statement sorts.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::codec::Instant;
use super::columns::{row, sql};
use super::db::{Conn, Tx, on_db};
use super::error::{db_error, must_hit_all};
use super::experiments::AllocationPhase;
use super::measurements::StoredReading;
use super::origin::Origin;
use super::statement::{Sql, statements};
use super::touched::{FoldedTable, RowKey};
use crate::domain::{ArmSums, Cohort, CountedUnits, MadeCorrection, PauseCause, SignedDecision, Variant};
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::lifecycle::ExperimentEvent;

statements! {
    // Every nth id, from the index alone.
    RANGES = "
        SELECT id FROM (
            SELECT id, row_number() OVER (ORDER BY id) AS number FROM experiment WHERE workspace_id = $1
        ) AS numbered WHERE number % $2 = 1 % $2 ORDER BY id";
    EXPERIMENTS = "
        SELECT id, slug, CAST(plan AS TEXT) AS plan, state ->> 'plan_hash' AS plan_hash, launched_at,
            CAST(running AS TEXT) AS running, CAST(current_result AS TEXT) AS current_result
        FROM experiment
        WHERE workspace_id = $1 AND id >= $2 AND id < $3
            AND status IN ('running', 'measuring', 'paused', 'awaiting_analysis_gate', 'scaling', 'awaiting_scale_gate',
                'awaiting_ship_gate')";
    PHASES = sql!("SELECT experiment_id, ", AllocationPhase::COLUMNS, " FROM allocation_phase
        WHERE workspace_id = $1 AND experiment_id >= $2 AND experiment_id < $3 ORDER BY experiment_id, phase");
    MARKS = "
        SELECT subject_id, at, payload FROM event
        WHERE workspace_id = $1 AND subject_id >= $2 AND subject_id < $3
            AND kind IN ('experiment.auto_paused', 'experiment.corrected')
        ORDER BY seq";
}

/// Phase, first letter of the variant, instant, end of the window, origin and sums, in the order of the index.
pub(super) const READINGS: Sql = Sql {
    sqlite: "
        SELECT experiment_id, signal, group_concat(
            coalesce(phase, 0) || ' ' || coalesce(substr(variant, 1, 1), '-') || ' ' || measured_at || ' ' || window_to || ' '
            || CASE WHEN is_pushed THEN 'pushed' ELSE coalesce(reread_of, '-') END || ' ' || sums, char(10))
        FROM measurement WHERE workspace_id = $1 AND experiment_id >= $2 AND experiment_id < $3
        GROUP BY experiment_id, signal",
    postgres: "
        SELECT experiment_id, signal, string_agg(
            coalesce(phase, 0) || ' ' || coalesce(left(variant, 1), '-') || ' '
            || to_char(measured_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || ' '
            || to_char(window_to AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || ' '
            || CASE WHEN is_pushed THEN 'pushed'
                ELSE coalesce(to_char(reread_of AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '-') END
            || ' ' || CAST(sums AS TEXT), chr(10) ORDER BY phase, variant, measured_at, id)
        FROM measurement WHERE workspace_id = $1 AND experiment_id >= $2 AND experiment_id < $3
        GROUP BY experiment_id, signal",
};

/// What is remembered of an experiment. SQLite takes many such statements at once, hence parameters without numbers;
/// PostgreSQL takes many experiments in one. (As JSON in one parameter, SQLite would parse every text three times.)
pub(super) const REMEMBER: Sql = Sql {
    sqlite: "UPDATE experiment SET running = ?, current_result = ? WHERE workspace_id = ? AND id = ?;",
    postgres: "
        UPDATE experiment SET running = CAST(found.running AS JSONB), current_result = CAST(found.result AS JSONB)
        FROM unnest($2::uuid[], $3::text[], $4::text[]) AS found (id, running, result)
        WHERE experiment.workspace_id = $1 AND experiment.id = found.id",
};

/// Experiments that SQLite is given at once.
const BATCH: usize = 50;

/// A reading of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Name of the signal.
    pub signal: Arc<str>,
    /// Allocation phase, from 0.
    pub phase: i32,
    /// The arm; `None` for the whole population.
    pub variant: Option<Variant>,
    /// When it was stored.
    pub measured_at: Timestamp,
    /// End of its window.
    pub window_to: Timestamp,
    /// What was said.
    pub sums: ArmSums,
    /// What is known about the units.
    pub cohort: Option<Cohort>,
    /// What a query of the user's own says about them.
    pub units: Option<CountedUnits>,
    /// How it came.
    pub origin: Origin,
}

impl From<&StoredReading> for Snapshot {
    fn from(stored: &StoredReading) -> Self {
        let m = &stored.measurement;
        Self {
            signal: m.signal.as_str().into(),
            phase: m.phase.unwrap_or(0),
            variant: m.variant,
            measured_at: m.measured_at,
            window_to: m.window.to,
            sums: m.sums,
            cohort: m.cohort,
            units: m.units,
            origin: stored.origin,
        }
    }
}

/// An experiment that is measured, with everything that its statistics follow from. Texts are JSON.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Its id.
    pub id: ExperimentId,
    /// Its name for people.
    pub slug: String,
    /// What was fixed at launch.
    pub plan: Option<String>,
    /// Hash of what was approved.
    pub plan_hash: Option<String>,
    /// When it went live.
    pub launched_at: Option<Timestamp>,
    /// The running state of its statistics.
    pub running: Option<String>,
    /// The latest evaluation.
    pub current_result: Option<String>,
    /// Its readings, by signal.
    pub readings: Vec<(String, String)>,
    /// Its phases, in order.
    pub allocation: Vec<AllocationPhase>,
    /// What the log says about its readings.
    pub marks: Marks,
}

/// What the log says about the readings of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// When its flag was found where it had not been put.
    pub drifts: Vec<Timestamp>,
    /// What humans corrected, oldest first.
    pub corrections: Vec<MadeCorrection>,
}

impl Marks {
    /// Whether a reading counts: no correction leaves it out. `reread_of`: the instant of the poll that it tells again.
    #[must_use]
    pub fn count(&self, signal: &str, measured_at: Timestamp, reread_of: Option<Timestamp>) -> bool {
        !self.corrections.iter().any(|made| made.leaves_out(signal, measured_at, reread_of))
    }
}

row! {
    struct ExperimentRow {
        id: ExperimentId,
        slug: String,
        plan: Option<String>,
        plan_hash: Option<String>,
        launched_at: Option<Instant>,
        running: Option<String>,
        current_result: Option<String>,
    }
}

row! {
    struct PhaseRow {
        experiment_id: ExperimentId,
    }
    with { phase: AllocationPhase }
}

impl Tx {
    /// Ids that cut the experiments into ranges of about `size`; each range begins with one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measured_ranges(&mut self, size: i64) -> Result<Vec<ExperimentId>> {
        let rows: Vec<(ExperimentId,)> =
            on_db!(self, |c| sqlx::query_as(RANGES).bind(self.workspace).bind(size.max(1)).fetch_all(c).await)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The experiments from `from` up to, but without, `until` whose signals are read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measured_in(&mut self, from: ExperimentId, until: ExperimentId) -> Result<Vec<Measured>> {
        let rows: Vec<ExperimentRow> = on_db!(self, |c| sqlx::query_as(EXPERIMENTS)
            .bind(self.workspace)
            .bind(from)
            .bind(until)
            .fetch_all(c)
            .await)?;
        let phases: Vec<PhaseRow> =
            on_db!(self, |c| sqlx::query_as(PHASES).bind(self.workspace).bind(from).bind(until).fetch_all(c).await)?;
        let marks = self.reading_marks(from, until).await?;
        let readings: Vec<(ExperimentId, String, String)> = match &mut self.conn {
            Conn::Sqlite(tx) => {
                let query = sqlx::query_as(READINGS.sqlite).bind(self.workspace).bind(from).bind(until);
                query.fetch_all(&mut **tx).await
            }
            Conn::Postgres(tx) => {
                let query = sqlx::query_as(READINGS.postgres).bind(self.workspace).bind(from).bind(until);
                query.fetch_all(&mut **tx).await
            }
        }
        .map_err(db_error)?;
        let mut found: Vec<Measured> = rows.into_iter().map(Measured::from).collect();
        found.sort_unstable_by_key(|measured| measured.id);
        let mut index = Index { found: &mut found };
        for PhaseRow { experiment_id, phase } in phases {
            index.with(experiment_id, |measured| measured.allocation.push(phase));
        }
        for (id, marks) in marks {
            index.with(id, |measured| measured.marks = marks);
        }
        for (id, signal, lines) in readings {
            index.with(id, |measured| measured.readings.push((signal, lines)));
        }
        Ok(found)
    }

    /// What the log says about the readings of the experiments from `from` up to, but without, `until`.
    ///
    /// # Errors
    /// [`Code::AuditBroken`] for a line that cannot be read.
    pub async fn reading_marks(
        &mut self,
        from: ExperimentId,
        until: ExperimentId,
    ) -> Result<BTreeMap<ExperimentId, Marks>> {
        let rows: Vec<(ExperimentId, Instant, String)> =
            on_db!(self, |c| sqlx::query_as(MARKS).bind(self.workspace).bind(from).bind(until).fetch_all(c).await)?;
        let mut found: BTreeMap<ExperimentId, Marks> = BTreeMap::new();
        for (id, at, payload) in rows {
            let event: ExperimentEvent<SignedDecision> = serde_json::from_str(&payload).map_err(|e| {
                Error::new(Code::AuditBroken, format!("a line about experiment {id} in the audit log cannot be read"))
                    .hint("another program wrote to the database; run `outcome-runtime audit verify` against a backup")
                    .because(e)
            })?;
            let marks = found.entry(id).or_default();
            match event {
                ExperimentEvent::AutoPaused { cause: PauseCause::FlagDrift, .. } => marks.drifts.push(at.0),
                ExperimentEvent::Corrected { correction, .. } => {
                    marks.corrections.push(MadeCorrection { at: at.0, correction });
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Stores what many experiments remember: id, running state and latest evaluation, the latter two as JSON.
    ///
    /// # Errors
    /// [`Code::RowMissing`] when one of them is not there.
    pub async fn remember_all(&mut self, remembered: &[(ExperimentId, String, String)]) -> Result<()> {
        for (id, ..) in remembered {
            self.touch(FoldedTable::Experiment, RowKey::Id(id.0)).await?;
        }
        let n_rows = match &mut self.conn {
            Conn::Sqlite(tx) => {
                let mut n_rows = 0;
                for batch in remembered.chunks(BATCH) {
                    let mut query = sqlx::query(AssertSqlSafe(REMEMBER.sqlite.repeat(batch.len())));
                    for (id, running, result) in batch {
                        query = query.bind(running).bind(result).bind(self.workspace).bind(*id);
                    }
                    n_rows += query.execute(&mut **tx).await.map_err(db_error)?.rows_affected();
                }
                n_rows
            }
            Conn::Postgres(tx) => {
                let ids: Vec<Uuid> = remembered.iter().map(|(id, ..)| id.0).collect();
                let running: Vec<&str> = remembered.iter().map(|(_, running, _)| running.as_str()).collect();
                let results: Vec<&str> = remembered.iter().map(|(.., result)| result.as_str()).collect();
                let query = sqlx::query(REMEMBER.postgres).bind(self.workspace).bind(ids).bind(running).bind(results);
                query.execute(&mut **tx).await.map_err(db_error)?.rows_affected()
            }
        };
        let ids = || remembered.iter().map(|(id, ..)| id.to_string()).collect::<Vec<_>>().join(", ");
        must_hit_all(n_rows, remembered.len(), "experiment", ids)
    }
}

struct Index<'a> {
    found: &'a mut [Measured],
}

impl Index<'_> {
    fn with(&mut self, id: ExperimentId, then: impl FnOnce(&mut Measured)) {
        let place = self.found.binary_search_by_key(&id, |measured| measured.id);
        if let Some(measured) = place.ok().and_then(|i| self.found.get_mut(i)) {
            then(measured);
        }
    }
}

impl From<ExperimentRow> for Measured {
    fn from(row: ExperimentRow) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            plan: row.plan,
            plan_hash: row.plan_hash,
            launched_at: row.launched_at.map(|at| at.0),
            running: row.running,
            current_result: row.current_result,
            readings: Vec::new(),
            allocation: Vec::new(),
            marks: Marks::default(),
        }
    }
}

impl Measured {
    /// Its readings that count, oldest first.
    ///
    /// # Errors
    /// [`Code::DatabaseCorrupt`] for a reading that cannot be read.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let mut all = Vec::new();
        for (signal, lines) in &self.readings {
            let signal: Arc<str> = signal.as_str().into();
            for line in lines.lines() {
                all.push(parse_reading(&signal, line).ok_or_else(|| {
                    Error::new(Code::DatabaseCorrupt, format!("a reading of `{}` cannot be read", self.slug))
                        .hint("another program wrote to the database; run `outcome-runtime audit verify`")
                })?);
            }
        }
        all.retain(|reading| self.marks.count(&reading.signal, reading.measured_at, reading.origin.reread_of()));
        all.sort_by_key(|reading| reading.measured_at);
        Ok(all)
    }
}

fn parse_reading(signal: &Arc<str>, line: &str) -> Option<Snapshot> {
    let mut parts = line.splitn(6, ' ');
    let phase = parts.next()?.parse().ok()?;
    let variant = match parts.next()? {
        "c" => Some(Variant::Control),
        "t" => Some(Variant::Treatment),
        "-" => None,
        _ => return None,
    };
    let (measured_at, window_to) = (parts.next()?, parts.next()?);
    let at: Timestamp = measured_at.parse().ok()?;
    let origin = match parts.next()? {
        "-" => Origin::Polled,
        "pushed" => Origin::Pushed,
        of => Origin::Reread(of.parse().ok()?),
    };
    let read = serde_json::from_str::<FlatSums<'_>>(parts.next()?).ok()?;
    Some(Snapshot {
        signal: Arc::clone(signal),
        phase,
        variant,
        measured_at: at,
        // Most windows end when they are read.
        window_to: if window_to == measured_at { at } else { window_to.parse().ok()? },
        origin,
        cohort: read.cohort,
        units: read.units,
        sums: read.sums()?,
    })
}

/// [`ArmSums`] with all its fields side by side: read without a copy, which its tag would take.
#[derive(Deserialize)]
struct FlatSums<'a> {
    kind: &'a str,
    n: Option<i64>,
    successes: Option<i64>,
    sum: Option<f64>,
    sum_squares: Option<f64>,
    num: Option<f64>,
    num_squares: Option<f64>,
    den: Option<f64>,
    den_squares: Option<f64>,
    num_den: Option<f64>,
    cov_sum: Option<f64>,
    cov_sum_squares: Option<f64>,
    cross_sum: Option<f64>,
    value: Option<f64>,
    cohort: Option<Cohort>,
    units: Option<CountedUnits>,
}

impl FlatSums<'_> {
    fn sums(self) -> Option<ArmSums> {
        Some(match self.kind {
            "proportion" => ArmSums::Proportion { n: self.n?, successes: self.successes? },
            "mean" => ArmSums::Mean { n: self.n?, sum: self.sum?, sum_squares: self.sum_squares? },
            "ratio" => ArmSums::Ratio {
                n: self.n?,
                num: self.num?,
                num_squares: self.num_squares?,
                den: self.den?,
                den_squares: self.den_squares?,
                num_den: self.num_den?,
            },
            "cuped" => ArmSums::Cuped {
                n: self.n?,
                sum: self.sum?,
                sum_squares: self.sum_squares?,
                cov_sum: self.cov_sum?,
                cov_sum_squares: self.cov_sum_squares?,
                cross_sum: self.cross_sum?,
            },
            "value" => ArmSums::Value { value: self.value? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::EventKind;
    use crate::lifecycle::ExperimentEventKind;

    #[test]
    fn the_lines_that_are_asked_for_are_pauses_and_corrections() {
        for kind in [ExperimentEventKind::AutoPaused, ExperimentEventKind::Corrected] {
            assert!(MARKS.contains(&format!("'{}'", EventKind::Experiment(kind))));
        }
    }

    #[test]
    fn every_kind_of_sums_is_read_as_it_was_written() {
        for sums in [
            ArmSums::Proportion { n: 1000, successes: 300 },
            ArmSums::Mean { n: 5, sum: 0.1 + 0.2, sum_squares: 1e-300 },
            ArmSums::Ratio { n: 7, num: 1.0, num_squares: 2.5, den: -3.0, den_squares: 1e22, num_den: 0.1 },
            ArmSums::Cuped { n: 3, sum: 0.3, sum_squares: 0.1, cov_sum: 7.0, cov_sum_squares: 1e22, cross_sum: -0.5 },
            ArmSums::Value { value: 310.5 },
        ] {
            let text = serde_json::to_string(&sums).unwrap();
            assert_eq!(serde_json::from_str::<FlatSums<'_>>(&text).unwrap().sums(), Some(sums), "{text}");
        }
        assert_eq!(serde_json::from_str::<FlatSums<'_>>(r#"{"kind":"mean","n":5}"#).unwrap().sums(), None);
    }
}
