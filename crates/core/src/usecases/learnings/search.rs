//! What experiments taught: stored at every conclusion, found by full-text search.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Learnings;
use crate::domain::{Evidence, EvidenceGrade, FindingType, Slug, Stored};
use crate::error::Result;
use crate::ids::{ExperimentId, LearningId, OutcomeId};
use crate::store::{LearningQuery, StoredLearning};
use crate::usecases::Runtime;
use crate::usecases::kernel::lookup::outcome_named;

/// How far one can page; whoever looks for something further away asks with more words.
const MAX_OFFSET: i64 = 100_000;

/// A learning as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LearningView {
    /// Its id.
    pub id: LearningId,
    /// Slug of the outcome.
    pub outcome: Slug,
    /// Its id.
    pub outcome_id: OutcomeId,
    /// Slug of the experiment.
    pub experiment: Slug,
    /// Its id.
    pub experiment_id: ExperimentId,
    /// One or two sentences by the runtime.
    pub finding: String,
    /// What kind.
    pub finding_type: FindingType,
    /// The words of the experiment's author. Untrusted.
    pub hypothesis_says: String,
    /// The human's words at the decision. Untrusted.
    pub note_says: Option<String>,
    /// The figures: effect, interval, n, health, hashes.
    pub evidence: Stored<Evidence>,
    /// Computed from the evidence, 0..1.
    pub confidence: f64,
    /// How strong the evidence is.
    pub grade: EvidenceGrade,
    /// Tags.
    pub applies_to: Vec<String>,
    /// When it was learnt.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Age in whole days.
    pub age_days: i64,
}

impl Learnings<'_> {
    /// Learnings that fit `words`, best first; the newest without words.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`] for an unknown outcome.
    #[tracing::instrument(level = "debug", name = "learnings.search", skip_all)]
    pub async fn search(
        self,
        words: &str,
        outcome: Option<&str>,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<LearningView>> {
        let mut tx = self.0.read().await?;
        let outcome = match outcome {
            Some(reference) => Some(outcome_named(&mut tx, reference).await?.id),
            None => None,
        };
        let query = LearningQuery {
            words: words.to_owned(),
            outcome,
            limit: limit.clamp(1, 100),
            offset: offset.clamp(0, MAX_OFFSET),
        };
        Ok(tx.learning_search(&query).await?.into_iter().map(|found| learning_view(self.0, found)).collect())
    }

    /// The learning with this id; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "learnings.show", skip_all)]
    pub async fn show(self, id: LearningId) -> Result<Option<LearningView>> {
        let mut tx = self.0.read().await?;
        Ok(tx.learning_get(id).await?.map(|found| learning_view(self.0, found)))
    }
}

fn learning_view(runtime: &Runtime, found: StoredLearning) -> LearningView {
    let StoredLearning { outcome, experiment, learning } = found;
    LearningView {
        id: learning.id,
        outcome,
        outcome_id: learning.outcome,
        experiment,
        experiment_id: learning.experiment,
        finding: learning.finding,
        finding_type: learning.finding_type,
        hypothesis_says: learning.hypothesis_says,
        note_says: learning.note_says,
        evidence: learning.evidence,
        confidence: learning.confidence,
        grade: learning.grade,
        applies_to: learning.applies_to,
        age_days: runtime.now().duration_since(learning.created_at).as_hours() / 24,
        created_at: learning.created_at,
    }
}
