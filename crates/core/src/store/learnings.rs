//! Learnings.

use sqlx::types::Json;

use super::codec::Instant;
use super::columns::{columns, list, row, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{Evidence, EvidenceGrade, FindingType, Learning, Slug, Stored};
use crate::error::Result;
use crate::ids::{ExperimentId, LearningId, OutcomeId, WorkspaceId};

statements! {
    LEARNING_INSERT = LearningRow::INSERT;
    LEARNING_LIST = sql!("SELECT ", NAMED, "
        FROM learning l
        JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        WHERE l.workspace_id = $1 AND (l.outcome_id = $2 OR $2 IS NULL)
        ORDER BY l.created_at DESC, l.id DESC LIMIT $3 OFFSET $4");
    LEARNING_GET = sql!("SELECT ", NAMED, "
        FROM learning l
        JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        WHERE l.workspace_id = $1 AND l.id = $2");
}

/// The columns of a [`NamedRow`]: the learning is `l`, its outcome `o`, its experiment `e`.
pub(super) const NAMED: &str = sql!(list!(LearningRow, "l."), ", o.slug AS outcome_slug, e.slug AS experiment_slug");

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

columns! {
    pub(super) struct LearningRow in "learning" {
        id: LearningId => folded,
        outcome_id: OutcomeId => folded,
        experiment_id: ExperimentId => folded,
        finding: String => folded,
        finding_type: FindingType => folded,
        hypothesis_says: String => folded,
        note_says: Option<String> => folded,
        evidence: Json<Stored<Evidence>> => folded,
        confidence: f64 => volatile("shown"),
        grade: EvidenceGrade => folded,
        applies_to: Json<Vec<String>> => folded,
        created_at: Instant => folded,
    }
    beside {
        workspace_id: WorkspaceId => folded,
        search_text: String => volatile("text to search in"),
    }
    postgres { search_vector => derived }
}

row! {
    pub(super) struct NamedRow {
        outcome_slug: Slug,
        experiment_slug: Slug,
    }
    with { row: LearningRow }
}

impl From<NamedRow> for StoredLearning {
    fn from(named: NamedRow) -> Self {
        let row = named.row;
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
        Self { learning, outcome: named.outcome_slug, experiment: named.experiment_slug }
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
        let row = LearningRow {
            id: learning.id,
            outcome_id: learning.outcome,
            experiment_id: learning.experiment,
            finding: learning.finding.clone(),
            finding_type: learning.finding_type,
            hypothesis_says: learning.hypothesis_says.clone(),
            note_says: learning.note_says.clone(),
            evidence: Json(learning.evidence.clone()),
            confidence: learning.confidence,
            grade: learning.grade,
            applies_to: Json(learning.applies_to.clone()),
            created_at: Instant(learning.created_at),
        };
        self.touch_new(FoldedTable::Learning, RowKey::Id(learning.id.0));
        on_db!(self, |c| row
            .insert(sqlx::query(LEARNING_INSERT), &self.workspace, &search_text)
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
        let rows: Vec<NamedRow> = on_db!(self, |c| sqlx::query_as(LEARNING_LIST)
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
        let row: Option<NamedRow> =
            on_db!(self, |c| sqlx::query_as(LEARNING_GET).bind(self.workspace).bind(id).fetch_optional(c).await)?;
        Ok(row.map(StoredLearning::from))
    }
}
