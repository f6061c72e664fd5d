//! Hypotheses: the work order for their authors, and their submission.

pub(in crate::usecases) mod feasibility;
mod submit;
mod work_order;

use crate::usecases::Runtime;

pub use feasibility::FeasibilityHint;
pub use submit::{Rejected, Submission, Submitted, read_candidates};
pub use work_order::{UnderWay, WorkOrder, WorkOrderGoal, WorkOrderLearning, WorkOrderSignal};

/// The use cases about hypotheses.
#[derive(Clone, Copy)]
pub struct Hypotheses<'r>(pub(super) &'r Runtime);
