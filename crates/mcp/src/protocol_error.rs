//! Failures outside of tools, as the protocol's own errors.

use rmcp::ErrorData;
use rmcp::model::ErrorCode;
use serde_json::json;

use crate::answer::Failure;

/// A failure where only the protocol can say so.
pub(crate) fn protocol_error(failure: &Failure, data: serde_json::Value) -> ErrorData {
    ErrorData::new(ErrorCode::INTERNAL_ERROR, failure.message().to_owned(), Some(data))
}

/// There is nothing at this address. The code is the modern one in both eras, as the specification now says.
pub(crate) fn not_found(uri: &str) -> ErrorData {
    let shown: String = uri.chars().filter(|c| !c.is_control()).take(200).collect();
    ErrorData::new(ErrorCode::INVALID_PARAMS, "there is no such resource", Some(json!({ "uri": shown })))
}
