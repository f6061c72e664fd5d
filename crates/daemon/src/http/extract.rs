//! Bodies and queries, with refusals that look like every other error.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use outcome_core::{Code, Error};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Largest body, in bytes.
pub const MAX_BODY: usize = outcome_core::ports::push::MAX_BODY;

/// The whole body.
pub(crate) async fn whole(body: Body, max: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, max).await.map_err(|_| Problem::too_large(max))
}

/// A JSON body. Its content type must say so: a form of a foreign page cannot.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_json = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Error::new(Code::InvalidInput, "the body must be JSON")
                .hint("send `Content-Type: application/json`")
                .into());
        }
        let bytes = whole(request.into_body(), MAX_BODY).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|e| {
            let text: String = e.to_string().chars().take(300).collect();
            Error::new(Code::InvalidInput, format!("the body cannot be read: {text}")).into()
        })
    }
}

/// The query of the URL.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|e| {
            let text: String = e.body_text().chars().take(300).collect();
            Error::new(Code::InvalidInput, text).into()
        })
    }
}
