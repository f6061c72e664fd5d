//! Who may call a route. The table of routes names an [`Access`] for each; a handler behind it can rely on it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use outcome_core::usecases::PageSession;
use outcome_core::{Code, Error};

use super::extract::whole;
use super::problem::Problem;
use crate::App;
use crate::auth::Caller;
use crate::auth::caller::{CSRF_HEADER, identify, is_csrf_token};
use crate::pages;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody; nothing about the workspace but counts.
    Public,
    /// Everybody; the body carries a signature that the use case checks.
    Signed,
    /// Everybody from our own pages: the sign-in.
    SignIn,
    /// Agents.
    Agent,
    /// Agents and members.
    Api,
    /// Members. An agent is refused, and the attempt is recorded.
    ApiHuman,
    /// Members in a browser. An agent's attempt to change something is refused and recorded.
    Page,
}

/// Largest form, in bytes.
const MAX_FORM: usize = 128 * 1024;

/// The layer around a route.
pub(crate) async fn guard(
    State((app, access, limit)): State<(App, Access, Duration)>,
    request: Request,
    next: Next,
) -> Response {
    let is_page = matches!(access, Access::Page | Access::SignIn);
    let admitted = async {
        match admit(&app, access, request).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused.into_response(is_page),
        }
    };
    match tokio::time::timeout(limit, admitted).await {
        Ok(response) => response,
        Err(_) => Refused::Problem(Problem::timed_out(limit.as_secs())).into_response(is_page),
    }
}

enum Refused {
    Problem(Problem),
    SignInFirst(String),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Problem(error.into())
    }
}

impl Refused {
    fn into_response(self, is_page: bool) -> Response {
        match self {
            Self::Problem(problem) if is_page => pages::failure(&problem),
            Self::Problem(problem) => problem.into_response(),
            Self::SignInFirst(location) => Redirect::to(&location).into_response(),
        }
    }
}

async fn admit(app: &App, access: Access, mut request: Request) -> Result<Request, Refused> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    match access {
        Access::Public | Access::Signed => return Ok(request),
        Access::SignIn => {
            if changes {
                same_origin(app, request.headers())?;
            }
            return Ok(request);
        }
        Access::Agent | Access::Api | Access::ApiHuman | Access::Page => {}
    }
    if access == Access::Agent {
        // Browsers name where they come from; an agent's program does not.
        same_origin(app, request.headers())?;
    }
    let caller = identify(app, request.headers()).await?;
    match (&caller, access) {
        (None, Access::Page) if !changes => return Err(Refused::SignInFirst(sign_in_url(&request))),
        (None, _) => return Err(Problem::stranger().into()),
        (Some(Caller::Agent(agent)), Access::ApiHuman | Access::Page) => {
            if changes {
                let what = format!("{} {}", request.method(), request.uri().path());
                return Err(app.runtime.sessions().refuse_agent(agent, &what).await?.into());
            }
            return Err(Error::new(Code::Forbidden, "the pages are for humans")
                .hint("agents use /api/v1 or the MCP server")
                .into());
        }
        (Some(Caller::Member(_)), Access::Agent) => {
            return Err(Error::new(Code::Forbidden, "MCP is for agents")
                .hint(
                    "create a token with `outcome-runtime agent token NAME` and send it as `Authorization: Bearer TOKEN`",
                )
                .into());
        }
        (Some(Caller::Member(session)), _) if changes => {
            same_origin(app, request.headers())?;
            request = csrf(session, access, request).await?;
        }
        (Some(_), _) => {}
    }
    if let Some(caller) = caller {
        if let Caller::Member(session) = &caller {
            request.extensions_mut().insert(session.clone());
        }
        request.extensions_mut().insert(caller);
    }
    Ok(request)
}

fn same_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    if app.site.is_same_origin(headers) {
        return Ok(());
    }
    Err(Problem::foreign("its Origin is a different one, or the browser hid it (use https or a loopback address)"))
}

/// The CSRF token stands in a header on the API, and in a field of the form on a page.
async fn csrf(session: &PageSession, access: Access, request: Request) -> Result<Request, Problem> {
    let missing = || Problem::foreign("its CSRF token is missing or old");
    if access != Access::Page {
        let given = request.headers().get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        return if is_csrf_token(session, given) { Ok(request) } else { Err(missing()) };
    }
    let (parts, body) = request.into_parts();
    let form = whole(body, MAX_FORM).await?;
    let given = url::form_urlencoded::parse(&form).find(|(name, _)| name == "csrf").map(|(_, value)| value);
    if !given.is_some_and(|given| is_csrf_token(session, &given)) {
        return Err(missing());
    }
    Ok(Request::from_parts(parts, Body::from(form)))
}

fn sign_in_url(request: &Request) -> String {
    let path = request.uri().path();
    if path == "/" {
        return "/sign-in".to_owned();
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish();
    format!("/sign-in?{query}")
}

/// Answers what no route matches.
pub(crate) async fn unknown(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let error = Error::new(Code::NotFound, format!("there is nothing at {path}"));
    let problem = Problem::with_status(error, StatusCode::NOT_FOUND);
    if path.starts_with("/api/") { problem.into_response() } else { pages::failure(&problem) }
}

/// Answers a method that a path does not take.
pub(crate) async fn wrong_method() -> Problem {
    let error =
        Error::new(Code::InvalidInput, "this path does not accept this method").hint("docs/daemon.md lists both");
    Problem::with_status(error, StatusCode::METHOD_NOT_ALLOWED)
}
