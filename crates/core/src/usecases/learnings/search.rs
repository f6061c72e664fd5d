//! What experiments taught: stored at every conclusion, found by full-text search.

use schemars::JsonSchema;
use serde::Serialize;

use super::Learnings;
use crate::domain::Learning;
use crate::error::Result;
use crate::ids::LearningId;
use crate::store::{LearningQuery, StoredLearning};
use crate::usecases::Runtime;
use crate::usecases::kernel::lookup::outcome_named;

/// How far one can page; whoever looks for something further away asks with more words.
const MAX_OFFSET: i64 = 100_000;

/// A learning as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LearningView {
    /// Slug of the outcome.
    pub outcome: String,
    /// Slug of the experiment.
    pub experiment: String,
    /// The learning.
    #[serde(flatten)]
    pub learning: Learning,
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
    let age = runtime.now().duration_since(found.learning.created_at);
    LearningView {
        outcome: found.outcome.to_string(),
        experiment: found.experiment.to_string(),
        age_days: age.as_hours() / 24,
        learning: found.learning,
    }
}
