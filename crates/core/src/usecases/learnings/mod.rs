//! What experiments taught, found by full-text search.

mod search;

use crate::usecases::Runtime;

pub use search::LearningView;

/// The use cases about learnings.
#[derive(Clone, Copy)]
pub struct Learnings<'r>(pub(super) &'r Runtime);
