//! Delivering what was decided, and showing what could not be delivered.

pub(super) mod aim;
mod backoff;
mod channels;
pub(super) mod deliver;
pub(super) mod letter;
pub(super) mod messages;
pub(super) mod stuck;
pub(super) mod tampered;

use crate::usecases::Runtime;

pub use deliver::Delivered;
pub use messages::{ChannelMessage, ChannelTest, MessageLine, MessageState, Messages, Retried, Retry};

/// The use cases about messages that wait.
#[derive(Clone, Copy)]
pub struct Outbox<'r>(pub(super) &'r Runtime);
