//! Gates and the decisions made about them.

use sqlx::types::Json;
use uuid::Uuid;

use super::codec::Instant;
use super::columns::{columns, row, sql};
use super::db::{Tx, on_db};
use super::error::must_hit;
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{Assurance, DecisionSubject, Gate, GateState, GateStatus, GateType, SignedDecision, Slug, Verdict};
use crate::error::{Code, Error, Result};
use crate::identity::VerifiedDecision;
use crate::ids::{ExperimentId, GateId, MemberId, OutcomeId, WorkspaceId};
use crate::lifecycle::GateRules;

statements! {
    GATE_INSERT = GateRow::INSERT;
    GATE_UPDATE = "
        UPDATE gate SET status = $3, state = $4, due_at = $5, responded_at = $6 WHERE workspace_id = $1 AND id = $2";
    GATE_GET = sql!("SELECT ", GateRow::COLUMNS, " FROM gate WHERE workspace_id = $1 AND id = $2");
    GATE_BY_SLUG = sql!("SELECT ", GateRow::COLUMNS, " FROM gate WHERE workspace_id = $1 AND slug = $2");
    GATE_LIST_OPEN = sql!("SELECT ", GateRow::COLUMNS, "
        FROM gate WHERE workspace_id = $1 AND status IN ('pending', 'timed_out') ORDER BY due_at, id");
    GATE_GLANCES = "
        SELECT g.slug, g.gate_type, e.slug AS experiment, g.rules, g.state
        FROM gate g LEFT JOIN experiment e ON e.workspace_id = g.workspace_id AND e.id = g.experiment_id
        WHERE g.workspace_id = $1 AND g.status IN ('pending', 'timed_out') ORDER BY g.due_at, g.id";
    GATE_LIST = sql!("SELECT ", GateRow::COLUMNS, "
        FROM gate WHERE workspace_id = $1 AND (experiment_id = $2 OR $2 IS NULL)
        ORDER BY created_at DESC, id DESC LIMIT $3");
    GATE_STATES = "
        SELECT id, status, state, rules, context, context_hash FROM gate
        WHERE workspace_id = $1 AND id >= $2 ORDER BY id LIMIT $3";
    GATE_SLUG_COUNT = "SELECT COUNT(*) FROM gate WHERE workspace_id = $1 AND slug = $2";
    DECISION_INSERT = DecisionRow::INSERT;
    DECISION_LIST = "
        SELECT document FROM decision WHERE workspace_id = $1 AND subject_id = $2 ORDER BY decided_at, signature";
}

columns! {
    pub(super) struct GateRow in "gate" {
        id: GateId => folded,
        slug: Slug => folded,
        gate_type: GateType => folded,
        outcome_id: Option<OutcomeId> => folded,
        experiment_id: Option<ExperimentId> => folded,
        rules: Json<GateRules> => folded,
        state: Json<GateState> => folded,
        // By its hash.
        context: String => folded,
        context_hash: String => folded,
        created_at: Instant => folded,
        responded_at: Option<Instant> => folded,
    }
    beside {
        workspace_id: WorkspaceId => folded,
        status: GateStatus => folded,
        due_at: Instant => volatile("a copy of the state's, to sort by"),
    }
}

columns! {
    pub(super) struct DecisionRow in "decision" {
        signature: String => folded,
        gate_id: Option<GateId> => folded,
        subject_id: Uuid => folded,
        member_id: MemberId => folded,
        verdict: Verdict => folded,
        assurance: Assurance => folded,
        document: String => folded,
        decided_at: Instant => folded,
    }
    beside { workspace_id: WorkspaceId => folded }
}

row! {
    /// What a list shows of a gate.
    #[derive(Debug)]
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
}

row! {
    /// What `audit verify` compares of a gate.
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
        self.touch(FoldedTable::Gate, RowKey::Id(gate.id.0)).await?;
        let row = GateRow {
            id: gate.id,
            slug: gate.slug.clone(),
            gate_type: gate.gate_type,
            outcome_id: gate.outcome,
            experiment_id: gate.experiment,
            rules: Json(rules.clone()),
            state: Json(gate.state.clone()),
            context: gate.context.clone(),
            context_hash: gate.context_hash.clone(),
            created_at: Instant(gate.created_at),
            responded_at: gate.responded_at.map(Instant),
        };
        let due_at = Instant(gate.state.due_at);
        on_db!(self, |c| row
            .insert(sqlx::query(GATE_INSERT), &self.workspace, &gate.state.status, &due_at)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Stores a gate's new state.
    ///
    /// # Errors
    /// [`Code::RowMissing`].
    pub async fn gate_update(&mut self, gate: &Gate) -> Result<()> {
        self.touch(FoldedTable::Gate, RowKey::Id(gate.id.0)).await?;
        let n_rows = on_db!(self, |c| sqlx::query(GATE_UPDATE)
            .bind(self.workspace)
            .bind(gate.id)
            .bind(gate.state.status)
            .bind(Json(&gate.state))
            .bind(Instant(gate.state.due_at))
            .bind(gate.responded_at.map(Instant))
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        must_hit(n_rows, "gate", gate.id)
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

    /// What `audit verify` compares of up to `limit` gates from the id `from` on, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_states(&mut self, from: GateId, limit: i64) -> Result<Vec<GateStateRow>> {
        on_db!(self, |c| sqlx::query_as(GATE_STATES).bind(self.workspace).bind(from).bind(limit).fetch_all(c).await)
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
        let decision = signed.decision();
        let (gate, subject) = match decision.subject {
            DecisionSubject::Gate(id) => (Some(id), id.0),
            DecisionSubject::Experiment(id) => (None, id.0),
            DecisionSubject::Outcome(id) => (None, id.0),
            DecisionSubject::Key(id) => (None, id.0),
            DecisionSubject::Member(id) => (None, id.0),
            DecisionSubject::Workspace(id) => (None, id.0),
        };
        let document = serde_json::to_string(signed)
            .map_err(|e| Error::new(Code::Internal, "a decision cannot be written as JSON").because(e))?;
        let row = DecisionRow {
            signature: signed.signature().to_owned(),
            gate_id: gate,
            subject_id: subject,
            member_id: decision.member,
            verdict: decision.verdict,
            assurance: decision.assurance,
            document,
            decided_at: Instant(decision.decided_at),
        };
        self.touch_new(FoldedTable::Decision, RowKey::Text(row.signature.clone()));
        on_db!(self, |c| row.insert(sqlx::query(DECISION_INSERT), &self.workspace).execute(c).await.map(|_| ()))
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
