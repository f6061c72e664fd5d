//! Experiments and their allocation phases.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Instant, Tx, on_db, statements};
use crate::domain::{Author, Experiment, ExperimentState, ExperimentStatus, Hypothesis, ScoreBreakdown, Slug};
use crate::error::Result;
use crate::ids::{ExperimentId, OutcomeId};
use crate::principal::Principal;

/// The statuses of what got further than an idea and is not over.
macro_rules! under_way {
    () => {
        "('awaiting_portfolio_gate', 'building', 'failed_build', 'awaiting_launch_gate', 'running', 'measuring', 'paused',
            'awaiting_analysis_gate', 'scaling', 'awaiting_scale_gate', 'awaiting_ship_gate')"
    };
}

statements! {
    EXPERIMENT_INSERT = "
        INSERT INTO experiment (workspace_id, id, outcome_id, slug, status, hypothesis, hypothesis_hash, author,
            submitted_by, score, state, parent_id, base_commit, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    EXPERIMENT_UPDATE = "
        UPDATE experiment SET status = $3, state = $4, base_commit = $5, build = $6, plan = $7, running = $8,
            current_result = $9, final_result = $10, updated_at = $11, launched_at = $12, concluded_at = $13, score = $14
        WHERE workspace_id = $1 AND id = $2";
    EXPERIMENT_GET = "
        SELECT id, outcome_id, slug, hypothesis, author, submitted_by, score, state, parent_id, base_commit, build, plan,
            running, current_result, final_result, created_at, updated_at, launched_at, concluded_at
        FROM experiment WHERE workspace_id = $1 AND id = $2";
    EXPERIMENT_BY_SLUG = "
        SELECT id, outcome_id, slug, hypothesis, author, submitted_by, score, state, parent_id, base_commit, build, plan,
            running, current_result, final_result, created_at, updated_at, launched_at, concluded_at
        FROM experiment WHERE workspace_id = $1 AND slug = $2";
    EXPERIMENT_LIST = "
        SELECT id, outcome_id, slug, hypothesis, author, submitted_by, score, state, parent_id, base_commit, build, plan,
            running, current_result, final_result, created_at, updated_at, launched_at, concluded_at
        FROM experiment
        WHERE workspace_id = $1 AND (outcome_id = $2 OR $2 IS NULL)
        ORDER BY created_at DESC, id DESC LIMIT $3";
    EXPERIMENT_LIST_OPEN = "
        SELECT id, outcome_id, slug, hypothesis, author, submitted_by, score, state, parent_id, base_commit, build, plan,
            running, current_result, final_result, created_at, updated_at, launched_at, concluded_at
        FROM experiment
        WHERE workspace_id = $1 AND (outcome_id = $2 OR $2 IS NULL) AND status NOT IN ('killed', 'shipped')
        ORDER BY created_at, id";
    EXPERIMENT_LIST_UNDER_WAY = concat!("
        SELECT id, outcome_id, slug, hypothesis, author, submitted_by, score, state, parent_id, base_commit, build, plan,
            running, current_result, final_result, created_at, updated_at, launched_at, concluded_at
        FROM experiment
        WHERE workspace_id = $1 AND (outcome_id = $2 OR $2 IS NULL) AND status IN ", under_way!(), "
        ORDER BY created_at, id");
    // Materialised, so that SQLite finds the few by their status and does not go through all by age.
    EXPERIMENT_GLANCES_UNDER_WAY = concat!("
        WITH under_way AS MATERIALIZED (
            SELECT id, slug, hypothesis, state, current_result, created_at FROM experiment
            WHERE workspace_id = $1 AND outcome_id = $2 AND status IN ", under_way!(), ")
        SELECT slug, hypothesis, state, current_result FROM under_way ORDER BY created_at DESC, id DESC LIMIT $3");
    // NOT IN, so that SQLite takes the newest from the index by age and does not sort all that are over.
    EXPERIMENT_GLANCES_REST = concat!("
        SELECT slug, hypothesis, state, current_result FROM experiment
        WHERE workspace_id = $1 AND outcome_id = $2 AND status NOT IN ", under_way!(), "
        ORDER BY created_at DESC, id DESC LIMIT $3");
    // What ended without a launch has given its part back.
    EXPERIMENT_BUDGET_HOLDERS = "
        SELECT state FROM experiment
        WHERE workspace_id = $1 AND outcome_id = $2 AND (status NOT IN ('killed', 'shipped') OR launched_at IS NOT NULL)";
    EXPERIMENT_COUNTS = "
        SELECT status, COUNT(*) FROM experiment WHERE workspace_id = $1 GROUP BY status";
    EXPERIMENT_COUNTS_OF = "
        SELECT status, COUNT(*) FROM experiment WHERE workspace_id = $1 AND outcome_id = $2 GROUP BY status";
    EXPERIMENT_SLUG_TAKEN = "SELECT COUNT(*) FROM experiment WHERE workspace_id = $1 AND slug = $2";
    EXPERIMENT_HASH = "SELECT id, hypothesis_hash, status, state FROM experiment WHERE workspace_id = $1 ORDER BY id";
    PHASE_INSERT = "
        INSERT INTO allocation_phase (workspace_id, experiment_id, phase, treatment_pct, started_at)
        VALUES ($1, $2, $3, $4, $5)";
    PHASE_END = "
        UPDATE allocation_phase SET ended_at = $3
        WHERE workspace_id = $1 AND experiment_id = $2 AND ended_at IS NULL";
    PHASE_LIST = "
        SELECT phase, treatment_pct, started_at, ended_at FROM allocation_phase
        WHERE workspace_id = $1 AND experiment_id = $2 ORDER BY phase";
}

#[derive(FromRow)]
struct ExperimentRow {
    id: ExperimentId,
    outcome_id: OutcomeId,
    slug: Slug,
    hypothesis: Json<Hypothesis>,
    author: Author,
    submitted_by: Json<Principal>,
    score: Json<ScoreBreakdown>,
    state: Json<ExperimentState>,
    parent_id: Option<ExperimentId>,
    base_commit: Option<String>,
    build: Option<Json<Value>>,
    plan: Option<Json<Value>>,
    running: Option<Json<Value>>,
    current_result: Option<Json<Value>>,
    final_result: Option<Json<Value>>,
    created_at: Instant,
    updated_at: Instant,
    launched_at: Option<Instant>,
    concluded_at: Option<Instant>,
}

impl From<ExperimentRow> for Experiment {
    fn from(row: ExperimentRow) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            outcome: row.outcome_id,
            hypothesis: row.hypothesis.0,
            author: row.author,
            submitted_by: row.submitted_by.0,
            score: row.score.0,
            state: row.state.0,
            parent: row.parent_id,
            base_commit: row.base_commit,
            build: row.build.map(|json| json.0),
            plan: row.plan.map(|json| json.0),
            running: row.running.map(|json| json.0),
            current_result: row.current_result.map(|json| json.0),
            final_result: row.final_result.map(|json| json.0),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            launched_at: row.launched_at.map(|at| at.0),
            concluded_at: row.concluded_at.map(|at| at.0),
        }
    }
}

/// What a list shows of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentGlance {
    /// Its name.
    pub slug: Slug,
    /// Its title, in its author's words.
    pub title: String,
    /// Where it stands.
    pub state: ExperimentState,
    /// The result of its latest poll.
    pub current_result: Option<Value>,
}

#[derive(FromRow)]
struct GlanceRow {
    slug: Slug,
    hypothesis: Json<Titled>,
    state: Json<ExperimentState>,
    current_result: Option<Json<Value>>,
}

/// The one field of a hypothesis that a list shows.
#[derive(Deserialize)]
struct Titled {
    title: String,
}

impl From<GlanceRow> for ExperimentGlance {
    fn from(row: GlanceRow) -> Self {
        Self {
            slug: row.slug,
            title: row.hypothesis.0.title,
            state: row.state.0,
            current_result: row.current_result.map(|json| json.0),
        }
    }
}

/// A stretch of time with one split between the arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct AllocationPhase {
    /// From 0.
    pub phase: i32,
    /// Share of the treatment.
    pub treatment_pct: i32,
    /// When it began.
    pub started_at: Instant,
    /// When it ended; open while absent.
    pub ended_at: Option<Instant>,
}

