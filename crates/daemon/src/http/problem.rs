//! Errors of the REST API: RFC 9457 `application/problem+json` with our members `code`, `hint` and `context`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use outcome_core::error::error_chain;
use outcome_core::{Code, Error};
use serde_json::{Map, Value};

/// An error on its way out.
#[derive(Debug)]
pub struct Problem {
    error: Error,
    status: Option<StatusCode>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { error, status: None }
    }
}

impl Problem {
    /// An error whose code has no status of its own for this.
    #[must_use]
    pub fn with_status(error: Error, status: StatusCode) -> Self {
        Self { error, status: Some(status) }
    }

    /// Nobody known is at the door.
    #[must_use]
    pub fn stranger() -> Self {
        Error::new(Code::Unauthenticated, "this needs an agent's token or a signed-in member")
            .hint("send `Authorization: Bearer TOKEN` (`outcome-runtime agent token NAME` creates one), or sign in")
            .into()
    }

    /// The request did not come from our own pages.
    #[must_use]
    pub fn foreign(what: &str) -> Self {
        Error::new(Code::Forbidden, format!("the request was not sent by this daemon's own pages: {what}"))
            .hint("reload the page and try again; nothing was changed")
            .into()
    }

    /// The request took too long.
    #[must_use]
    pub fn timed_out(limit_secs: u64) -> Self {
        let error = Error::new(Code::Internal, format!("the request took longer than {limit_secs} s"))
            .hint("check whether it was done before you try again");
        Self::with_status(error, StatusCode::GATEWAY_TIMEOUT)
    }

    /// A defect. What went wrong stands in the log only.
    #[must_use]
    pub fn defect() -> Self {
        Error::new(Code::Internal, "a bug in this program; its log has the details").into()
    }

    /// The body is larger than allowed.
    #[must_use]
    pub fn too_large(max: usize) -> Self {
        let error = Error::new(Code::InvalidInput, format!("the body is larger than {max} bytes"));
        Self::with_status(error, StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// What happened.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| {
            StatusCode::from_u16(self.error.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    fn to_json(&self) -> Value {
        let error = &self.error;
        let mut out = Map::new();
        out.insert("type".to_owned(), format!("urn:outcome-runtime:error:{}", error.code()).into());
        out.insert("title".to_owned(), error.code().meaning().into());
        out.insert("status".to_owned(), self.status().as_u16().into());
        out.insert("detail".to_owned(), error_chain(error).into());
        out.insert("code".to_owned(), error.code().as_str().into());
        if let Some(hint) = error.hint_text() {
            out.insert("hint".to_owned(), hint.into());
        }
        if !error.context().is_empty() {
            out.insert("context".to_owned(), Value::Object(error.context().clone()));
        }
        Value::Object(out)
    }
}

/// Logs what a person should look at; the caller's own mistakes are none of that.
pub(crate) fn log(error: &Error, status: StatusCode) {
    if status.is_server_error() {
        tracing::error!(code = %error.code(), "A request failed: {}", error_chain(error));
    }
}

/// `Retry-After`, for who was too fast.
pub(crate) fn retry_after(error: &Error, response: &mut Response) {
    let wait: Option<u64> = error.detail("retry_after_secs");
    if let Some(value) = wait.and_then(|secs| HeaderValue::from_str(&secs.to_string()).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        log(&self.error, self.status());
        let body = self.to_json().to_string();
        let mut response = (self.status(), [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if self.error.code() == Code::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        retry_after(&self.error, &mut response);
        response
    }
}
