//! Sources that push aggregates to `POST /api/v1/signals/ingest`, signed as Standard Webhooks are.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! What the daemon does with a request: look up the connector that the path or the payload names, [`verify`] the
//! headers against the raw body, [`IngestPayload::parse`] it, and keep the id of [`Headers`] as the idempotency key.
//! **Invariant**: pure functions; "now" and the secret are parameters. Only aggregates come in, never events.

mod payload;
mod signature;

use crate::error::{Code, Error};

pub use payload::{IngestPayload, IngestReading, MAX_PAYLOADS, MAX_READINGS, Place, Pushed, SCHEMA_VERSION};
pub use signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Headers, sign, verify};

/// Largest body, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// Why a pushed reading is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The connector's secret cannot be used.
    #[error("the secret of the connector cannot be used: {problem}")]
    Secret {
        /// Why not; never the secret.
        problem: String,
    },
    /// A header is missing or malformed, or no signature fits.
    #[error("the request is not signed: {problem}")]
    Signature {
        /// Why not.
        problem: String,
    },
    /// The signature fits but is too old, or of the future.
    #[error(
        "the request was signed {age_secs} s {}, outside the replay window of {window_secs} s", when(.is_future)
    )]
    Stale {
        /// Distance from now.
        age_secs: u64,
        /// True for a time stamp ahead of now.
        is_future: bool,
        /// The window.
        window_secs: i64,
    },
    /// The payload is not one, or says what no data can say.
    #[error("the payload cannot be used: {problem}")]
    Shape {
        /// What is wrong, with its place.
        problem: String,
    },
}

fn when(is_future: &bool) -> &'static str {
    if *is_future { "in the future" } else { "ago" }
}

impl IngestError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Secret { .. } => Code::ConnectorConfig,
            Self::Signature { .. } => Code::IngestSignature,
            Self::Stale { .. } => Code::IngestStale,
            Self::Shape { .. } => Code::SignalShape,
        }
    }

    /// What the sender can do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "use `whsec_` and the base64 of 24 to 64 random bytes",
            Self::Signature { .. } => {
                "send webhook-id, webhook-timestamp (seconds) and webhook-signature: `v1,` and the base64 of the \
                 HMAC-SHA256 of `id.timestamp.body`, over the bytes that are sent"
            }
            Self::Stale { .. } => "sign again at each attempt, and compare the clocks of both machines",
            Self::Shape { .. } => "docs/connectors/webhook.md shows a payload of each kind",
        }
    }
}

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint())
    }
}
