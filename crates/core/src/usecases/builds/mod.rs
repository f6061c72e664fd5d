//! Builds: the brief, the report that is recomputed from git, and where an experiment may be built.

mod brief;
mod building;
mod example_code;
mod failed;
mod report;
mod scope_check;
mod wiring;

use crate::usecases::Runtime;

pub use brief::{Brief, BriefHypothesis, BriefLearning};
pub use building::{Building, Refusal};
pub use example_code::BriefCode;
pub use report::{BuildReport, BuildReported};
pub use scope_check::ScopeCheckRequest;
pub use wiring::{BriefColumn, BriefExposure};

/// The use cases about builds.
#[derive(Clone, Copy)]
pub struct Builds<'r>(pub(super) &'r Runtime);
