//! `agent token`: access for an agent to the REST API.

use outcome_core::Result;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::safe;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Agent) -> Result<Exit> {
    let args::Agent::Token { name } = args;
    let runtime = cx.open().await?;
    let by = Cx::by();
    let token = runtime.sessions().agent_token_create(name, &by).await?;
    // The one place where a secret is printed: it was asked for, and it cannot be shown again.
    let shown = token.expose_secret();
    cx.out.result(&json!({ "name": name, "token": shown }), |page| {
        page.line(shown);
        page.hint(&format!(
            "token of `{}`: it is shown once, and only its hash is stored. It can propose and report, never decide",
            safe(name)
        ));
    })?;
    Ok(Exit::OK)
}
