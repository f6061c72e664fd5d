//! MCP over Streamable HTTP, for agents that cannot start a program beside the repository.
//!
//! The handler is that of `outcome-runtime-mcp`; here is only its door. There are no sessions: every request stands alone,
//! in both protocol eras, and several daemons behind one name answer alike.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;

use crate::App;
use crate::auth::Caller;

/// Largest message, in bytes: many times the largest that a tool takes.
const MAX_MESSAGE: usize = 1024 * 1024;

/// `POST /mcp`.
pub(crate) async fn serve(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    // Host and Origin were checked on the way in, by the rules that hold for every route.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_MESSAGE)
        .with_cancellation_token(app.stopping.child_token());
    let server = app.mcp.for_agent(caller.principal());
    let service =
        StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config);
    service.handle(request).await.map(Body::new)
}