impl Tx {
    /// Stores a new experiment.
    ///
    /// # Errors
    /// [`crate::Code::Conflict`] when the slug is taken.
    pub async fn experiment_insert(&mut self, experiment: &Experiment, hypothesis_hash: &str) -> Result<()> {
        on_db!(self, |c| sqlx::query(EXPERIMENT_INSERT)
            .bind(self.workspace)
            .bind(experiment.id)
            .bind(experiment.outcome)
            .bind(&experiment.slug)
            .bind(experiment.state.status)
            .bind(Json(&experiment.hypothesis))
            .bind(hypothesis_hash)
            .bind(experiment.author)
            .bind(Json(&experiment.submitted_by))
            .bind(Json(&experiment.score))
            .bind(Json(&experiment.state))
            .bind(experiment.parent)
            .bind(&experiment.base_commit)
            .bind(Instant(experiment.created_at))
            .bind(Instant(experiment.updated_at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Stores a changed experiment. What was submitted never changes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_update(&mut self, experiment: &Experiment) -> Result<()> {
        on_db!(self, |c| sqlx::query(EXPERIMENT_UPDATE)
            .bind(self.workspace)
            .bind(experiment.id)
            .bind(experiment.state.status)
            .bind(Json(&experiment.state))
            .bind(&experiment.base_commit)
            .bind(experiment.build.as_ref().map(Json))
            .bind(experiment.plan.as_ref().map(Json))
            .bind(experiment.running.as_ref().map(Json))
            .bind(experiment.current_result.as_ref().map(Json))
            .bind(experiment.final_result.as_ref().map(Json))
            .bind(Instant(experiment.updated_at))
            .bind(experiment.launched_at.map(Instant))
            .bind(experiment.concluded_at.map(Instant))
            .bind(Json(&experiment.score))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// The experiment with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_get(&mut self, id: ExperimentId) -> Result<Option<Experiment>> {
        let row: Option<ExperimentRow> =
            on_db!(self, |c| sqlx::query_as(EXPERIMENT_GET).bind(self.workspace).bind(id).fetch_optional(c).await)?;
        Ok(row.map(Experiment::from))
    }

    /// The experiment with this slug.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_by_slug(&mut self, slug: &str) -> Result<Option<Experiment>> {
        let row: Option<ExperimentRow> = on_db!(self, |c| sqlx::query_as(EXPERIMENT_BY_SLUG)
            .bind(self.workspace)
            .bind(slug)
            .fetch_optional(c)
            .await)?;
        Ok(row.map(Experiment::from))
    }

    /// Up to `limit` experiments, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_list(&mut self, outcome: Option<OutcomeId>, limit: i64) -> Result<Vec<Experiment>> {
        let rows: Vec<ExperimentRow> = on_db!(self, |c| sqlx::query_as(EXPERIMENT_LIST)
            .bind(self.workspace)
            .bind(outcome)
            .bind(limit)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Experiment::from).collect())
    }

    /// Every experiment that is not over, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_list_open(&mut self, outcome: Option<OutcomeId>) -> Result<Vec<Experiment>> {
        let rows: Vec<ExperimentRow> = on_db!(self, |c| sqlx::query_as(EXPERIMENT_LIST_OPEN)
            .bind(self.workspace)
            .bind(outcome)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Experiment::from).collect())
    }

