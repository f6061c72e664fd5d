//! Delivering what was decided.

mod channels;
pub(super) mod deliver;
pub(super) mod letter;

use crate::usecases::Runtime;

pub use deliver::Delivered;

/// The use cases about messages that wait.
#[derive(Clone, Copy)]
pub struct Outbox<'r>(pub(super) &'r Runtime);
