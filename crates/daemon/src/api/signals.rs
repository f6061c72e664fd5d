//! Pushed readings, and the connectors.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use outcome_core::ports::push::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Headers, MAX_BODY};
use outcome_core::usecases::{ConnectorReport, Ingested};
use outcome_core::{Code, Error};
use serde_json::{Value, json};

use super::Answer;
use crate::App;
use crate::http::extract::whole;
use crate::http::problem::Problem;

/// POST /api/v1/signals/ingest: the signature covers the bytes as they came.
pub(crate) async fn ingest(State(app): State<App>, request: Request) -> Answer<Ingested> {
    let (parts, body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let headers = Headers { id: text(HEADER_ID), timestamp: text(HEADER_TIMESTAMP), signature: text(HEADER_SIGNATURE) };
    // Who does not even try to sign is answered before anything is read.
    headers.check().map_err(Error::from)?;
    let body = whole(body, MAX_BODY).await?;
    match app.runtime.signals().ingest(headers, &body).await {
        Ok(taken) => Ok(Json(taken)),
        // Elsewhere a source is at fault that we asked; here it is the caller.
        Err(error) if error.code() == Code::SignalShape => {
            Err(Problem::with_status(error, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(error) => Err(error.into()),
    }
}

/// GET /api/v1/signals/connectors
pub(crate) async fn connectors(State(app): State<App>) -> Answer<Value> {
    Ok(Json(json!({ "connectors": app.runtime.signals().connector_names().await? })))
}

/// POST /api/v1/signals/connectors/{name}/test
pub(crate) async fn test(State(app): State<App>, Path(name): Path<String>) -> Answer<ConnectorReport> {
    Ok(Json(app.runtime.signals().connector_test_applied(&name).await?))
}