    /// The open experiments that got further than an idea, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_list_under_way(&mut self, outcome: Option<OutcomeId>) -> Result<Vec<Experiment>> {
        let rows: Vec<ExperimentRow> = on_db!(self, |c| sqlx::query_as(EXPERIMENT_LIST_UNDER_WAY)
            .bind(self.workspace)
            .bind(outcome)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Experiment::from).collect())
    }

    /// Up to `limit` experiments of an outcome: those under way, then hypotheses and what is over, each the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_glances(&mut self, outcome: OutcomeId, limit: usize) -> Result<Vec<ExperimentGlance>> {
        let mut glances: Vec<ExperimentGlance> = Vec::new();
        for statement in [EXPERIMENT_GLANCES_UNDER_WAY, EXPERIMENT_GLANCES_REST] {
            let room = i64::try_from(limit - glances.len()).unwrap_or(i64::MAX);
            let rows: Vec<GlanceRow> = on_db!(self, |c| sqlx::query_as(statement)
                .bind(self.workspace)
                .bind(outcome)
                .bind(room)
                .fetch_all(c)
                .await)?;
            glances.extend(rows.into_iter().map(ExperimentGlance::from));
        }
        Ok(glances)
    }

    /// The parts of an outcome's error budget that its experiments hold: those that are under way or were launched.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_budget_parts(&mut self, outcome: OutcomeId) -> Result<BTreeSet<u32>> {
        let holders: Vec<(Json<ExperimentState>,)> = on_db!(self, |c| sqlx::query_as(EXPERIMENT_BUDGET_HOLDERS)
            .bind(self.workspace)
            .bind(outcome)
            .fetch_all(c)
            .await)?;
        Ok(holders.into_iter().filter_map(|(state,)| state.budget_part).collect())
    }

    /// How many experiments of an outcome are in each status.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_counts_of(&mut self, outcome: OutcomeId) -> Result<Vec<(ExperimentStatus, i64)>> {
        on_db!(self, |c| sqlx::query_as(EXPERIMENT_COUNTS_OF).bind(self.workspace).bind(outcome).fetch_all(c).await)
    }

    /// How many experiments are in each status.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_counts(&mut self) -> Result<Vec<(ExperimentStatus, i64)>> {
        on_db!(self, |c| sqlx::query_as(EXPERIMENT_COUNTS).bind(self.workspace).fetch_all(c).await)
    }

    /// True when the slug is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_slug_taken(&mut self, slug: &Slug) -> Result<bool> {
        let (count,): (i64,) =
            on_db!(self, |c| sqlx::query_as(EXPERIMENT_SLUG_TAKEN).bind(self.workspace).bind(slug).fetch_one(c).await)?;
        Ok(count > 0)
    }

    /// Id, hash of the hypothesis, status column and state of every experiment, for `audit verify`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_states(
        &mut self,
    ) -> Result<Vec<(ExperimentId, String, ExperimentStatus, Json<ExperimentState>)>> {
        on_db!(self, |c| sqlx::query_as(EXPERIMENT_HASH).bind(self.workspace).fetch_all(c).await)
    }

    /// Ends the open phase, if any, and begins the next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn phase_begin(
        &mut self,
        experiment: ExperimentId,
        treatment_pct: i32,
        at: jiff::Timestamp,
    ) -> Result<i32> {
        let phases = self.phase_list(experiment).await?;
        self.phase_end(experiment, at).await?;
        let phase = phases.last().map_or(0, |last| last.phase + 1);
        on_db!(self, |c| sqlx::query(PHASE_INSERT)
            .bind(self.workspace)
            .bind(experiment)
            .bind(phase)
            .bind(treatment_pct)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|_| ()))?;
        Ok(phase)
    }

    /// Ends the open phase, if any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn phase_end(&mut self, experiment: ExperimentId, at: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(PHASE_END)
            .bind(self.workspace)
            .bind(experiment)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// The phases of an experiment, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn phase_list(&mut self, experiment: ExperimentId) -> Result<Vec<AllocationPhase>> {
        on_db!(self, |c| sqlx::query_as(PHASE_LIST).bind(self.workspace).bind(experiment).fetch_all(c).await)
    }
}
