//! The workspace, and who is signed in.

use axum::extract::State;
use axum::{Extension, Json};
use outcome_core::usecases::PageSession;
use serde_json::{Value, json};

use super::Answer;
use crate::App;

/// GET /api/v1/workspace
pub(crate) async fn show(State(app): State<App>) -> Json<Value> {
    let workspace = app.runtime.workspace();
    Json(json!({
        "workspace": workspace.slug,
        "id": workspace.id,
        "organisation": workspace.organisation,
        "created_at": workspace.created_at.0,
        "is_virtual_clock": workspace.is_virtual_clock,
        "now": app.runtime.now(),
        "app_url": app.site.url(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// GET /api/v1/session
pub(crate) async fn session(Extension(session): Extension<PageSession>) -> Answer<Value> {
    let member = &session.member;
    Ok(Json(json!({ "member": member.shown(), "name": member.name(), "csrf_token": session.csrf })))
}
