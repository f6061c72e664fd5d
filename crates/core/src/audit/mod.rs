//! The audit log: append-only, hash-chained, checked against anchors. **Invariant**: pure; storage keeps the lines.

mod anchor;
mod applied;
mod chain;
mod kind;
pub mod replay;
mod rows;

pub use anchor::{Anchor, AnchorError, SignedAnchor};
pub use applied::{AppliedBecause, ConfigurationApplied};
pub use chain::{ChainBreak, ChainCheck, GENESIS, LogEntry, NewEvent, Subject, SubjectKind};
pub use kind::{EventKind, UnknownKind};
pub use rows::{FoldedRow, FoldedTable, RowsStored};
