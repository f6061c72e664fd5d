//! From an answer that is none to a [`ReadError`].

use outcome_core::ports::ReadError;
use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde_json::Value;
use url::Url;

use super::Api;
use crate::http::{Answer, HttpError, MAX_ANSWER};

impl Api {
    /// No whole answer came.
    pub(super) fn failed(&self, of: &str, error: HttpError) -> ReadError {
        let source_name = self.name.clone();
        match error {
            HttpError::Timeout(_) => ReadError::Timeout {
                source_name,
                limit: super::LIMIT,
                hint: format!(
                    "ask for less, as a shorter window or fewer steps; if `{}` is slow as a whole, read it less often",
                    self.product.name
                ),
            },
            HttpError::TooLarge => self.shape(of, format!("it is larger than {MAX_ANSWER} bytes")),
            HttpError::Request(problem) => {
                self.unusable(problem, format!("check `url` and the credentials; {} has an example", self.product.page))
            }
            error @ (HttpError::Unreachable(_) | HttpError::Status { .. }) => {
                ReadError::Unreachable { source_name, detail: error.to_string() }
            }
        }
    }

    /// A status that means trouble.
    pub(super) fn refused(&self, of: &str, answer: &Answer) -> ReadError {
        let source_name = self.name.clone();
        let status = answer.status;
        let said = self.clean(&sentence(&answer.body));
        let detail = if said.is_empty() { format!("status {status}") } else { format!("status {status}: {said}") };
        let throttled = |detail| ReadError::Throttled {
            source_name: self.name.clone(),
            detail,
            retry_after: self.wait_of(&answer.headers),
        };
        if status.is_redirection() {
            return self.unusable(
                format!("it answered with a redirect{}, which is not followed", self.target(answer)),
                format!(
                    "the credentials go to the configured address only; if the new one is right, write it as `url` ({})",
                    self.product.page
                ),
            );
        }
        if let Some(hint) = (self.product.advice)(status, &said) {
            return self.unusable(detail, hint);
        }
        match status.as_u16() {
            401 | 403 => ReadError::Unauthorized {
                hint: format!(
                    "{}; {} shows how; then run `outcome-runtime connectors test {source_name}`",
                    self.product.access, self.product.page
                ),
                source_name,
                detail,
            },
            429 | 502..=504 => throttled(detail),
            400..=499 if status != StatusCode::REQUEST_TIMEOUT => {
                self.query(of, detail, format!("check how the signal is written; {} has examples", self.product.page))
            }
            _ => ReadError::Unreachable { source_name, detail },
        }
    }

    pub(crate) fn query(&self, of: &str, detail: String, hint: String) -> ReadError {
        let (source_name, signal) = (self.name.clone(), of.to_owned());
        ReadError::Query { source_name, signal, detail, hint, line: None, column: None }
    }

    /// Who a redirect leads to; its path and query may hold anything.
    fn target(&self, answer: &Answer) -> String {
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|text| self.endpoint.join(text));
        target.as_ref().map(Url::origin).map_or_else(String::new, |origin| {
            let origin = self.clean(&origin.ascii_serialization());
            if self.place() == origin { " to another path".to_owned() } else { format!(" to {origin}") }
        })
    }
}

/// What an error body says to people: the sentence in one of the usual places, else its beginning. A page says nothing.
fn sentence(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return if text.trim_start().starts_with('<') { String::new() } else { text.into_owned() };
    };
    let found = ["/error/message", "/error", "/errors", "/detail", "/message", "/error_description", "/title"]
        .iter()
        .filter_map(|place| value.pointer(place))
        .find_map(said);
    found.unwrap_or_else(|| text.into_owned())
}

fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .take(5)
                .filter_map(|item| {
                    said(item).or_else(|| item.get("detail").or_else(|| item.get("message")).and_then(said))
                })
                .collect();
            (!items.is_empty()).then(|| items.join("; "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_sentence_is_found_in_the_usual_places() {
        for (body, expected) in [
            (r#"{"errors":["API key required","and more"]}"#, "API key required; and more"),
            (r#"{"errors":[{"title":"Bad","detail":"no such metric"}]}"#, "no such metric"),
            (r#"{"error":{"code":403,"message":"no access","status":"PERMISSION_DENIED"}}"#, "no access"),
            (r#"{"error":"project is in the EU","status":"error"}"#, "project is in the EU"),
            (r#"{"status":"error","errorType":"bad_data","error":"1:4: parse error"}"#, "1:4: parse error"),
            (r#"{"type":"authentication_error","code":"x","detail":"Wrong key.","attr":null}"#, "Wrong key."),
            (r#"{"odd":1}"#, r#"{"odd":1}"#),
            ("plain words", "plain words"),
            ("<html><body>s3cret</body></html>", ""),
            ("", ""),
        ] {
            assert_eq!(sentence(body.as_bytes()), expected, "{body}");
        }
    }
}
