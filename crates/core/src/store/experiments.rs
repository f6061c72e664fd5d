//! Experiments and their allocation phases.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use sqlx::types::Json;

use super::codec::Instant;
use super::columns::{columns, row, sql};
use super::db::{Tx, on_db};
use super::error::must_hit;
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{
    Author, Build, Conclusion, Evaluation, Experiment, ExperimentState, ExperimentStatus, Hypothesis, MeasurementPlan,
    PhaseStart, Plan, RunningState, ScoreBreakdown, Slug, Stored,
};
use crate::error::Result;
use crate::ids::{ExperimentId, OutcomeId, WorkspaceId};
use crate::principal::Principal;

/// The statuses of what got further than an idea and is not over.
const UNDER_WAY: &str = "('awaiting_portfolio_gate', 'building', 'failed_build', 'awaiting_launch_gate', 'running',
    'measuring', 'paused', 'awaiting_analysis_gate', 'scaling', 'awaiting_scale_gate', 'awaiting_ship_gate')";

statements! {
    EXPERIMENT_INSERT = ExperimentRow::INSERT;
    EXPERIMENT_UPDATE = "
        UPDATE experiment SET status = $3, state = $4, base_commit = $5, build = $6, plan = $7, running = $8,
            current_result = $9, final_result = $10, updated_at = $11, launched_at = $12, concluded_at = $13, score = $14
        WHERE workspace_id = $1 AND id = $2";
    EXPERIMENT_GET = sql!("SELECT ", ExperimentRow::COLUMNS, " FROM experiment WHERE workspace_id = $1 AND id = $2");
    EXPERIMENT_BY_SLUG = sql!("SELECT ", ExperimentRow::COLUMNS, "
        FROM experiment WHERE workspace_id = $1 AND slug = $2");
    EXPERIMENT_LIST = sql!("SELECT ", ExperimentRow::COLUMNS, " FROM experiment
        WHERE workspace_id = $1 AND (outcome_id = $2 OR $2 IS NULL)
        ORDER BY created_at DESC, id DESC LIMIT $3");
    EXPERIMENT_LIST_OPEN = sql!("SELECT ", ExperimentRow::COLUMNS, " FROM experiment
        WHERE workspace_id = $1 AND (outcome_id = $2 OR $2 IS NULL) AND status NOT IN ('killed', 'shipped', 'detached')
        ORDER BY created_at, id");
    EXPERIMENT_LIST_UNDER_WAY = sql!("SELECT ", ExperimentRow::COLUMNS, " FROM experiment
        WHERE workspace_id = $1 AND (outcome_id = $2 OR $2 IS NULL) AND status IN ", UNDER_WAY, "
        ORDER BY created_at, id");
    EXPERIMENT_LIST_ENDED_LIVE = sql!("SELECT ", ExperimentRow::COLUMNS, " FROM experiment
        WHERE workspace_id = $1 AND status IN ('killed', 'shipped') AND launched_at IS NOT NULL
        ORDER BY created_at, id");
    // Materialised, so that SQLite finds the few by their status and does not go through all by age.
    EXPERIMENT_GLANCES_UNDER_WAY = sql!("
        WITH under_way AS MATERIALIZED (
            SELECT id, slug, hypothesis, state, current_result, launched_at, created_at FROM experiment
            WHERE workspace_id = $1 AND outcome_id = $2 AND status IN ", UNDER_WAY, ")
        SELECT id, slug, hypothesis, state, current_result, launched_at FROM under_way ORDER BY created_at DESC, id DESC LIMIT $3");
    // NOT IN, so that SQLite takes the newest from the index by age and does not sort all that are over.
    EXPERIMENT_GLANCES_REST = sql!("
        SELECT id, slug, hypothesis, state, current_result, launched_at FROM experiment
        WHERE workspace_id = $1 AND outcome_id = $2 AND status NOT IN ", UNDER_WAY, "
        ORDER BY created_at DESC, id DESC LIMIT $3");
    // What ended without a launch has given its part back.
    EXPERIMENT_BUDGET_HOLDERS = "
        SELECT state FROM experiment
        WHERE workspace_id = $1 AND outcome_id = $2 AND (status NOT IN ('killed', 'shipped', 'detached') OR launched_at IS NOT NULL)";
    EXPERIMENT_COUNTS = "
        SELECT status, COUNT(*) FROM experiment WHERE workspace_id = $1 GROUP BY status";
    EXPERIMENT_COUNTS_OF = "
        SELECT status, COUNT(*) FROM experiment WHERE workspace_id = $1 AND outcome_id = $2 GROUP BY status";
    EXPERIMENT_SLUG_TAKEN = "SELECT COUNT(*) FROM experiment WHERE workspace_id = $1 AND slug = $2";
    // Who was ever live, and who is being built: what ended before that has left its flag as it was.
    EXPERIMENT_FLAG_OWNER = "
        SELECT slug FROM experiment
        WHERE workspace_id = $1 AND lower(hypothesis ->> 'flag_key') = lower($2) AND (id <> $3 OR $3 IS NULL)
            AND NOT ($5 AND status = 'detached')
            AND (launched_at IS NOT NULL OR status IN ('building', 'failed_build', 'awaiting_launch_gate')
                OR ($4 AND status = 'awaiting_portfolio_gate'))
        ORDER BY created_at, id LIMIT 1";
    EXPERIMENT_FLAG_KNOWN = "SELECT COUNT(*) FROM experiment WHERE workspace_id = $1 AND lower(hypothesis ->> 'flag_key') = lower($2)";
    EXPERIMENT_STATES = "
        SELECT id, slug, hypothesis, hypothesis_hash, status, state FROM experiment
        WHERE workspace_id = $1 AND id >= $2 ORDER BY id LIMIT $3";
    PHASE_INSERT = AllocationPhase::INSERT;
    PHASE_END = "
        UPDATE allocation_phase SET ended_at = $3
        WHERE workspace_id = $1 AND experiment_id = $2 AND ended_at IS NULL";
    PHASE_LIST = sql!("SELECT ", AllocationPhase::COLUMNS, " FROM allocation_phase
        WHERE workspace_id = $1 AND experiment_id = $2 ORDER BY phase");
}

/// Which experiments a flag belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagOwner {
    /// One that was ever live with it, or is being built.
    Used,
    /// Or is only proposed.
    Proposed,
    /// The same, without those that were detached: their flag was never the runtime's.
    Held,
}

columns! {
    pub(super) struct ExperimentRow in "experiment" {
        id: ExperimentId => folded,
        outcome_id: OutcomeId => folded,
        slug: Slug => folded,
        hypothesis: Json<Hypothesis> => folded,
        author: Author => folded,
        submitted_by: Json<Principal> => folded,
        score: Json<ScoreBreakdown> => folded,
        state: Json<ExperimentState> => folded,
        parent_id: Option<ExperimentId> => folded,
        base_commit: Option<String> => folded,
        build: Option<Json<Stored<Build>>> => folded,
        // By its hash, which is part of the state.
        plan: Option<Json<Stored<Plan>>> => folded,
        running: Option<Json<Stored<RunningState>>> => folded,
        current_result: Option<Json<Stored<Evaluation>>> => folded,
        final_result: Option<Json<Stored<Conclusion>>> => folded,
        created_at: Instant => volatile("shown and sorted by"),
        updated_at: Instant => volatile("shown"),
        launched_at: Option<Instant> => folded,
        concluded_at: Option<Instant> => folded,
    }
    beside {
        workspace_id: WorkspaceId => folded,
        status: ExperimentStatus => folded,
        hypothesis_hash: String => folded,
    }
}

impl From<&Experiment> for ExperimentRow {
    fn from(experiment: &Experiment) -> Self {
        Self {
            id: experiment.id,
            outcome_id: experiment.outcome,
            slug: experiment.slug.clone(),
            hypothesis: Json(experiment.hypothesis.clone()),
            author: experiment.author,
            submitted_by: Json(experiment.submitted_by.clone()),
            score: Json(experiment.score.clone()),
            state: Json(experiment.state.clone()),
            parent_id: experiment.parent,
            base_commit: experiment.base_commit.clone(),
            build: experiment.build.clone().map(Json),
            plan: experiment.plan.clone().map(Json),
            running: experiment.running.clone().map(Json),
            current_result: experiment.current_result.clone().map(Json),
            final_result: experiment.final_result.clone().map(Json),
            created_at: Instant(experiment.created_at),
            updated_at: Instant(experiment.updated_at),
            launched_at: experiment.launched_at.map(Instant),
            concluded_at: experiment.concluded_at.map(Instant),
        }
    }
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

row! {
    /// What `audit verify` compares of an experiment.
    pub struct ExperimentStateRow {
        /// Its id.
        pub id: ExperimentId,
        /// Its name.
        pub slug: Slug,
        /// What was submitted.
        pub hypothesis: Json<Hypothesis>,
        /// Its hash.
        pub hypothesis_hash: String,
        /// The status column.
        pub status: ExperimentStatus,
        /// The state document.
        pub state: Json<ExperimentState>,
    }
}

/// What a list shows of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentGlance {
    /// Its id.
    pub id: ExperimentId,
    /// Its name.
    pub slug: Slug,
    /// Its title, in its author's words.
    pub title: String,
    /// How it is judged.
    pub measurement: MeasurementPlan,
    /// Where it stands.
    pub state: ExperimentState,
    /// The result of its latest poll.
    pub current_result: Option<Stored<Evaluation>>,
    /// When it went live.
    pub launched_at: Option<Timestamp>,
}

row! {
    struct GlanceRow {
        id: ExperimentId,
        slug: Slug,
        hypothesis: Json<Titled>,
        state: Json<ExperimentState>,
        current_result: Option<Json<Stored<Evaluation>>>,
        launched_at: Option<Instant>,
    }
}

/// What a list shows of a hypothesis.
#[derive(Deserialize)]
struct Titled {
    title: String,
    measurement: MeasurementPlan,
}

impl From<GlanceRow> for ExperimentGlance {
    fn from(row: GlanceRow) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            measurement: row.hypothesis.0.measurement,
            launched_at: row.launched_at.map(|at| at.0),
            title: row.hypothesis.0.title,
            state: row.state.0,
            current_result: row.current_result.map(|json| json.0),
        }
    }
}

columns! {
    /// A stretch of time with one split between the arms.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct AllocationPhase in "allocation_phase" {
        /// From 0.
        pub phase: i32 => folded,
        /// Share of the treatment.
        pub treatment_pct: i32 => folded,
        /// When it began.
        pub started_at: Instant => folded,
        /// When it ended; open while absent.
        pub ended_at: Option<Instant> => folded,
        /// How it began.
        pub begins: PhaseStart => folded,
    }
    beside {
        workspace_id: WorkspaceId => folded,
        experiment_id: ExperimentId => folded,
    }
}

impl Tx {
    /// Stores a new experiment.
    ///
    /// # Errors
    /// [`crate::Code::Conflict`] when the slug is taken.
    pub async fn experiment_insert(&mut self, experiment: &Experiment, hypothesis_hash: &str) -> Result<()> {
        let (row, hash) = (ExperimentRow::from(experiment), hypothesis_hash.to_owned());
        self.touch(FoldedTable::Experiment, RowKey::Id(experiment.id.0)).await?;
        on_db!(self, |c| row
            .insert(sqlx::query(EXPERIMENT_INSERT), &self.workspace, &experiment.state.status, &hash)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Stores a changed experiment. What was submitted never changes.
    ///
    /// # Errors
    /// [`crate::Code::RowMissing`].
    pub async fn experiment_update(&mut self, experiment: &Experiment) -> Result<()> {
        self.touch(FoldedTable::Experiment, RowKey::Id(experiment.id.0)).await?;
        let n_rows = on_db!(self, |c| sqlx::query(EXPERIMENT_UPDATE)
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
            .map(|done| done.rows_affected()))?;
        must_hit(n_rows, "experiment", experiment.id)
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

    /// The experiments that ended after they had gone live, killed or shipped, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_list_ended_live(&mut self) -> Result<Vec<Experiment>> {
        let rows: Vec<ExperimentRow> =
            on_db!(self, |c| sqlx::query_as(EXPERIMENT_LIST_ENDED_LIVE).bind(self.workspace).fetch_all(c).await)?;
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

    /// The experiment to which a flag belongs, other than `except`. Keys that differ in the case of letters are one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_flag_owner(
        &mut self,
        key: &str,
        except: Option<ExperimentId>,
        who: FlagOwner,
    ) -> Result<Option<Slug>> {
        let row: Option<(Slug,)> = on_db!(self, |c| sqlx::query_as(EXPERIMENT_FLAG_OWNER)
            .bind(self.workspace)
            .bind(key)
            .bind(except)
            .bind(who != FlagOwner::Used)
            .bind(who == FlagOwner::Held)
            .fetch_optional(c)
            .await)?;
        Ok(row.map(|(slug,)| slug))
    }

    /// How many experiments name this flag.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_count_of_flag(&mut self, key: &str) -> Result<u64> {
        let (count,): (i64,) =
            on_db!(self, |c| sqlx::query_as(EXPERIMENT_FLAG_KNOWN).bind(self.workspace).bind(key).fetch_one(c).await)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Whether any experiment names this flag.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_flag_known(&mut self, key: &str) -> Result<bool> {
        Ok(self.experiment_count_of_flag(key).await? > 0)
    }

    /// What `audit verify` compares of up to `limit` experiments from the id `from` on, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experiment_states(&mut self, from: ExperimentId, limit: i64) -> Result<Vec<ExperimentStateRow>> {
        on_db!(self, |c| sqlx::query_as(EXPERIMENT_STATES)
            .bind(self.workspace)
            .bind(from)
            .bind(limit)
            .fetch_all(c)
            .await)
    }

    /// Ends the open phase, if any, and begins the next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn phase_begin(
        &mut self,
        experiment: ExperimentId,
        treatment_pct: i32,
        begins: PhaseStart,
        at: jiff::Timestamp,
    ) -> Result<i32> {
        let phases = self.phase_list(experiment).await?;
        self.phase_end(experiment, at).await?;
        let phase = phases.last().map_or(0, |last| last.phase + 1);
        self.touch(FoldedTable::AllocationPhase, RowKey::Part(experiment.0, phase)).await?;
        let row = AllocationPhase { phase, treatment_pct, started_at: Instant(at), ended_at: None, begins };
        on_db!(self, |c| row
            .insert(sqlx::query(PHASE_INSERT), &self.workspace, &experiment)
            .execute(c)
            .await
            .map(|_| ()))?;
        Ok(phase)
    }

    /// Ends the open phase. There may be none: before the launch, while it is paused, and at full rollout.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn phase_end(&mut self, experiment: ExperimentId, at: jiff::Timestamp) -> Result<()> {
        if let Some(open) = self.phase_list(experiment).await?.into_iter().rfind(|phase| phase.ended_at.is_none()) {
            self.touch(FoldedTable::AllocationPhase, RowKey::Part(experiment.0, open.phase)).await?;
        }
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
