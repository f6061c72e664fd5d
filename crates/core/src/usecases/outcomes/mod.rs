//! Outcomes: planned from the file, applied, activated, and ended.

mod activate;
mod apply;
pub(super) mod attainment;
mod end;
mod plan;
mod series;

use crate::usecases::Runtime;

pub use activate::Activated;
pub use apply::Applied;
pub use attainment::Attainment;

/// The use cases about outcomes.
#[derive(Clone, Copy)]
pub struct Outcomes<'r>(pub(super) &'r Runtime);
