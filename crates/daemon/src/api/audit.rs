//! The audit log, page by page.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::App;
use crate::http::extract::Query;

/// Which lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// The number of the last line that the caller has.
    #[serde(default)]
    after: i64,
    #[serde(default = "default_limit")]
    limit: i64,
}

fn default_limit() -> i64 {
    100
}

/// GET /api/v1/audit
pub(crate) async fn page(State(app): State<App>, Query(query): Query<PageQuery>) -> Answer<Value> {
    let lines = app.runtime.audit_log().page(query.after.max(0), query.limit).await?;
    let next = lines.last().map(|line| line.seq);
    Ok(Json(json!({ "lines": lines, "next_after": next })))
}
