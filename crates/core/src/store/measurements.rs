//! Readings, and how healthy their sources are.

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Instant, Origin, Tx, on_db, statements};
use crate::domain::{ArmSums, Measurement, Variant, Window};
use crate::error::Result;
use crate::ids::{ExperimentId, MeasurementId, OutcomeId};

statements! {
    MEASUREMENT_INSERT = "
        INSERT INTO measurement (workspace_id, id, natural_key, outcome_id, experiment_id, signal, variant, phase,
            measured_at, window_from, window_to, sums, n, value, source, query_hash, raw_hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        ON CONFLICT (workspace_id, natural_key) DO NOTHING";
    MEASUREMENT_LATEST = "
        SELECT id, outcome_id, experiment_id, signal, variant, phase, measured_at, window_from, window_to, sums, source,
            query_hash, raw_hash
        FROM measurement
        WHERE workspace_id = $1 AND experiment_id = $2 AND signal = $3 AND phase = $4 AND variant = $5
            AND natural_key NOT LIKE 'reread/%'
        ORDER BY measured_at DESC, id DESC LIMIT 1";
    MEASUREMENT_SERIES = "
        SELECT id, outcome_id, experiment_id, signal, variant, phase, measured_at, window_from, window_to, sums, source,
            query_hash, raw_hash
        FROM measurement
        WHERE workspace_id = $1 AND experiment_id = $2 AND signal = $3 AND natural_key NOT LIKE 'reread/%'
        ORDER BY measured_at, phase, variant LIMIT $4";
    MEASUREMENT_LEVELS = "
        SELECT id, outcome_id, experiment_id, signal, variant, phase, measured_at, window_from, window_to, sums, source,
            query_hash, raw_hash
        FROM measurement
        WHERE workspace_id = $1 AND outcome_id = $2 AND signal = $3 AND experiment_id IS NULL
        ORDER BY measured_at DESC LIMIT $4";
    MEASUREMENT_BY_KEY = "
        SELECT id, outcome_id, experiment_id, signal, variant, phase, measured_at, window_from, window_to, sums, source,
            query_hash, raw_hash
        FROM measurement WHERE workspace_id = $1 AND natural_key = $2";
    MEASUREMENT_OF_POLL = "
        SELECT id, outcome_id, experiment_id, signal, variant, phase, measured_at, window_from, window_to, sums, source,
            query_hash, raw_hash, natural_key
        FROM measurement WHERE workspace_id = $1 AND experiment_id = $2 AND measured_at = $3
        ORDER BY signal, phase, variant, window_to, id";
    MEASUREMENT_OF_EXPERIMENT = "
        SELECT id, outcome_id, experiment_id, signal, variant, phase, measured_at, window_from, window_to, sums, source,
            query_hash, raw_hash, natural_key
        FROM measurement WHERE workspace_id = $1 AND experiment_id = $2
        ORDER BY measured_at, signal, phase, variant, window_to, id";
    HEALTH_GET = "
        SELECT signal, due_at, last_ok_at, failures, breaches, last_error FROM signal_health
        WHERE workspace_id = $1 AND subject_id = $2 AND signal = $3";
    HEALTH_LIST = "
        SELECT signal, due_at, last_ok_at, failures, breaches, last_error FROM signal_health
        WHERE workspace_id = $1 AND subject_id = $2 ORDER BY signal";
    HEALTH_PUT = "
        INSERT INTO signal_health (workspace_id, subject_id, signal, due_at, last_ok_at, failures, breaches, last_error)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (workspace_id, subject_id, signal) DO UPDATE SET due_at = excluded.due_at,
            last_ok_at = excluded.last_ok_at, failures = excluded.failures, breaches = excluded.breaches,
            last_error = excluded.last_error";
}

#[derive(FromRow)]
struct MeasurementRow {
    id: MeasurementId,
    outcome_id: OutcomeId,
    experiment_id: Option<ExperimentId>,
    signal: String,
    variant: Option<Variant>,
    phase: Option<i32>,
    measured_at: Instant,
    window_from: Instant,
    window_to: Instant,
    sums: Json<ArmSums>,
    source: String,
    query_hash: String,
    raw_hash: String,
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
            sums: row.sums.0,
            source: row.source,
            query_hash: row.query_hash,
            raw_hash: row.raw_hash,
        }
    }
}

