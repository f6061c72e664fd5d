//! Gates: looking, and deciding as a signed-in member who enters the passphrase again.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use outcome_core::domain::{Surface, Verdict};
use outcome_core::usecases::{DecideRequest, Decided, GateView, PageSession, Person, Unlock};
use secrecy::SecretString;
use serde::Deserialize;

use super::Answer;
use crate::App;
use crate::auth::Caller;
use crate::auth::limiter::{Purpose, Who};
use crate::http::extract::JsonBody;
use crate::serve::Peer;

/// GET /api/v1/gates/pending: for a member the gates that they hold, for an agent all of them.
pub(crate) async fn pending(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Vec<GateView>> {
    let mut gates = app.runtime.gates().list().await?;
    if let Caller::Member(session) = &caller {
        gates.retain(|gate| is_held_by(gate, &session.member));
    }
    Ok(Json(gates))
}

/// True when the member holds the gate; a gate without a holder belongs to every member.
pub(crate) fn is_held_by(gate: &GateView, member: &Person) -> bool {
    gate.holder.is_none() || gate.held_by == Some(member.id)
}

/// GET /api/v1/gates/{id}
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<GateView> {
    Ok(Json(app.runtime.gates().show(&id).await?))
}

/// A decision. Its passphrase unlocks the member's key for this one signature.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RespondBody {
    verdict: Verdict,
    /// Of what was shown.
    context_hash: String,
    passphrase: String,
    #[serde(default)]
    conditions: Vec<String>,
    #[serde(default)]
    note: Option<String>,
}

/// POST /api/v1/gates/{id}/respond
pub(crate) async fn respond(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(session): Extension<PageSession>,
    Extension(Peer(peer)): Extension<Peer>,
    JsonBody(body): JsonBody<RespondBody>,
) -> Answer<Decided> {
    let member = session.member.id.to_string();
    let request = DecideRequest {
        gate: id,
        verdict: body.verdict,
        conditions: body.conditions,
        note: body.note.filter(|note| !note.trim().is_empty()),
        context_hash: Some(body.context_hash),
        member: Some(member.clone()),
        unlock: Unlock::Passphrase(SecretString::from(body.passphrase)),
        surface: Surface::Page,
    };
    let decided =
        app.limiter.attempt(Who::new(Purpose::Decide, peer, &member), app.runtime.gates().decide(request)).await?;
    Ok(Json(decided))
}
