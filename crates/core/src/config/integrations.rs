//! The third parties that `outcome.yaml` names, as declared: values may still hold `${ENV}` and `${file:}` references,
//! which are resolved at run time and never written back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{Period, text_enum};

/// A declared signal connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ConnectorSpec {
    /// Name that signals refer to as `source`.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: ConnectorKind,
}

/// The connectors of this version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "config", rename_all = "snake_case")]
#[schemars(inline)]
pub enum ConnectorKind {
    /// A database that is asked with the user's own SQL, read-only.
    Sql(SqlConfig),
    /// A source that pushes aggregates to the daemon.
    Webhook(WebhookConfig),
}

text_enum! {
    /// How the database keeps instants, hence how `:from` and `:to` are bound. `native` is a timestamp with time zone on
    /// PostgreSQL, a UTC datetime on MySQL and ISO 8601 text (`2026-11-20 10:00:00`) on SQLite.
    pub enum TimeFormat { Native, Iso8601, UnixSeconds, UnixMillis }
}

/// A SQL source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SqlConfig {
    /// `postgres://`, `mysql://` or `sqlite:` address; `${ENV}` inside is resolved at run time.
    pub url: String,
    /// Longest time for a statement.
    pub statement_timeout: Period,
    /// Most rows of an answer.
    pub row_cap: u32,
    /// How instants are bound.
    pub time_format: TimeFormat,
}

impl SqlConfig {
    /// A source with the default limits: 30 s, 1,000 rows, native instants.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            statement_timeout: Period::from_secs(30),
            row_cap: 1000,
            time_format: TimeFormat::Native,
        }
    }
}

/// A pushing source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WebhookConfig {
    /// Shared secret of the signature; a `${ENV}` or `${file:}` reference.
    pub secret: String,
    /// How old a signed request may be.
    pub replay_window: Period,
}

/// The declared flag service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "provider", content = "config", rename_all = "snake_case")]
#[schemars(inline)]
pub enum FlagServiceSpec {
    /// A JSON file that flagd reads. For development.
    FlagdFile {
        /// Path, relative to the workspace's root.
        path: String,
    },
    /// The documented small HTTP contract.
    CustomHttp {
        /// Base address.
        url: String,
        /// Bearer token; a `${ENV}` or `${file:}` reference.
        token: Option<String>,
    },
}
