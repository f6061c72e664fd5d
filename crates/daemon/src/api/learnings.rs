//! What experiments taught.

use axum::Json;
use axum::extract::State;
use outcome_core::usecases::LearningView;
use serde::Deserialize;

use super::Answer;
use crate::App;
use crate::http::extract::Query;

/// What is looked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// Words; the newest learnings without.
    #[serde(default)]
    q: String,
    #[serde(default)]
    outcome: Option<String>,
    #[serde(default = "default_limit")]
    limit: i64,
    #[serde(default)]
    offset: i64,
}

fn default_limit() -> i64 {
    20
}

/// GET /api/v1/learnings
pub(crate) async fn search(State(app): State<App>, Query(query): Query<SearchQuery>) -> Answer<Vec<LearningView>> {
    let words: String = query.q.chars().take(500).collect();
    Ok(Json(app.runtime.learnings().search(&words, query.outcome.as_deref(), query.limit, query.offset).await?))
}
