//! Experiments: build report, result, questions to a human.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use outcome_core::domain::{Measurement, Stored};
use outcome_core::usecases::{BuildReport, BuildReported, GateOpenRequest, GateView};
use serde::Deserialize;
use serde_json::{Value, json};

use super::outcomes::SeriesQuery;
use super::{Answer, tagged};
use crate::App;
use crate::auth::Caller;
use crate::http::extract::{JsonBody, Query};
use crate::http::problem::Problem;

/// GET /api/v1/experiments/{id}
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    tagged(&headers, &app.runtime.experiments().show(&id).await?)
}

/// GET /api/v1/experiments/{id}/result
pub(crate) async fn result(State(app): State<App>, Path(id): Path<String>) -> Answer<Value> {
    let view = app.runtime.experiments().show(&id).await?;
    let experiment = view.experiment;
    Ok(Json(json!({
        "experiment": experiment.slug,
        "status": experiment.state.status,
        "design": experiment.plan.as_ref().map(Stored::read).transpose()?.map(|plan| plan.design),
        "method": "always-valid mixture test, confidence sequence (docs/ARCHITECTURE.md)",
        "plan_hash": experiment.state.plan_hash,
        "is_final": experiment.final_result.is_some(),
        "result": experiment.final_result.map_or_else(|| json!(experiment.current_result), |ended| json!(ended)),
        "signal_problems": view.signal_problems,
        "flag_problem": view.flag_problem,
    })))
}

/// GET /api/v1/experiments/{id}/signals
pub(crate) async fn signals(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<SeriesQuery>,
) -> Answer<Vec<Measurement>> {
    Ok(Json(app.runtime.experiments().series(&id, query.limit.clamp(1, 5000)).await?))
}

/// What a builder reports; the names are those of the MCP tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuiltBody {
    implementation_summary: String,
    #[serde(default)]
    files_changed: Option<Vec<String>>,
    #[serde(default)]
    head: Option<String>,
    #[serde(default)]
    flag_key: Option<String>,
    #[serde(default)]
    agent_notes: Option<String>,
}

/// POST /api/v1/experiments/{id}/built
pub(crate) async fn built(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<BuiltBody>,
) -> Answer<BuildReported> {
    let report = BuildReport {
        experiment: id,
        summary: body.implementation_summary,
        files_changed: body.files_changed,
        head: body.head,
        flag_key: body.flag_key,
        notes: body.agent_notes,
    };
    Ok(Json(app.runtime.builds().report(report, &caller.principal()).await?))
}

/// Why a build failed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailBody {
    reason: String,
}

/// POST /api/v1/experiments/{id}/fail
pub(crate) async fn fail(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<FailBody>,
) -> Answer<Value> {
    let status = app.runtime.builds().failed(&id, &body.reason, &caller.principal()).await?;
    Ok(Json(json!({ "experiment": id, "status": status })))
}

/// A question to a human.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GateBody {
    question: String,
    #[serde(default)]
    details: Option<String>,
}

/// POST /api/v1/experiments/{id}/gates
pub(crate) async fn open_gate(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<GateBody>,
) -> Result<(StatusCode, Json<GateView>), Problem> {
    let request = GateOpenRequest { experiment: id, question: body.question, details: body.details };
    let view = app.runtime.gates().open(request, &caller.principal()).await?;
    Ok((StatusCode::CREATED, Json(view)))
}
