//! Outcomes.

use sqlx::types::Json;

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::error::must_hit;
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{Outcome, OutcomeSpec, OutcomeState, OutcomeStatus, Slug};
use crate::error::Result;
use crate::ids::{OutcomeId, WorkspaceId};

statements! {
    OUTCOME_INSERT = OutcomeRow::INSERT;
    OUTCOME_UPDATE = "
        UPDATE outcome SET slug = $3, status = $4, spec = $5, spec_hash = $6, state = $7, updated_at = $8
        WHERE workspace_id = $1 AND id = $2";
    OUTCOME_GET = sql!("SELECT ", OutcomeRow::COLUMNS, " FROM outcome WHERE workspace_id = $1 AND id = $2");
    OUTCOME_BY_SLUG = sql!("SELECT ", OutcomeRow::COLUMNS, " FROM outcome WHERE workspace_id = $1 AND slug = $2");
    OUTCOME_LIST = sql!("SELECT ", OutcomeRow::COLUMNS, " FROM outcome
        WHERE workspace_id = $1 AND (status = $2 OR $2 IS NULL) ORDER BY created_at, id");
}

columns! {
    pub(super) struct OutcomeRow in "outcome" {
        id: OutcomeId => folded,
        // By its hash.
        spec: Json<OutcomeSpec> => folded,
        state: Json<OutcomeState> => folded,
        created_at: Instant => volatile("shown and sorted by"),
        updated_at: Instant => volatile("shown"),
    }
    beside {
        workspace_id: WorkspaceId => folded,
        slug: Slug => volatile("a copy to look up by; the slug of the spec counts"),
        status: OutcomeStatus => folded,
        spec_hash: String => volatile("a copy; the hash of the spec is computed again"),
    }
}

impl From<OutcomeRow> for Outcome {
    fn from(row: OutcomeRow) -> Self {
        Self {
            id: row.id,
            spec: row.spec.0,
            state: row.state.0,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        }
    }
}

impl Tx {
    /// Stores a new outcome.
    ///
    /// # Errors
    /// [`crate::Code::Conflict`] when the slug is taken.
    pub async fn outcome_insert(&mut self, outcome: &Outcome, spec_hash: &str) -> Result<()> {
        self.touch(FoldedTable::Outcome, RowKey::Id(outcome.id.0)).await?;
        let row = OutcomeRow {
            id: outcome.id,
            spec: Json(outcome.spec.clone()),
            state: Json(outcome.state.clone()),
            created_at: Instant(outcome.created_at),
            updated_at: Instant(outcome.updated_at),
        };
        let (slug, status, hash) = (&outcome.spec.slug, &outcome.state.status, spec_hash.to_owned());
        on_db!(self, |c| row
            .insert(sqlx::query(OUTCOME_INSERT), &self.workspace, slug, status, &hash)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Stores a changed outcome.
    ///
    /// # Errors
    /// [`crate::Code::RowMissing`].
    pub async fn outcome_update(&mut self, outcome: &Outcome, spec_hash: &str) -> Result<()> {
        self.touch(FoldedTable::Outcome, RowKey::Id(outcome.id.0)).await?;
        let n_rows = on_db!(self, |c| sqlx::query(OUTCOME_UPDATE)
            .bind(self.workspace)
            .bind(outcome.id)
            .bind(&outcome.spec.slug)
            .bind(outcome.state.status)
            .bind(Json(&outcome.spec))
            .bind(spec_hash)
            .bind(Json(&outcome.state))
            .bind(Instant(outcome.updated_at))
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        must_hit(n_rows, "outcome", outcome.id)
    }

    /// The outcome with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outcome_get(&mut self, id: OutcomeId) -> Result<Option<Outcome>> {
        let row: Option<OutcomeRow> =
            on_db!(self, |c| sqlx::query_as(OUTCOME_GET).bind(self.workspace).bind(id).fetch_optional(c).await)?;
        Ok(row.map(Outcome::from))
    }

    /// The outcome with this slug.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outcome_by_slug(&mut self, slug: &str) -> Result<Option<Outcome>> {
        let row: Option<OutcomeRow> =
            on_db!(self, |c| sqlx::query_as(OUTCOME_BY_SLUG).bind(self.workspace).bind(slug).fetch_optional(c).await)?;
        Ok(row.map(Outcome::from))
    }

    /// Outcomes with this status, or all, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outcome_list(&mut self, status: Option<OutcomeStatus>) -> Result<Vec<Outcome>> {
        let rows: Vec<OutcomeRow> =
            on_db!(self, |c| sqlx::query_as(OUTCOME_LIST).bind(self.workspace).bind(status).fetch_all(c).await)?;
        Ok(rows.into_iter().map(Outcome::from).collect())
    }
}
