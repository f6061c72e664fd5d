//! The REST API, one resource a file. A handler extracts, calls the use case of the same name, and answers JSON.

pub mod audit;
pub mod brief;
pub mod experiments;
pub mod gates;
pub mod learnings;
pub mod outcomes;
pub mod signals;
pub mod workspace;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use outcome_core::digest::sha256_hex;
use outcome_core::{Code, Error};
use serde::Serialize;

use crate::http::problem::Problem;

/// What a handler gives back.
pub type Answer<T> = Result<Json<T>, Problem>;

/// JSON with an `ETag`; 304 when the caller has it already.
pub(crate) fn tagged<T: Serialize>(headers: &HeaderMap, value: &T) -> Result<Response, Problem> {
    let text = serde_json::to_string(value)
        .map_err(|e| Error::new(Code::Internal, "an answer cannot be written").because(e))?;
    let tag = format!("\"{}\"", sha256_hex(&text).chars().take(32).collect::<String>());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    // The caller may keep it, but asks each time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}
