//! Members and agents are told apart by what they present, and never turn into one another.

use axum::http::{HeaderMap, header};
use outcome_core::Result;
use outcome_core::principal::Principal;
use outcome_core::usecases::PageSession;
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;

use super::cookie;
use crate::App;

/// Header that carries the CSRF token of a member's session on the REST API.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Somebody known.
#[derive(Debug, Clone)]
pub enum Caller {
    /// An agent with a token.
    Agent(Principal),
    /// A signed-in member.
    Member(PageSession),
}

impl Caller {
    /// Who that is for the use cases. It decides nothing: decisions are signed.
    #[must_use]
    pub fn principal(&self) -> Principal {
        match self {
            Self::Agent(principal) => principal.clone(),
            Self::Member(session) => Principal::session_of(session.member.id),
        }
    }
}

/// Who sent these headers; `None` for a stranger. Whoever presents a token is an agent, whatever cookie comes along.
pub(crate) async fn identify(app: &App, headers: &HeaderMap) -> Result<Option<Caller>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|text| text.split_once(' ')).and_then(|(scheme, token)| {
            (scheme.eq_ignore_ascii_case("bearer") && token.len() <= 200).then(|| SecretString::from(token.trim()))
        });
        return match token {
            Some(token) => Ok(app.runtime.sessions().agent_of_token(&token).await?.map(Caller::Agent)),
            None => Ok(None),
        };
    }
    match cookie::session(&app.site, headers) {
        Some(token) => Ok(app.runtime.sessions().session(&token).await?.map(Caller::Member)),
        None => Ok(None),
    }
}

/// True when `given` is the session's token. Takes the same time wherever they differ.
#[must_use]
pub fn is_csrf_token(session: &PageSession, given: &str) -> bool {
    session.csrf.as_bytes().ct_eq(given.as_bytes()).into()
}
