//! Signals: polled from sources, pushed by them, and tried out.

mod compare;
mod conformance;
mod connectors;
mod ingest;
mod metrics;
mod poll;
mod retention;

use crate::usecases::Runtime;

pub use compare::{MetricCompareRequest, MetricCompared};
pub use conformance::{Check, CheckState, Conformance, Trial, about};
pub use connectors::{ConnectorProblem, ConnectorReport, QueryReport, QueryState, ReaderRole, SignalRole};
pub(in crate::usecases) use ingest::IngestQueue;
pub use ingest::Ingested;
pub use metrics::{KeyLook, MetricCheckRequest, MetricChecked, MetricDoubt, MetricFinding, MetricShown};
pub(in crate::usecases) use poll::{FirstLook, first_look};
pub use poll::{PollRequest, Polled, PolledExperiment, Stop, Told};
pub use retention::Thinned;

/// The use cases about signals and their sources.
#[derive(Clone, Copy)]
pub struct Signals<'r>(pub(super) &'r Runtime);
