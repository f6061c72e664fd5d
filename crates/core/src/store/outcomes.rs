//! Outcomes.

use sqlx::FromRow;
use sqlx::types::Json;

use super::{Instant, Tx, on_db, statements};
use crate::domain::{Outcome, OutcomeSpec, OutcomeState, OutcomeStatus};
use crate::error::Result;
use crate::ids::OutcomeId;

statements! {
    OUTCOME_INSERT = "
        INSERT INTO outcome (workspace_id, id, slug, status, spec, spec_hash, state, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    OUTCOME_UPDATE = "
        UPDATE outcome SET slug = $3, status = $4, spec = $5, spec_hash = $6, state = $7, updated_at = $8
        WHERE workspace_id = $1 AND id = $2";
    OUTCOME_GET = "SELECT id, spec, state, created_at, updated_at FROM outcome WHERE workspace_id = $1 AND id = $2";
    OUTCOME_BY_SLUG = "SELECT id, spec, state, created_at, updated_at FROM outcome WHERE workspace_id = $1 AND slug = $2";
    OUTCOME_LIST = "
        SELECT id, spec, state, created_at, updated_at FROM outcome
        WHERE workspace_id = $1 AND (status = $2 OR $2 IS NULL) ORDER BY created_at, id";
}

#[derive(FromRow)]
struct OutcomeRow {
    id: OutcomeId,
    spec: Json<OutcomeSpec>,
    state: Json<OutcomeState>,
    created_at: Instant,
    updated_at: Instant,
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
        on_db!(self, |c| sqlx::query(OUTCOME_INSERT)
            .bind(self.workspace)
            .bind(outcome.id)
            .bind(&outcome.spec.slug)
            .bind(outcome.state.status)
            .bind(Json(&outcome.spec))
            .bind(spec_hash)
            .bind(Json(&outcome.state))
            .bind(Instant(outcome.created_at))
            .bind(Instant(outcome.updated_at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Stores a changed outcome.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outcome_update(&mut self, outcome: &Outcome, spec_hash: &str) -> Result<()> {
        on_db!(self, |c| sqlx::query(OUTCOME_UPDATE)
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
            .map(|_| ()))
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
