//! Sealed cohorts. **Invariant**: what was read is never changed; a correction is a new revision.

use jiff::Timestamp;
use sqlx::types::Json;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{SealReason, SealedCohort, VariantReading, Window};
use crate::error::Result;
use crate::ids::{CohortId, ExperimentId, WorkspaceId};

/// Most revisions of one signal of one experiment that are read: years of days.
const MAX_READ: i64 = 10_000;

statements! {
    COHORT_INSERT = sql!(CohortRow::INSERT, "
        ON CONFLICT (workspace_id, experiment_id, signal, series, phase, window_from, revision) DO NOTHING");
    COHORT_LIST = sql!("SELECT ", CohortRow::COLUMNS, " FROM cohort
        WHERE workspace_id = $1 AND experiment_id = $2 AND signal = $3 AND series = $4
        ORDER BY phase, window_from, revision LIMIT $5");
    COHORT_CHECKED = "UPDATE cohort SET checked_at = $3 WHERE workspace_id = $1 AND id = $2";
}

columns! {
    pub(super) struct CohortRow in "cohort" {
        id: CohortId => folded,
        experiment_id: ExperimentId => folded,
        signal: String => folded,
        series: String => folded,
        phase: i32 => folded,
        window_from: Instant => folded,
        window_to: Instant => folded,
        revision: i32 => folded,
        reason: SealReason => folded,
        arms: Json<Vec<VariantReading>> => folded,
        as_of: Instant => folded,
        read_at: Instant => folded,
        query_hash: String => folded,
        raw_hash: String => folded,
        checked_at: Instant => volatile("when it is compared with the source again"),
    }
    beside { workspace_id: WorkspaceId => folded }
}

impl From<CohortRow> for SealedCohort {
    fn from(row: CohortRow) -> Self {
        Self {
            id: row.id,
            experiment: row.experiment_id,
            signal: row.signal,
            series: row.series,
            phase: row.phase,
            window: Window { from: row.window_from.0, to: row.window_to.0 },
            revision: row.revision,
            reason: row.reason,
            arms: row.arms.0,
            as_of: row.as_of.0,
            read_at: row.read_at.0,
            query_hash: row.query_hash,
            raw_hash: row.raw_hash,
            checked_at: row.checked_at.0,
        }
    }
}

impl Tx {
    /// Keeps what was read, unless the same revision is there. Returns whether it is new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cohort_insert(&mut self, cohort: &SealedCohort) -> Result<bool> {
        let row = CohortRow {
            id: cohort.id,
            experiment_id: cohort.experiment,
            signal: cohort.signal.clone(),
            series: cohort.series.clone(),
            phase: cohort.phase,
            window_from: Instant(cohort.window.from),
            window_to: Instant(cohort.window.to),
            revision: cohort.revision,
            reason: cohort.reason,
            arms: Json(cohort.arms.clone()),
            as_of: Instant(cohort.as_of),
            read_at: Instant(cohort.read_at),
            query_hash: cohort.query_hash.clone(),
            raw_hash: cohort.raw_hash.clone(),
            checked_at: Instant(cohort.checked_at),
        };
        self.touch_new(FoldedTable::Cohort, RowKey::Id(cohort.id.0));
        let n = on_db!(self, |c| row
            .insert(sqlx::query(COHORT_INSERT), &self.workspace)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(n > 0)
    }

    /// All revisions of a series, by phase, time and revision.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cohort_list(
        &mut self,
        experiment: ExperimentId,
        signal: &str,
        series: &str,
    ) -> Result<Vec<SealedCohort>> {
        let rows: Vec<CohortRow> = on_db!(self, |c| sqlx::query_as(COHORT_LIST)
            .bind(self.workspace)
            .bind(experiment)
            .bind(signal)
            .bind(series)
            .bind(MAX_READ)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(SealedCohort::from).collect())
    }

    /// Notes that the source says of a cohort what it said before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cohort_checked(&mut self, cohort: CohortId, at: Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(COHORT_CHECKED)
            .bind(self.workspace)
            .bind(cohort)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|_| ()))
    }
}
