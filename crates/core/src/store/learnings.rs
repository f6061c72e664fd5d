//! Learnings.

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Instant, Tx, on_db, statements};
use crate::domain::{EvidenceGrade, FindingType, Learning, Slug};
use crate::error::Result;
use crate::ids::{ExperimentId, LearningId, OutcomeId};

statements! {
    LEARNING_INSERT = "
        INSERT INTO learning (workspace_id, id, outcome_id, experiment_id, finding, finding_type, hypothesis_says,
            note_says, evidence, confidence, grade, applies_to, search_text, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    LEARNING_LIST = "
        SELECT l.id, l.outcome_id, l.experiment_id, l.finding, l.finding_type, l.hypothesis_says, l.note_says, l.evidence,
            l.confidence, l.grade, l.applies_to, l.created_at, o.slug AS outcome_slug, e.slug AS experiment_slug
        FROM learning l
        JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        WHERE l.workspace_id = $1 AND (l.outcome_id = $2 OR $2 IS NULL)
        ORDER BY l.created_at DESC, l.id DESC LIMIT $3 OFFSET $4";
    LEARNING_GET = "
        SELECT l.id, l.outcome_id, l.experiment_id, l.finding, l.finding_type, l.hypothesis_says, l.note_says, l.evidence,
            l.confidence, l.grade, l.applies_to, l.created_at, o.slug AS outcome_slug, e.slug AS experiment_slug
        FROM learning l
        JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        WHERE l.workspace_id = $1 AND l.id = $2";
}

/// A learning with the names of what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredLearning {
    /// The learning.
    pub learning: Learning,
    /// Slug of its outcome.
    pub outcome: Slug,
    /// Slug of its experiment.
    pub experiment: Slug,
}

#[derive(FromRow)]
pub(super) struct LearningRow {
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
    outcome_slug: Slug,
    experiment_slug: Slug,
}

impl From<LearningRow> for StoredLearning {
    fn from(row: LearningRow) -> Self {
        let learning = Learning {
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
        };
        Self { learning, outcome: row.outcome_slug, experiment: row.experiment_slug }
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

    /// The newest learnings, of one outcome or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learning_list(
        &mut self,
        outcome: Option<OutcomeId>,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<StoredLearning>> {
        let rows: Vec<LearningRow> = on_db!(self, |c| sqlx::query_as(LEARNING_LIST)
            .bind(self.workspace)
            .bind(outcome)
            .bind(limit)
            .bind(offset)
            .fetch_all(c)
            .await)?;
        Ok(rows.into_iter().map(StoredLearning::from).collect())
    }

    /// The learning with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learning_get(&mut self, id: LearningId) -> Result<Option<StoredLearning>> {
        let row: Option<LearningRow> =
            on_db!(self, |c| sqlx::query_as(LEARNING_GET).bind(self.workspace).bind(id).fetch_optional(c).await)?;
        Ok(row.map(StoredLearning::from))
    }
}
