//! Signing in with the passphrase, and out.

use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use outcome_core::{Code, Error};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Frame, PageResult, Trouble, html};
use crate::App;
use crate::auth::limiter::{Purpose, Who};
use crate::auth::{Caller, caller, cookie};
use crate::http::extract::{Query, whole};
use crate::serve::Peer;

const MAX_FORM: usize = 16 * 1024;
/// An unknown e-mail is answered as late as a wrong passphrase.
const FAILURE_TAKES: Duration = Duration::from_millis(800);

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    trouble: Option<Trouble>,
    workspace: String,
    email: String,
    next: String,
}

/// GET /sign-in
pub(crate) async fn show(State(app): State<App>, Query(query): Query<Next>, headers: HeaderMap) -> PageResult {
    let next = local(query.next.as_deref());
    if let Some(Caller::Member(_)) = caller::identify(&app, &headers).await? {
        return Ok(Redirect::to(&next).into_response());
    }
    Ok(form(&app, StatusCode::OK, None, String::new(), next))
}

fn form(app: &App, status: StatusCode, error: Option<&Error>, email: String, next: String) -> Response {
    let page = SignInPage {
        frame: Frame::new("Sign in", None),
        trouble: error.map(Trouble::of),
        workspace: app.runtime.workspace().slug.clone(),
        email,
        next,
    };
    let mut response = html(status, &page);
    if let Some(error) = error {
        crate::http::problem::retry_after(error, &mut response);
    }
    response
}

/// POST /sign-in
pub(crate) async fn submit(
    State(app): State<App>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> PageResult {
    let body = whole(request.into_body(), MAX_FORM).await?;
    let field = |wanted: &str| {
        url::form_urlencoded::parse(&body).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let email = field("email").unwrap_or_default().trim().to_owned();
    let next = local(field("next").as_deref());
    let passphrase = SecretString::from(field("passphrase").unwrap_or_default());
    let began = tokio::time::Instant::now();
    let named = (!email.is_empty()).then_some(email.as_str());
    let done = app
        .limiter
        .attempt(Who::new(Purpose::SignIn, peer, &email), app.runtime.sessions().sign_in(named, passphrase))
        .await;
    match done {
        Ok(session) => {
            let mut response = Redirect::to(&next).into_response();
            let cookie = cookie::set(&app.site, &session, app.runtime.now())
                .ok_or_else(|| Error::new(Code::Internal, "the session cannot be stored"))?;
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(error) => {
            tracing::warn!(code = %error.code(), "A sign-in was refused");
            if error.code() == Code::PassphraseWrong {
                tokio::time::sleep_until(began + FAILURE_TAKES).await;
            }
            let status = StatusCode::from_u16(error.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(form(&app, status, Some(&error), email.chars().take(200).collect(), next))
        }
    }
}

/// POST /sign-out
pub(crate) async fn out(State(app): State<App>, Extension(_): Extension<Caller>, headers: HeaderMap) -> PageResult {
    if let Some(token) = cookie::session(&app.site, &headers) {
        app.runtime.sessions().sign_out(&token).await?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    if let Some(cookie) = cookie::clear(&app.site) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A path of ours, or the first page. Never another site: neither `//host` nor a backslash that browsers read as a slash.
fn local(next: Option<&str>) -> String {
    let is_local = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= 500
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_local).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn after_the_sign_in_nobody_is_sent_elsewhere() {
        assert_eq!(local(Some("/gates/a-b?x=1")), "/gates/a-b?x=1");
        for next in ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\r\nSet-Cookie: x=1", ""] {
            assert_eq!(local(Some(next)), "/", "{next}");
        }
        assert_eq!(local(None), "/");
    }
}
