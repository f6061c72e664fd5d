//! Outcomes: how they stand, and hypotheses towards them.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use outcome_core::Error;
use outcome_core::domain::{Author, Measurement};
use outcome_core::usecases::{Status, Submission, Submitted, WorkOrder, read_candidates};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, tagged};
use crate::App;
use crate::auth::Caller;
use crate::http::extract::{JsonBody, Query};
use crate::http::problem::Problem;

/// What is listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Also drafts and what is over.
    #[serde(default)]
    all: bool,
}

/// GET /api/v1/outcomes
pub(crate) async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Answer<Status> {
    Ok(Json(app.runtime.workspaces().status(!query.all).await?))
}

/// GET /api/v1/outcomes/{id}
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let status = app.runtime.workspaces().status(false).await?;
    let found = status.outcomes.into_iter().find(|line| line.outcome == id);
    let line =
        found.ok_or_else(|| Error::not_found("outcome", &id).hint("GET /api/v1/outcomes?all=true lists them"))?;
    tagged(&headers, &line)
}

/// How many readings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesQuery {
    #[serde(default = "default_limit")]
    pub(super) limit: i64,
}

fn default_limit() -> i64 {
    500
}

/// GET /api/v1/outcomes/{id}/signals
pub(crate) async fn signals(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<SeriesQuery>,
) -> Answer<Vec<Measurement>> {
    Ok(Json(app.runtime.outcomes().series(&id, query.limit.clamp(1, 5000)).await?))
}

/// GET /api/v1/outcomes/{id}/work-order
pub(crate) async fn work_order(State(app): State<App>, Path(id): Path<String>) -> Answer<WorkOrder> {
    Ok(Json(app.runtime.hypotheses().work_order(&id).await?))
}

/// Candidates that are handed in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubmitBody {
    hypotheses: Vec<Value>,
}

/// POST /api/v1/outcomes/{id}/experiments
pub(crate) async fn submit(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<SubmitBody>,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let author = match caller {
        Caller::Agent(_) => Author::Ai,
        Caller::Member(_) => Author::Human,
    };
    let hypotheses = read_candidates(&body.hypotheses)?;
    let submission = Submission { outcome: id, hypotheses, author };
    let submitted = app.runtime.hypotheses().submit(submission, &caller.principal()).await?;
    Ok((StatusCode::CREATED, Json(submitted)))
}
