//! The audit log: append-only, hash-chained, checked against anchors. **Invariant**: pure; storage keeps the lines.

mod anchor;
mod chain;
mod kind;
pub mod replay;

pub use anchor::{Anchor, AnchorError, SignedAnchor};
pub use chain::{ChainBreak, ChainCheck, GENESIS, LogEntry, NewEvent, Subject, SubjectKind};
pub use kind::{EventKind, UnknownKind};
