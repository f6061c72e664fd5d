//! `/healthz`: whether this daemon can do its work. For load balancers and service managers, hence without a sign-in and
//! without details.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::App;

const LIMIT: Duration = Duration::from_secs(2);

/// GET /healthz
pub(crate) async fn show(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let is_reachable = matches!(tokio::time::timeout(LIMIT, ask(&app)).await, Ok(Ok(())));
    let polls = app.polls.counts();
    let (status, word) =
        if is_reachable { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "database_unreachable") };
    let body = json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "is_database_reachable": is_reachable,
        "last_poll_at": polls.last_at,
        "n_polls": polls.n_rounds,
        "n_polls_failed": polls.n_failed,
    });
    (status, Json(body))
}

async fn ask(app: &App) -> outcome_core::Result<()> {
    app.runtime.workspaces().is_reachable().await
}
