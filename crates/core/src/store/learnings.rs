//! Learnings and their full-text search: FTS5 on SQLite, `tsvector` on PostgreSQL, the one place with two statements.

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::db::Conn;
use super::{Instant, Tx, db_error, on_db, statements};
use crate::domain::{EvidenceGrade, FindingType, Learning};
use crate::error::Result;
use crate::ids::{ExperimentId, LearningId, OutcomeId};

statements! {
    LEARNING_INSERT = "
        INSERT INTO learning (workspace_id, id, outcome_id, experiment_id, finding, finding_type, hypothesis_says,
            note_says, evidence, confidence, grade, applies_to, search_text, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    LEARNING_LIST = "
        SELECT id, outcome_id, experiment_id, finding, finding_type, hypothesis_says, note_says, evidence, confidence,
            grade, applies_to, created_at
        FROM learning WHERE workspace_id = $1 AND (outcome_id = $2 OR $2 IS NULL)
        ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4";
    LEARNING_OF_EXPERIMENT = "
        SELECT id, outcome_id, experiment_id, finding, finding_type, hypothesis_says, note_says, evidence, confidence,
            grade, applies_to, created_at
        FROM learning WHERE workspace_id = $1 AND experiment_id = $2 ORDER BY created_at, id";
    LEARNING_GET = "
        SELECT id, outcome_id, experiment_id, finding, finding_type, hypothesis_says, note_says, evidence, confidence,
            grade, applies_to, created_at
        FROM learning WHERE workspace_id = $1 AND id = $2";
}

/// A statement whose two dialects have nothing in common.
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

pub(super) const SEARCH: Sql = Sql {
    sqlite: "
        SELECT l.id, l.outcome_id, l.experiment_id, l.finding, l.finding_type, l.hypothesis_says, l.note_says, l.evidence,
            l.confidence, l.grade, l.applies_to, l.created_at
        FROM (SELECT learning_id, rank AS place FROM learning_text WHERE learning_text MATCH $2 AND workspace_id = $1
            ORDER BY rank LIMIT 1000) AS t
        JOIN learning l ON l.id = t.learning_id AND l.workspace_id = $1
        WHERE l.outcome_id = $3 OR $3 IS NULL
        ORDER BY t.place, l.created_at DESC LIMIT $4 OFFSET $5",
    postgres: "
        SELECT l.id, l.outcome_id, l.experiment_id, l.finding, l.finding_type, l.hypothesis_says, l.note_says, l.evidence,
            l.confidence, l.grade, l.applies_to, l.created_at
        FROM learning l
        WHERE l.workspace_id = $1 AND l.search_vector @@ to_tsquery('english', $2) AND (l.outcome_id = $3 OR $3 IS NULL)
        ORDER BY ts_rank(l.search_vector, to_tsquery('english', $2)) DESC, l.created_at DESC LIMIT $4 OFFSET $5",
};

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct LearningQuery {
    /// Words; any of them counts, more of them rank higher. Empty lists the newest.
    pub words: String,
    /// Only of this outcome.
    pub outcome: Option<OutcomeId>,
    /// At most this many.
    pub limit: i64,
    /// After this many.
    pub offset: i64,
}

impl LearningQuery {
    /// The words as a query that neither engine can misread: letters and digits only, at most 32, joined by `or`.
    fn terms(&self) -> Vec<String> {
        self.words
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .take(32)
            .map(str::to_lowercase)
            .collect()
    }
}

#[derive(FromRow)]
struct LearningRow {
    id: LearningId,
    outcome_id: OutcomeId,
    experiment_id: ExperimentId,
    finding: String,
    finding_type: FindingType,
    hypothesis_says: String,
    note_says: Option<String>,
    evidence: Json<Value>,
    confidence: f64,
    grade: EvidenceGrade,
    applies_to: Json<Vec<String>>,
    created_at: Instant,
}

impl From<LearningRow> for Learning {
    fn from(row: LearningRow) -> Self {
        Self {
            id: row.id,
            outcome: row.outcome_id,
            experiment: row.experiment_id,
            finding: row.finding,
            finding_type: row.finding_type,
            hypothesis_says: row.hypothesis_says,
            note_says: row.note_says,
            evidence: row.evidence.0,
            confidence: row.confidence,
            grade: row.grade,
            applies_to: row.applies_to.0,
            created_at: row.created_at.0,
        }
    }
}

impl Tx {
    /// Stores a learning with the text under which it is found.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learning_insert(&mut self, learning: &Learning) -> Result<()> {
        let search_text = format!(
            "{} {} {} {} {}",
            learning.finding,
            learning.hypothesis_says,
            learning.note_says.as_deref().unwrap_or_default(),
            learning.applies_to.join(" "),
            learning.finding_type.as_str().replace('_', " "),
        );
        on_db!(self, |c| sqlx::query(LEARNING_INSERT)
            .bind(self.workspace)
            .bind(learning.id)
            .bind(learning.outcome)
            .bind(learning.experiment)
            .bind(&learning.finding)
            .bind(learning.finding_type)
            .bind(&learning.hypothesis_says)
            .bind(&learning.note_says)
            .bind(Json(&learning.evidence))
            .bind(learning.confidence)
            .bind(learning.grade)
            .bind(Json(&learning.applies_to))
            .bind(&search_text)
            .bind(Instant(learning.created_at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// The learnings that fit, best first; the newest without words.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learning_search(&mut self, query: &LearningQuery) -> Result<Vec<Learning>> {
        let terms = query.terms();
        let rows: Vec<LearningRow> = if terms.is_empty() {
            on_db!(self, |c| sqlx::query_as(LEARNING_LIST)
                .bind(self.workspace)
                .bind(query.outcome)
                .bind(query.limit)
                .bind(query.offset)
                .fetch_all(c)
                .await)?
        } else {
            match &mut self.conn {
                Conn::Sqlite(tx) => {
                    let quoted: Vec<_> = terms.iter().map(|term| format!("\"{term}\"")).collect();
                    sqlx::query_as(SEARCH.sqlite)
                        .bind(self.workspace)
                        .bind(quoted.join(" OR "))
                        .bind(query.outcome)
                        .bind(query.limit)
                        .bind(query.offset)
                        .fetch_all(&mut **tx)
                        .await
                }
                Conn::Postgres(tx) => {
                    sqlx::query_as(SEARCH.postgres)
                        .bind(self.workspace)
                        .bind(terms.join(" | "))
                        .bind(query.outcome)
                        .bind(query.limit)
                        .bind(query.offset)
                        .fetch_all(&mut **tx)
                        .await
                }
            }
            .map_err(db_error)?
        };
        Ok(rows.into_iter().map(Learning::from).collect())
    }

    /// The learning with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learning_get(&mut self, id: LearningId) -> Result<Option<Learning>> {
        let row: Option<LearningRow> =
            on_db!(self, |c| sqlx::query_as(LEARNING_GET).bind(self.workspace).bind(id).fetch_optional(c).await)?;
        Ok(row.map(Learning::from))
    }

    /// What an experiment taught.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learning_of_experiment(&mut self, experiment: ExperimentId) -> Result<Vec<Learning>> {
        let rows: Vec<LearningRow> = on_db!(self, |c| sqlx::query_as(LEARNING_OF_EXPERIMENT)
            .bind(self.workspace)
            .bind(experiment)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(Learning::from).collect())
    }
}
