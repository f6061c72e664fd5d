//! Readings, and how healthy their sources are.

use std::collections::{HashMap, HashSet};

use sqlx::types::Json;
use uuid::Uuid;

use super::codec::Instant;
use super::columns::{ROWS, columns, sql};
use super::db::{Tx, on_db};
use super::origin::Origin;
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{Measurement, ReadSums, Variant, Window};
use crate::error::Result;
use crate::ids::{ExperimentId, MeasurementId, OutcomeId, WorkspaceId};

/// Readings of a poll whose hashes are looked at.
const MAX_OF_POLL: i64 = 256;
/// Most days of one outcome that are read back: ten years.
const MAX_DAYS: i64 = 3660;
/// Most pushed levels of one outcome that are read back.
const MAX_PUSHED: i64 = 20_000;

statements! {
    MEASUREMENT_POLLS = "
        SELECT DISTINCT experiment_id, measured_at FROM measurement
        WHERE workspace_id = $1 AND experiment_id IS NOT NULL";
    MEASUREMENT_INSERT = sql!(MeasurementRow::INSERT, " ON CONFLICT (workspace_id, natural_key) DO NOTHING");
    MEASUREMENT_INSERT_ROWS = sql!(MeasurementRow::INSERT_ROWS, "
        ON CONFLICT (workspace_id, natural_key) DO NOTHING RETURNING natural_key");
    MEASUREMENT_LAST_PUSHED = "
        SELECT MAX(measured_at) FROM measurement
        WHERE workspace_id = $1 AND experiment_id = $2 AND signal = $3 AND is_pushed";
    MEASUREMENT_LATEST = sql!("SELECT ", MeasurementRow::COLUMNS, " FROM measurement
        WHERE workspace_id = $1 AND experiment_id = $2 AND signal = $3 AND phase = $4 AND variant = $5
            AND reread_of IS NULL AND measured_at < $6
        ORDER BY measured_at DESC, id DESC LIMIT 1");
    MEASUREMENT_SERIES = sql!("SELECT ", MeasurementRow::COLUMNS, " FROM (
            SELECT * FROM measurement WHERE workspace_id = $1 AND experiment_id = $2 AND signal = $3 AND reread_of IS NULL
            ORDER BY measured_at DESC, phase DESC, variant DESC LIMIT $4) AS newest
        ORDER BY measured_at, phase, variant");
    // Single days have a phase, which the log holds. Those of before have none, and are told by their key.
    MEASUREMENT_LEVELS = sql!("SELECT ", MeasurementRow::COLUMNS, " FROM measurement
        WHERE workspace_id = $1 AND outcome_id = $2 AND signal = $3 AND experiment_id IS NULL
            AND phase IS NULL AND natural_key NOT LIKE 'day/%'
        ORDER BY measured_at DESC LIMIT $4");
    MEASUREMENT_LEVEL_BEFORE = sql!("SELECT ", MeasurementRow::COLUMNS, " FROM measurement
        WHERE workspace_id = $1 AND outcome_id = $2 AND signal = $3 AND experiment_id IS NULL AND measured_at < $4
            AND phase IS NULL AND natural_key NOT LIKE 'day/%'
        ORDER BY measured_at DESC LIMIT 1");
    // What a source pushed cannot be asked for again, and stays.
    MEASUREMENT_LEVELS_OF_DAY = "
        SELECT id FROM measurement
        WHERE workspace_id = $1 AND outcome_id = $2 AND signal = $3 AND experiment_id IS NULL
            AND measured_at >= $4 AND measured_at < $5
            AND phase IS NULL AND natural_key NOT LIKE 'day/%' AND NOT is_pushed
        ORDER BY measured_at DESC, id DESC";
    MEASUREMENT_FIRST_LEVEL = "
        SELECT MIN(measured_at) FROM measurement
        WHERE workspace_id = $1 AND experiment_id IS NULL AND phase IS NULL AND natural_key NOT LIKE 'day/%' AND NOT is_pushed";
    MEASUREMENT_DELETE_LEVEL = "
        DELETE FROM measurement WHERE workspace_id = $1 AND id = $2
            AND experiment_id IS NULL AND phase IS NULL AND natural_key NOT LIKE 'day/%' AND NOT is_pushed";
    MEASUREMENT_DAYS = sql!("SELECT ", MeasurementRow::COLUMNS, " FROM measurement
        WHERE workspace_id = $1 AND outcome_id = $2 AND signal = $3 AND experiment_id IS NULL
            AND natural_key LIKE $4
        ORDER BY window_to LIMIT $5");
    MEASUREMENT_PUSHED_LEVELS = sql!("SELECT ", MeasurementRow::COLUMNS, " FROM measurement
        WHERE workspace_id = $1 AND outcome_id = $2 AND signal = $3 AND experiment_id IS NULL AND is_pushed
        ORDER BY window_to, window_from DESC, measured_at DESC LIMIT $4");
    // A range also for one instant: with `measured_at = $3`, SQLite takes the index by signal, for the sake of the order,
    // and reads everything of the experiment.
    MEASUREMENT_PAGE = sql!("SELECT ", MeasurementRow::COLUMNS, " FROM measurement
        WHERE workspace_id = $1 AND experiment_id = $2 AND measured_at >= $3 AND measured_at <= $4
        ORDER BY measured_at, signal, phase, variant, window_to, id LIMIT $5");
    MEASUREMENT_OF_EXPERIMENT = sql!("SELECT ", MeasurementRow::COLUMNS, "
        FROM measurement WHERE workspace_id = $1 AND experiment_id = $2
        ORDER BY measured_at, signal, phase, variant, window_to, id");
    MEASUREMENT_NEWEST_HASHES = "
        SELECT measured_at, raw_hash, sums FROM measurement
        WHERE workspace_id = $1 AND experiment_id = $2 AND phase IS NOT NULL AND reread_of IS NULL AND NOT is_pushed
            AND (signal = $4 OR $4 IS NULL)
        ORDER BY measured_at DESC LIMIT $3";
    HEALTH_GET = sql!("SELECT ", SignalHealth::COLUMNS, " FROM signal_health
        WHERE workspace_id = $1 AND subject_id = $2 AND signal = $3");
    HEALTH_LIST = sql!("SELECT ", SignalHealth::COLUMNS, " FROM signal_health
        WHERE workspace_id = $1 AND subject_id = $2 ORDER BY signal");
    HEALTH_WAITING = "SELECT subject_id, signal, due_at FROM signal_health WHERE workspace_id = $1 AND due_at > $2";
    HEALTH_WAKE = "
        UPDATE signal_health SET due_at = $4
        WHERE workspace_id = $1 AND subject_id = $2 AND signal = $3 AND due_at > $4";
    HEALTH_PUT = sql!(SignalHealth::INSERT, "
        ON CONFLICT (workspace_id, subject_id, signal) DO UPDATE SET due_at = excluded.due_at,
            last_ok_at = excluded.last_ok_at, failures = excluded.failures, failing_since = excluded.failing_since,
            last_error = excluded.last_error");
}

columns! {
    // What the digest of a poll, or of a level, covers is folded.
    pub(super) struct MeasurementRow in "measurement" {
        id: MeasurementId => volatile("tells rows apart"),
        natural_key: String => volatile("unchecked: whether a reading is stored at all"),
        outcome_id: OutcomeId => folded,
        experiment_id: Option<ExperimentId> => folded,
        signal: String => folded,
        variant: Option<Variant> => folded,
        phase: Option<i32> => folded,
        measured_at: Instant => folded,
        window_from: Instant => folded,
        window_to: Instant => folded,
        sums: Json<ReadSums> => folded,
        source: String => volatile("shown"),
        query_hash: String => folded,
        raw_hash: String => folded,
        is_pushed: bool => volatile("unchecked: whether a reading was asked for or pushed"),
        reread_of: Option<Instant> => folded,
    }
    beside {
        workspace_id: WorkspaceId => folded,
        n: Option<i64> => volatile("a copy for people who read the table"),
        value: Option<f64> => volatile("a copy for people who read the table"),
    }
}

impl MeasurementRow {
    fn under(natural_key: &str, measurement: &Measurement, origin: Origin) -> Self {
        Self {
            natural_key: natural_key.to_owned(),
            is_pushed: origin.is_pushed(),
            reread_of: origin.reread_of().map(Instant),
            ..Self::from(measurement)
        }
    }
}

impl From<&Measurement> for MeasurementRow {
    fn from(m: &Measurement) -> Self {
        Self {
            id: m.id,
            natural_key: String::new(),
            outcome_id: m.outcome,
            experiment_id: m.experiment,
            signal: m.signal.clone(),
            variant: m.variant,
            phase: m.phase,
            measured_at: Instant(m.measured_at),
            window_from: Instant(m.window.from),
            window_to: Instant(m.window.to),
            sums: Json(m.read_sums()),
            source: m.source.clone(),
            query_hash: m.query_hash.clone(),
            raw_hash: m.raw_hash.clone(),
            is_pushed: false,
            reread_of: None,
        }
    }
}

impl From<MeasurementRow> for Measurement {
    fn from(row: MeasurementRow) -> Self {
        Self {
            id: row.id,
            outcome: row.outcome_id,
            experiment: row.experiment_id,
            signal: row.signal,
            variant: row.variant,
            phase: row.phase,
            measured_at: row.measured_at.0,
            window: Window { from: row.window_from.0, to: row.window_to.0 },
            sums: row.sums.0.sums,
            cohort: row.sums.0.cohort,
            units: row.sums.0.units,
            source: row.source,
            query_hash: row.query_hash,
            raw_hash: row.raw_hash,
        }
    }
}

/// Readings of an experiment, whole polls only.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingPage {
    /// Oldest first, and within an instant in the order of [`Tx::measurement_of_poll`].
    pub readings: Vec<StoredReading>,
    /// Everything up to this instant is in the page.
    pub until: jiff::Timestamp,
}

/// A reading of an experiment and how it came.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReading {
    /// The reading.
    pub measurement: Measurement,
    /// How it came.
    pub origin: Origin,
}

impl From<MeasurementRow> for StoredReading {
    fn from(row: MeasurementRow) -> Self {
        Self { origin: Origin::of(row.is_pushed, row.reread_of.map(|of| of.0)), measurement: row.into() }
    }
}

columns! {
    /// How a signal of an outcome or experiment does.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SignalHealth in "signal_health" {
        /// Name of the signal.
        pub signal: String => volatile("unchecked: whose health it is"),
        /// When it should be read next.
        pub due_at: Instant => volatile("unchecked: when it is read next"),
        /// When it was last read well.
        pub last_ok_at: Option<Instant> => volatile("unchecked: whether it counts as stale"),
        /// Failures since then.
        pub failures: i64 => volatile("unchecked: how long until the next try"),
        /// Of earlier versions: always 0.
        pub breaches: i64 => volatile("unused"),
        /// When the first of them was.
        pub failing_since: Option<Instant> => volatile("unchecked: how long it has been failing"),
        /// The last failure, cut and redacted.
        pub last_error: Option<String> => volatile("shown"),
    }
    beside {
        workspace_id: WorkspaceId => folded,
        subject_id: Uuid => volatile("unchecked: whose health it is"),
    }
}

impl Tx {
    /// The instants of all polls of experiments that readings are stored of.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_polls(&mut self) -> Result<Vec<(ExperimentId, jiff::Timestamp)>> {
        let rows: Vec<(ExperimentId, Instant)> =
            on_db!(self, |c| sqlx::query_as(MEASUREMENT_POLLS).bind(self.workspace).fetch_all(c).await)?;
        Ok(rows.into_iter().map(|(experiment, at)| (experiment, at.0)).collect())
    }

    /// Stores a reading that a poll asked for under its natural key; false when it was there already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_insert(&mut self, measurement: &Measurement, natural_key: &str) -> Result<bool> {
        self.measurement_insert_from(measurement, Origin::Polled, natural_key).await
    }

    /// Stores a reading that came in any way under its natural key; false when it was there already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_insert_from(
        &mut self,
        measurement: &Measurement,
        origin: Origin,
        natural_key: &str,
    ) -> Result<bool> {
        let row = MeasurementRow::under(natural_key, measurement, origin);
        let (n, value) = (measurement.sums.n(), measurement.sums.value());
        let n_rows = on_db!(self, |c| row
            .insert(sqlx::query(MEASUREMENT_INSERT), &self.workspace, &n, &value)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        if n_rows == 1 && measurement.experiment.is_none() {
            self.touch_new(FoldedTable::Measurement, RowKey::Id(measurement.id.0));
        }
        Ok(n_rows == 1)
    }

    /// Stores readings that came in any way, each under its natural key; the keys of those that were not there before.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn measurements_insert(
        &mut self,
        readings: &[(Measurement, Origin, String)],
    ) -> Result<HashSet<String>> {
        let mut new = HashSet::new();
        let (whole, rest) = readings.as_chunks::<ROWS>();
        for chunk in whole {
            type Copies = (Option<i64>, Option<f64>);
            let row = |(measurement, origin, key): &(Measurement, Origin, String)| -> (MeasurementRow, Copies) {
                let copies = (measurement.sums.n(), measurement.sums.value());
                (MeasurementRow::under(key, measurement, *origin), copies)
            };
            let rows: Vec<_> = chunk.iter().map(row).collect();
            let found: Vec<String> = on_db!(self, |c| rows
                .iter()
                .fold(sqlx::query(MEASUREMENT_INSERT_ROWS), |query, (row, (n, value))| row.insert(
                    query,
                    &self.workspace,
                    n,
                    value
                ))
                .try_map(|row: _| sqlx::Row::try_get(&row, 0))
                .fetch_all(c)
                .await)?;
            new.extend(found);
            for (measurement, _, key) in chunk {
                if new.contains(key) && measurement.experiment.is_none() {
                    self.touch_new(FoldedTable::Measurement, RowKey::Id(measurement.id.0));
                }
            }
        }
        for (measurement, origin, key) in rest {
            if self.measurement_insert_from(measurement, *origin, key).await? {
                new.insert(key.clone());
            }
        }
        Ok(new)
    }

    /// The newest reading of an arm in a phase that was stored before an instant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_latest(
        &mut self,
        experiment: ExperimentId,
        signal: &str,
        phase: i32,
        variant: Variant,
        before: jiff::Timestamp,
    ) -> Result<Option<Measurement>> {
        let row: Option<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_LATEST)
            .bind(self.workspace)
            .bind(experiment)
            .bind(signal)
            .bind(phase)
            .bind(variant)
            .bind(Instant(before))
            .fetch_optional(c)
            .await)?;
        Ok(row.map(Measurement::from))
    }

    /// Hashes of the raw answers of the newest poll of an experiment, by variant; of one signal or of all. `min_units`: of an arm, so that equal hashes are no
    /// coincidence.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_newest_hashes(
        &mut self,
        experiment: ExperimentId,
        signal: Option<&str>,
        min_units: i64,
    ) -> Result<Vec<String>> {
        let rows: Vec<(Instant, String, Json<ReadSums>)> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_NEWEST_HASHES)
            .bind(self.workspace)
            .bind(experiment)
            .bind(MAX_OF_POLL)
            .bind(signal)
            .fetch_all(c)
            .await)?;
        let newest = rows.first().map(|(at, ..)| at.0);
        let is_large = |read: &ReadSums| read.sums.n().is_some_and(|n| n >= min_units);
        let of_newest = rows.into_iter().take_while(|(at, ..)| Some(at.0) == newest);
        Ok(of_newest.filter(|(.., read)| is_large(&read.0)).map(|(_, hash, _)| hash).collect())
    }

    /// The newest readings by variant of an experiment's signal as they were made, oldest first; without those that a later poll asked
    /// for again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_series(
        &mut self,
        experiment: ExperimentId,
        signal: &str,
        limit: i64,
    ) -> Result<Vec<Measurement>> {
        let rows: Vec<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_SERIES)
            .bind(self.workspace)
            .bind(experiment)
            .bind(signal)
            .bind(limit)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Measurement::from).collect())
    }

    /// Readings of the whole population over the window that is shown, newest first. Those over single days are not among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_levels(
        &mut self,
        outcome: OutcomeId,
        signal: &str,
        limit: i64,
    ) -> Result<Vec<Measurement>> {
        let rows: Vec<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_LEVELS)
            .bind(self.workspace)
            .bind(outcome)
            .bind(signal)
            .bind(limit)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Measurement::from).collect())
    }

    /// The newest reading of the whole population over the window that is shown that was taken before an instant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_level_before(
        &mut self,
        outcome: OutcomeId,
        signal: &str,
        before: jiff::Timestamp,
    ) -> Result<Option<Measurement>> {
        let row: Option<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_LEVEL_BEFORE)
            .bind(self.workspace)
            .bind(outcome)
            .bind(signal)
            .bind(Instant(before))
            .fetch_optional(c)
            .await)?;
        Ok(row.map(Measurement::from))
    }

    /// The levels of a signal that a poll asked for from one instant to before another, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_levels_of_day(
        &mut self,
        outcome: OutcomeId,
        signal: &str,
        day: Window,
    ) -> Result<Vec<MeasurementId>> {
        on_db!(self, |c| sqlx::query_scalar(MEASUREMENT_LEVELS_OF_DAY)
            .bind(self.workspace)
            .bind(outcome)
            .bind(signal)
            .bind(Instant(day.from))
            .bind(Instant(day.to))
            .fetch_all(c)
            .await)
    }

    /// When the first level was asked for that is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_first_level(&mut self) -> Result<Option<jiff::Timestamp>> {
        let at: Option<Instant> =
            on_db!(self, |c| sqlx::query_scalar(MEASUREMENT_FIRST_LEVEL).bind(self.workspace).fetch_one(c).await)?;
        Ok(at.map(|at| at.0))
    }

    /// Deletes levels that a poll asked for. Nothing else is deleted of what was read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_delete_levels(&mut self, levels: &[MeasurementId]) -> Result<()> {
        let ids: Vec<Uuid> = levels.iter().map(|level| level.0).collect();
        self.touch_all(FoldedTable::Measurement, &ids).await?;
        for level in levels {
            on_db!(self, |c| sqlx::query(MEASUREMENT_DELETE_LEVEL)
                .bind(self.workspace)
                .bind(*level)
                .execute(c)
                .await
                .map(|_| ()))?;
        }
        Ok(())
    }

    /// Readings of the whole population over single days, oldest first. `prefix`: of their natural keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_days(
        &mut self,
        outcome: OutcomeId,
        signal: &str,
        prefix: &str,
    ) -> Result<Vec<Measurement>> {
        let rows: Vec<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_DAYS)
            .bind(self.workspace)
            .bind(outcome)
            .bind(signal)
            .bind(format!("{prefix}%"))
            .bind(MAX_DAYS)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Measurement::from).collect())
    }

    /// Readings of the whole population that a source pushed, by the end of their window; of one window the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_pushed_levels(&mut self, outcome: OutcomeId, signal: &str) -> Result<Vec<Measurement>> {
        let rows: Vec<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_PUSHED_LEVELS)
            .bind(self.workspace)
            .bind(outcome)
            .bind(signal)
            .bind(MAX_PUSHED)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Measurement::from).collect())
    }

    /// When the newest reading of an experiment's signal came from a source that pushes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_last_pushed(
        &mut self,
        experiment: ExperimentId,
        signal: &str,
    ) -> Result<Option<jiff::Timestamp>> {
        let at: Option<Instant> = on_db!(self, |c| sqlx::query_scalar(MEASUREMENT_LAST_PUSHED)
            .bind(self.workspace)
            .bind(experiment)
            .bind(signal)
            .fetch_one(c)
            .await)?;
        Ok(at.map(|at| at.0))
    }

    /// The newest of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_latest_level(&mut self, outcome: OutcomeId, signal: &str) -> Result<Option<Measurement>> {
        Ok(self.measurement_levels(outcome, signal, 1).await?.pop())
    }

    /// The readings that one poll of an experiment stored, in a fixed order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_of_poll(
        &mut self,
        experiment: ExperimentId,
        at: jiff::Timestamp,
    ) -> Result<Vec<StoredReading>> {
        self.measurement_between(experiment, at, at, i64::MAX).await
    }

    /// The readings of an experiment from one instant to another, both included: as many polls as fit into `limit` rows, at
    /// least one, never a part of one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_page(
        &mut self,
        experiment: ExperimentId,
        (from, to): (jiff::Timestamp, jiff::Timestamp),
        limit: usize,
    ) -> Result<ReadingPage> {
        let n_wanted = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut readings = self.measurement_between(experiment, from, to, n_wanted).await?;
        let is_cut = readings.len() >= limit;
        let Some(last) = readings.last().map(|last| last.measurement.measured_at).filter(|_| is_cut) else {
            return Ok(ReadingPage { readings, until: to });
        };
        // The last poll may go on beyond the limit.
        readings.retain(|reading| reading.measurement.measured_at < last);
        match readings.last().map(|last| last.measurement.measured_at) {
            Some(until) => Ok(ReadingPage { readings, until }),
            None => Ok(ReadingPage { readings: self.measurement_of_poll(experiment, last).await?, until: last }),
        }
    }

    async fn measurement_between(
        &mut self,
        experiment: ExperimentId,
        from: jiff::Timestamp,
        to: jiff::Timestamp,
        limit: i64,
    ) -> Result<Vec<StoredReading>> {
        let rows: Vec<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_PAGE)
            .bind(self.workspace)
            .bind(experiment)
            .bind(Instant(from))
            .bind(Instant(to))
            .bind(limit)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(StoredReading::from).collect())
    }

    /// Everything that was ever read for an experiment, oldest first, and within an instant in the order of
    /// [`Self::measurement_of_poll`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_of_experiment(&mut self, experiment: ExperimentId) -> Result<Vec<StoredReading>> {
        let rows: Vec<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_OF_EXPERIMENT)
            .bind(self.workspace)
            .bind(experiment)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(StoredReading::from).collect())
    }

    /// How a signal of a subject (outcome or experiment) does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signal_health_get(&mut self, subject: Uuid, signal: &str) -> Result<Option<SignalHealth>> {
        on_db!(self, |c| sqlx::query_as(HEALTH_GET)
            .bind(self.workspace)
            .bind(subject)
            .bind(signal)
            .fetch_optional(c)
            .await)
    }

    /// How all signals of a subject do.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signal_health_list(&mut self, subject: Uuid) -> Result<Vec<SignalHealth>> {
        on_db!(self, |c| sqlx::query_as(HEALTH_LIST).bind(self.workspace).bind(subject).fetch_all(c).await)
    }

    /// The signals that are not due yet, of all outcomes and experiments, as id and name, with when they will be. Every other one
    /// is due: also one that was never read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signals_waiting(&mut self, now: jiff::Timestamp) -> Result<HashMap<(Uuid, String), jiff::Timestamp>> {
        let rows: Vec<(Uuid, String, Instant)> = on_db!(self, |c| sqlx::query_as(HEALTH_WAITING)
            .bind(self.workspace)
            .bind(Instant(now))
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(|(subject, signal, due_at)| ((subject, signal), due_at.0)).collect())
    }

    /// Makes a signal due at `at`, where it would be later.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signal_wake(&mut self, subject: Uuid, signal: &str, at: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(HEALTH_WAKE)
            .bind(self.workspace)
            .bind(subject)
            .bind(signal)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Stores how a signal does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signal_health_put(&mut self, subject: Uuid, health: &SignalHealth) -> Result<()> {
        on_db!(self, |c| health.insert(sqlx::query(HEALTH_PUT), &self.workspace, &subject).execute(c).await.map(|_| ()))
    }
}
