//! The flag service of the outcome file, looked at by hand: what its credentials allow, and where the flags are. Nothing here writes a
//! flag: flags follow decisions and findings, through the outbox.

mod keys;
mod test;

use crate::usecases::Runtime;

pub use keys::{FlagLine, FlagLineState};
pub use test::{FlagsReport, flag_role};

/// The use cases about the flag service.
#[derive(Clone, Copy)]
pub struct Flags<'r>(pub(super) &'r Runtime);
