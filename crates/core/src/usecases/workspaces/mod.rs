//! The workspace: its set-up, its doctor, and everything at a glance.

mod counts;
mod doctor;
mod first;
mod init;
mod link;
mod migrate;
mod status;

use crate::usecases::Runtime;

pub use counts::Counts;
pub use doctor::{Finding, FindingLevel};
pub use first::{FirstChoice, FirstFile, FirstLook, FirstMetric, FirstRequest, FirstSource};
pub use init::{InitRequest, Initialised, check_email};
pub use migrate::Migrated;
pub use status::{DeadLetters, ExperimentLine, Freshness, GateLine, OutcomeLine, SignalLine, Status, WithoutChannel};

/// The use cases about the workspace as a whole.
#[derive(Clone, Copy)]
pub struct Workspaces<'r>(pub(super) &'r Runtime);
