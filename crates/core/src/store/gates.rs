//! Gates and the decisions made about them.

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Instant, Tx, on_db, statements};
use crate::domain::{DecisionSubject, Gate, GateState, GateStatus, GateType, SignedDecision, Slug};
use crate::error::{Code, Error, Result};
use crate::ids::{ExperimentId, GateId, OutcomeId};
use crate::lifecycle::GateRules;
use crate::signing::VerifiedDecision;

statements! {
    GATE_INSERT = "
        INSERT INTO gate (workspace_id, id, slug, gate_type, status, outcome_id, experiment_id, rules, state, context,
            context_hash, due_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    GATE_UPDATE = "
        UPDATE gate SET status = $3, state = $4, due_at = $5, responded_at = $6 WHERE workspace_id = $1 AND id = $2";
    GATE_GET = "
        SELECT id, slug, gate_type, outcome_id, experiment_id, rules, state, context, context_hash, created_at, responded_at
        FROM gate WHERE workspace_id = $1 AND id = $2";
    GATE_BY_SLUG = "
        SELECT id, slug, gate_type, outcome_id, experiment_id, rules, state, context, context_hash, created_at, responded_at
        FROM gate WHERE workspace_id = $1 AND slug = $2";
    GATE_LIST_OPEN = "
        SELECT id, slug, gate_type, outcome_id, experiment_id, rules, state, context, context_hash, created_at, responded_at
        FROM gate WHERE workspace_id = $1 AND status IN ('pending', 'timed_out') ORDER BY due_at, id";
    GATE_GLANCES = "
        SELECT g.slug, g.gate_type, e.slug AS experiment, g.rules, g.state
        FROM gate g LEFT JOIN experiment e ON e.workspace_id = g.workspace_id AND e.id = g.experiment_id
        WHERE g.workspace_id = $1 AND g.status IN ('pending', 'timed_out') ORDER BY g.due_at, g.id";
    GATE_LIST = "
        SELECT id, slug, gate_type, outcome_id, experiment_id, rules, state, context, context_hash, created_at, responded_at
        FROM gate WHERE workspace_id = $1 AND (experiment_id = $2 OR $2 IS NULL)
        ORDER BY created_at DESC, id DESC LIMIT $3";
    GATE_STATES = "SELECT id, status, state, rules, context, context_hash FROM gate WHERE workspace_id = $1 ORDER BY id";
    GATE_SLUG_COUNT = "SELECT COUNT(*) FROM gate WHERE workspace_id = $1 AND slug = $2";
    DECISION_INSERT = "
        INSERT INTO decision (workspace_id, signature, gate_id, subject_id, member_id, verdict, assurance, document, decided_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    DECISION_LIST = "
        SELECT document FROM decision WHERE workspace_id = $1 AND subject_id = $2 ORDER BY decided_at, signature";
}

#[derive(FromRow)]
struct GateRow {
    id: GateId,
    slug: Slug,
    gate_type: GateType,
    outcome_id: OutcomeId,
    experiment_id: Option<ExperimentId>,
    rules: Json<GateRules>,
    state: Json<GateState>,
    context: String,
    context_hash: String,
    created_at: Instant,
    responded_at: Option<Instant>,
}

/// What a list shows of a gate.
#[derive(Debug, FromRow)]
pub struct GateGlance {
    /// Its name.
    pub slug: Slug,
    /// Its type.
    pub gate_type: GateType,
    /// The experiment that it is about.
    pub experiment: Option<Slug>,
    /// What it was opened with.
    pub rules: Json<GateRules>,
    /// Where it stands.
    pub state: Json<GateState>,
}

/// What `audit verify` compares of a gate.
#[derive(FromRow)]
pub struct GateStateRow {
    /// Its id.
    pub id: GateId,
    /// The status column.
    pub status: GateStatus,
    /// The state document.
    pub state: Json<GateState>,
    /// What it was opened with.
    pub rules: Json<GateRules>,
    /// What is shown.
    pub context: String,
    /// Its hash.
    pub context_hash: String,
}

fn split(row: GateRow) -> (Gate, GateRules) {
    let rules = row.rules.0;
    let gate = Gate {
        id: row.id,
        slug: row.slug,
        gate_type: row.gate_type,
        outcome: row.outcome_id,
        experiment: row.experiment_id,
        policy: rules.policy.clone(),
        state: row.state.0,
        context: row.context,
        context_hash: row.context_hash,
        created_at: row.created_at.0,
        responded_at: row.responded_at.map(|at| at.0),
    };
    (gate, rules)
}

impl Tx {
    /// Stores a new gate with the rules of its life.
    ///
    /// # Errors
    /// [`Code::Conflict`] when the slug is taken.
    pub async fn gate_insert(&mut self, gate: &Gate, rules: &GateRules) -> Result<()> {
        on_db!(self, |c| sqlx::query(GATE_INSERT)
            .bind(self.workspace)
            .bind(gate.id)
            .bind(&gate.slug)
            .bind(gate.gate_type)
            .bind(gate.state.status)
            .bind(gate.outcome)
            .bind(gate.experiment)
            .bind(Json(rules))
            .bind(Json(&gate.state))
            .bind(&gate.context)
            .bind(&gate.context_hash)
            .bind(Instant(gate.state.due_at))
            .bind(Instant(gate.created_at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Stores a gate's new state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_update(&mut self, gate: &Gate) -> Result<()> {
        on_db!(self, |c| sqlx::query(GATE_UPDATE)
            .bind(self.workspace)
            .bind(gate.id)
            .bind(gate.state.status)
            .bind(Json(&gate.state))
            .bind(Instant(gate.state.due_at))
            .bind(gate.responded_at.map(Instant))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// The gate with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_get(&mut self, id: GateId) -> Result<Option<(Gate, GateRules)>> {
        let row: Option<GateRow> =
            on_db!(self, |c| sqlx::query_as(GATE_GET).bind(self.workspace).bind(id).fetch_optional(c).await)?;
        Ok(row.map(split))
    }

    /// The gate with this slug.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_by_slug(&mut self, slug: &str) -> Result<Option<(Gate, GateRules)>> {
        let row: Option<GateRow> =
            on_db!(self, |c| sqlx::query_as(GATE_BY_SLUG).bind(self.workspace).bind(slug).fetch_optional(c).await)?;
        Ok(row.map(split))
    }

    /// Gates that wait for a human, the most urgent first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_list_open(&mut self) -> Result<Vec<(Gate, GateRules)>> {
        let rows: Vec<GateRow> =
            on_db!(self, |c| sqlx::query_as(GATE_LIST_OPEN).bind(self.workspace).fetch_all(c).await)?;
        Ok(rows.into_iter().map(split).collect())
    }

    /// The same at a glance.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_glances_open(&mut self) -> Result<Vec<GateGlance>> {
        on_db!(self, |c| sqlx::query_as(GATE_GLANCES).bind(self.workspace).fetch_all(c).await)
    }

    /// Up to `limit` gates, newest first, of one experiment or all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_list(&mut self, experiment: Option<ExperimentId>, limit: i64) -> Result<Vec<Gate>> {
        let rows: Vec<GateRow> = on_db!(self, |c| sqlx::query_as(GATE_LIST)
            .bind(self.workspace)
            .bind(experiment)
            .bind(limit)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(|row| split(row).0).collect())
    }

    /// What `audit verify` compares of every gate.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_states(&mut self) -> Result<Vec<GateStateRow>> {
        on_db!(self, |c| sqlx::query_as(GATE_STATES).bind(self.workspace).fetch_all(c).await)
    }

    /// True when the slug is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_slug_taken(&mut self, slug: &Slug) -> Result<bool> {
        let (count,): (i64,) =
            on_db!(self, |c| sqlx::query_as(GATE_SLUG_COUNT).bind(self.workspace).bind(slug).fetch_one(c).await)?;
        Ok(count > 0)
    }

    /// Keeps a verified decision.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it was used before.
    pub async fn decision_insert(&mut self, decision: &VerifiedDecision) -> Result<()> {
        let signed = decision.signed();
        let (gate, subject) = match signed.decision.subject {
            DecisionSubject::Gate(id) => (Some(id), id.0),
            DecisionSubject::Experiment(id) => (None, id.0),
            DecisionSubject::Outcome(id) => (None, id.0),
        };
        let document = serde_json::to_string(signed)
            .map_err(|e| Error::new(Code::Internal, "a decision cannot be written as JSON").because(e))?;
        on_db!(self, |c| sqlx::query(DECISION_INSERT)
            .bind(self.workspace)
            .bind(&signed.signature)
            .bind(gate)
            .bind(subject)
            .bind(signed.decision.member)
            .bind(signed.decision.verdict)
            .bind(signed.decision.assurance)
            .bind(&document)
            .bind(Instant(signed.decision.decided_at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// The decisions about a gate, experiment or outcome, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decision_list(&mut self, subject: Uuid) -> Result<Vec<SignedDecision>> {
        let rows: Vec<(String,)> =
            on_db!(self, |c| sqlx::query_as(DECISION_LIST).bind(self.workspace).bind(subject).fetch_all(c).await)?;
        Ok(rows.iter().filter_map(|(document,)| serde_json::from_str(document).ok()).collect())
    }
}
