//! The pages: HTML without script, made from templates that escape everything. Nothing here knows a rule; what may be
//! decided, the use cases say.

pub mod decide;
pub mod gate;
pub mod inbox;
pub mod outcome;
pub mod sign_in;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use outcome_core::error::error_chain;
use outcome_core::usecases::PageSession;
use outcome_core::{Code, Error};

use crate::http::problem::{self, Problem};

/// What the frame of every page shows.
pub(crate) struct Frame {
    title: String,
    style: String,
    icon: String,
    /// E-mail and CSRF token, when somebody is signed in.
    member: Option<(String, String)>,
}

impl Frame {
    pub(crate) fn new(title: impl Into<String>, session: Option<&PageSession>) -> Self {
        Self {
            title: title.into(),
            style: crate::assets::style_path(),
            icon: crate::assets::icon_path(),
            member: session.map(|session| (session.member.shown(), session.csrf.clone())),
        }
    }
}

/// An error as a page shows it.
pub(crate) struct Trouble {
    message: String,
    hint: Option<String>,
    code: &'static str,
}

impl Trouble {
    pub(crate) fn of(error: &Error) -> Self {
        Self {
            message: sentence(&error_chain(error)),
            hint: error.hint_text().map(sentence),
            code: error.code().as_str(),
        }
    }
}

/// A part of a sentence of ours.
pub(crate) struct Part<'t> {
    is_code: bool,
    text: &'t str,
}

/// A sentence of ours in parts: what stands between backticks is code. A backtick without its fellow stays one.
pub(crate) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, (code, after))) =
        rest.split_once('`').and_then(|(before, after)| Some((before, after.split_once('`')?)))
    {
        parts.push(Part { is_code: false, text: before });
        parts.push(Part { is_code: true, text: code });
        rest = after;
    }
    parts.push(Part { is_code: false, text: rest });
    parts
}

/// Messages begin small, for chains; on a page they stand alone.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// A page as an answer.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            tracing::error!("A page could not be rendered: {error}");
            Problem::defect().into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    frame: Frame,
    trouble: Trouble,
    offers_sign_in: bool,
}

/// An error as a page of its own.
pub(crate) fn failure(problem: &Problem) -> Response {
    let (error, status) = (problem.error(), problem.status());
    problem::log(error, status);
    let title = if status == StatusCode::NOT_FOUND { "Not found" } else { "This did not work" };
    let page = FailurePage {
        frame: Frame::new(title, None),
        trouble: Trouble::of(error),
        offers_sign_in: error.code() == Code::Unauthenticated,
    };
    let mut response = html(status, &page);
    problem::retry_after(error, &mut response);
    response
}

/// An error of a page's handler.
pub(crate) struct PageError(Problem);

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl axum::response::IntoResponse for PageError {
    fn into_response(self) -> Response {
        failure(&self.0)
    }
}

/// What a page's handler gives back.
pub(crate) type PageResult = Result<Response, PageError>;