#[derive(FromRow)]
struct StoredRow {
    #[sqlx(flatten)]
    row: MeasurementRow,
    natural_key: String,
}

/// A reading of an experiment and how it came.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReading {
    /// The reading.
    pub measurement: Measurement,
    /// How it came.
    pub origin: Origin,
}

impl From<StoredRow> for StoredReading {
    fn from(stored: StoredRow) -> Self {
        Self { origin: Origin::of_key(&stored.natural_key), measurement: stored.row.into() }
    }
}

/// How a signal of an outcome or experiment does.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SignalHealth {
    /// Name of the signal.
    pub signal: String,
    /// When it should be read next.
    pub due_at: Instant,
    /// When it was last read well.
    pub last_ok_at: Option<Instant>,
    /// Failures since then.
    pub failures: i64,
    /// Breaches of its bound in a row.
    pub breaches: i64,
    /// The last failure, cut and redacted.
    pub last_error: Option<String>,
}

impl Tx {
    /// Stores a reading under its natural key; false when it was there already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_insert(&mut self, measurement: &Measurement, natural_key: &str) -> Result<bool> {
        let n_rows = on_db!(self, |c| sqlx::query(MEASUREMENT_INSERT)
            .bind(self.workspace)
            .bind(measurement.id)
            .bind(natural_key)
            .bind(measurement.outcome)
            .bind(measurement.experiment)
            .bind(&measurement.signal)
            .bind(measurement.variant)
            .bind(measurement.phase)
            .bind(Instant(measurement.measured_at))
            .bind(Instant(measurement.window.from))
            .bind(Instant(measurement.window.to))
            .bind(Json(measurement.sums))
            .bind(measurement.sums.n())
            .bind(measurement.sums.value())
            .bind(&measurement.source)
            .bind(&measurement.query_hash)
            .bind(&measurement.raw_hash)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n_rows == 1)
    }

    /// The reading with this natural key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_by_key(&mut self, natural_key: &str) -> Result<Option<Measurement>> {
        let row: Option<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_BY_KEY)
            .bind(self.workspace)
            .bind(natural_key)
            .fetch_optional(c)
            .await)?;
        Ok(row.map(Measurement::from))
    }

    /// The newest reading of an arm in a phase.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measurement_latest(
        &mut self,
        experiment: ExperimentId,
        signal: &str,
        phase: i32,
        variant: Variant,
    ) -> Result<Option<Measurement>> {
        let row: Option<MeasurementRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_LATEST)
            .bind(self.workspace)
            .bind(experiment)
            .bind(signal)
            .bind(phase)
            .bind(variant)
            .fetch_optional(c)
            .await)?;
        Ok(row.map(Measurement::from))
    }

    /// Readings by variant of an experiment's signal as they were made, oldest first; without those that a later poll asked
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

    /// Readings of the whole population, newest first.
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
        let rows: Vec<StoredRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_OF_POLL)
            .bind(self.workspace)
            .bind(experiment)
            .bind(Instant(at))
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
        let rows: Vec<StoredRow> = on_db!(self, |c| sqlx::query_as(MEASUREMENT_OF_EXPERIMENT)
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

    /// Stores how a signal does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signal_health_put(&mut self, subject: Uuid, health: &SignalHealth) -> Result<()> {
        on_db!(self, |c| sqlx::query(HEALTH_PUT)
            .bind(self.workspace)
            .bind(subject)
            .bind(&health.signal)
            .bind(health.due_at)
            .bind(health.last_ok_at)
            .bind(health.failures)
            .bind(health.breaches)
            .bind(&health.last_error)
            .execute(c)
            .await
            .map(|_| ()))
    }
}
