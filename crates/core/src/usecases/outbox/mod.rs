//! Delivering what was decided.

pub(super) mod deliver;

use crate::usecases::Runtime;

pub use deliver::Delivered;

/// The use cases about messages that wait.
#[derive(Clone, Copy)]
pub struct Outbox<'r>(pub(super) &'r Runtime);
