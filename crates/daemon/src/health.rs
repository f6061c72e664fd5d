//! `/livez` and `/healthz`: whether this daemon lives, and whether it does its work. For load balancers and service managers, hence
//! without a sign-in and without details.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::App;

const LIMIT: Duration = Duration::from_secs(2);

/// GET /livez
pub(crate) async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") }))
}

/// GET /healthz
pub(crate) async fn show(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let is_reachable = matches!(tokio::time::timeout(LIMIT, ask(&app)).await, Ok(Ok(())));
    let polls = app.polls.counts();
    let unreachable = (!is_reachable).then_some("database_unreachable");
    let mut problems: Vec<&str> = unreachable.into_iter().collect();
    problems.extend(app.all().flat_map(|app| app.polls.counts().problems()));
    problems.dedup();
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": problems.first().copied().unwrap_or("ok"),
        "problems": problems,
        "version": env!("CARGO_PKG_VERSION"),
        "is_database_reachable": is_reachable,
        "last_poll_at": polls.last_at,
        "n_polls": polls.n_rounds,
        "n_polls_failed": polls.n_failed,
    });
    (status, Json(body))
}

async fn ask(app: &App) -> outcome_core::Result<()> {
    for app in app.all() {
        app.runtime.workspaces().is_reachable().await?;
    }
    Ok(())
}
