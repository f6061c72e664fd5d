//! The audit log: append-only, hash-chained, checked against anchors. **Invariant**: pure; storage keeps the lines.

mod anchor;
mod applied;
mod chain;
mod forgotten;
mod keys;
mod kind;
mod readings;
pub mod replay;
mod restored;
mod rows;
mod vouched;
mod writer;
mod writers;

pub use anchor::{Anchor, AnchorError, SignedAnchor};
pub use applied::{AppliedBecause, ConfigurationApplied};
pub use chain::{ChainBreak, ChainCheck, GENESIS, LogEntry, NewEvent, Subject, SubjectKind};
pub use forgotten::{ForgetMember, MemberForgotten};
pub use keys::{KeyAct, KeyFold, SignedKeyAct};
pub use kind::{EventKind, UnknownKind};
pub use readings::{PollLine, chain_of, poll_key};
pub use restored::{Restored, shown_restore};
pub use rows::{FoldedRow, FoldedTable, RowsStored};
pub use vouched::{Vouched, shown_vouch};
pub use writer::{Writer, WriterEnrolled};
pub use writers::{KnownWriter, WriterFold};
