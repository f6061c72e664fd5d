//! Where readings come from: a [`SignalSource`] for each kind of connector, and the registry that opens them.
//!
//! Everything a source says is untrusted. It is bounded (rows, bytes, time) while it is read and passes [`check`]
//! before it leaves this module. **Invariant**: nothing here writes to a source, reads the clock, stores, or decides.

pub mod check;
mod error;
pub mod http;
mod redact;
mod registry;
mod sql;
pub mod webhook;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::domain::{ArmSums, Reading, SignalSpec, Slug, VariantReading, Window};

pub use error::ReadError;
pub(crate) use redact::Redactor;
pub use registry::{Sources, open};

/// A place that signals are read from.
#[async_trait]
pub trait SignalSource: Send + Sync {
    /// Connects, tries what the runtime relies on (a write must be refused), and says what was found.
    async fn test(&self) -> Result<SourceReport, ReadError>;

    /// Reads the signal over the whole population in `window`.
    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError>;

    /// Reads the signal for the units that were exposed in one allocation phase: at most one reading an arm, control
    /// first. An arm that nobody saw yet is missing.
    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError>;

    /// What could be measured there: tables and columns, events, metrics. Bounded.
    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError>;

    /// How the source would answer the signal's queries (its query plan), for people; empty where there is no such
    /// thing.
    async fn plan(&self, _signal: &SignalSpec, _window: Window) -> Result<Vec<QueryPlan>, ReadError> {
        Ok(Vec::new())
    }
}

/// What is asked about an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantRequest {
    /// The experiment.
    pub experiment: Slug,
    /// Its flag.
    pub flag_key: String,
    /// Units exposed in this window are counted: `[start of the allocation phase, min(now, its end))`.
    pub window: Window,
    /// When the experiment was launched; at or before the start of the window.
    pub launched_at: Timestamp,
    /// The instant up to which values of those units count; the time of the poll.
    pub as_of: Timestamp,
}

/// What [`SignalSource::test`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SourceReport {
    /// Name of the connector.
    pub source: String,
    /// Product and version, as the server says: `PostgreSQL 17.2`.
    pub server: String,
    /// A write was tried and refused. For a source that pushes: nothing can be written there at all.
    pub is_read_only: bool,
    /// From the request for a connection to the first answer.
    pub latency_ms: u64,
    /// Remarks for people.
    pub notes: Vec<String>,
}

/// Something that could be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct MetricInfo {
    /// Name as a query would write it: `public.orders`.
    pub name: String,
    /// What it holds: `amount numeric`.
    pub fields: Vec<String>,
}

/// A query and how the source would answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct QueryPlan {
    /// `level` or `by_variant`.
    pub query: String,
    /// The source's own words, one line each.
    pub lines: Vec<String>,
}

/// Turns text with `${ENV}` and `${file:}` references into the text that is meant.
pub trait ResolveSecret: Send + Sync {
    /// The resolved text.
    ///
    /// # Errors
    /// When a reference has no value.
    fn resolve(&self, text: &str) -> crate::Result<SecretString>;
}

impl<F: Fn(&str) -> crate::Result<SecretString> + Send + Sync> ResolveSecret for F {
    fn resolve(&self, text: &str) -> crate::Result<SecretString> {
        self(text)
    }
}
